"""The rules of docs/selection.md: which mirrors are offered, in which tiers.

A `Tiers` belongs to a place: what clients there may be offered, whatever they ask for. A `Carriers` belongs to a
content: which mirrors carry it. Both hold masks (see `draw`), so an answer combines them with a few `&`. The country
rules are in `mirrorlist_snapshot.tiers`, because the admin side's `diff` needs them too.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from mirrorlist_snapshot.countries import CONTINENT_CODES
from mirrorlist_snapshot.tiers import (
    ASN,
    CONTINENT,
    COUNTRY,
    FALLBACK,
    GLOBAL,
    NETBLOCK,
    PRIVATE,
    continent_of,
    tier_map,
)
from mirrorlistd.selection.draw import mask_of, mask_union, shuffled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from random import Random

    from mirrorlistd.selection.draw import Rendezvous
    from mirrorlistd.selection.index import Index, Offers, Place
    from mirrorlistd.selection.orders import Orders

    FindOrders = Callable[[tuple[int, ...], int], Orders]
    """Masks of tiers and the wanted mirrors of the last one -> their orders, the same for equal masks."""

TierMask = tuple[int, int]
"""A tier code (see `mirrorlist_snapshot.tiers`) and the mask of the tier's mirrors."""

_LONGER: Final = 3
"""How many times longer the orders are that lists are continued with: where few mirrors carry the content."""


class Question(NamedTuple):
    """The part of a query that decides which tiers a client gets."""

    countries: tuple[str, ...] = ()
    """The codes in `country=`: only mirrors in these are offered."""
    everywhere: bool = False
    """`country=global`: mirrors of every country."""
    own_network: bool = True
    """Whether tiers 1 and 2 apply; false with `netblock=0`."""
    private: bool = True
    """Whether private mirrors may be offered; false if the list is for an address other than the client's."""

    @property
    def by_country(self) -> bool:
        """Whether `country=` selects mirrors."""
        return bool(self.countries) or self.everywhere


PLAIN: Final = Question()
"""What almost all queries ask."""


class Carriers:
    """The mirrors that carry some content and have a URL of a wanted protocol."""

    __slots__ = ("mask", "urls")

    def __init__(self, index: Index, carriers: int, offers: Offers) -> None:
        """Take a carrier set's number, and the base URLs of the content's category."""
        first = offers.first
        numbers = [mirror for mirror in index.snapshot.sets.members(carriers) if first[mirror]]
        self.mask: Final = mask_of(numbers)
        self.urls: Final = [b""] * (len(first) + 1)
        """The first base URL of each mirror; empty where it is no carrier, and for the number of no mirror."""
        for mirror in numbers:
            self.urls[mirror] = first[mirror]


class Region(NamedTuple):
    """Masks of the country rules: what clients in a country on a continent may be offered."""

    near: tuple[TierMask, ...]
    """Tiers 3 to 5, nearest first."""
    far: int
    """Tier 6."""
    last: int
    """Tier 7."""
    offered: int
    """Tiers 3 to 6."""
    private: int
    """Private mirrors that the country rules do not bar."""

    @classmethod
    def of(cls, index: Index, country: str | None, continent: str | None) -> Region:
        """Sort the mirrors of a network into tiers."""
        masks: dict[int, int] = {}
        for code, mask in sorted(zip(tier_map(index.kinds, country, continent), index.kind_masks, strict=True)):
            masks[code] = masks.get(code, 0) | mask
        near = tuple((code, mask) for code, mask in masks.items() if code <= CONTINENT)
        offered = mask_union(mask for code, mask in masks.items() if code < FALLBACK)
        return cls(near, masks.get(GLOBAL, 0), masks.get(FALLBACK, 0), offered, masks.get(PRIVATE, 0))


