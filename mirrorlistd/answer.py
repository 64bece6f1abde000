"""The whole product in one call: who asks for what -> status, headers, body.

Both lanes (the ASGI application and, later, a protocol of our own) send exactly what `answer` returns, so whatever
is true of it is true of the server. It opens nothing, waits for nothing and raises nothing: a request, however odd,
gets a list or a line that says what is wrong with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from mirrorlistd.decision import Prepared
from mirrorlistd.errors import NotServedError, QueryError
from mirrorlistd.render import LIST_HEADERS, Listing

if TYPE_CHECKING:
    from random import Random

    from mirrorlistd.address import Address
    from mirrorlistd.decision import Decider
    from mirrorlistd.index import Place

ERROR_HEADERS: Final = ((b"content-type", b"text/plain; charset=utf-8"), *LIST_HEADERS)


class Answer(NamedTuple):
    """What goes back to the client; the lanes add `content-length`, `date` and `server`."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    """Lower-case names."""
    body: bytes
    tier: int
    """Tier code of the first mirror (see `mirrorlist_snapshot.tiers`), 0 where there is no list: for statistics."""
    format: str
    """Name of the renderer, empty where there is no list: for statistics."""


def answer(decider: Decider, query_string: bytes, client: Address | None, random: Random) -> Answer:
    """Answer `/mirrorlist?query_string` for a client.

    `client` is the address that the peer or a trusted proxy vouches for (None where nobody can tell); `random` is the
    only source of chance. With `ip=` the list is for that address, and private mirrors are left out unless it is the
    client's own.
    """
    prepared = decider.prepare(query_string)
    if not isinstance(prepared, Prepared):
        return _error(prepared)
    asked_for = prepared.query.ip
    place = decider.place(asked_for or client)
    choice = decider.choice(prepared, place, private=asked_for is None or asked_for == client)
    order = choice.draw(prepared.limit, random)
    if not order:
        return _nobody(decider, prepared)
    comment = comment_lines(prepared, place) if prepared.query.comments else b""
    renderer = prepared.renderer
    body = renderer.render(Listing(decider.index, prepared.target, prepared.offers, choice, order, comment))
    return Answer(200, renderer.headers, body, choice.first_code, renderer.name)


def comment_lines(prepared: Prepared, place: Place) -> bytes:
    """The comment above a text list: what was understood, in the snapshot's names and canonical codes."""
    query = prepared.query
    words = [prepared.target.label]
    if query.countries or query.everywhere:
        words += [b"country = " + country.encode() for country in query.countries]
        words += [b"country = global"] if query.everywhere else []
    else:
        words += [b"country = " + place.country.encode()] if place.country else []
        words += [b"continent = " + place.continent.encode()] if place.continent else []
    return b" ".join(words) + b"\n" + prepared.times


def _error(error: QueryError | NotServedError) -> Answer:
    status = error.status if isinstance(error, NotServedError) else 400
    return Answer(status, ERROR_HEADERS, error.message.encode() + b"\n", 0, "")


def _nobody(decider: Decider, prepared: Prepared) -> Answer:
    if decider.candidates(prepared):
        reason = "no mirror is offered to your network or country for this"
    elif prepared.query.protocols:
        reason = "no mirror offers this by the protocols asked for"
    else:
        reason = "no mirror carries this by http or https; try protocol="
    return Answer(404, ERROR_HEADERS, reason.encode() + b"\n", 0, "")
