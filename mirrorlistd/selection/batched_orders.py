"""Orders that are drawn in batches, with numpy (see `orders`)."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from mirrorlistd.selection.draw import members
from mirrorlistd.selection.orders import Orders

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from numpy.typing import NDArray

    Numbers = NDArray[np.uint16]
    """A row for each order: numbers of mirrors, best first. The number of mirrors stands for no mirror."""

FIRST_BATCH: Final = 8
LARGEST_BATCH: Final = 128
"""Orders in a batch. Each batch has twice as many as the one before: a place where few clients are draws few."""
_MOST_DRAWN: Final = 8_192
"""Mirrors in all orders of a batch: long lists (MirrorManager's have no limit) are drawn in smaller batches."""
_WHOLE: Final = 48
"""A last tier of up to so many mirrors is drawn whole."""
_ABOVE_ANY_KEY: Final = 64.0
"""Distance between the keys of one tier and the next; numpy's exponentials of 53 random bits are below 45."""
_SAMPLE_COST: Final = 1.75
"""What a sample of `_Samples` costs, in mirrors that `_Sorted` sorts."""


class Chance:
    """The weights of all mirrors, and numpy's generator, which is seeded from a `Random` when the first batch is drawn.

    No batch may be drawn before a process forks: its children would draw the same orders.
    """

    __slots__ = ("_generator", "weights")

    def __init__(self, weights: Sequence[int]) -> None:
        self.weights: Final = np.array(weights, float)
        """Mbit/s, by mirror number."""
        self._generator: np.random.Generator | None = None

    def generator(self, random: Random) -> np.random.Generator:
        """Return the generator; the first call seeds it."""
        if self._generator is None:
            self._generator = np.random.Generator(np.random.SFC64(random.getrandbits(128)))
        return self._generator


class BatchedOrders(Orders):
    """Orders of the mirrors of some tiers, nearest first."""

    __slots__ = ("_chance", "_count", "_hot_urls", "_items", "_parts", "_rows", "_share", "_size")

    in_batches = True

    def __init__(self, masks: tuple[int, ...], count: int, chance: Chance) -> None:
        """Take the masks of the tiers, and how many mirrors of the last one an order shall have; draw nothing yet."""
        size = masks[-1].bit_count()
        super().__init__(masks, (), complete=size <= max(count, _WHOLE))
        self._chance = chance
        self._count = size if self.complete else count
        self._size = self.mask.bit_count()
        self._share = self._size - size + self._count
        self._parts: list[_Sorted | _Samples] = []
        self._rows = FIRST_BATCH
        self._hot_urls: Sequence[bytes] = ()
        self._items: NDArray[np.object_] = np.empty(0, object)
        """The URLs of the content whose lists were drawn last, as numpy takes them."""

    def suit(self, mask: int, wanted: int) -> bool:
        """As of `Orders`."""
        return self.complete or self._share * (self.mask & mask).bit_count() >= wanted * self._size

    def refill(self, random: Random) -> None:
        """Draw a batch."""
        batch = self._batch(random)
        rows, width = batch.shape
        numbers = array("H", batch.tobytes())
        self.ready.extend(numbers[start : start + width] for start in range(0, rows * width, width))

    def lists(
        self, mask: int, urls: Sequence[bytes], limit: int, random: Random
    ) -> tuple[list[list[bytes]], list[Sequence[int]]]:
        """As of `Orders`; a batch."""
        batch = self._batch(random)
        packed = np.frombuffer(mask.to_bytes(len(urls) // 8 + 1, "little"), np.uint8)
        carried = np.unpackbits(packed, bitorder="little").view(np.bool_).take(batch)
        sizes = np.add.reduce(carried, axis=1, dtype=np.intp)
        full = sizes >= limit
        starts = (sizes.cumsum() - sizes)[full]
        flat = batch.ravel().compress(carried.ravel())
        cells = starts[:, np.newaxis] + np.arange(limit, dtype=np.intp)
        if urls is not self._hot_urls:
            self._hot_urls, self._items = urls, np.array(urls, object)
        # numpy's annotations do not know what `tolist` gives.
        lists = cast("list[list[bytes]]", cast("Any", self._items.take(flat.take(cells))).tolist())
        short = cast("list[Sequence[int]]", cast("Any", batch[~full]).tolist())
        return lists, short

    def _batch(self, random: Random) -> Numbers:
        if not self._parts:
            self._parts = _parts(self._masks, self._count, self._chance)
        width = sum(part.width for part in self._parts)
        rows = max(1, min(self._rows, _MOST_DRAWN // width))
        self._rows = min(2 * self._rows, LARGEST_BATCH)
        generator = self._chance.generator(random)
        drawn = [part.draw(rows, generator) for part in self._parts]
        return drawn[0] if len(drawn) == 1 else np.concatenate(drawn, axis=1)


def _parts(masks: tuple[int, ...], count: int, chance: Chance) -> list[_Sorted | _Samples]:
    """Return what draws the whole tiers, and what draws the last one if sampling is quicker than sorting there."""
    tiers = [np.array(members(mask), np.int64) for mask in masks]
    weights = [chance.weights[mirrors] for mirrors in tiers]
    samples = _samples(weights[-1], count)
    if _SAMPLE_COST * samples >= len(tiers[-1]):
        return [_Sorted(tiers, weights, sum(map(len, tiers[:-1])) + count)]
    last = _Samples(tiers[-1], weights[-1], samples, len(chance.weights))
    return [_Sorted(tiers[:-1], weights[:-1], sum(map(len, tiers[:-1]))), last] if tiers[:-1] else [last]


def _samples(weights: NDArray[np.floating], count: int) -> float:
    """Return how many samples have so many different mirrors, on average; infinity where heavy mirrors repeat often."""
    rare = 1 - weights / weights.sum()
    for samples in (count * step // 8 for step in range(8, 25)):
        if (1 - rare**samples).sum() >= count:
            return samples
    return float("inf")


class _Sorted:
    """Draws by sorting a random key for each mirror, tier after tier in one sort."""

    __slots__ = ("_exponents", "_mirrors", "_offsets", "_spare", "width")

    def __init__(self, tiers: list[NDArray[np.int64]], weights: list[NDArray[np.floating]], width: int) -> None:
        self.width: Final = width
        self._mirrors = np.concatenate(tiers)
        self._spare = 1 << int(self._mirrors.max()).bit_length()
        # Scaled into (0, 1] in each tier, so that the tiers' keys do not overlap.
        exponents = np.concatenate([one.min() / one for one in weights])
        self._exponents = exponents if (exponents < 1).any() else None
        sizes = [len(one) for one in tiers]
        self._offsets = np.repeat(np.arange(len(tiers)) * _ABOVE_ANY_KEY, sizes) if len(tiers) > 1 else None

    def draw(self, rows: int, generator: np.random.Generator) -> Numbers:
        """Draw the first mirrors of so many orders."""
        # A key is the mirror's time of arrival, as in `draw.shuffled`.
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
        return (bits[:, : self.width] & (self._spare - 1)).astype(np.uint16)


class _Samples:
    """Draws from a long tier with repetitions; a repetition becomes the number of no mirror.

    Exact: drawing from all and ignoring what was drawn before is drawing from the rest. A draw costs the same for any
    number of mirrors: a mirror is chosen evenly, then either it or its alias, so that each comes up by its weight
    (Vose, 1991).
    """

    __slots__ = ("_aliases", "_mirrors", "_own", "_steps", "width")

    def __init__(self, mirrors: NDArray[np.int64], weights: NDArray[np.floating], samples: float, nobody: int) -> None:
        self.width: Final = int(samples)
        self._mirrors = np.append(mirrors, nobody).astype(np.uint16)
        self._steps = np.arange(self.width, dtype=np.uint16)
        size = len(weights)
        own = weights * (size / weights.sum())
        aliases = np.arange(size)
        light = [*np.flatnonzero(own < 1)]
        heavy = [*np.flatnonzero(own >= 1)]
        while light and heavy:
            lighter, heavier = light.pop(), heavy[-1]
            aliases[lighter] = heavier
            own[heavier] -= 1 - own[lighter]
            if own[heavier] < 1:
                light.append(heavy.pop())
        own[light] = 1  # the rest of rounding
        self._own, self._aliases = own, aliases

    def draw(self, rows: int, generator: np.random.Generator) -> Numbers:
        """Draw the first mirrors of so many orders."""
        size, width = len(self._own), self.width
        spots = generator.random((rows, width))
        spots *= size
        places = spots.astype(np.intp)
        spots -= places
        places = np.where(spots < self._own.take(places), places, self._aliases.take(places))
        # The last sample counts as the first. Each writes its step where its mirror is: what is there in the end is the
        # first time.
        cells = places + np.arange(0, rows * size, size)[:, np.newaxis]
        steps = np.empty(rows * size, np.uint16)
        steps[cells] = self._steps
        np.putmask(places, steps.take(cells) != self._steps, size)
        return self._mirrors.take(places[:, ::-1])
