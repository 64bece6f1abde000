"""One tier as a weighted shuffle: the only part of selection that uses randomness."""

from __future__ import annotations

from array import array
from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate, repeat, starmap
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from random import Random

_64_BITS: Final = (1 << 64) - 1
# Below this many mirrors sorting random keys is quicker than drawing one by one and rejecting repetitions.
_SORT_BELOW: Final = 48


@dataclass(frozen=True, slots=True)
class Rendezvous:
    """Chance that is the same again for the same client: weighted rendezvous hashing.

    Each (seed, mirror) has its own uniform number, whatever other mirrors there are, so that a client meets the same
    mirror for every file that it carries; and so does every server that is given the same seed.
    """

    seed: int
    """64 bits: who asks, and when."""
    hashes: Sequence[int]
    """64 bits of each mirror, by mirror number."""

    def uniform(self, mirror: int) -> float:
        """Give the number of a mirror, in [0, 1): the two hashes, mixed by the finalizer of SplitMix64."""
        mixed = (self.seed ^ self.hashes[mirror]) * 0xBF58476D1CE4E5B9 & _64_BITS
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _64_BITS
        return (mixed ^ mixed >> 31) / (1 << 64)


class Tier:
    """Mirrors that are equally near, with what drawing them by weight needs."""

    __slots__ = ("_cumulative", "_weights", "ahead", "code", "exponents", "mirrors")

    def __init__(self, code: int, mirrors: Iterable[int], weights: Sequence[int]) -> None:
        """Prepare `mirrors` (numbers) for drawing by `weights` (Mbit/s, by mirror number)."""
        self.code = code
        """Tier code, see `mirrorlist_snapshot.tiers`."""
        self.mirrors = tuple(mirrors)
        self._weights = weights
        own = self.weights
        lightest = min(own)
        # A mirror's key is a uniform number to the power of 1 / weight; the keys in descending order are a weighted
        # shuffle (Efraimidis and Spirakis, 2006). Scaled so that exponents stay in (0, 1]: nothing underflows.
        # An array of the right size, because a memo may hold thousands of tiers.
        self.exponents = None if lightest == max(own) else array("d", [lightest / weight for weight in own])
        self._cumulative: array[int] | None = None
        self.ahead: object = None
        """What `dealing` has made of it, to draw it in batches: once for all choices that have the tier."""

    @property
    def weights(self) -> list[int]:
        """Mbit/s of each mirror."""
        return [*map(self._weights.__getitem__, self.mirrors)]

    @property
    def cumulative(self) -> array[int]:
        """Sums of the weights so far; made when first needed, which is for long tiers alone."""
        if self._cumulative is None:
            self._cumulative = array("Q", [*accumulate(self.weights)])
        return self._cumulative

    def draw(self, count: int, random: Random | Rendezvous) -> Sequence[int]:
        """Draw the first `count` mirrors of a weighted shuffle without replacement."""
        mirrors = self.mirrors
        size = len(mirrors)
        if size == 1:
            return mirrors[:count]
        if isinstance(random, Rendezvous):
            return self._meet(count, random)
        if size < _SORT_BELOW or 2 * count > size:
            return self._sort(count, random)
        return self._reject(count, random)

    def _meet(self, count: int, chance: Rendezvous) -> list[int]:
        exponents = (1.0,) * len(self.mirrors) if self.exponents is None else self.exponents
        keys = {
            mirror: chance.uniform(mirror) ** exponent for mirror, exponent in zip(self.mirrors, exponents, strict=True)
        }
        return sorted(keys, key=keys.__getitem__, reverse=True)[:count]

    def _sort(self, count: int, random: Random) -> list[int]:
        size = len(self.mirrors)
        uniform = starmap(random.random, repeat((), size))
        keys = list(uniform) if self.exponents is None else list(map(pow, uniform, self.exponents))
        order = sorted(range(size), key=keys.__getitem__, reverse=True)
        return [self.mirrors[position] for position in order[:count]]

    def _reject(self, count: int, random: Random) -> Sequence[int]:
        # Drawing from all and rejecting what was drawn before is drawing from the rest: exact. Where a few heavy
        # mirrors make repetitions frequent, the exact sort takes over from the start.
        mirrors, cumulative, total = self.mirrors, self.cumulative, self.cumulative[-1]
        uniform = random.random
        drawn: dict[int, None] = {}
        for _ in range(4 * count):
            drawn[bisect(cumulative, uniform() * total)] = None
            if len(drawn) == count:
                return [mirrors[position] for position in drawn]
        return self._finish(list(drawn), count, random)

    def _finish(self, drawn: Sequence[int], count: int, random: Random) -> list[int]:
        # A draw that met too many repetitions: the rest is again a weighted shuffle of what is left.
        size = len(self.mirrors)
        keys = [random.random() ** (1.0 if self.exponents is None else self.exponents[i]) for i in range(size)]
        left = sorted(set(range(size)).difference(drawn), key=keys.__getitem__, reverse=True)
        return [self.mirrors[position] for position in (*drawn, *left[: count - len(drawn)])]
