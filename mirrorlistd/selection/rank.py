"""The rules of docs/selection.md: which mirrors are offered, in which tiers.

`rank` sorts the candidates into tiers. It depends on the query and on the client's place, never on randomness, so its
result can be remembered and explained. `draw` shuffles a tier. The country rules are in `mirrorlist_snapshot.tiers`,
because the admin side's `diff` needs them too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from mirrorlist_snapshot.countries import CONTINENT_CODES
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
    serves_continent,
    serves_country,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from random import Random

    from mirrorlistd.selection.draw import Rendezvous, Tier
    from mirrorlistd.selection.index import Index, Offers, Place


class SelectionQuery(NamedTuple):
    """The part of a query that ranking depends on."""

    carriers: int
    """Carrier set number of the content."""
    countries: tuple[str, ...] = ()
    """The codes in `country=`: only mirrors in these are offered."""
    everywhere: bool = False
    """`country=global`: mirrors of every country."""
    own_network: bool = True
    """Whether tiers 1 and 2 apply; false with `netblock=0`."""
    private: bool = True
    """Whether private mirrors may be offered; false if the list is for an address other than the client's."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The candidates of an answer, by tier. `draw` decides the order within each tier. Compared by identity."""

    tiers: tuple[Tier, ...]
    """Nearest first. The global tier is included only where the nearer tiers hold fewer mirrors than the minimum."""
    fallback: Tier | None
    """Mirrors of last resort."""
    exclusive: bool = False
    """Whether an exclusive netblock applies: then no other mirror is offered."""
    by_country: bool = False
    """Whether `country=` selected the mirrors: then no mirror of other countries (or continents) is offered."""
    first_code: int = field(init=False)
    """Tier code of the first mirror; 0 where there is none."""

    def __post_init__(self) -> None:
        """Set the code under which answers are counted."""
        first = self.tiers[0] if self.tiers else self.fallback
        object.__setattr__(self, "first_code", first.code if first else 0)

    def shares(self, limit: int) -> Iterator[tuple[Tier, int]]:
        """Yield each tier with the number of its mirrors in a list of `limit`, nearest tier first, fallback last.

        Fallback mirrors take the last lines of a list, but never the first.
        """
        reserved = 0 if self.fallback is None else len(self.fallback.mirrors)
        free = max(1, limit - reserved) if self.tiers else 0
        for tier in self.tiers:
            if free:
                count = min(free, len(tier.mirrors))
                free -= count
                limit -= count
                yield tier, count
        if self.fallback is not None and limit:
            yield self.fallback, min(limit, reserved)

    def draw(self, limit: int, random: Random | Rendezvous) -> list[int]:
        """Draw up to `limit` mirror numbers, best first."""
        order: list[int] = []
        for tier, count in self.shares(limit):
            order += tier.draw(count, random)
        return order


def candidates(index: Index, carriers: int, offers: Offers) -> list[int]:
    """Return the mirrors that carry the content and have a URL of a wanted protocol, ascending."""
    first = offers.first
    return [mirror for mirror in index.snapshot.sets.members(carriers) if first[mirror]]


@dataclass(frozen=True, slots=True)
class RankInput:
    """All that a ranking depends on."""

    index: Index
    selection_query: SelectionQuery
    place: Place
    codes: bytes
    """The tier map of the client's country and continent: a tier code or a reason for each mirror."""
    carried: Sequence[int]
    """The `candidates` of the content, ascending."""
    minimum: int
    """The global tier is left out where the nearer tiers hold at least this many mirrors."""
    make_tier: Callable[[int, Sequence[int]], Tier]
    """Makes a tier of a code and at least one mirror; equal tiers may be one object."""


