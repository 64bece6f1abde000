"""Which mirrors, in which order: the selection rules."""
