"""Which mirrors, in which order: the selection rules, as two pure functions.

`rank` sorts the candidates into tiers; it depends on what is asked and on the client's place, never on chance, so its
result can be remembered and explained. `draw` fills a list from the tiers with a weighted shuffle; it is the only
part that uses randomness. No I/O, no clock. The rules are those of the design note on selection; the country rules
live in `mirrorlist_snapshot.tiers`, because the admin side's `diff` needs the same ones.
"""

from __future__ import annotations

from array import array
from bisect import bisect
from dataclasses import dataclass, field
from itertools import accumulate, repeat, starmap
from typing import TYPE_CHECKING, Final, NamedTuple

from mirrorlist_snapshot.tiers import (
    ASN,
    CONTINENT,
    COUNTRY,
    FALLBACK,
    FIRST_REASON,
    GLOBAL,
    NETBLOCK,
    PRIVATE,
    continent_of,
    mirror_continent,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from random import Random

    from mirrorlistd.selection.index import Index, Offers, Place

_64_BITS: Final = (1 << 64) - 1
# Below this many mirrors sorting random keys is quicker than drawing one by one and rejecting repetitions.
_SORT_BELOW: Final = 48


class SelectionQuery(NamedTuple):
    """What is asked, reduced to what the choice of mirrors depends on."""

    carriers: int
    """Carrier set number of the content."""
    countries: tuple[str, ...] = ()
    """`country=`: only mirrors of these, with `everywhere` or at least one code given."""
    everywhere: bool = False
    """`country=global`: mirrors of every country."""
    own_network: bool = True
    """Tiers 1 and 2 apply (not with `netblock=0`)."""
    private: bool = True
    """Private mirrors may be offered (not on behalf of another address)."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The candidates of an answer, by tier: everything but chance is decided. Each is equal to itself alone."""

    tiers: tuple[Tier, ...]
    """Nearest first; the global tier only where the nearer ones hold fewer than the minimum."""
    fallback: Tier | None
    """The last resort."""
    exclusive: bool = False
    """An exclusive netblock decided: no other mirror is offered."""
    by_country: bool = False
    """`country=` decided: no mirror of other countries (or continents) is offered."""
    first_code: int = field(init=False)
    """Tier code of the mirror that stands first; 0 where there is none."""

    def __post_init__(self) -> None:
        """Note what every answer is counted by."""
        first = self.tiers[0] if self.tiers else self.fallback
        object.__setattr__(self, "first_code", first.code if first else 0)

    def places(self, limit: int) -> Iterator[tuple[Tier, int]]:
        """Yield each tier that has places in a list of `limit`, and how many: nearest first, the last resort last.

        Fallback mirrors hold the last places, but never the first.
        """
        reserved = 0 if self.fallback is None else len(self.fallback.mirrors)
        places = max(1, limit - reserved) if self.tiers else 0
        for tier in self.tiers:
            if places:
                count = min(places, len(tier.mirrors))
                places -= count
                limit -= count
                yield tier, count
        if self.fallback is not None and limit:
            yield self.fallback, min(limit, reserved)

    def draw(self, limit: int, random: Random | Rendezvous) -> list[int]:
        """Up to `limit` mirror numbers, best first."""
        order: list[int] = []
        for tier, count in self.places(limit):
            order += tier.draw(count, random)
        return order


def candidates(index: Index, carriers: int, offers: Offers) -> list[int]:
    """The mirrors that carry the content and have a URL of a wanted protocol, ascending."""
    first = offers.first
    return [mirror for mirror in index.snapshot.sets.members(carriers) if first[mirror]]


@dataclass(frozen=True, slots=True)
class RankInput:
    """All that a choice of mirrors depends on."""

    index: Index
    ask: SelectionQuery
    place: Place
    codes: bytes
    """The tier map of the client's country and continent: a tier code or a reason for each mirror."""
    carried: Sequence[int]
    """The `candidates` of the content, ascending."""
    minimum: int
    """How many mirrors the tiers before the global one must hold to do without it."""
    tier: Callable[[int, Sequence[int]], Tier]
    """Makes the tier of a code and mirrors (never none), or gives one that was made before."""


def rank(case: RankInput) -> Ranking:
    """Sort the candidates for a client into tiers (selection rules, 3 and 4)."""
    tier = case.tier
    by_country = bool(case.ask.countries) or case.ask.everywhere
    if by_country and (chosen := _by_country(case)) is not None:
        return Ranking(tiers=(chosen,), fallback=None, by_country=True)
    near: list[tuple[int, list[int]]] = []
    if case.ask.own_network and not by_country:
        exclusive, near = _by_netblock(case)
        if exclusive:
            return Ranking(tiers=(tier(NETBLOCK, exclusive),), fallback=None, exclusive=True)
        already = {mirror for _, mirrors in near for mirror in mirrors}
        serving = [mirror for mirror in of_asn(case) if mirror not in already]
        near += [(ASN, serving)] if serving else []
    taken = {mirror for _, mirrors in near for mirror in mirrors}
    buckets: dict[int, list[int]] = {}
    for mirror in case.carried:
        if case.codes[mirror] < FIRST_REASON and mirror not in taken:
            buckets.setdefault(case.codes[mirror], []).append(mirror)
    last = buckets.pop(FALLBACK, None)
    far = buckets.pop(GLOBAL, None)
    near += sorted(buckets.items())
    if far and sum(len(mirrors) for _, mirrors in near) < case.minimum:
        near.append((GLOBAL, far))
    return Ranking(
        tiers=tuple(tier(code, mirrors) for code, mirrors in near),
        fallback=tier(FALLBACK, last) if last else None,
    )


def _by_country(case: RankInput) -> Tier | None:
    """Rank for `country=`: mirrors of those countries, else of their continents, else None: the client's own tiers."""
    offered = [mirror for mirror in case.carried if case.codes[mirror] < FALLBACK]
    if case.ask.everywhere:
        return case.tier(GLOBAL, offered) if offered else None
    mirrors = case.index.snapshot.mirrors
    there = [mirror for mirror in offered if mirrors[mirror].country in case.ask.countries]
    if there:
        return case.tier(COUNTRY, there)
    overrides = case.index.snapshot.overrides
    continents = {continent_of(country, None, overrides) for country in case.ask.countries} - {None}
    near = [mirror for mirror in offered if mirror_continent(mirrors[mirror], overrides) in continents]
    return case.tier(CONTINENT, near) if near else None


def _by_netblock(case: RankInput) -> tuple[list[int], list[tuple[int, list[int]]]]:
    """Rank tier 1: (exclusive candidates of the longest such prefix, tiers by prefix length, longest first)."""
    mirrors = case.index.snapshot.mirrors
    carrying = frozenset(case.carried) if case.place.chain else frozenset[int]()
    taken: set[int] = set()
    by_length: dict[int, list[int]] = {}
    exclusive: dict[int, list[int]] = {}
    for match in case.index.matches(case.place.chain):
        mirror = mirrors[match.mirror]
        # Country rules do not hold here: a netblock that the mirror itself lists is the stronger statement.
        barred = not mirror.active or mirror.fallback or (mirror.private and not case.ask.private)
        if barred or match.mirror not in carrying:
            continue
        if match.exclusive:
            exclusive.setdefault(match.length, []).append(match.mirror)
        if match.mirror not in taken:
            taken.add(match.mirror)
            by_length.setdefault(match.length, []).append(match.mirror)
    longest = next(iter(exclusive.values())) if exclusive else []
    return longest, [(NETBLOCK, block) for block in by_length.values()]


def of_asn(case: RankInput) -> list[int]:
    """Candidates for tier 2: they serve the client's autonomous system; private ones too, but no country rule bends."""
    serving = case.index.mirrors_of_asn(case.place.asn)
    if not serving:
        return []
    codes = case.codes
    return [
        mirror
        for mirror in case.carried
        if mirror in serving and (codes[mirror] < FALLBACK or (codes[mirror] == PRIVATE and case.ask.private))
    ]
