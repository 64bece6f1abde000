"""What is counted, and where it is shown: shared scoreboard, Prometheus, lines of the statistics."""
