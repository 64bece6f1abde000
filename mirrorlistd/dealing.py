"""Hot choices are drawn in batches: the same shuffle as `selection`, at a fraction of its cost.

A choice that is asked for again and again draws its next answers together, with numpy, and deals them out, each once.
The rows of a batch are independent draws from the same distribution as a single one: the tests hold both ways to the
same statistics. All chance still comes from the generator that is passed in, which seeds a dealer's own when it turns
hot. So a dealer must not be hot before a process forks: its children would deal alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from numpy.typing import NDArray

    from mirrorlistd.selection import Choice, Tier

T = TypeVar("T")

HOT: Final = 8
"""Single draws before batches begin: rarer choices would throw most of a batch away."""
FIRST_BATCH: Final = 8
LATER_BATCHES: Final = 32
"""Answers drawn at once: 0.1 ms of work at most, 10 kB of memory."""
_MOST_DRAWN: Final = 2_048
"""Mirrors in all orders of a batch: where lists are long (MirrorManager's have no limit), fewer are drawn at once."""
_SORT_BELOW: Final = 300
"""Mirrors in a tier up to which sorting keys of all of them beats drawing one by one."""


class Dealer(Generic[T]):
    """Orders of one choice at one length, drawn ahead once the choice is hot."""

    __slots__ = ("_batches", "_choice", "_items", "_limit", "_ready", "_uses")

    def __init__(self, choice: Choice, limit: int, items: Sequence[T]) -> None:
        """Begin cold: nothing is drawn before it is asked for. What is dealt are `items`, by mirror number."""
        self._choice = choice
        self._limit = limit
        self._items = items
        self._ready: list[list[T]] = []
        self._uses = 0
        self._batches: _Batches[T] | None = None

    def draw(self, random: Random) -> list[T]:
        """Give the items of mirrors, best first, as `Choice.draw` does; the caller may keep the list."""
        if self._ready:
            return self._ready.pop()
        self._uses += 1
        if self._uses <= HOT:
            return [*map(self._items.__getitem__, self._choice.draw(self._limit, random))]
        rows = LATER_BATCHES
        if self._batches is None:
            self._batches = _Batches(self._choice, self._limit, self._items, random)
            rows = FIRST_BATCH
        self._ready = self._batches.draw(rows)
        return self._ready.pop()


class _Batches(Generic[T]):
    """What drawing batches of one choice takes, made once."""

    __slots__ = ("_chance", "_items", "_most", "_parts")

    def __init__(self, choice: Choice, limit: int, items: Sequence[T], random: Random) -> None:
        self._chance = np.random.Generator(np.random.SFC64(random.getrandbits(128)))
        self._parts: list[_Part] = []
        mirrors: list[int] = []
        for tier, count in choice.places(limit):
            self._parts.append(_Part(tier, count, len(mirrors)))
            mirrors += tier.mirrors
        self._most = max(1, _MOST_DRAWN // max(1, sum(part.count for part in self._parts)))
        self._items = np.empty(len(mirrors), object)
        self._items[:] = [items[mirror] for mirror in mirrors]

    def draw(self, rows: int) -> list[list[T]]:
        """Draw so many orders, or fewer long ones."""
        rows = min(rows, self._most)
        if not self._parts:
            return [[] for _ in range(rows)]
        orders = [part.draw(rows, self._chance) for part in self._parts]
        order = orders[0] if len(orders) == 1 else np.concatenate(orders, axis=1)
        drawn: list[list[T]] = self._items[order].tolist()
        return drawn


class _Part:
    """One tier's share of a list."""

    __slots__ = ("_exponents", "_start", "_tier", "count")

    def __init__(self, tier: Tier, count: int, start: int) -> None:
        self._tier = tier
        self.count = count
        """How many mirrors of the tier a list has."""
        self._start = start
        """Where the tier's mirrors begin among those of the choice."""
        self._exponents = None if tier.exponents is None else np.frombuffer(tier.exponents)

    def draw(self, rows: int, chance: np.random.Generator) -> NDArray[np.integer]:
        """Draw the first mirrors of so many weighted shuffles, as positions among the mirrors of the choice."""
        size = len(self._tier.mirrors)
        if size > _SORT_BELOW and 2 * self.count < size:
            return self._one_by_one(rows, chance)
        order: NDArray[np.integer] = self._keys((rows, size), chance).argsort(axis=1)[:, : self.count]
        return order + self._start if self._start else order

    def _keys(self, shape: tuple[int, ...], chance: np.random.Generator) -> NDArray[np.floating]:
        """Give numbers that make a weighted shuffle when sorted: -log(u) / weight, as `Tier` has u ** (1 / weight)."""
        keys = chance.standard_exponential(shape)
        if self._exponents is not None:
            keys *= self._exponents
        return keys

    def _one_by_one(self, rows: int, chance: np.random.Generator) -> NDArray[np.integer]:
        """Draw from a long tier with repetitions, then drop these: exact, see `Tier.draw`."""
        cumulative = self._tier.cumulative
        draws = chance.random((rows, self.count + self.count // 2 + 4)) * cumulative[-1]
        orders = np.empty((rows, self.count), np.intp)
        for number, row in enumerate(np.frombuffer(cumulative, np.uint64).searchsorted(draws, "right").tolist()):
            drawn = list(dict.fromkeys(row))[: self.count]
            orders[number] = drawn if len(drawn) == self.count else self._finish(drawn, chance)
        return orders + self._start

    def _finish(self, drawn: list[int], chance: np.random.Generator) -> list[int]:
        """Finish a draw that met too many repetitions: the rest is a weighted shuffle of what is left."""
        keys = self._keys((len(self._tier.mirrors),), chance)
        keys[drawn] = np.inf
        rest: list[int] = keys.argsort()[: self.count - len(drawn)].tolist()
        return drawn + rest
