"""Memo: a dictionary of bounded size, in which the hot path keeps results between requests.

A memo never changes an answer, only its cost. It is emptied when it is full: that is cheaper than keeping an order on
every request, and a client that fills it on purpose costs the others one recomputation each.
"""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memo(dict[K, V]):
    """A dictionary that is emptied before it would exceed `limit` entries. Read it like any dictionary."""

    __slots__ = ("limit",)

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def remember(self, key: K, value: V) -> V:
        """Store and return `value`."""
        if len(self) >= self.limit:
            self.clear()
        self[key] = value
        return value
