"""The whole product in one call: who asks for what -> status, headers, body.

Both lanes (the ASGI application and, later, a protocol of our own) send exactly what `answer` returns, so whatever
is true of it is true of the server. It opens nothing, waits for nothing and raises nothing: a request, however odd,
gets a list or a line that says what is wrong with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from mirrorlistd.answering.decider import Manner, Prepared
from mirrorlistd.errors import NotServedError, Reason
from mirrorlistd.presets import Refused
from mirrorlistd.render import METALINK, METALINK4, TEXT, Listing

if TYPE_CHECKING:
    from random import Random

    from mirrorlistd.answering.decider import Decider
    from mirrorlistd.request.client_address import Address
    from mirrorlistd.selection.index import Place

_ACCEPTED: Final = ((b"application/metalink4+xml", METALINK4), (b"application/metalink+xml", METALINK))
"""Media type in `Accept` -> what a request for a file gets instead of a redirect (clients.md, trap 13)."""


@dataclass(slots=True, eq=False)  # not frozen: one is made for each new address, and that would take thrice as long
class Asker:
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


class Around(NamedTuple):
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
    decider: Decider, query_string: bytes, client: Address | None, random: Random, around: Around | None = None
) -> Answer:
    """Answer a canonical query (see `routes`) for a client.

    `client` is the address that the peer or a trusted proxy vouches for (None where nobody can tell); `random` is the
    only source of chance. With `ip=` the list is for that address, and private mirrors are left out unless it is the
    client's own.
    """
    manner, body = reply(decider, query_string, Asker.at(decider, client), random, around)
    return Answer(manner.status, manner.headers, body, manner.tier, manner.format)


def reply(
    decider: Decider, query_string: bytes, asker: Asker, random: Random, around: Around | None = None
) -> tuple[Manner, bytes]:
    """Do the same for one whose place is known already: what stands around the body, and the body."""
    prepared = decider.queries.get(query_string) or decider.prepare(query_string)
    if not isinstance(prepared, Prepared):
        return _refuse(decider, prepared)
    if prepared.plain:
        place = asker.place
        plan = decider.plans.get((prepared, place)) or decider.plan(prepared, place, private=True)
        body = plan.body(random)
        return (plan.manner, body) if body else _nobody(decider, prepared)
    if prepared.renderer.stable:
        prepared = _redirected(decider, query_string, prepared, around or Around())
        if not isinstance(prepared, Prepared):
            return _refuse(decider, prepared)
    client, place, asked_for = asker.address, asker.place, prepared.query.ip
    own = asked_for is None or asked_for == client
    plan = decider.plan(prepared, place if own else decider.place(asked_for), private=own)
    renderer = prepared.renderer
    if renderer.stable and (client or asked_for):
        order = plan.choice.draw(prepared.limit, decider.rendezvous(asked_for or client, (around or Around()).now))
    else:
        order = decider.numbers(prepared, plan.choice).draw(random)
    if not order:
        return _nobody(decider, prepared)
    listing = Listing(
        decider.index, prepared.target, prepared.offers, plan.choice, order, plan.comment, decider.settings.public_url
    )
    status, headers, body = renderer.render(listing)
    return Manner(status, headers, plan.choice.first_code, renderer.name), body


def _redirected(decider: Decider, query_string: bytes, prepared: Prepared, around: Around) -> Prepared | Refused:
    """Fit a redirect to its request: https stays https, and who takes a metalink gets one of a file.

    The wishes are added to the query: the last value of a parameter counts, so these do.
    """
    wishes = b"&protocol=https" if around.https else b""
    if not prepared.target.is_directory:
        wanted = next((shape for word, shape in _ACCEPTED if word in around.accept.lower()), None)
        wishes += b"&format=" + wanted.name.encode() if wanted else b""
    return decider.prepare(query_string + wishes) if wishes else prepared


def _refuse(decider: Decider, refused: Refused) -> tuple[Manner, bytes]:
    status, headers, body = decider.refuse(refused)
    return Manner(status, headers, 0, TEXT.name), body


def _nobody(decider: Decider, prepared: Prepared) -> tuple[Manner, bytes]:
    if decider.candidates(prepared):
        reason = "no mirror is offered to your network or country for this"
    elif not decider.index.snapshot.sets.members(prepared.ask.carriers):
        reason = "no mirror carries this"
    elif prepared.query.protocols:
        reason = "no mirror offers this by the protocols asked for"
    else:
        reason = "no mirror carries this by http or https; try protocol="
    return _refuse(decider, Refused(NotServedError(Reason.NOBODY, reason), prepared.query, prepared.renderer.name))
