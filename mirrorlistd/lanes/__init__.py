"""One connection and its requests: limits, the two lanes, and what both do with a request."""
