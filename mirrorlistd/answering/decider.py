"""One snapshot with its databases, ready to decide: everything that is swapped at once on a reload.

A `Decider` puts the pure parts together (query, place, tiers) and remembers their results in bounded memos, so that a
hot request costs a few dictionary hits and the draw. Nothing outside it refers to a part of it: a request that has
got hold of one sees it to the end, never a mixture of two.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from mirrorlist_snapshot.tiers import tier_map
from mirrorlistd.answering.plan import Plan, ResolvedQuery, ResponseMeta
from mirrorlistd.errors import NotServedError, QueryError, Reason
from mirrorlistd.geo.locate import UNKNOWN
from mirrorlistd.memo import Memo
from mirrorlistd.presets import Refused
from mirrorlistd.render import FORMATS, REDIRECT, TEXT, TEXT_HEADERS
from mirrorlistd.request.query import Query, format_of
from mirrorlistd.selection.batches import BatchedDraw, Items, SeededGenerator
from mirrorlistd.selection.draw import Rendezvous, Tier
from mirrorlistd.selection.index import NOWHERE, PROTOCOLS
from mirrorlistd.selection.rank import Ranking, RankInput, SelectionQuery, candidates, rank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlistd.answering.plan import AnswerSettings
    from mirrorlistd.geo.locate import Geo, Location
    from mirrorlistd.render import Renderer
    from mirrorlistd.request.client_address import Address
    from mirrorlistd.selection.index import Index, Networks, Offers, Place, Target

# Memo sizes, in entries. Queries: some hundred distinct ones are normal, a key is at most the longest target.
_QUERIES: Final = 4_096
# What was decided for a query and a place: small, the tiers in it are shared.
_PLANS: Final = 16_384
# One per content set, options and place: small, most of them share their tiers.
_CHOICES: Final = 16_384
# Tiers: the heaviest entry, some 20 bytes a mirror. The bound is on mirrors in all of them together: 60 MB if somebody
# asks for everything, a quarter of that where clients ask for what is near.
_TIERS: Final = 16_384
_MIRRORS_IN_TIERS: Final = 3_000_000
# Tier maps: one byte per mirror for each (country, continent); there are 250 countries.
_TIER_MAPS: Final = 1_024
_CANDIDATES: Final = 4_096
_LONGEST_REMEMBERED: Final = 512
"""Longer targets are answered, not remembered: bytes."""


class Decider:
    """Snapshot, databases and settings, with the memos that belong to exactly these."""

    __slots__ = (
        "__weakref__",  # what others make of it goes with it
        "_candidates",
        "_chance",
        "_choices",
        "_decks",
        "_equal_choices",
        "_equal_places",
        "_lines",
        "_mirrors",
        "_numbers",
        "_offers",
        "_places",
        "_plans_for_others",
        "_tier_maps",
        "_tiers",
        "geo",
        "index",
        "limit",
        "plans",
        "queries",
        "refuse",
        "settings",
    )

    def __init__(self, index: Index, geo: Geo, settings: AnswerSettings) -> None:
        """Take the parts as they are; nothing is computed before it is asked for."""
        self.index = index
        self._mirrors = Items(range(len(index.snapshot.mirrors)))
        self._chance = SeededGenerator()
        self.geo = geo
        self.settings = settings
        self.limit: Final = settings.limit or settings.preset.limit
        """Mirrors in a list, unless the client asks for another number."""
        self.refuse: Final = settings.preset.refusals(index)
        """Turns what `resolve_query` refuses into an answer."""
        few = min(_TIERS, max(64, _MIRRORS_IN_TIERS // max(1, len(index.snapshot.mirrors))))
        self.queries: Final[Memo[bytes, ResolvedQuery | Refused]] = Memo(_QUERIES)
        """What `resolve_query` has made."""
        self._places: Memo[tuple[Location, Networks], Place] = Memo(_PLANS)
        self._equal_places: Memo[Place, Place] = Memo(_PLANS)
        self._tiers: Memo[tuple[int, tuple[int, ...]], Tier] = Memo(few)
        self._equal_choices: Memo[tuple[object, ...], Ranking] = Memo(few)
        self._choices: Memo[tuple[SelectionQuery, int, tuple[str, ...], Place], Ranking] = Memo(_CHOICES)
        self._numbers: Memo[tuple[Ranking, int], BatchedDraw[int]] = Memo(few)
        self._decks: Memo[Offers, Items[bytes]] = Memo(_CANDIDATES)
        self._lines: Memo[tuple[Ranking, int, Offers], BatchedDraw[bytes]] = Memo(few)
        self.plans: Final[Memo[tuple[ResolvedQuery | None, Place], Plan]] = Memo(_PLANS)
        """What `plan` has made for those who ask for themselves; for who cannot afford to call it."""
        self._plans_for_others: Memo[tuple[ResolvedQuery | None, Place], Plan] = Memo(_PLANS)
        self._tier_maps: Memo[tuple[str | None, str | None], bytes] = Memo(_TIER_MAPS)
        self._offers: Memo[tuple[int, tuple[str, ...]], Offers] = Memo(_CANDIDATES)
        self._candidates: Memo[tuple[int, int, tuple[str, ...]], list[int]] = Memo(_CANDIDATES)

    @property
    def memos(self) -> list[Memo[Any, Any]]:
        """All that is remembered, memo by memo."""
        return [thing for name in self.__slots__ if isinstance(thing := getattr(self, name), Memo)]

    def resolve_query(self, query_string: bytes) -> ResolvedQuery | Refused:
        """Understand what stands after the `?`; mistakes are values here, because they too are remembered."""
        known = self.queries.get(query_string)
        if known is not None:
            return known
        resolved: ResolvedQuery | Refused
        query = None
        try:
            query = self.settings.preset.read(query_string)
            resolved = self._prepare(query)
        except (QueryError, NotServedError) as error:
            resolved = Refused(error.with_traceback(None), query, format_of(query_string))
        if len(query_string) <= _LONGEST_REMEMBERED:
            self.queries.remember(query_string, resolved)
        return resolved

    def _prepare(self, query: Query) -> ResolvedQuery:
        renderer = FORMATS.get(query.format or (REDIRECT if query.redirect else TEXT).name)
        if renderer is None:
            raise QueryError(f"unknown format; write format={' or format='.join(FORMATS)}")
        query, target = self._one_file(query, renderer) if renderer.file else (query, self.index.resolve(query))
        if query.protocols:
            # Only words that mirrors may have: strangers could fill a memo with others.
            known = tuple(protocol for protocol in query.protocols if protocol in PROTOCOLS)
            if not known:
                raise NotServedError(Reason.NOBODY, "no mirror offers this by the protocols asked for")
            query = replace(query, protocols=known)
        offers = self.offers(target, query)
        ask = SelectionQuery(
            carriers=target.carriers,
            countries=query.countries,
            everywhere=query.everywhere,
            own_network=query.netblock,
            private=query.ip is None,
        )
        return ResolvedQuery(
            query=query,
            target=target,
            ask=ask,
            offers=offers,
            renderer=renderer,
            limit=query.limit or renderer.longest or self.limit,
            times=b"# database creation time: %d\n" % self.index.snapshot.built if query.time else b"",
            separator=target.suffix + b"\n",
            plain=renderer is TEXT and offers.single and query.ip is None,
        )

    def _one_file(self, query: Query, renderer: Renderer) -> tuple[Query, Target]:
        """Resolve what is asked to the one file that its metalink is about."""
        implied = query.path is None and query.file is None
        if implied:
            query = replace(query, file=self.index.below(self.index.resolve(query), renderer.file))
        target = self.index.resolve(query)
        if target.is_directory:
            hint = "a metalink is about one file; name it by file= or path=DIRECTORY/FILE"
            raise NotServedError(Reason.NO_METALINK, hint)
        if (implied or not self.settings.preset.bare_metalinks) and self.index.details(target) is None:
            what = renderer.file if implied else "this file"
            raise NotServedError(Reason.NO_METALINK, f"nothing is known of {what} there; name a file by file= or path=")
        return query, target

    def offers(self, target: Target, query: Query) -> Offers:
        """The base URLs of the target's category for the protocols asked for."""
        key = (target.category, query.protocols)
        return self._offers.get(key) or self._offers.remember(key, self.index.offers(*key))

    def place(self, address: Address | None) -> Place:
        """Where a client is; None is an address nobody could tell."""
        key = (UNKNOWN, NOWHERE) if address is None else (self.geo.locate(address), self.index.networks(address.packed))
        return self._places.get(key) or self._places.remember(key, self._same(self.index.place(*key)))

    def _same(self, place: Place) -> Place:
        """Give the one place that stands for all that are equal: it is found quicker in memos."""
        return self._equal_places.get(place) or self._equal_places.remember(place, place)

    def plan(self, resolved: ResolvedQuery, place: Place, *, private: bool) -> Plan:
        """Decide everything but chance; `private` says that the client asks for itself, with `ip=` or without."""
        key = (resolved, place)
        plans = self.plans if private else self._plans_for_others
        known = plans.get(key)
        if known is None:
            ranking = self.ranking(resolved, place, private=private)
            comment = b""
            if resolved.query.comments:
                case = self._case(resolved, place, private=private)
                comment = self.settings.preset.comment(resolved.query, resolved.target, case, ranking) + resolved.times
            meta = ResponseMeta(200, TEXT_HEADERS, ranking.first_code, TEXT.name)
            lines = self._dealt(resolved, ranking)
            known = plans.remember(key, Plan(ranking, comment, meta, lines, resolved.separator))
        return known

    def _dealt(self, resolved: ResolvedQuery, ranking: Ranking) -> BatchedDraw[bytes]:
        """Give the dealer of base URLs, which plans share: directories by the hundred have the same mirrors."""
        offers = resolved.offers
        key = (ranking, resolved.limit, offers)
        if (known := self._lines.get(key)) is not None:
            return known
        deck = self._decks.get(offers) or self._decks.remember(offers, Items(offers.first))
        return self._lines.remember(key, BatchedDraw(ranking, resolved.limit, deck, self._chance))

    def numbers(self, resolved: ResolvedQuery, ranking: Ranking) -> BatchedDraw[int]:
        """Give the dealer of mirror numbers, for whatever is not a plain list."""
        key = (ranking, resolved.limit)
        return self._numbers.get(key) or self._numbers.remember(key, BatchedDraw(*key, self._mirrors, self._chance))

    def ranking(self, resolved: ResolvedQuery, place: Place, *, private: bool = True) -> Ranking:
        """The tiers for a place; `private` as for `plan`."""
        key = (_asking(resolved, private=private), resolved.target.category, resolved.query.protocols, place)
        known = self._choices.get(key)
        if known is None:
            known = self._choices.remember(key, self._one(rank(self._case(resolved, place, private=private))))
        return known

    def _case(self, resolved: ResolvedQuery, place: Place, *, private: bool) -> RankInput:
        ask = _asking(resolved, private=private)
        carried, minimum = self.candidates(resolved), self.settings.minimum
        return RankInput(self.index, ask, place, self.codes(place), carried, minimum, self._tier)

    def _tier(self, code: int, mirrors: Sequence[int]) -> Tier:
        """Make a tier, or give the one that has the same mirrors: many places have most of theirs in common."""
        key = (code, tuple(mirrors))
        return self._tiers.get(key) or self._tiers.remember(key, Tier(code, key[1], self.index.weights))

    def _one(self, ranking: Ranking) -> Ranking:
        """Give the one choice that stands for all that are equal: they are dealt from the same batches."""
        key = (ranking.tiers, ranking.fallback, ranking.exclusive, ranking.by_country)
        return self._equal_choices.get(key) or self._equal_choices.remember(key, ranking)

    def rendezvous(self, address: Address | None, now: float) -> Rendezvous:
        """Give the chance that is the same for an address for a while; the turns of different addresses differ."""
        packed = address.packed if address else b""
        start = int.from_bytes(blake2b(packed, digest_size=8).digest(), "big")
        turn = int(now / self.settings.sticky + start / (1 << 64)) if self.settings.sticky else int(now)
        seed = int.from_bytes(blake2b(packed + turn.to_bytes(8, "big"), digest_size=8).digest(), "big")
        return Rendezvous(seed, self.index.hashes)

    def codes(self, place: Place) -> bytes:
        """The tier map of a place: a tier code or a reason for each mirror."""
        key = (place.country, place.continent)
        return self._tier_maps.get(key) or self._tier_maps.remember(key, tier_map(self.index.snapshot, *key))

    def candidates(self, resolved: ResolvedQuery) -> list[int]:
        """The mirrors that carry what is asked and have a URL of a wanted protocol."""
        key = (resolved.ask.carriers, resolved.target.category, resolved.query.protocols)
        known = self._candidates.get(key)
        if known is None:
            known = self._candidates.remember(key, candidates(self.index, resolved.ask.carriers, resolved.offers))
        return known


def _asking(resolved: ResolvedQuery, *, private: bool) -> SelectionQuery:
    ask = resolved.ask
    return ask._replace(private=True) if private and not ask.private else ask