def rank(rank_input: RankInput) -> Ranking:
    """Sort the candidates for a client into tiers (docs/selection.md, Tiers)."""
    make_tier = rank_input.make_tier
    by_country = bool(rank_input.selection_query.countries) or rank_input.selection_query.everywhere
    if by_country and (chosen := _by_country(rank_input)) is not None:
        return Ranking(tiers=(chosen,), fallback=None, by_country=True)
    near: list[tuple[int, list[int]]] = []
    if rank_input.selection_query.own_network and not by_country:
        exclusive, near = _by_netblock(rank_input)
        if exclusive:
            return Ranking(tiers=(make_tier(NETBLOCK, exclusive),), fallback=None, exclusive=True)
        already = {mirror for _, mirrors in near for mirror in mirrors}
        serving = [mirror for mirror in of_asn(rank_input) if mirror not in already]
        near += [(ASN, serving)] if serving else []
    taken = {mirror for _, mirrors in near for mirror in mirrors}
    buckets: dict[int, list[int]] = {}
    for mirror in rank_input.carried:
        if rank_input.codes[mirror] < FIRST_REASON and mirror not in taken:
            buckets.setdefault(rank_input.codes[mirror], []).append(mirror)
    last = buckets.pop(FALLBACK, None)
    far = buckets.pop(GLOBAL, None)
    near += sorted(buckets.items())
    if far and sum(len(mirrors) for _, mirrors in near) < rank_input.minimum:
        near.append((GLOBAL, far))
    return Ranking(
        tiers=tuple(make_tier(code, mirrors) for code, mirrors in near),
        fallback=make_tier(FALLBACK, last) if last else None,
    )


def _by_country(rank_input: RankInput) -> Tier | None:
    """Return the one tier of `country=`: mirrors of the countries (or continents), else of the countries' continents.

    None if there are none of either kind: then the client's own tiers apply.
    """
    offered = [mirror for mirror in rank_input.carried if rank_input.codes[mirror] < FALLBACK]
    if rank_input.selection_query.everywhere:
        return rank_input.make_tier(GLOBAL, offered) if offered else None
    mirrors, overrides = rank_input.index.snapshot.mirrors, rank_input.index.snapshot.overrides
    codes = rank_input.selection_query.countries
    named = CONTINENT_CODES.intersection(codes)
    in_country = [mirror for mirror in offered if any(serves_country(mirrors[mirror], code) for code in codes)]
    there = [mirror for mirror in offered if any(serves_continent(mirrors[mirror], code, overrides) for code in named)]
    if in_country or there:
        return rank_input.make_tier(COUNTRY if in_country else CONTINENT, sorted({*in_country, *there}))
    continents = {continent_of(code, None, overrides) for code in codes} - {None}
    near = [
        mirror for mirror in offered if any(serves_continent(mirrors[mirror], code, overrides) for code in continents)
    ]
    return rank_input.make_tier(CONTINENT, near) if near else None


def _by_netblock(rank_input: RankInput) -> tuple[list[int], list[tuple[int, list[int]]]]:
    """Return the exclusive mirrors of the longest exclusive prefix, and the netblock tiers, longest prefix first."""
    mirrors = rank_input.index.snapshot.mirrors
    carrying = frozenset(rank_input.carried) if rank_input.place.chain else frozenset[int]()
    taken: set[int] = set()
    by_length: dict[int, list[int]] = {}
    exclusive: dict[int, list[int]] = {}
    for match in rank_input.index.matches(rank_input.place.chain):
        mirror = mirrors[match.mirror]
        # Country rules do not apply: a netblock that the mirror itself lists takes precedence.
        barred = not mirror.active or mirror.fallback or (mirror.private and not rank_input.selection_query.private)
        if barred or match.mirror not in carrying:
            continue
        if match.exclusive:
            exclusive.setdefault(match.length, []).append(match.mirror)
        if match.mirror not in taken:
            taken.add(match.mirror)
            by_length.setdefault(match.length, []).append(match.mirror)
    longest = next(iter(exclusive.values())) if exclusive else []
    return longest, [(NETBLOCK, block) for block in by_length.values()]


def of_asn(rank_input: RankInput) -> list[int]:
    """Return the candidates that serve the client's autonomous system.

    Private mirrors are included; the country rules still apply.
    """
    private = rank_input.selection_query.private
    serving = rank_input.index.mirrors_of_asn(rank_input.place.asn)
    if not serving:
        return []
    codes = rank_input.codes
    return [
        mirror
        for mirror in rank_input.carried
        if mirror in serving and (codes[mirror] < FALLBACK or (codes[mirror] == PRIVATE and private))
    ]
