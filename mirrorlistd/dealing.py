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
    from collections.abc import Iterable, Iterator, Sequence
    from random import Random

    from numpy.typing import NDArray

    from mirrorlistd.selection import Choice, Tier

    Orders = NDArray[np.integer]
    """A row for each list: positions of mirrors, best first."""

T = TypeVar("T")

HOT: Final = 8
"""Single draws before batches begin: rarer choices would throw most of a batch away."""
FIRST_BATCH: Final = 8
LATER_BATCHES: Final = 32
"""Answers drawn at once: 0.1 ms of work at most, 10 kB of memory."""
_MOST_DRAWN: Final = 2_048
"""Mirrors in all orders of a batch: where lists are long (MirrorManager's have no limit), fewer are drawn at once."""
_SORT_BELOW: Final = 128
"""Mirrors up to which sorting keys of all of them beats drawing one by one."""
_ABOVE_ANY_KEY: Final = 64.0
"""What a tier's keys lie above those of the tier before: numpy's exponentials of 53 random bits are below 45.

With a position in its lowest bits a key has 38 bits left behind the point: enough for weights a million times apart.
"""


_POSITIONS: Final = 256
"""Positions that fit into the bits of a key that are free for them."""


class Dealer(Generic[T]):
    """Orders of one choice at one length, drawn ahead once the choice is hot."""

    __slots__ = ("_batches", "_choice", "_items", "_limit", "_uses", "ready")

    def __init__(self, choice: Choice, limit: int, items: Sequence[T]) -> None:
        """Begin cold: nothing is drawn before it is asked for. What is dealt are `items`, by mirror number."""
        self._choice = choice
        self._limit = limit
        self._items = items
        self.ready: Final[list[list[T]]] = []
        """What `draw` gives next, the last one first; for who cannot afford to call it."""
        self._uses = 0
        self._batches: _Batches[T] | None = None

    def draw(self, random: Random) -> list[T]:
        """Give the items of mirrors, best first, as `Choice.draw` does; the caller may keep the list."""
        if self.ready:
            return self.ready.pop()
        self._uses += 1
        if self._uses <= HOT:
            return [*map(self._items.__getitem__, self._choice.draw(self._limit, random))]
        rows = LATER_BATCHES
        if self._batches is None:
            self._batches = _Batches(self._choice, self._limit, self._items, random)
            rows = FIRST_BATCH
        self.ready.extend(self._batches.draw(rows))
        return self.ready.pop()


class _Batches(Generic[T]):
    """What drawing batches of one choice takes, made once."""

    __slots__ = ("_chance", "_items", "_most", "_parts")

    def __init__(self, choice: Choice, limit: int, items: Sequence[T], random: Random) -> None:
        self._chance = np.random.Generator(np.random.SFC64(random.getrandbits(128)))
        self._parts: list[_Part] = []
        mirrors: list[int] = []
        for run, count in _runs(choice.places(limit)):
            self._parts.append(_Part(run, count, len(mirrors)))
            mirrors += (mirror for tier in run for mirror in tier.mirrors)
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
        drawn: list[list[T]] = self._items.take(order).tolist()
        return drawn


def _runs(places: Iterable[tuple[Tier, int]]) -> Iterator[tuple[list[Tier], int]]:
    """Join tiers that can be drawn by one sort: short ones, all but the last of them with a place for every mirror."""
    run: list[Tier] = []
    count = size = 0
    for tier, places_of_tier in places:
        if run and (count < size or size + len(tier.mirrors) > _SORT_BELOW):
            yield run, count
            run, count, size = [], 0, 0
        run.append(tier)
        count += places_of_tier
        size += len(tier.mirrors)
    if run:
        yield run, count


class _Part:
    """The share of a list that some tiers have which are drawn together."""

    __slots__ = ("_draw", "_start", "count")

    def __init__(self, tiers: Sequence[Tier], count: int, start: int) -> None:
        self.count = count
        """How many mirrors of these tiers a list has."""
        self._start = start
        """Where their mirrors begin among those of the choice."""
        size = sum(len(tier.mirrors) for tier in tiers)
        long = size > _SORT_BELOW and 2 * count < size
        self._draw = _aliases(tiers[0]) if long else _Keys(tiers)  # a long tier is alone

    def draw(self, rows: int, chance: np.random.Generator) -> Orders:
        """Draw the first mirrors of so many weighted shuffles, as positions among the mirrors of the choice."""
        order = self._draw(rows, self.count, chance)
        return order + self._start if self._start else order


