"""One weighted shuffle: the exact draw, for what `orders` does not draw in batches, and for stable choices.

A set of mirrors is a mask: an integer with bit m for mirror m.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from random import Random

_64_BITS: Final = (1 << 64) - 1


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
    orders: dict[int, list[int]] = field(default_factory=dict[int, list[int]], compare=False)
    """Mask of a tier -> its mirrors, best first: what was drawn before is looked up."""

    def order(self, tier: int, weights: Sequence[int]) -> list[int]:
        """Return all mirrors of a tier, best first: of any content, its carriers are in this order."""
        found = self.orders.get(tier)
        if found is None:
            found = self.orders[tier] = shuffled(tier, len(self.hashes), weights, self)
        return found

    def uniform(self, mirror: int) -> float:
        """Return the number of a mirror, in (0, 1): both hashes, mixed by the finalizer of SplitMix64."""
        mixed = (self.seed ^ self.hashes[mirror]) * 0xBF58476D1CE4E5B9 & _64_BITS
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _64_BITS
        return (2 * (mixed ^ mixed >> 31) + 1) / (1 << 65)


def members(mask: int) -> list[int]:
    """Return the mirrors of a mask, ascending."""
    digits = f"{mask:b}"[::-1]
    found: list[int] = []
    place = digits.find("1")
    while place >= 0:
        found.append(place)
        place = digits.find("1", place + 1)
    return found


def mask_of(mirrors: Iterable[int]) -> int:
    """Return the mask of some mirrors."""
    return mask_union(map((1).__lshift__, mirrors))


def mask_union(masks: Iterable[int]) -> int:
    """Return the mask of the mirrors that are in any of some masks."""
    union = 0
    for mask in masks:
        union |= mask
    return union


def shuffled(mask: int, count: int, weights: Sequence[int], random: Random | Rendezvous) -> list[int]:
    """Draw the first `count` mirrors of a weighted shuffle without replacement; `weights` are Mbit/s by mirror."""
    mirrors = members(mask)
    if len(mirrors) == 1:
        return mirrors[:count]
    # Each mirror arrives at a random time, exponentially distributed with its weight as the rate: the order of arrival
    # is a weighted shuffle (Efraimidis and Spirakis, 2006).
    if isinstance(random, Rendezvous):
        arrivals = {mirror: -log(random.uniform(mirror)) / weights[mirror] for mirror in mirrors}
    else:
        arrivals = {mirror: -log(1.0 - random.random()) / weights[mirror] for mirror in mirrors}
    return sorted(mirrors, key=arrivals.__getitem__)[:count]
