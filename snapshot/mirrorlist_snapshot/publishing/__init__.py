"""Publishing a snapshot: the rules, the targets (a file, an object store), and the running server that loads it."""
