"""Answers: a query and a client -> status, headers and body. Pure.

Both lanes send exactly what `answer` returns. `answer` raises for no request: the client gets a list, or one line that
names the mistake.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from mirrorlistd.answering.plan import KEEP, ResolvedQuery, ResponseMeta
from mirrorlistd.errors import NotServedError, Reason
from mirrorlistd.presets import Refused
from mirrorlistd.render import METALINK, METALINK4, TEXT, TEXT_HEADERS, Listing
from mirrorlistd.request import accept
from mirrorlistd.request.client_address import translated
from mirrorlistd.selection.rank import PLAIN

if TYPE_CHECKING:
    from random import Random

    from mirrorlistd.answering.decider import Decider
    from mirrorlistd.request.client_address import Address
    from mirrorlistd.selection.index import Offers, Place
    from mirrorlistd.selection.rank import Tiers

_METALINK_TYPES: Final = {"application/metalink4+xml": METALINK4, "application/metalink+xml": METALINK}
"""Media type in `Accept` -> the format that a request for a file gets instead of a redirect."""


@dataclass(slots=True, eq=False)  # not frozen: a frozen one takes three times as long to make
class Client:
    """The address and place that a request comes from."""

    address: Address | None
    """None where it is unknown."""
    failed: bool
    """Whether the address could not be read; for a counter."""
    place: Place
    tiers: Tiers
    """What the place is offered for a plain question."""

    @classmethod
    def at(cls, decider: Decider, address: Address | None, *, failed: bool = False) -> Self:
        """Look up the place of an address."""
        address = translated(address, decider.settings.own_prefixes)
        place = decider.place(address)
        return cls(address, failed, place, decider.tiers(place))


class RedirectContext(NamedTuple):
    """What redirects, and no other answers, depend on besides the query and the client."""

    https: bool = False
    """Whether the request came over https, according to the socket or a trusted proxy."""
    accept: bytes = b""
    """The `Accept` header."""
    now: float = 0.0
    """Seconds since 1970 UTC; decides the period of a stable choice."""


class Answer(NamedTuple):
    """An answer as one value; the lanes use the two values that `reply` returns."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    """Lower-case names."""
    body: bytes
    tier: int
    """Tier code of the first mirror (see `mirrorlist_snapshot.tiers`), 0 where there is no list."""
    format: str
    """Name of the body's format; for errors that of the text format."""


@dataclass(slots=True, eq=False)
class Decision:
    """Which address a list is for, and what it may contain. `answer` and `explain` both start from this."""

    resolved: ResolvedQuery
    """After negotiation: a redirect may have become a metalink, and https may have limited the protocols."""
    address: Address | None
    """The address that the list is for: the one in `ip=`, or the client's own. None where it is unknown."""
    place: Place
    private: bool
    """Whether the list is for the client itself, with `ip=` or without: then private mirrors may be offered."""
    offers: Offers
    """Base URLs, in the order of the request's scheme where that matters."""

    def tiers(self, decider: Decider) -> Tiers:
        """Return the tiers that apply to the content at the place."""
        question = self.resolved.question._replace(private=self.private)
        return decider.tiers(self.place, question).for_content(self.resolved.carriers.mask)

    def draw(self, decider: Decider, tiers: Tiers, random: Random, now: float) -> list[int]:
        """Draw mirror numbers, best first; a stable format gives an address the same order for one period."""
        resolved = self.resolved
        if resolved.renderer.stable and self.address:
            return tiers.stable(resolved.carriers, resolved.limit, decider.rendezvous(self.address, now))
        return tiers.draw(resolved.carriers, resolved.limit, random)


def answer(
    decider: Decider,
    query_string: bytes,
    client: Address | None,
    random: Random,
    context: RedirectContext | None = None,
) -> Answer:
    """Answer a canonical query (see `routes`) for a client.

    `client` is the address that the socket or a trusted proxy names, None where it is unknown. `random` is the only
    source of randomness. With `ip=` the list is for that address; private mirrors are then left out, unless the
    address is the client's own.
    """
    meta, body = reply(decider, query_string, Client.at(decider, client), random, context)
    return Answer(meta.status, meta.headers, body, meta.tier, meta.format)


def reply(
    decider: Decider, query_string: bytes, client: Client, random: Random, context: RedirectContext | None = None
) -> tuple[ResponseMeta, bytes]:
    """Answer a client whose place is known; return the status, headers and other metadata, and the body."""
    resolved = decider.queries.recent(query_string) or decider.resolve_query(query_string)
    if isinstance(resolved, ResolvedQuery) and resolved.for_client:
        tiers = client.tiers if resolved.question == PLAIN else decider.tiers(client.place, resolved.question)
        carriers = resolved.carriers
        tiers = tiers.for_content(carriers.mask)
        if not resolved.plain:
            return _render(decider, resolved, resolved.offers, tiers, tiers.draw(carriers, resolved.limit, random))
        if not (urls := tiers.urls(carriers, resolved.limit, random)):
            return _nothing_offered(decider, resolved)
        separator = resolved.separator
        body = b"".join((resolved.comment_at(tiers), separator.join(urls), separator))
        return ResponseMeta(200, TEXT_HEADERS, tiers.first_code(carriers.mask), TEXT.name), body
    context = context or RedirectContext()
    decision = decide(decider, query_string, client, context)
    if isinstance(decision, Refused):
        return _refuse(decider, decision)
    tiers = decision.tiers(decider)
    return _render(
        decider, decision.resolved, decision.offers, tiers, decision.draw(decider, tiers, random, context.now)
    )


