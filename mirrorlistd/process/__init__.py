"""One process: its sockets, signals, reloads, systemd, and the interpreter's garbage collector."""
