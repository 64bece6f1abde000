"""Details of files for metalinks, read from a local tree; earlier versions are kept as alternates."""
