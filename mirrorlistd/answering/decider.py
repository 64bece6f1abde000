"""One snapshot with its databases and settings, ready to decide: a reload replaces the whole `Decider` at once.

A `Decider` joins the pure parts (query, place, tiers) and keeps their results in bounded memos. A repeated request
costs a few dictionary lookups and the draw. A request uses one `Decider` from beginning to end.
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
from mirrorlistd.render.parts import Parts
from mirrorlistd.request.client_address import translated
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
    from mirrorlistd.render.parts import Frame, FrameOf, LineOf, UrlLines
    from mirrorlistd.request.client_address import Address
    from mirrorlistd.selection.index import Index, Networks, Offers, Place, Target

# Memo sizes, in entries. Queries: a few hundred distinct ones are normal; _LONGEST_REMEMBERED bounds a key.
_QUERIES: Final = 4_096
# One per query and place: small, because plans share their tiers.
_PLANS: Final = 16_384
# One per content, parameters and place: small, because most rankings share their tiers.
_RANKINGS: Final = 16_384
# Tiers: the heaviest entry, some 20 bytes a mirror. The bound is on the mirrors of all tiers together: 60 MB if clients
# ask for everything, a quarter of that in normal use.
_TIERS: Final = 16_384
_MIRRORS_IN_TIERS: Final = 3_000_000
# Tier maps: one byte per mirror for each (country, continent); there are 250 countries.
_TIER_MAPS: Final = 1_024
_CANDIDATES: Final = 4_096
# Lines of metalinks: some 250 bytes for each base URL of a category. 10 MB if clients ask for everything.
_LINES: Final = 64
_LEAST_LINES: Final = 8
_MIRRORS_IN_LINES: Final = 30_000
# Frames of metalinks: one for each file that is asked for, two kilobytes each.
_FRAMES: Final = 2_048
_LONGEST_REMEMBERED: Final = 512
"""Bytes; longer query strings are answered, not remembered."""


class Decider:
    """A snapshot, geo databases and settings, with their memos."""

    __slots__ = (
        "__weakref__",  # the pages cache what they compute from a decider while it exists
        "_candidates",
        "_equal_places",
        "_equal_rankings",
        "_frames",
        "_generator",
        "_items",
        "_lines",
        "_mirrors",
        "_number_draws",
        "_offers",
        "_places",
        "_plans_for_others",
        "_rankings",
        "_tier_maps",
        "_tiers",
        "_url_draws",
        "geo",
        "index",
        "limit",
        "parts",
        "plans",
        "queries",
        "refuse",
        "settings",
    )

    def __init__(self, index: Index, geo: Geo, settings: AnswerSettings) -> None:
        """Join the parts; everything else is computed on first use."""
        self.index = index
        self._mirrors = Items(range(len(index.snapshot.mirrors)))
        self._generator = SeededGenerator()
        self.geo = geo
        self.settings = settings
        self.limit: Final = settings.limit or settings.preset.limit
        """Mirrors in a list, unless the client asks for another number."""
        self.refuse: Final = settings.preset.refusals(index)
        """Renders the error for a query that `resolve_query` refuses."""
        few = min(_TIERS, max(64, _MIRRORS_IN_TIERS // max(1, len(index.snapshot.mirrors))))
        self.queries: Final[Memo[bytes, ResolvedQuery | Refused]] = Memo(_QUERIES)
        """Canonical query string -> result of `resolve_query`."""
        self._places: Memo[tuple[Location, Networks], Place] = Memo(_PLANS)
        self._equal_places: Memo[Place, Place] = Memo(_PLANS)
        self._tiers: Memo[tuple[int, tuple[int, ...]], Tier] = Memo(few)
        self._equal_rankings: Memo[tuple[object, ...], Ranking] = Memo(few)
        self._rankings: Memo[tuple[SelectionQuery, int, tuple[str, ...], Place], Ranking] = Memo(_RANKINGS)
        self._number_draws: Memo[tuple[Ranking, int], BatchedDraw[int]] = Memo(few)
        self._items: Memo[Offers, Items[bytes]] = Memo(_CANDIDATES)
        self._url_draws: Memo[tuple[Ranking, int, Offers], BatchedDraw[bytes]] = Memo(few)
        self.plans: Final[Memo[tuple[ResolvedQuery | None, Place], Plan]] = Memo(_PLANS)
        """Results of `plan` with `private`; the hot paths look here first."""
        self._plans_for_others: Memo[tuple[ResolvedQuery | None, Place], Plan] = Memo(_PLANS)
        self._tier_maps: Memo[tuple[str | None, str | None], bytes] = Memo(_TIER_MAPS)
        self._offers: Memo[tuple[int, tuple[str, ...], bool], Offers] = Memo(_CANDIDATES)
        self._candidates: Memo[tuple[int, int, tuple[str, ...]], list[int]] = Memo(_CANDIDATES)
        lines = min(_LINES, max(_LEAST_LINES, _MIRRORS_IN_LINES // max(1, len(index.snapshot.mirrors))))
        self._lines: Memo[tuple[LineOf, Offers], UrlLines] = Memo(lines)
        self._frames: Memo[tuple[FrameOf, Target], Frame] = Memo(_FRAMES)
        self.parts: Final = Parts(self._lines, self._frames)

    @property
    def memos(self) -> list[Memo[Any, Any]]:
        """Return all memos."""
        return [value for name in self.__slots__ if isinstance(value := getattr(self, name), Memo)]

    def resolve_query(self, query_string: bytes) -> ResolvedQuery | Refused:
        """Resolve a canonical query string. Mistakes are returned, not raised, because they are remembered too."""
        remembered = self.queries.get(query_string)
        if remembered is not None:
            return remembered
        resolved: ResolvedQuery | Refused
        query = None
        try:
            query = self.settings.preset.read(query_string)
            if query.ip is not None:
                query = replace(query, ip=translated(query.ip, self.settings.own_prefixes))
            resolved = self._resolve(query)
        except (QueryError, NotServedError) as error:
            resolved = Refused(error.with_traceback(None), query, format_of(query_string))
        if len(query_string) <= _LONGEST_REMEMBERED:
            self.queries.remember(query_string, resolved)
        return resolved

    def _resolve(self, query: Query) -> ResolvedQuery:
        renderer = FORMATS.get(query.format or (REDIRECT if query.redirect else TEXT).name)
        if renderer is None:
            raise QueryError(f"unknown format; write format={' or format='.join(FORMATS)}")
        if query.hashed and not query.format and (hashed := self._hashed(query)) is not None:
            query, renderer = hashed
        query, target = self._one_file(query, renderer) if renderer.file else (query, self.index.resolve(query))
        if query.protocols:
            # Unknown protocols are dropped: otherwise clients could fill a memo with arbitrary words.
            protocols = tuple(protocol for protocol in query.protocols if protocol in PROTOCOLS)
            if not protocols:
                unknown = NotServedError(Reason.NOBODY, "no mirror offers this by the protocols asked for")
                raise self.index.unseen(query, target) or unknown
            query = replace(query, protocols=protocols)
        offers = self.offers(target, query)
        selection_query = SelectionQuery(
            target.carriers, query.countries, query.everywhere, own_network=query.netblock, private=query.ip is None
        )
        return ResolvedQuery(
            query=query,
            target=target,
            selection_query=selection_query,
            offers=offers,
            renderer=renderer,
            limit=query.limit or renderer.longest or self.limit,
            times=b"# database creation time: %d\n" % self.index.snapshot.built if query.time else b"",
            separator=target.suffix + b"\n",
            plain=renderer is TEXT and offers.single and query.ip is None,
        )

    def _hashed(self, query: Query) -> tuple[Query, Renderer] | None:
        """Return the query of `FILE` for `FILE.sha256`, and its format; None where that hash of it is not known."""
        renderer = FORMATS.get(query.hashed)
        suffix = b"." + query.hashed.encode()
        path = query.path if query.path is not None else query.file
        if renderer is None or not renderer.hash or path is None or not path.endswith(suffix):
            return None
        shorter = path.removesuffix(suffix)
        query = replace(query, sent=query.sent.removesuffix(suffix), redirect=False)
        query = replace(query, file=shorter) if query.path is None else replace(query, path=shorter)
        try:
            details = self.index.details(self.index.resolve(query))
        except NotServedError:
            return None
        return (query, renderer) if details is not None and getattr(details.current, renderer.hash) else None

    def _one_file(self, query: Query, renderer: Renderer) -> tuple[Query, Target]:
        """Resolve the query of a metalink to the one file that it describes."""
        implied = query.path is None and query.file is None
        if implied:
            query = replace(query, file=self.index.below(self.index.resolve(query), renderer.file), sent=b"")
        target = self.index.resolve(query)
        if target.is_directory:
            what = f"a {renderer.hash} is" if renderer.hash else "a metalink is"
            hint = f"{what} about one file; name it by file= or path=DIRECTORY/FILE"
            raise self.index.unseen(query, target) or NotServedError(Reason.NO_METALINK, hint)
        if (implied or not self.settings.preset.bare_metalinks) and self.index.details(target) is None:
            what = renderer.file if implied else "this file"
            hint = f"nothing is known of {what} there; name a file by file= or path="
            raise self.index.unseen(query, target) or NotServedError(Reason.NO_METALINK, hint)
        details = self.index.details(target)
        if renderer.hash and (details is None or not getattr(details.current, renderer.hash)):
            hint = f"no {renderer.hash} of this file is known"
            raise self.index.unseen(query, target) or NotServedError(Reason.NO_METALINK, hint)
        return query, target

    def offers(self, target: Target, query: Query, *, http_first: bool = False) -> Offers:
        """Return the base URLs of the target's category for the protocols of the query."""
        key = (target.category, query.protocols, http_first)
        return self._offers.get(key) or self._offers.remember(key, self.index.offers(*key))

    def place(self, address: Address | None) -> Place:
        """Return the place of an address; None is an unknown address."""
        key = (UNKNOWN, NOWHERE) if address is None else (self.geo.locate(address), self.index.networks(address.packed))
        return self._places.get(key) or self._places.remember(key, self._one_place(self.index.place(*key)))

    def _one_place(self, place: Place) -> Place:
        """Return one object for all equal places: memos compare keys by identity first, which is quicker."""
        return self._equal_places.get(place) or self._equal_places.remember(place, place)

    def plan(self, resolved: ResolvedQuery, place: Place, *, private: bool) -> Plan:
        """Decide everything except the draw; `private`: the list is for the client itself, with `ip=` or without."""
        key = (resolved, place)
        plans = self.plans if private else self._plans_for_others
        remembered = plans.get(key)
        if remembered is None:
            ranking = self.ranking(resolved, place, private=private)
            comment = b""
            if resolved.query.comments:
                rank_input = self._rank_input(resolved, place, private=private)
                comment = (
                    self.settings.preset.comment(resolved.query, resolved.target, rank_input, ranking) + resolved.times
                )
            meta = ResponseMeta(200, TEXT_HEADERS, ranking.first_code, TEXT.name)
            url_draw = self._url_draw(resolved, ranking)
            remembered = plans.remember(key, Plan(ranking, comment, meta, url_draw, resolved.separator))
        return remembered

    def _url_draw(self, resolved: ResolvedQuery, ranking: Ranking) -> BatchedDraw[bytes]:
        """Return the draw of base URLs; plans share it, because hundreds of directories have the same mirrors."""
        offers = resolved.offers
        key = (ranking, resolved.limit, offers)
        if (remembered := self._url_draws.get(key)) is not None:
            return remembered
        items = self._items.get(offers) or self._items.remember(offers, Items(offers.first))
        return self._url_draws.remember(key, BatchedDraw(ranking, resolved.limit, items, self._generator))

    def number_draw(self, resolved: ResolvedQuery, ranking: Ranking) -> BatchedDraw[int]:
        """Return the draw of mirror numbers, for every format except plain lists."""
        key = (ranking, resolved.limit)
        return self._number_draws.get(key) or self._number_draws.remember(
            key, BatchedDraw(*key, self._mirrors, self._generator)
        )

    def ranking(self, resolved: ResolvedQuery, place: Place, *, private: bool = True) -> Ranking:
        """Return the tiers for a place; `private` as for `plan`."""
        key = (_selection_query(resolved, private=private), resolved.target.category, resolved.query.protocols, place)
        remembered = self._rankings.get(key)
        if remembered is None:
            remembered = self._rankings.remember(
                key, self._one_ranking(rank(self._rank_input(resolved, place, private=private)))
            )
        return remembered

    def _rank_input(self, resolved: ResolvedQuery, place: Place, *, private: bool) -> RankInput:
        selection_query = _selection_query(resolved, private=private)
        carried, minimum = self.candidates(resolved), self.settings.minimum
        return RankInput(self.index, selection_query, place, self.codes(place), carried, minimum, self._tier)

    def _tier(self, code: int, mirrors: Sequence[int]) -> Tier:
        """Return the tier of a code and mirrors; equal tiers are one object, because many places share them."""
        key = (code, tuple(mirrors))
        return self._tiers.get(key) or self._tiers.remember(key, Tier(code, key[1], self.index.weights))

    def _one_ranking(self, ranking: Ranking) -> Ranking:
        """Return one object for all equal rankings, so that they share batches of draws."""
        key = (ranking.tiers, ranking.fallback, ranking.exclusive, ranking.by_country)
        return self._equal_rankings.get(key) or self._equal_rankings.remember(key, ranking)

    def rendezvous(self, address: Address | None, now: float) -> Rendezvous:
        """Return the random numbers of an address for one period; the periods of addresses begin at different times."""
        packed = address.packed if address else b""
        start = int.from_bytes(blake2b(packed, digest_size=8).digest(), "big")
        period = int(now / self.settings.sticky + start / (1 << 64)) if self.settings.sticky else int(now)
        seed = int.from_bytes(blake2b(packed + period.to_bytes(8, "big"), digest_size=8).digest(), "big")
        return Rendezvous(seed, self.index.hashes)

    def codes(self, place: Place) -> bytes:
        """Return the tier map of a place: a tier code or a reason for each mirror."""
        key = (place.country, place.continent)
        return self._tier_maps.get(key) or self._tier_maps.remember(key, tier_map(self.index.snapshot, *key))

    def candidates(self, resolved: ResolvedQuery) -> list[int]:
        """Return the mirrors that carry the content and have a URL of a wanted protocol."""
        key = (resolved.selection_query.carriers, resolved.target.category, resolved.query.protocols)
        remembered = self._candidates.get(key)
        if remembered is None:
            remembered = self._candidates.remember(
                key, candidates(self.index, resolved.selection_query.carriers, resolved.offers)
            )
        return remembered


def _selection_query(resolved: ResolvedQuery, *, private: bool) -> SelectionQuery:
    selection_query = resolved.selection_query
    return selection_query._replace(private=True) if private and not selection_query.private else selection_query
