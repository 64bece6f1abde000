"""Details of files for metalinks: read from a local tree, and earlier versions kept as alternates."""
