"""The handover from one State to the next: the new one is warmed before the swap, the old one freed after it.

Both take a little of each turn of the event loop, so that requests go on. Without warming all clients would wait for a
thousand decisions after each reload; freed at once, the old State would hold them up for 16 ms.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from mirrorlistd.state.state import Renewal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from mirrorlistd.memo import Memo
    from mirrorlistd.state.state import State

SLICE: Final = 0.000_2
"""Seconds of a turn of the loop that are spent on warming; a turn under load takes a millisecond."""
LONGEST: Final = 5.0
"""Seconds after which warming ends with what it has done."""
_FREED_AT_ONCE: Final = 128
"""Entries and values freed in one turn: a tenth of a millisecond or two."""
_PAUSE: Final = 0.001
"""Seconds between such turns."""


async def warm(
    state: State, before: State | None, random: Random, *, slice_: float = SLICE, longest: float = LONGEST
) -> None:
    """Have `state` answer the questions that `before` remembers. Only questions are taken over, never an answer."""
    if before is None:
        return
    end = perf_counter() + longest
    turn_ends = 0.0
    for _ in _renewals(state, before, random):
        now = perf_counter()
        if now > end:
            return
        if now > turn_ends:
            await asyncio.sleep(0)
            turn_ends = perf_counter() + slice_


def _renewals(state: State, before: State, random: Random) -> Iterator[None]:
    renewal = Renewal(state.decider)
    yield from state.renew(before, renewal)
    for place in {*renewal.places.values()}:
        if state.decider.tiers(place).draw_ahead(random):
            yield


class RetiredState:
    """The parts of a State that has been replaced, to be freed one after the other."""

    __slots__ = ("_memos", "_values")

    def __init__(self, state: State | None) -> None:
        """Take the parts; the caller must drop its reference to the State."""
        self._memos: list[Memo[Any, Any]] = []
        self._values: list[object] = []
        if state is not None:
            snapshot = state.decider.index.snapshot
            self._memos += state.memos
            self._values += [*snapshot.mirrors, *snapshot.netblock_chains]

    async def free(self) -> None:
        """Free all of them, some in each turn of the loop."""
        for memo in self._memos:
            left = len(memo)
            while left:
                left = memo.free(_FREED_AT_ONCE)
                await asyncio.sleep(_PAUSE)
        self._memos.clear()
        while self._values:
            del self._values[-_FREED_AT_ONCE:]
            await asyncio.sleep(_PAUSE)
