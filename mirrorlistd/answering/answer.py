"""The whole product in one call: who asks for what -> status, headers, body.

Both lanes (the ASGI application and, later, a protocol of our own) send exactly what `answer` returns, so whatever
is true of it is true of the server. It opens nothing, waits for nothing and raises nothing: a request, however odd,
gets a list or a line that says what is wrong with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from mirrorlistd.answering.plan import ResolvedQuery, ResponseMeta
from mirrorlistd.errors import NotServedError, Reason
from mirrorlistd.presets import Refused
from mirrorlistd.render import METALINK, METALINK4, TEXT, Listing

if TYPE_CHECKING:
    from random import Random

    from mirrorlistd.answering.decider import Decider
    from mirrorlistd.request.client_address import Address
    from mirrorlistd.selection.index import Place

_ACCEPTED: Final = ((b"application/metalink4+xml", METALINK4), (b"application/metalink+xml", METALINK))
"""Media type in `Accept` -> what a request for a file gets instead of a redirect (docs/client-compatibility.md,
Metalinks only where asked for)."""


@dataclass(slots=True, eq=False)  # not frozen: one is made for each new address, and that would take thrice as long
class Client:
    """Who asks, and where they are."""

    address: Address | None
    """None where nobody can tell."""
    failed: bool
    """What should have told could not be read; for a counter."""
    place: Place

    @classmethod
    def at(cls, decider: Decider, address: Address | None, *, failed: bool = False) -> Self:
        """Find out where an address is."""
        return cls(address, failed, decider.place(address))


class RedirectContext(NamedTuple):
    """What stands around a request and matters to redirects alone: lists are the same for everybody at a place."""

    https: bool = False
    """The request came over https, as far as a trusted proxy or the socket says."""
    accept: bytes = b""
    """The `Accept` header."""
    now: float = 0.0
    """Seconds since 1970 UTC: which turn of stable choices it is."""


class Answer(NamedTuple):
    """What goes back to the client, in one; the lanes take it in two (see `reply`)."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    """Lower-case names."""
    body: bytes
    tier: int
    """Tier code of the first mirror (see `mirrorlist_snapshot.tiers`), 0 where there is no list."""
    format: str
    """Name of the body's format, that of errors is the text format's."""


def answer(
    decider: Decider,
    query_string: bytes,
    client: Address | None,
    random: Random,
    context: RedirectContext | None = None,
) -> Answer:
    """Answer a canonical query (see `routes`) for a client.

    `client` is the address that the peer or a trusted proxy vouches for (None where nobody can tell); `random` is the
    only source of chance. With `ip=` the list is for that address, and private mirrors are left out unless it is the
    client's own.
    """
    meta, body = reply(decider, query_string, Client.at(decider, client), random, context)
    return Answer(meta.status, meta.headers, body, meta.tier, meta.format)


def reply(
    decider: Decider, query_string: bytes, client: Client, random: Random, context: RedirectContext | None = None
) -> tuple[ResponseMeta, bytes]:
    """Do the same for one whose place is known already: what stands around the body, and the body."""
    resolved = decider.queries.get(query_string) or decider.resolve_query(query_string)
    if not isinstance(resolved, ResolvedQuery):
        return _refuse(decider, resolved)
    if resolved.plain:
        place = client.place
        plan = decider.plans.get((resolved, place)) or decider.plan(resolved, place, private=True)
        body = plan.body(random)
        return (plan.meta, body) if body else _nothing_offered(decider, resolved)
    if resolved.renderer.stable:
        resolved = _redirected(decider, query_string, resolved, context or RedirectContext())
        if not isinstance(resolved, ResolvedQuery):
            return _refuse(decider, resolved)
    address, place, on_behalf_of = client.address, client.place, resolved.query.ip
    own = on_behalf_of is None or on_behalf_of == address
    plan = decider.plan(resolved, place if own else decider.place(on_behalf_of), private=own)
    renderer = resolved.renderer
    if renderer.stable and (address or on_behalf_of):
        order = plan.ranking.draw(
            resolved.limit, decider.rendezvous(on_behalf_of or address, (context or RedirectContext()).now)
        )
    else:
        order = decider.number_draw(resolved, plan.ranking).draw(random)
    if not order:
        return _nothing_offered(decider, resolved)
    listing = Listing(
        decider.index, resolved.target, resolved.offers, plan.ranking, order, plan.comment, decider.settings.public_url
    )
    status, headers, body = renderer.render(listing)
    return ResponseMeta(status, headers, plan.ranking.first_code, renderer.name), body


def _redirected(
    decider: Decider, query_string: bytes, resolved: ResolvedQuery, context: RedirectContext
) -> ResolvedQuery | Refused:
    """Fit a redirect to its request: https stays https, and who takes a metalink gets one of a file.

    The wishes are added to the query: the last value of a parameter counts, so these do.
    """
    wishes = b"&protocol=https" if context.https else b""
    if not resolved.target.is_directory:
        wanted = next((shape for word, shape in _ACCEPTED if word in context.accept.lower()), None)
        wishes += b"&format=" + wanted.name.encode() if wanted else b""
    return decider.resolve_query(query_string + wishes) if wishes else resolved


def _refuse(decider: Decider, refused: Refused) -> tuple[ResponseMeta, bytes]:
    status, headers, body = decider.refuse(refused)
    return ResponseMeta(status, headers, 0, TEXT.name), body


def _nothing_offered(decider: Decider, resolved: ResolvedQuery) -> tuple[ResponseMeta, bytes]:
    if decider.candidates(resolved):
        reason = "no mirror is offered to your network or country for this"
    elif not decider.index.snapshot.sets.members(resolved.selection_query.carriers):
        reason = "no mirror carries this"
    elif resolved.query.protocols:
        reason = "no mirror offers this by the protocols asked for"
    else:
        reason = "no mirror carries this by http or https; try protocol="
    return _refuse(decider, Refused(NotServedError(Reason.NOBODY, reason), resolved.query, resolved.renderer.name))
