"""Which mirrors, in which order: the rules of docs/selection.md."""
