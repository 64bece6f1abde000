"""Freshness: what was observed of mirrors is merged with what the sources declare."""
