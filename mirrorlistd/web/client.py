"""The client of an ASGI request: its address and place, and whether it is an insider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mirrorlistd.lanes.respond import client_of, peer_at
from mirrorlistd.request.accept import joined
from mirrorlistd.request.http_head import over_https

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from mirrorlistd.answering.answer import Client
    from mirrorlistd.state.state import State

    Scope = MutableMapping[str, Any]


def client_in(scope: Scope, state: State) -> Client:
    """Return the client: the peer, or the address that a trusted proxy names (see `request.client_address`)."""
    trust = state.trust
    forwarded = [value for name, value in scope["headers"] if name == trust.header] if trust.anyone else ()
    return client_of(state, peer_of(scope), forwarded)


def peer_of(scope: Scope) -> str | None:
    """Return the socket's address; None for a unix socket, where some ASGI servers leave the key out."""
    peer = scope.get("client")
    return peer[0] if peer else None


def is_https(scope: Scope, state: State) -> bool:
    """Whether the client came over https, as the socket or a trusted proxy has it."""
    trusted = peer_at(state, peer_of(scope)).trusted
    scheme = dict(scope["headers"]).get(b"x-forwarded-proto", b"") if trusted else b""
    return over_https(scheme, scope["scheme"].encode())


def accept_of(scope: Scope) -> bytes:
    """Return the `Accept` header; several lines of it are one value."""
    return joined(scope["headers"])


def is_insider(scope: Scope, state: State) -> bool:
    """Whether the client is an insider: in --explain-network.

    A proxy that is not configured as trusted makes every client appear at its own, often loopback, address. So a
    request that was forwarded, but not by a trusted proxy with the trusted header, is a stranger's.
    """
    client = client_in(scope, state).address
    if client is None or not state.explain_networks.contains(client):
        return False
    trust = state.trust
    names = {name for name, _ in scope["headers"]}
    if trust.header in names:
        return peer_at(state, peer_of(scope)).trusted
    return not names & _FORWARDING


_FORWARDING: Final = frozenset(
    (b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip")
)
"""Headers by which a forwarded request is recognized; each proxy adds some of them."""
