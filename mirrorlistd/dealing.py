"""Hot choices are drawn in batches: the same shuffle as `selection`, at a fraction of its cost.

A choice that is asked for again and again draws its next answers together, with numpy, and deals them out, each once.
The rows of a batch are independent draws from the same distribution as a single one, and all chance still comes from
the generator that is passed in: the tests hold both ways to the same statistics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from random import Random

    from numpy.typing import NDArray

    from mirrorlistd.selection import Choice, Tier

HOT: Final = 32
"""Single draws before batches begin: rarer choices would throw most of a batch away."""
BATCH: Final = 32
"""Answers drawn at once: 0.1 ms of work at most, 10 kB of memory."""
_MOST_DRAWN: Final = 2_048
"""Mirrors in all orders of a batch: where lists are long (MirrorManager's have no limit), fewer are drawn at once."""
_SORT_BELOW: Final = 300
"""Mirrors in a tier up to which sorting keys of all of them beats drawing one by one."""


class Dealer:
    """Orders of one choice at one length, drawn ahead once the choice is hot."""

    __slots__ = ("_choice", "_limit", "_ready", "_uses")

    def __init__(self, choice: Choice, limit: int) -> None:
        """Begin cold: nothing is drawn before it is asked for."""
        self._choice = choice
        self._limit = limit
        self._ready: list[list[int]] = []
        self._uses = 0

    def draw(self, random: Random) -> list[int]:
        """Give mirror numbers, best first, as `Choice.draw` does; the caller may keep the list."""
        if self._ready:
            return self._ready.pop()
        self._uses += 1
        if self._uses <= HOT:
            return self._choice.draw(self._limit, random)
        self._ready = self._batch(random)
        return self._ready.pop()

    def _batch(self, random: Random) -> list[list[int]]:
        places = list(self._choice.places(self._limit))
        rows = max(1, min(BATCH, _MOST_DRAWN // max(1, sum(count for _, count in places))))
        parts = [batch_of(tier, count, random, rows) for tier, count in places]
        return [[mirror for part in row for mirror in part] for row in zip(*parts, strict=True)] or [[]] * BATCH


def batch_of(tier: Tier, count: int, random: Random, rows: int = BATCH) -> list[list[int]]:
    """Draw `rows` times the first `count` mirrors of a weighted shuffle of a tier."""
    size = len(tier.mirrors)
    if size == 1:
        return [[*tier.mirrors]] * rows
    if size > _SORT_BELOW and 2 * count < size:
        return _one_by_one(tier, count, random, rows)
    keys = _uniform(random, size, rows)
    if tier.exponents is not None:
        # The logarithm of u ** (1 / weight), which sorts alike: no power is needed.
        np.log(keys, out=keys)
        keys *= np.frombuffer(tier.exponents)
    order = keys.argsort(axis=1)[:, : -count - 1 : -1]
    drawn: list[list[int]] = np.array(tier.mirrors)[order].tolist()
    return drawn


def _one_by_one(tier: Tier, count: int, random: Random, rows: int) -> list[list[int]]:
    """Draw from a long tier with repetitions, then drop these: exact, see `Tier.draw`."""
    cumulative = np.frombuffer(tier.cumulative, np.uint64)
    draws = _uniform(random, count + count // 2 + 4, rows) * tier.cumulative[-1]
    orders: list[list[int]] = []
    for row in np.searchsorted(cumulative, draws, "right").tolist():
        drawn = list(dict.fromkeys(row))[:count]
        enough = len(drawn) == count
        orders.append([*map(tier.mirrors.__getitem__, drawn)] if enough else tier.finish(drawn, count, random))
    return orders


def _uniform(random: Random, width: int, rows: int) -> NDArray[np.floating]:
    """Rows of uniform numbers in (0, 1), 53 bits each, from the generator's own bits."""
    bits = np.frombuffer(random.randbytes(8 * rows * width), np.uint64) >> np.uint64(11)
    return ((bits + 0.5) * 2.0**-53).reshape(rows, width)
