"""Publishing a snapshot: the rules, the targets (a file, an object store), and the server that shall load it."""