class _Keys:
    """Draws by sorting a random key for each mirror, tier after tier in one sort."""

    __slots__ = ("_exponents", "_offsets", "_positions", "_size")

    def __init__(self, tiers: Sequence[Tier]) -> None:
        sizes = [len(tier.mirrors) for tier in tiers]
        self._size = sum(sizes)
        self._positions = np.arange(self._size)
        even = all(tier.exponents is None for tier in tiers)
        self._exponents = None if even else np.concatenate([_exponents(tier) for tier in tiers])
        self._offsets = np.repeat(np.arange(len(tiers)) * _ABOVE_ANY_KEY, sizes) if len(tiers) > 1 else None

    def __call__(self, rows: int, count: int, chance: np.random.Generator) -> Orders:
        keys = self.keys(rows, chance)
        if self._size > _POSITIONS:
            return keys.argsort(axis=1)[:, :count]
        # Positive numbers sort as their bits do. The lowest ones, which say nothing, carry the mirror's position
        # along: sorting in place takes half as long as finding out the order.
        bits = keys.view(np.int64)
        bits &= -_POSITIONS
        bits |= self._positions
        keys.sort(axis=1)
        return bits[:, :count] & (_POSITIONS - 1)

    def keys(self, rows: int, chance: np.random.Generator) -> NDArray[np.floating]:
        """Give numbers that make a weighted shuffle when sorted: -log(u) / weight, as `Tier` has u ** (1 / weight)."""
        keys = chance.standard_exponential((rows, self._size))
        if self._exponents is not None:
            keys *= self._exponents
        if self._offsets is not None:
            keys += self._offsets
        return keys


def _exponents(tier: Tier) -> NDArray[np.floating]:
    return np.ones(len(tier.mirrors)) if tier.exponents is None else np.frombuffer(tier.exponents)


class _Aliases:
    """Draws from a long tier with repetitions, then drops these: exact, see `Tier.draw`.

    A draw costs the same however many mirrors there are: a mirror is chosen evenly, and then either it or its alias,
    so that each comes up by its weight (Vose, 1991).
    """

    __slots__ = ("_aliases", "_keys", "_own")

    def __init__(self, tier: Tier) -> None:
        weights = np.array(tier.weights, float)
        size = len(weights)
        own = weights * (size / weights.sum())
        aliases = np.arange(size)
        light = [*np.flatnonzero(own < 1)]
        heavy = [*np.flatnonzero(own >= 1)]
        while light and heavy:
            one, other = light.pop(), heavy[-1]
            aliases[one] = other
            own[other] -= 1 - own[one]
            if own[other] < 1:
                light.append(heavy.pop())
        own[light] = 1  # what rounding has left over
        self._own, self._aliases, self._keys = own, aliases, _Keys((tier,))

    def __call__(self, rows: int, count: int, chance: np.random.Generator) -> Orders:
        spots = chance.random((rows, count + count // 2 + 4)) * len(self._own)
        mirrors = spots.astype(np.intp)
        mirrors = np.where(spots - mirrors < self._own[mirrors], mirrors, self._aliases[mirrors])
        first = _first_times(mirrors)
        found = first.cumsum(axis=1)
        first &= found <= count
        if (short := np.flatnonzero(found[:, -1] < count)).size == 0:
            return mirrors[first].reshape(rows, count)
        orders = np.empty((rows, count), np.intp)
        for row in range(rows):
            drawn = mirrors[row, first[row]]
            orders[row] = self._finish(drawn, count, chance) if row in short else drawn
        return orders

    def _finish(self, drawn: NDArray[np.integer], count: int, chance: np.random.Generator) -> NDArray[np.integer]:
        """Finish a draw that met too many repetitions: the rest is a weighted shuffle of what is left."""
        keys = self._keys.keys(1, chance)[0]
        keys[drawn] = np.inf
        return np.concatenate([drawn, keys.argsort()[: count - len(drawn)]])


def _aliases(tier: Tier) -> _Aliases:
    """Give a tier's table of aliases, which takes half a millisecond to make for 700 mirrors."""
    made = tier.ahead if isinstance(tier.ahead, _Aliases) else _Aliases(tier)
    tier.ahead = made
    return made


def _first_times(rows: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Tell for each number of each row whether it is the first of its kind in the row."""
    order = rows.argsort(axis=1, kind="stable")
    ascending = np.take_along_axis(rows, order, axis=1)
    first = np.ones(rows.shape, np.bool_)
    np.put_along_axis(first, order[:, 1:], ascending[:, 1:] != ascending[:, :-1], axis=1)
    return first
