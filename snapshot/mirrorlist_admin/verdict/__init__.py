"""Verdicts: from what was seen follows the state of each URL and of each unit on each mirror. Pure."""