class Ranking:
    """The candidates of an answer, by tier."""

    __slots__ = ("by_country", "exclusive", "fallback", "tiers")

    def __init__(
        self, tiers: Sequence[TierMask], fallback: int = 0, *, exclusive: bool = False, by_country: bool = False
    ) -> None:
        self.tiers: Final = tiers
        """Nearest first, none empty, each mirror once. The global tier is among them only if it is needed."""
        self.fallback: Final = fallback
        """The mask of the mirrors of last resort."""
        self.exclusive: Final = exclusive
        """Whether an exclusive netblock applies: then no other mirror is offered."""
        self.by_country: Final = by_country
        """Whether `country=` selected the mirrors: then no mirror of other countries (or continents) is offered."""

    @property
    def all_tiers(self) -> tuple[TierMask, ...]:
        """Return the tiers and the fallback."""
        return (*self.tiers, *(((FALLBACK, self.fallback),) if self.fallback else ()))

    def code(self, mirror: int) -> int:
        """Return the code of the tier that has a mirror; 0 where none has it."""
        return next((code for code, mask in self.all_tiers if mask >> mirror & 1), 0)

    def shares(self, limit: int) -> Iterator[tuple[int, int]]:
        """Yield the mask of each tier with the number of its mirrors in a list, nearest tier first, fallback last.

        Fallback mirrors take the last lines of a list, but never the first.
        """
        reserved = self.fallback.bit_count()
        free = max(1, limit - reserved) if self.tiers else 0
        for _, mask in self.tiers:
            if free:
                count = min(free, mask.bit_count())
                free -= count
                limit -= count
                yield mask, count
        if reserved and limit:
            yield self.fallback, min(limit, reserved)

    def draw(self, limit: int, weights: Sequence[int], random: Random | Rendezvous) -> list[int]:
        """Draw up to `limit` mirrors, best first, one weighted shuffle for each tier: exact, and slow."""
        order: list[int] = []
        for mask, count in self.shares(limit):
            order += shuffled(mask, count, weights, random)
        return order


@dataclass(frozen=True, slots=True, kw_only=True)
class TierSource:
    """What every `Tiers` of a network is made with."""

    index: Index
    minimum: int
    """The global tier is left out where the nearer tiers hold at least this many mirrors."""
    length: int
    """Mirrors that an order should have, so that most lists are drawn from one order."""
    find_orders: FindOrders


