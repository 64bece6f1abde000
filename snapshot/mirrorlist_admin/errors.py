"""The exceptions that this package raises on purpose, under one root."""

from __future__ import annotations


class AdminError(Exception):
    """Something was refused, or cannot be read or written; the text is for people."""
