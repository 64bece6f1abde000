"""Who asks, of an ASGI request: the client's address, and whether it may see everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mirrorlistd.lanes.respond import client_of, peer_at

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from mirrorlistd.answering.answer import Client
    from mirrorlistd.state.state import State

    Scope = MutableMapping[str, Any]


def client_in(scope: Scope, state: State) -> Client:
    """Who asks: the peer, or whom a trusted proxy names; see `address`."""
    trust = state.trust
    forwarded = [value for name, value in scope["headers"] if name == trust.header] if trust.anyone else ()
    return client_of(state, peer_of(scope), forwarded)


def peer_of(scope: Scope) -> str | None:
    """The socket's address; None for a unix socket: some ASGI servers then leave the key out."""
    peer = scope.get("client")
    return peer[0] if peer else None


def is_insider(scope: Scope, state: State) -> bool:
    """Whether the client may see everything.

    A proxy that nobody configured as trusted makes all the world look like its own, often loopback, address: a
    request that was forwarded, but not by a trusted proxy with the trusted header, is a stranger's.
    """
    client = client_in(scope, state).address
    if client is None or not state.explain_networks.contains(client):
        return False
    trust = state.trust
    names = {name for name, _ in scope["headers"]}
    if trust.header in names:
        return peer_at(state, peer_of(scope)).believed
    return not names & _FORWARDING


_FORWARDING: Final = frozenset(
    (b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip")
)
"""What proxies add to a request, each its own selection."""
