"""Request parsing: path, query, head, `Accept` and the client's address. Pure."""
