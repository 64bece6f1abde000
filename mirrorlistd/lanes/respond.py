"""What both lanes do with a request for a list: find its client, answer it, count it, log it.

A lane is a way from the socket to this module and back. Everything that a client could notice and everything that an
operator reads in metrics and logs is decided here or in the rooms below, once.
"""

from __future__ import annotations

from time import perf_counter, time
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from mirrorlist_snapshot.tiers import NAME_OF
from mirrorlistd.answering.answer import Client, RedirectContext, reply
from mirrorlistd.logs import get_logger
from mirrorlistd.render import TEXT
from mirrorlistd.request.client_address import client_address, parse_address
from mirrorlistd.state.state import Peer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlistd.answering.plan import ResponseMeta
    from mirrorlistd.request.http_head import ListRequest
    from mirrorlistd.state.service import Service
    from mirrorlistd.state.state import State

_LONGEST_REMEMBERED: Final = 256
"""Longer forwarding headers are parsed every time: bytes; three or four proxies in a row are less."""


def peer_at(state: State, address: str | None) -> Peer:
    """Return the peer with a socket address, remembered; None is the peer of a unix socket."""
    return state.peers.get(address) or state.peers.remember(
        address, Peer(state.trust.believes(address), _client(state, address, ()))
    )


def client_of(state: State, address: str | None, forwarded: Sequence[bytes]) -> Client:
    """Return the client of a request, remembered.

    `address` is the socket's; `forwarded` are the values of the trusted header, each a legal header value.
    """
    peer = peer_at(state, address)
    if not (forwarded and peer.trusted):
        return peer.client
    value = forwarded[0] if len(forwarded) == 1 else b""
    return state.forwarded_clients.get(value) or _forwarded_client(state, address, forwarded)


def _forwarded_client(state: State, address: str | None, forwarded: Sequence[bytes]) -> Client:
    value = forwarded[0]
    # Almost always the proxy names one address and nothing else, which `client_address` finds in ten times the time.
    plain = parse_address(value.decode("latin-1")) if len(forwarded) == 1 else None
    client = _client(state, address, forwarded) if plain is None else Client.at(state.decider, plain)
    # A blank value means the peer itself, so the client depends on the peer as well.
    if len(forwarded) == 1 and not client.failed and len(value) <= _LONGEST_REMEMBERED and value.strip():
        state.forwarded_clients.remember(value, client)
    return client


def _client(state: State, address: str | None, forwarded: Sequence[bytes]) -> Client:
    client = client_address(address, forwarded, state.trust)
    return Client.at(state.decider, client.address, failed=client.failed)


def respond(
    service: Service, state: State, list_request: ListRequest, client: Client, started: float
) -> tuple[ResponseMeta, bytes]:
    """Answer GET or HEAD; `started` is when the lane began to handle the request, by `perf_counter`."""
    context = RedirectContext(list_request.https, list_request.accept, time()) if list_request.redirect else None
    meta, body = reply(state.decider, list_request.query, client, service.random, context)
    _record(service, state, list_request, client, meta, started)
    return meta, body


def records_use(service: Service, state: State) -> bool:
    """Whether lists are recorded for the statistics, or counted by country."""
    return service.recorder is not None or state.count_countries


def record_use(service: Service, state: State, query: bytes, client: Client, tier: int) -> None:
    """Record a list for the statistics, and count its client's country, where an operator wants that.

    `tier` is the code of the first mirror's tier, 0 where there is no list.
    """
    if service.recorder is not None and tier:
        service.recorder.note(state.decider, query, client)
    if state.count_countries:
        service.counters.observe_country(client.place.country)


def _record(  # noqa: PLR0913, PLR0917 - called for each answer: no tuple is made for it
    service: Service, state: State, list_request: ListRequest, client: Client, meta: ResponseMeta, started: float
) -> None:
    """Count an answer; log it and write its line of statistics where an operator wants them."""
    elapsed = perf_counter() - started
    if meta.status == 200 and meta.format is TEXT.name:  # noqa: PLR2004 - almost all answers
        service.counters.observe_plain(meta.tier, elapsed)
    else:
        service.counters.observe(meta.status, NAME_OF.get(meta.tier), meta.format, elapsed)
    if client.failed:
        service.counters.address_failures += 1
    record_use(service, state, list_request.query, client, meta.tier)
    if state.access_log:
        get_logger().info(
            "request",
            client=client.address.text if client.address else None,
            path=unquote(list_request.path.decode("utf-8", "replace")),
            query=list_request.query_string.decode("latin-1"),
            status=meta.status,
            tier=NAME_OF.get(meta.tier),
            microseconds=round(elapsed * 1e6),
        )
