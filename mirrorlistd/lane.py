"""What both lanes do with a request for a list: answer it, count it, log it.

A lane is a way from the socket to here and back. Whatever a client could notice, and whatever an operator reads in
metrics and logs, is decided here or below, once.
"""

from __future__ import annotations

from time import perf_counter, time
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from mirrorlist_snapshot.tiers import tier_name
from mirrorlistd.address import client_address
from mirrorlistd.answer import Answer, Around, answer
from mirrorlistd.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlistd.address import Client
    from mirrorlistd.head import Asked
    from mirrorlistd.service import Service
    from mirrorlistd.state import State

LONGEST_REMEMBERED: Final = 256
"""Longer forwarding headers are read every time: bytes; three or four proxies in a row are less."""


def client_of(state: State, peer: str | None, forwarded: Sequence[bytes]) -> Client:
    """Tell who asks: `client_address`, remembered. `forwarded` are the values of the trusted header, all legal ones."""
    if not state.trust.anyone:
        forwarded = ()
    if len(forwarded) > 1:
        return client_address(peer, forwarded, state.trust)
    key = (peer, forwarded[0] if forwarded else b"")  # an empty value says as much as none
    return state.clients.get(key) or _remembered(state, key)


def _remembered(state: State, key: tuple[str | None, bytes]) -> Client:
    peer, value = key
    client = client_address(peer, (value,) if value else (), state.trust)
    return state.clients.remember(key, client) if len(value) <= LONGEST_REMEMBERED else client


def respond(service: Service, state: State, asked: Asked, client: Client, started: float) -> Answer:
    """Answer GET or HEAD; `started` is when the lane began with it, by `perf_counter`."""
    query = asked.query
    around = Around(asked.https, asked.accept, time()) if asked.redirect else None
    reply = answer(state.decider, query, client.address, service.random, around)
    elapsed = perf_counter() - started
    tier = tier_name(reply.tier) if reply.tier else None
    service.counters.observe(reply.status, tier, reply.format, elapsed)
    if service.recorder is not None and reply.tier:
        service.recorder.note(state.decider, query, client.address)
    if client.failed:
        service.counters.address_failures += 1
    if state.count_countries:
        service.counters.observe_country(state.decider.place(client.address).country)
    if state.access_log:
        get_logger().info(
            "request",
            client=client.address.text if client.address else None,
            path=unquote(asked.path.decode("utf-8", "replace")),
            query=asked.query_string.decode("latin-1"),
            status=reply.status,
            tier=tier,
            microseconds=round(elapsed * 1e6),
        )
    return reply
