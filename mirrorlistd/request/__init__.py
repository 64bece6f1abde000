"""Bytes of a request -> values: who asks, and for what. Pure."""
