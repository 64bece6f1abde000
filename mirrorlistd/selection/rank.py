"""The rules of docs/selection.md: which mirrors are offered, in which tiers.

`rank` sorts the candidates into tiers. It depends on the query and on the client's place, never on randomness, so its
result can be remembered and explained. `draw` shuffles a tier. The country rules are in `mirrorlist_snapshot.tiers`,
because the admin side's `diff` needs them too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

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
    from collections.abc import Callable, Iterator, Sequence
    from random import Random

    from mirrorlistd.selection.draw import Rendezvous, Tier
    from mirrorlistd.selection.index import Index, Offers, Place


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
    """Sort the candidates for a client into tiers (docs/selection.md, Tiers)."""
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
