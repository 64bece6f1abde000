"""What a reload replaces is freed a little in each turn of the loop: all at once it would be held up for 16 ms.

A State is small; what it has remembered, and the thousands of values that a snapshot was unpacked into, are not.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mirrorlistd.memo import Memo
    from mirrorlistd.state.state import State

_AT_ONCE: Final = 128
"""Entries and values freed in one turn: a tenth of a millisecond or two."""
_PAUSE: Final = 0.001
"""Seconds between such turns."""


class RetiredState:
    """Holds on to the parts of a State that is given up, so that they go one after the other, not with it."""

    __slots__ = ("_memos", "_values")

    def __init__(self, state: State | None) -> None:
        """Take the parts; whoever refers to the State itself has to drop it."""
        self._memos: list[Memo[Any, Any]] = []
        self._values: list[object] = []
        if state is not None:
            snapshot = state.decider.index.snapshot
            self._memos += state.memos
            self._values += [*snapshot.mirrors, *snapshot.netblock_chains]

    async def free(self) -> None:
        """Free all of it."""
        for memo in self._memos:
            while memo:
                for _ in range(min(_AT_ONCE, len(memo))):
                    memo.popitem()
                await asyncio.sleep(_PAUSE)
        self._memos.clear()
        while self._values:
            del self._values[-_AT_ONCE:]
            await asyncio.sleep(_PAUSE)