def _render(
    decider: Decider, resolved: ResolvedQuery, offers: Offers, tiers: Tiers, order: list[int]
) -> tuple[ResponseMeta, bytes]:
    """Render the mirrors of a list in the format that the query asks for."""
    if not order:
        return _nothing_offered(decider, resolved)
    mask, renderer = resolved.carriers.mask, resolved.renderer
    settings, ranking, comment = decider.settings, tiers.rank(mask), resolved.comment_at(tiers)
    listing = Listing(
        decider.index,
        resolved.target,
        offers,
        ranking,
        order,
        comment,
        settings.public_url,
        decider.parts,
        settings.pacman_layout,
    )
    status, headers, body = renderer.render(listing)
    return ResponseMeta(status, headers, tiers.first_code(mask), renderer.name), body


def decide(decider: Decider, query_string: bytes, client: Client, context: RedirectContext) -> Decision | Refused:
    """Decide which address a query's list is for, and its format and protocols."""
    resolved = decider.resolve_query(query_string)
    if not isinstance(resolved, ResolvedQuery):
        return resolved
    offers = resolved.offers
    if resolved.renderer.stable:
        negotiated = _negotiate(decider, query_string, resolved, context)
        if not isinstance(negotiated, ResolvedQuery):
            return negotiated
        resolved = negotiated
        keep_http = not context.https and decider.settings.redirect_scheme == KEEP
        offers = decider.offers(resolved.target, resolved.query, http_first=keep_http)
    on_behalf_of = resolved.query.ip
    own = on_behalf_of is None or on_behalf_of == client.address
    place = client.place if own else decider.place(on_behalf_of)
    return Decision(resolved, client.address if own else on_behalf_of, place, own, offers)


def _negotiate(
    decider: Decider, query_string: bytes, resolved: ResolvedQuery, context: RedirectContext
) -> ResolvedQuery | Refused:
    """Fit a redirect to its request: https stays https, and a client that accepts metalinks gets one for a file.

    A format in the URL takes precedence over the header. The last value of a parameter counts, so `wishes` is appended.
    """
    wishes = b"&protocol=https" if context.https else b""
    if not (resolved.target.is_directory or resolved.query.format):
        wanted = accept.named(context.accept, tuple(_METALINK_TYPES))
        wishes += b"&format=" + _METALINK_TYPES[wanted].name.encode() if wanted else b""
    return decider.resolve_query(query_string + wishes) if wishes else resolved


def _refuse(decider: Decider, refused: Refused) -> tuple[ResponseMeta, bytes]:
    status, headers, body = decider.refuse(refused)
    return ResponseMeta(status, headers, 0, TEXT.name), body


def public_carriers(decider: Decider, resolved: ResolvedQuery) -> list[int]:
    """Return the public mirrors that carry the content: those that every client may learn of."""
    snapshot = decider.index.snapshot
    members = snapshot.sets.members(resolved.target.carriers)
    return [mirror for mirror in members if not snapshot.mirrors[mirror].private]


def no_carrier(decider: Decider, resolved: ResolvedQuery) -> NotServedError:
    """Return the error for content without public carriers; it equals the index's error where there is one."""
    query = resolved.query
    if (unseen := decider.index.unseen(query, resolved.target)) is not None:
        return unseen
    if query.path is not None or query.file is not None or query.repo is None:
        return NotServedError(Reason.NOBODY, "no mirror carries this")
    name = decider.index.snapshot.aliases.get(query.repo, query.repo)
    return NotServedError(Reason.NOBODY, f"repository {name} is carried by no mirror")


def _nothing_offered(decider: Decider, resolved: ResolvedQuery) -> tuple[ResponseMeta, bytes]:
    carriers = public_carriers(decider, resolved)
    if any(resolved.offers.first[mirror] for mirror in carriers):
        error = NotServedError(Reason.NOBODY, "no mirror is offered to your network or country for this")
    elif not carriers:
        error = no_carrier(decider, resolved)
    elif resolved.query.protocols:
        error = NotServedError(Reason.NOBODY, "no mirror offers this by the protocols asked for")
    else:
        error = NotServedError(Reason.NOBODY, "no mirror carries this by http or https; try protocol=")
    return _refuse(decider, Refused(error, resolved.query, resolved.renderer.name))
