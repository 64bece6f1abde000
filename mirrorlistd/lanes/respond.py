"""What both lanes do with a request for a list: answer it, count it, log it.

A lane is a way from the socket to here and back. Whatever a client could notice, and whatever an operator reads in
metrics and logs, is decided here or below, once.
"""

from __future__ import annotations

from time import perf_counter, time
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from mirrorlist_snapshot.tiers import NAME_OF
from mirrorlistd.answering.answer import Client, RedirectContext, reply
from mirrorlistd.logs import get_logger
from mirrorlistd.render import TEXT
from mirrorlistd.request.client_address import client_address
from mirrorlistd.state.state import Peer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlistd.answering.plan import ResponseMeta
    from mirrorlistd.request.http_head import ListRequest
    from mirrorlistd.state.service import Service
    from mirrorlistd.state.state import State

LONGEST_REMEMBERED: Final = 256
"""Longer forwarding headers are read every time: bytes; three or four proxies in a row are less."""


def peer_at(state: State, address: str | None) -> Peer:
    """Tell what is known of a socket's other end, remembered; None is that of a unix socket."""
    return state.peers.get(address) or state.peers.remember(
        address, Peer(state.trust.believes(address), _client(state, address, ()))
    )


def client_of(state: State, peer: str | None, forwarded: Sequence[bytes]) -> Client:
    """Tell who asks, remembered. `forwarded` are the values of the trusted header, all legal ones."""
    known = peer_at(state, peer)
    if not (forwarded and known.believed):
        return known.client
    value = forwarded[0] if len(forwarded) == 1 else b""
    return state.named.get(value) or _named(state, peer, forwarded)


def _named(state: State, peer: str | None, forwarded: Sequence[bytes]) -> Client:
    client = _client(state, peer, forwarded)
    value = forwarded[0]
    # A blank value says that the peer itself asks: another peer, another asker.
    if len(forwarded) == 1 and not client.failed and len(value) <= LONGEST_REMEMBERED and value.strip():
        state.named.remember(value, client)
    return client


def _client(state: State, peer: str | None, forwarded: Sequence[bytes]) -> Client:
    client = client_address(peer, forwarded, state.trust)
    return Client.at(state.decider, client.address, failed=client.failed)


def respond(
    service: Service, state: State, list_request: ListRequest, client: Client, started: float
) -> tuple[ResponseMeta, bytes]:
    """Answer GET or HEAD; `started` is when the lane began with it, by `perf_counter`."""
    around = RedirectContext(list_request.https, list_request.accept, time()) if list_request.redirect else None
    given = reply(state.decider, list_request.query, client, service.random, around)
    note(service, state, list_request, client, given[0], started)
    return given


def needs_recording(service: Service, state: State) -> bool:
    """Whether `note` does more about a plain list than to count it."""
    return service.recorder is not None or state.count_countries or state.access_log


def note(  # noqa: PLR0913, PLR0917 - called for each answer: no tuple is made for it
    service: Service, state: State, list_request: ListRequest, client: Client, meta: ResponseMeta, started: float
) -> None:
    """Count an answer, and write it down where that is wanted."""
    elapsed = perf_counter() - started
    if meta.status == 200 and meta.format is TEXT.name:  # noqa: PLR2004 - what almost all are
        service.counters.observe_plain(meta.tier, elapsed)
    else:
        service.counters.observe(meta.status, NAME_OF.get(meta.tier), meta.format, elapsed)
    if client.failed:
        service.counters.address_failures += 1
    if service.recorder is not None and meta.tier:
        service.recorder.note(state.decider, list_request.query, client)
    if state.count_countries:
        service.counters.observe_country(client.place.country)
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
