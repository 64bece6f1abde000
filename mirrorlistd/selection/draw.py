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
    """Random numbers that a seed and a mirror determine: weighted rendezvous hashing.

    The number of a mirror does not depend on which other mirrors there are. So a client gets the same mirror for every
    file that the mirror carries, from every server that computes the same seed.
    """

    seed: int
    """64 bits, of the client and the period of time."""
    hashes: Sequence[int]
    """64 bits of each mirror, by mirror number."""

    def uniform(self, mirror: int) -> float:
        """Return the number of a mirror, in [0, 1): both hashes, mixed by the finalizer of SplitMix64."""
        mixed = (self.seed ^ self.hashes[mirror]) * 0xBF58476D1CE4E5B9 & _64_BITS
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _64_BITS
        return (mixed ^ mixed >> 31) / (1 << 64)


class Tier:
    """Mirrors that are equally near, with their weights."""

    __slots__ = ("_cumulative", "_weights", "batch_source", "code", "exponents", "mirrors")

    def __init__(self, code: int, mirrors: Iterable[int], weights: Sequence[int]) -> None:
        """Prepare `mirrors` (numbers) for drawing by `weights` (Mbit/s, by mirror number)."""
        self.code = code
        """Tier code, see `mirrorlist_snapshot.tiers`."""
        self.mirrors = tuple(mirrors)
        self._weights = weights
        own = self.weights
        lightest = min(own)
        # A mirror's key is a uniform number to the power of 1 / weight. The keys in descending order are a weighted
        # shuffle (Efraimidis and Spirakis, 2006). Exponents are scaled into (0, 1], so that no key underflows.
        # An array takes little memory: a memo may hold thousands of tiers.
        self.exponents = None if lightest == max(own) else array("d", [lightest / weight for weight in own])
        self._cumulative: array[int] | None = None
        self.batch_source: object = None
        """What `batches` draws this tier from; made once and shared by all rankings with this tier."""

    @property
    def weights(self) -> list[int]:
        """Return Mbit/s of each mirror."""
        return [*map(self._weights.__getitem__, self.mirrors)]

    @property
    def cumulative(self) -> array[int]:
        """Return the running sums of the weights; made on first use, which only long tiers have."""
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
            return self._rendezvous(count, random)
        if size < _SORT_BELOW or 2 * count > size:
            return self._sort(count, random)
        return self._reject(count, random)

    def _rendezvous(self, count: int, rendezvous: Rendezvous) -> list[int]:
        exponents = (1.0,) * len(self.mirrors) if self.exponents is None else self.exponents
        keys = {
            mirror: rendezvous.uniform(mirror) ** exponent
            for mirror, exponent in zip(self.mirrors, exponents, strict=True)
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
