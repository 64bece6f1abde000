"""What is counted, and how it is told: shared scoreboard, Prometheus, statistics lines."""