class Tiers:
    """What clients at a place may be offered, whatever they ask for: masks of tiers, and orders of their mirrors."""

    __slots__ = (
        "_asking",
        "_deep",
        "_hot",
        "_hot_limit",
        "_hot_orders",
        "_hot_size",
        "_levels",
        "_lists",
        "_minimum",
        "_own",
        "_simple",
        "_weights",
        "by_country",
        "enough",
        "exclusive",
        "far",
        "instead",
        "last",
        "near",
        "nearest",
        "needed",
        "place",
        "reach",
        "words",
    )

    def __init__(  # noqa: PLR0913 - all that a list may have, by the names of the rules
        self,
        source: TierSource,
        place: Place,
        near: tuple[TierMask, ...],
        *,
        own: tuple[TierMask, ...] = (),
        far: int = 0,
        last: int = 0,
        exclusive: bool = False,
        by_country: bool = False,
        needed: int = 0,
        instead: Tiers | None = None,
    ) -> None:
        """Take tiers 1 and 2 (`own`), 3 to 5 (`near`), 6 (`far`) and 7 (`last`). A mirror counts where it is first.

        `instead` applies to content that no mirror in `needed` (0: in tiers 1 to 5) carries; None: these always apply.
        """
        self._minimum: Final = source.minimum
        self._weights: Final = source.index.weights
        self._own: Final = tuple(mask for _, mask in own)
        self.place: Final = place
        self.near: Final = own + near
        """Tiers 1 to 5, nearest first."""
        self.far: Final = far
        self.last: Final = last
        self.exclusive: Final = exclusive
        self.by_country: Final = by_country
        self.instead: Final = instead
        self.words: Callable[[int], bytes] = lambda _: b""
        """The place's part of the comment line, for a mask of carriers; the preset's."""
        self.reach: Final = mask_union(mask for _, mask in self.near)
        """The mirrors in tiers 1 to 5."""
        self.needed: Final = needed or self.reach
        masks = tuple(mask for _, mask in near)
        poor = self.reach.bit_count() < source.minimum
        """Whether all lists need the global tier."""
        if poor and far:
            masks, far = (*masks, far), 0
        self._levels = [
            source.find_orders(*_beginning(masks, source.length * times)) for times in (1, _LONGER) if masks
        ]
        self._deep = source.find_orders(*_beginning((*masks, far), source.length * _LONGER)) if far else None
        self.nearest: Final[TierMask] = self.near[0] if self.near else (GLOBAL, self.far)
        self._asking: Carriers | None = None
        """The content that used up the latest batch of orders."""
        self._hot: Carriers | None = None
        self._hot_limit = self._hot_size = 0
        self._hot_orders: Orders
        self._lists: Final[list[list[bytes]]] = []
        """The next lists of the hot content, for `_hot_limit`; most have `_hot_size` URLs."""
        self._simple = bool(masks) and not (own or last or instead)
        """Whether lists can be taken from orders without anything else."""
        complete = bool(masks) and self._levels[0].mask == mask_union(masks) and self._levels[0].complete
        self.enough: Final = (source.minimum if far else 1) if complete else 1 << 30
        """A list taken from one order is right if it has so many mirrors, or as many as the client wants."""

    def for_content(self, mask: int) -> Tiers:
        """Return the tiers that apply to content with these carriers."""
        tiers = self
        while tiers.instead is not None and not tiers.needed & mask:
            tiers = tiers.instead
        return tiers

    def rank(self, mask: int) -> Ranking:
        """Return the candidates for content with these carriers; for `for_content`'s result."""
        ranked: list[TierMask] = []
        left = mask
        for code, tier in self.near:
            if candidates := tier & left:
                ranked.append((code, candidates))
                left &= ~tier
        if self.far & left and (self.reach & mask).bit_count() < self._minimum:
            ranked.append((GLOBAL, self.far & left))
        return Ranking(ranked, self.last & mask, exclusive=self.exclusive, by_country=self.by_country)

    def first_code(self, mask: int) -> int:
        """Return the tier code of the first mirror in a list of these carriers; 0 where the list is empty."""
        if self.nearest[1] & mask:
            return self.nearest[0]
        for code, tier in self.near:
            if tier & mask:
                return code
        return GLOBAL if self.far & mask else FALLBACK if self.last & mask else 0

    def urls(self, carriers: Carriers, limit: int, random: Random) -> list[bytes]:
        """Draw a list of base URLs, best first, one for each mirror; for `for_content`'s result."""
        if carriers is self._hot and limit == self._hot_limit:
            if not self._lists:
                self._draw_lists(carriers, limit, random)
            return self._lists.pop()
        urls, order = carriers.urls, None
        if self._simple:
            orders = self._suiting(carriers, limit)
            if orders.in_batches and not orders.ready:
                self._notice(orders, carriers, limit)
            order = orders.ready.pop() if orders.ready else orders.draw(random)
            found: list[bytes] = [*islice(filter(None, map(urls.__getitem__, order)), limit)]
            if len(found) >= self.enough or len(found) == limit:
                return found
        return [*map(urls.__getitem__, self.draw(carriers, limit, random, order))]

    def _suiting(self, carriers: Carriers, limit: int) -> Orders:
        """Return the orders that a list is drawn from: longer ones, where few mirrors carry the content."""
        return self._levels[0] if self._levels[0].suit(carriers.mask, limit) else self._levels[1]

    def _notice(self, orders: Orders, carriers: Carriers, limit: int) -> None:
        """Let a content be the hot one, whose lists are drawn in batches, if it has used up two batches of orders."""
        if carriers is not self._asking:
            self._asking = carriers
            return
        size = min(limit, (orders.mask & carriers.mask).bit_count())
        if size == limit or size >= self.enough:
            self._hot, self._hot_limit, self._hot_size = carriers, limit, size
            self._hot_orders = orders
            self._lists.clear()

    def _draw_lists(self, carriers: Carriers, limit: int, random: Random) -> None:
        """Draw lists of the hot content; an order that is too short for a list is continued, as for other contents."""
        urls = carriers.urls
        lists, short = self._hot_orders.lists(carriers.mask, urls, self._hot_size, random)
        self._lists.extend(lists)
        self._lists.extend([*map(urls.__getitem__, self.draw(carriers, limit, random, order))] for order in short)

    def draw_ahead(self, random: Random) -> bool:
        """Draw the first batch of orders, unless there is one; return whether there was none."""
        if not self._levels or self._levels[0].ready:
            return False
        self._levels[0].ready.append(self._levels[0].draw(random))
        return True

    def draw(self, carriers: Carriers, limit: int, random: Random, order: Sequence[int] | None = None) -> list[int]:
        """Draw the mirrors of a list, best first; `order` is an order that this list begins with.

        An order that was looked at must be used: orders that are too short for a list are not like the others.
        """
        mask, carried = carriers.mask, carriers.urls.__getitem__
        if order is None and self._simple:
            order = self._suiting(carriers, limit).draw(random)
            taken = [*islice(filter(carried, order), limit)]
            if len(taken) >= self.enough or len(taken) == limit:
                return taken
        count = (self.reach & mask).bit_count()
        far = self.far & mask & ~self.reach if count < self._minimum else 0
        wanted = min(count + far.bit_count(), max(1, limit - (self.last & mask).bit_count()))
        found: dict[int, None] = {}
        met = 0
        for own in self._own:
            found.update(dict.fromkeys(shuffled(own & mask & ~met, limit, self._weights, random)))
            met |= own
        for orders in (*self._levels, self._deep) if far and self._deep else self._levels:
            if len(found) < wanted and (order or orders not in self._levels[:1] or orders.suit(mask, wanted)):
                found.update(dict.fromkeys(filter(carried, order or orders.draw(random))))
                order = None
        if len(found) < wanted:
            found.update(dict.fromkeys(self._finish(found, mask, wanted, random)))
        drawn = [*islice(found, wanted)]
        if self.last & mask and len(drawn) < limit:
            drawn += shuffled(self.last & mask, limit - len(drawn), self._weights, random)
        return drawn

    def stable(self, carriers: Carriers, limit: int, rendezvous: Rendezvous) -> list[int]:
        """Return the mirrors of a stable list, best first: those that `Ranking.draw` would draw."""
        mask, carried = carriers.mask, carriers.urls.__getitem__
        last = self.last & mask
        free = max(1, limit - last.bit_count())
        poor = (self.reach & mask).bit_count() < self._minimum
        found: dict[int, None] = {}
        for tier in (*(tier for _, tier in self.near), *((self.far,) if poor and self.far else ())):
            if len(found) < free and tier & mask:
                # A mirror of a nearer tier is there already: so many are enough.
                order = rendezvous.order(tier, self._weights)
                found.update(dict.fromkeys(islice(filter(carried, order), limit)))
        drawn = [*islice(found, free)]
        if last and len(drawn) < limit:
            drawn += [*islice(filter(carried, rendezvous.order(self.last, self._weights)), limit - len(drawn))]
        return drawn

    def _finish(self, found: dict[int, None], mask: int, wanted: int, random: Random) -> Iterator[int]:
        """Yield what a list lacks: the rest of a tier is again a weighted shuffle of what is left."""
        left = mask & ~mask_of(found)
        missing = wanted - len(found)
        for _, tier in self.rank(mask).tiers:
            if missing > 0 and tier & left:
                rest = shuffled(tier & left, missing, self._weights, random)
                missing -= len(rest)
                yield from rest


