"""Draws in batches: the weighted shuffle of `draw`, for rankings in constant use, at a fraction of the cost.

A hot ranking draws its next answers together, with numpy, and uses each row once. The rows of a batch are independent
draws from the same distribution as single draws; the tests hold both to the same statistics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from random import Random

    from numpy.typing import NDArray

    from mirrorlistd.selection.draw import Tier
    from mirrorlistd.selection.rank import Ranking

    Orders = NDArray[np.integer]
    """A row for each list: numbers of mirrors, best first."""

T = TypeVar("T")

HOT: Final = 8
"""Single draws before batches begin: a rarer ranking would not use up a batch."""
FIRST_BATCH: Final = 8
LATER_BATCHES: Final = 32
"""Answers in a batch: little work at a time, 10 kB of memory."""
_MOST_DRAWN: Final = 2_048
"""Mirrors in all rows of a batch: long lists (MirrorManager's have no limit) are drawn in smaller batches."""
_SORT_BELOW: Final = 128
"""Mirrors up to which sorting a key for each is quicker than drawing one by one."""
_ABOVE_ANY_KEY: Final = 64.0
"""Distance between the keys of one tier and the next; numpy's exponentials of 53 random bits are below 45."""


class SeededGenerator:
    """numpy's generator, seeded from a `Random` when the first batch is drawn.

    No batch may be drawn before a process forks: its children would draw the same rows.
    """

    __slots__ = ("_generator",)

    def __init__(self) -> None:
        self._generator: np.random.Generator | None = None

    def seeded(self, random: Random) -> np.random.Generator:
        """Return the generator; the first call seeds it."""
        if self._generator is None:
            self._generator = np.random.Generator(np.random.SFC64(random.getrandbits(128)))
        return self._generator


class Items(Generic[T]):
    """What a draw returns for each mirror number, shared by all draws of the same items."""

    __slots__ = ("_array", "items")

    def __init__(self, items: Sequence[T]) -> None:
        self.items: Final = items
        self._array: NDArray[np.object_] | None = None

    @property
    def array(self) -> NDArray[np.object_]:
        """Return the items as a numpy array; made on first use."""
        if self._array is None:
            self._array = np.empty(len(self.items), object)
            self._array[:] = self.items
        return self._array


class BatchedDraw(Generic[T]):
    """Lists of one ranking at one length, drawn in batches once the ranking is hot."""

    __slots__ = ("_generator", "_items", "_limit", "_parts", "_ranking", "_uses", "ready")

    def __init__(self, ranking: Ranking, limit: int, items: Items[T], generator: SeededGenerator) -> None:
        """Begin cold: nothing is drawn yet."""
        self._ranking = ranking
        self._limit = limit
        self._items = items
        self._generator = generator
        self.ready: Final[list[list[T]]] = []
        """What `draw` returns next, the last one first; the fast lane takes from it without a call."""
        self._uses = 0
        self._parts: list[tuple[_Keys | _Aliases, int]] | None = None
        """What draws each run of mirrors, and how many of them; None while cold."""

    def draw(self, random: Random) -> list[T]:
        """Return the items of mirrors, best first, as `Ranking.draw` does; the caller may keep the list."""
        if self.ready:
            return self.ready.pop()
        self._uses += 1
        if self._uses <= HOT:
            return [*map(self._items.items.__getitem__, self._ranking.draw(self._limit, random))]
        rows = LATER_BATCHES
        if self._parts is None:
            self._parts = [*map(_part, _runs(self._ranking.shares(self._limit)))]
            rows = FIRST_BATCH
        self.ready.extend(self._batch(rows, self._parts, random))
        return self.ready.pop()

    @property
    def hot(self) -> bool:
        """Whether batches are drawn."""
        return self._parts is not None

    def heat(self, random: Random) -> None:
        """Draw a first batch now, as after HOT single draws."""
        self._uses = max(self._uses, HOT)
        self.ready.append(self.draw(random))

    def _batch(self, rows: int, parts: list[tuple[_Keys | _Aliases, int]], random: Random) -> list[list[T]]:
        if not parts:
            return [[] for _ in range(rows)]
        rows = min(rows, max(1, _MOST_DRAWN // sum(count for _, count in parts)))
        generator = self._generator.seeded(random)
        orders = [draw(rows, count, generator) for draw, count in parts]
        order = orders[0] if len(orders) == 1 else np.concatenate(orders, axis=1)
        drawn: list[list[T]] = self._items.array.take(order).tolist()
        return drawn


def _runs(shares: Iterable[tuple[Tier, int]]) -> Iterator[tuple[list[Tier], int]]:
    """Join short tiers that one sort can draw: of all but the last, every mirror is in the list."""
    run: list[Tier] = []
    count = size = 0
    for tier, share in shares:
        if run and (count < size or size + len(tier.mirrors) > _SORT_BELOW):
            yield run, count
            run, count, size = [], 0, 0
        run.append(tier)
        count += share
        size += len(tier.mirrors)
    if run:
        yield run, count


def _part(run: tuple[list[Tier], int]) -> tuple[_Keys | _Aliases, int]:
    tiers, count = run
    if len(tiers) > 1:
        return _Keys(tiers), count
    tier = tiers[0]
    kind = _Aliases if len(tier.mirrors) > max(_SORT_BELOW, 2 * count) else _Keys
    if not isinstance(tier.batch_source, kind):
        tier.batch_source = kind(tiers)  # a table of aliases takes half a millisecond to make for 700 mirrors
    return tier.batch_source, count


class _Keys:
    """Draws by sorting a random key for each mirror, tier after tier in one sort."""

    __slots__ = ("_exponents", "_mirrors", "_offsets", "_spare")

    def __init__(self, tiers: Sequence[Tier]) -> None:
        self._mirrors = _mirrors(tiers)
        self._spare = 1 << int(self._mirrors.max()).bit_length()
        even = all(tier.exponents is None for tier in tiers)
        self._exponents = None if even else np.concatenate([_exponents(tier) for tier in tiers])
        sizes = [len(tier.mirrors) for tier in tiers]
        self._offsets = np.repeat(np.arange(len(tiers)) * _ABOVE_ANY_KEY, sizes) if len(tiers) > 1 else None

    def __call__(self, rows: int, count: int, generator: np.random.Generator) -> Orders:
        """Draw the first mirrors of so many weighted shuffles."""
        # As `Tier` has u ** (1 / weight), but ascending: -log(u) / weight.
        keys = generator.standard_exponential((rows, len(self._mirrors)))
        if self._exponents is not None:
            keys *= self._exponents
        if self._offsets is not None:
            keys += self._offsets
        # Positive floats sort as their bits do. The lowest bits, at most 16 of 52, carry the mirror's number:
        # sorting in place takes half as long as argsort.
        bits = keys.view(np.int64)
        bits &= -self._spare
        bits |= self._mirrors
        keys.sort(axis=1)
        return bits[:, :count] & (self._spare - 1)


def _mirrors(tiers: Sequence[Tier]) -> NDArray[np.int64]:
    return np.array([mirror for tier in tiers for mirror in tier.mirrors], np.int64)


def _exponents(tier: Tier) -> NDArray[np.floating]:
    return np.ones(len(tier.mirrors)) if tier.exponents is None else np.frombuffer(tier.exponents)


class _Aliases:
    """Draws from a long tier with repetitions and drops the repetitions: exact (see `Tier.draw`).

    A draw costs the same for any number of mirrors: a mirror is chosen evenly, then either it or its alias, so that
    each comes up by its weight (Vose, 1991).
    """

    __slots__ = ("_aliases", "_exponents", "_mirrors", "_own")

    def __init__(self, tiers: Sequence[Tier]) -> None:
        (tier,) = tiers  # not kept: it refers to this object, and the garbage collector does not run
        weights = np.array(tier.weights, float)
        size = len(weights)
        own = weights * (size / weights.sum())
        aliases = np.arange(size, dtype=np.uint16 if size <= 1 << 16 else np.intp)
        light = [*np.flatnonzero(own < 1)]
        heavy = [*np.flatnonzero(own >= 1)]
        while light and heavy:
            lighter, heavier = light.pop(), heavy[-1]
            aliases[lighter] = heavier
            own[heavier] -= 1 - own[lighter]
            if own[heavier] < 1:
                light.append(heavy.pop())
        own[light] = 1  # the rest of rounding
        self._own, self._aliases, self._mirrors, self._exponents = own, aliases, _mirrors(tiers), _exponents(tier)

    def __call__(self, rows: int, count: int, generator: np.random.Generator) -> Orders:
        """Draw the first mirrors of so many weighted shuffles."""
        spots = generator.random((rows, count + count // 2 + 4)) * len(self._own)
        places = spots.astype(np.intp)
        places = np.where(spots - places < self._own[places], places, self._aliases[places])
        first = _first_times(places)
        found = first.cumsum(axis=1)
        first &= found <= count
        if (short := np.flatnonzero(found[:, -1] < count)).size == 0:
            return self._mirrors.take(places[first].reshape(rows, count))
        orders = np.empty((rows, count), np.intp)
        for row in range(rows):
            drawn = places[row, first[row]]
            orders[row] = self._finish(drawn, count, generator) if row in short else drawn
        return self._mirrors.take(orders)

    def _finish(self, drawn: NDArray[np.integer], count: int, generator: np.random.Generator) -> NDArray[np.integer]:
        """Finish a draw that met too many repetitions: the rest is a weighted shuffle of what is left."""
        keys = generator.standard_exponential(len(self._exponents)) * self._exponents
        keys[drawn] = np.inf
        return np.concatenate([drawn, keys.argsort()[: count - len(drawn)]])


def _first_times(rows: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return for each number of each row whether it occurs there for the first time."""
    order = rows.argsort(axis=1, kind="stable")
    ascending = np.take_along_axis(rows, order, axis=1)
    first = np.ones(rows.shape, np.bool_)
    np.put_along_axis(first, order[:, 1:], ascending[:, 1:] != ascending[:, :-1], axis=1)
    return first
