"""One snapshot with its databases and settings, ready to decide: a reload replaces the whole `Decider` at once.

A `Decider` joins the pure parts (query, place, tiers) and keeps their results in bounded memos. A repeated request
costs a few dictionary lookups and the draw. A request uses one `Decider` from beginning to end.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from mirrorlist_snapshot.tiers import tier_map
from mirrorlistd.answering.plan import ResolvedQuery
from mirrorlistd.errors import NotServedError, QueryError, Reason
from mirrorlistd.geo.locate import UNKNOWN
from mirrorlistd.memo import Memo
from mirrorlistd.presets import Refused
from mirrorlistd.render import FORMATS, REDIRECT, TEXT
from mirrorlistd.render.parts import Parts
from mirrorlistd.request.client_address import translated
from mirrorlistd.request.query import Query, format_of
from mirrorlistd.selection.draw import Rendezvous
from mirrorlistd.selection.index import NOWHERE, PROTOCOLS
from mirrorlistd.selection.order_maker import maker
from mirrorlistd.selection.orders import Orders, orders_of
from mirrorlistd.selection.rank import PLAIN, Carriers, Question, Region, TierMaps, TierSource

if TYPE_CHECKING:
    from mirrorlistd.answering.plan import AnswerSettings
    from mirrorlistd.geo.locate import Geo, Location
    from mirrorlistd.render import Renderer
    from mirrorlistd.render.parts import Frame, FrameOf, LineOf, UrlLines
    from mirrorlistd.request.client_address import Address
    from mirrorlistd.selection.index import Index, Networks, Offers, Place, Target
    from mirrorlistd.selection.rank import Tiers

# Memo sizes, in entries. Queries: a few hundred distinct ones are normal; _LONGEST_REMEMBERED bounds a key.
_QUERIES: Final = 4_096
# Places, and their tiers: some 500 bytes each.
_PLACES: Final = 16_384
# Regions: one byte and some bits per mirror for each (country, continent); there are 250 countries.
_REGIONS: Final = 1_024
# What grows with the number of mirrors. Orders: up to 60 kB where many ask.
_ORDERS: Final = 2_048
_CARRIERS: Final = 2_048
_MIRRORS_IN_CARRIERS: Final = 2_000_000
"""Bound of the mirrors of all carriers together, 8 bytes each."""
_OFFERS: Final = 1_024
# Lines of metalinks: some 250 bytes for each base URL of a category. 10 MB if clients ask for everything.
_LINES: Final = 64
_LEAST_LINES: Final = 8
_MIRRORS_IN_LINES: Final = 30_000
# Frames of metalinks: one for each file that is asked for, two kilobytes each.
_FRAMES: Final = 2_048
# Stable orders: of a client that is redirected, some 8 bytes a mirror; 5 MB if all clients need every mirror.
_STABLE: Final = 4_096
_LEAST_STABLE: Final = 64
_MIRRORS_IN_STABLE: Final = 500_000
_LONGEST_REMEMBERED: Final = 512
"""Bytes; longer query strings are answered, not remembered."""


class Decider:
    """A snapshot, geo databases and settings, with their memos."""

    __slots__ = (
        "__weakref__",  # the pages cache what they compute from a decider while it exists
        "_carriers",
        "_frames",
        "_lines",
        "_offers",
        "_orders",
        "_places",
        "_regions",
        "_stable",
        "_tier_maps",
        "_tiers",
        "geo",
        "index",
        "limit",
        "parts",
        "queries",
        "refuse",
        "settings",
    )

    def __init__(self, index: Index, geo: Geo, settings: AnswerSettings) -> None:
        """Join the parts; everything else is computed on first use."""
        self.index = index
        self.geo = geo
        self.settings = settings
        self.limit: Final = settings.limit or settings.preset.limit
        """Mirrors in a list, unless the client asks for another number."""
        self.refuse: Final = settings.preset.refusals(index)
        """Renders the error for a query that `resolve_query` refuses."""
        self.queries: Final[Memo[bytes, ResolvedQuery | Refused]] = Memo(_QUERIES)
        """Canonical query string -> result of `resolve_query`; the hot paths look here first."""
        self._places: Memo[tuple[Location, Networks], Place] = Memo(_PLACES)
        self._tiers: Memo[tuple[Place, Question], Tiers] = Memo(_PLACES)
        self._regions: Memo[tuple[str | None, str | None], Region] = Memo(_REGIONS)
        self._orders: Memo[tuple[tuple[int, ...], int], Orders] = Memo(_ORDERS)
        self._offers: Memo[tuple[int, tuple[str, ...], bool], Offers] = Memo(_OFFERS)
        few = max(64, _MIRRORS_IN_CARRIERS // max(1, len(index.snapshot.mirrors)))
        self._carriers: Memo[tuple[int, int, tuple[str, ...]], Carriers] = Memo(min(_CARRIERS, few))
        # Half as many more than a list needs: one mirror in three may lack the content.
        length = max(1, self.limit + self.limit // 2)
        # Not a method: a cycle would keep the decider alive after a reload, because no collector comes.
        find_orders = partial(orders_of, self._orders, maker(index.weights))
        source = TierSource(index=index, minimum=settings.minimum, length=length, find_orders=find_orders)
        self._tier_maps = TierMaps(source)
        lines = min(_LINES, max(_LEAST_LINES, _MIRRORS_IN_LINES // max(1, len(index.snapshot.mirrors))))
        self._lines: Memo[tuple[LineOf, Offers], UrlLines] = Memo(lines)
        self._frames: Memo[tuple[FrameOf, Target], Frame] = Memo(_FRAMES)
        self.parts: Final = Parts(self._lines, self._frames)
        stable = min(_STABLE, max(_LEAST_STABLE, _MIRRORS_IN_STABLE // max(1, len(index.snapshot.mirrors))))
        self._stable: Memo[bytes, tuple[float, Rendezvous]] = Memo(stable)
        """Address -> when its period began, in periods since 1970 UTC, and its random numbers."""

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
        before, after = self.settings.preset.comment(query, target) if query.comments else (b"", b"")
        times = b"# database creation time: %d\n" % self.index.snapshot.built if query.time and query.comments else b""
        return ResolvedQuery(
            query=query,
            target=target,
            question=Question(query.countries, query.everywhere, own_network=query.netblock),
            offers=offers,
            carriers=self._carriers_of(target, query, offers),
            renderer=renderer,
            limit=query.limit or renderer.longest or self.limit,
            comment=(before, after + times),
            separator=target.suffix + b"\n",
            for_client=query.ip is None and not renderer.stable,
            fixed_length=len(before + after + times + target.suffix) + 1,
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

    def _carriers_of(self, target: Target, query: Query, offers: Offers) -> Carriers:
        key = (target.carriers, target.category, query.protocols)
        return self._carriers.get(key) or self._carriers.remember(key, Carriers(self.index, target.carriers, offers))

    def place(self, address: Address | None) -> Place:
        """Return the place of an address; None is an unknown address."""
        key = (UNKNOWN, NOWHERE) if address is None else (self.geo.locate(address), self.index.networks(address.packed))
        return self._places.recent(key) or self._places.get(key) or self._places.remember(key, self.index.place(*key))

    def tiers(self, place: Place, question: Question = PLAIN) -> Tiers:
        """Return what a place is offered for a question, whatever content is asked for."""
        key = (place, question)
        remembered = self._tiers.recent(key) or self._tiers.get(key)
        if remembered is None:
            remembered = self._tier_maps.tiers(place, self._region(place), question)
            tiers: Tiers | None = remembered
            while tiers is not None:
                tiers.words = self.settings.preset.words(self.index, tiers, question, self.settings.minimum)
                tiers = tiers.instead
            self._tiers.remember(key, remembered)
        return remembered

    def codes(self, place: Place) -> bytes:
        """Return the tier map of a place: a tier code or a reason for each mirror; not remembered."""
        return tier_map(self.index.snapshot, place.country, place.continent)

    def _region(self, place: Place) -> Region:
        key = (place.country, place.continent)
        return self._regions.get(key) or self._regions.remember(key, Region.of(self.index, *key))

    def rendezvous(self, address: Address, now: float) -> Rendezvous:
        """Return the random numbers of an address for one period; the periods of addresses begin at different times."""
        packed, sticky = address.packed, self.settings.sticky or 1.0
        known = self._stable.recent(packed) or self._stable.get(packed)
        if known is not None and known[0] <= now / sticky < known[0] + 1:
            return known[1]
        start = (
            int.from_bytes(blake2b(packed, digest_size=8).digest(), "big") / (1 << 64) if self.settings.sticky else 0.0
        )
        period = int(now / sticky + start)
        seed = int.from_bytes(blake2b(packed + period.to_bytes(8, "big"), digest_size=8).digest(), "big")
        return self._stable.remember(packed, (period - start, Rendezvous(seed, self.index.hashes)))[1]