def _beginning(masks: tuple[int, ...], length: int) -> tuple[tuple[int, ...], int]:
    """Return the nearest tiers that have so many mirrors together, and how many of the last one are needed for that."""
    taken: list[int] = []
    missing = last = length
    for mask in masks:
        if missing > 0:
            taken.append(mask)
            last, missing = missing, missing - mask.bit_count()
    return tuple(taken), last


class TierMaps:
    """Makes the `Tiers` of places (docs/selection.md, Tiers)."""

    def __init__(self, source: TierSource) -> None:
        self._source = source

    def tiers(self, place: Place, region: Region, question: Question) -> Tiers:
        """Return what a place is offered for a question; `region` is that of its country and continent."""
        own, exclusive = (
            ((), {}) if question.by_country or not question.own_network else self._own(place, region, question.private)
        )
        tiers = Tiers(self._source, place, region.near, own=own, far=region.far, last=region.last)
        if question.by_country:
            for tier, needed in reversed([*self._by_country(region, question)]):
                tiers = Tiers(self._source, place, (tier,), by_country=True, needed=needed, instead=tiers)
        for mask in reversed(exclusive.values()):  # the shortest prefix first
            tiers = Tiers(self._source, place, ((NETBLOCK, mask),), exclusive=True, instead=tiers)
        return tiers

    def _own(self, place: Place, region: Region, private: bool) -> tuple[tuple[TierMask, ...], dict[int, int]]:  # noqa: FBT001 - one caller
        """Return tiers 1 and 2, longest prefix first, and prefix length -> mask of its exclusive mirrors."""
        index = self._source.index
        by_length: dict[int, int] = {}
        exclusive: dict[int, int] = {}
        for match in index.matches(place.chain):
            mirror = index.snapshot.mirrors[match.mirror]
            # Country rules do not apply: a netblock that the mirror itself lists takes precedence.
            if mirror.active and not mirror.fallback and (private or not mirror.private):
                for masks in (by_length, exclusive) if match.exclusive else (by_length,):
                    masks[match.length] = masks.get(match.length, 0) | 1 << match.mirror
        allowed = region.offered | (region.private if private else 0)
        serving = mask_of(index.mirrors_of_asn(place.asn)) & allowed
        own = tuple((NETBLOCK, mask) for mask in by_length.values())
        return (*own, (ASN, serving)) if serving else own, exclusive

    def _by_country(self, region: Region, question: Question) -> Iterator[tuple[TierMask, int]]:
        """Yield the one tier of `country=`: of the countries (or continents), then of the countries' continents.

        With each tier come the mirrors of which one must carry the content; else the next applies, in the end the
        client's own tiers.
        """
        if question.everywhere:
            yield (GLOBAL, region.offered), region.offered
            return
        index, codes = self._source.index, question.countries
        there = mask_union(map(index.serving_country, codes)) & region.offered
        named = mask_union(map(index.serving_continent, CONTINENT_CODES.intersection(codes))) & region.offered
        continents = {continent_of(code, None, index.snapshot.overrides) for code in codes} - {None}
        near = mask_union(map(index.serving_continent, continents)) & region.offered
        for code, mask, needed in ((COUNTRY, there | named, there), (CONTINENT, named, named), (CONTINENT, near, near)):
            if needed:
                yield (code, mask), needed
