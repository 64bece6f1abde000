"""Several processes: the supervisor forks workers, restarts dead ones and reloads all of them together."""
