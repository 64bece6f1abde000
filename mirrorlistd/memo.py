"""Memo: a mapping of bounded size, in which the hot path keeps results between requests.

A memo never changes an answer, only its cost. It has two generations. When the recent one has half of the entries that
the memo may have, it becomes the older one, and the older one is dropped, but what is asked for again is carried over:
what many ask for stays, and a client that fills a memo on purpose costs the others one more look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

K = TypeVar("K")
V = TypeVar("V")

_FREED_AT_ONCE = 4
"""Entries of a dropped generation that are freed with each new one: all at once would hold up the loop."""


class Memo(Generic[K, V]):
    """A mapping of at most `limit` entries; no value is None."""

    __slots__ = ("_dropped", "_older", "_recent", "limit", "recent")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._dropped: dict[K, V] = {}
        self._older: dict[K, V] = {}
        self._begin()

    def _begin(self) -> None:
        self._recent: dict[K, V] = {}
        self.recent: Callable[[K], V | None] = self._recent.get
        """Looks in the recent generation alone, without a call into Python; on None ask `get`."""

    def get(self, key: K) -> V | None:
        """Return a value, or None; one of the older generation is carried over."""
        value = self.recent(key)
        if value is None and (value := self._older.pop(key, None)) is not None:
            self.remember(key, value)
        return value

    def remember(self, key: K, value: V) -> V:
        """Store and return `value`."""
        if len(self._recent) >= max(1, self.limit // 2):
            self._dropped, self._older = self._older, self._recent
            self._begin()
        for _ in range(min(_FREED_AT_ONCE, len(self._dropped))):
            self._dropped.popitem()
        self._recent[key] = value
        return value

    def __len__(self) -> int:
        """Return the number of entries, those that wait to be freed included."""
        return len(self._recent) + len(self._older) + len(self._dropped)

    def entries(self) -> list[tuple[K, V]]:
        """Return all entries, the older ones first."""
        return [*self._older.items(), *self._recent.items()]

    def free(self, count: int) -> int:
        """Drop up to so many entries; return how many are left."""
        for part in (self._dropped, self._older, self._recent):
            while part and count:
                part.popitem()
                count -= 1
        return len(self)

    def clear(self) -> None:
        """Drop all entries."""
        self.free(len(self))
