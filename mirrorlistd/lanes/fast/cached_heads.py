"""Heads of requests, looked up among those that were parsed before.

A head is looked up without the one part that differs from client to client behind a proxy: the address in the
forwarding header. That address is checked and looked up apart from its head.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from mirrorlistd.lanes.respond import client_of
from mirrorlistd.request.http_head import parse_head
from mirrorlistd.state.state import CachedHead

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirrorlistd.answering.answer import Client
    from mirrorlistd.request.http_head import RequestHead
    from mirrorlistd.state.state import State

_LONGEST_CACHED: Final = 2_048
"""Longer heads are answered, but not cached: bytes."""
_LEGAL_ADDRESSES: Final = re.compile(rb"[0-9A-Fa-f.:, ]{1,256}")
"""Forwarded addresses that are a legal header value whatever a parser thinks; llhttp judges all others."""


class SplitHead(NamedTuple):
    """A raw head, and the forwarded address that was cut out of it."""

    key: bytes
    """What the head is cached by: the raw head, with NUL in place of the address."""
    address: bytes | None
    """The value of the forwarding header, unchecked; None where the head has none: then `key` is the raw head."""
    prefix: bytes
    """What stood before the address; empty without one."""

    def cached(self, state: State) -> CachedHead | None:
        """Look the head up; None where it is not cached, or llhttp has to judge the address."""
        if self.address is None:
            return state.heads.get(self.key)
        return state.proxied_heads.get(self.key) if _LEGAL_ADDRESSES.fullmatch(self.address) else None


def new_client(state: State, peer: str | None, forwarded: bytes) -> Client | None:
    """Return the client that a trusted proxy at `peer` names for the first time; None where an answer may need more.

    `forwarded` is what stands in place of the address of a cached head.
    """
    if _LEGAL_ADDRESSES.fullmatch(forwarded) is None:
        return None
    client = client_of(state, peer, (forwarded,))
    return None if client.failed else client


def split_head(raw_head: bytes, prefixes: Iterable[bytes]) -> SplitHead:
    """Cut the forwarded address out of a raw head; `prefixes` are the spellings of what stands before it."""
    for prefix in prefixes:
        before, found, after = raw_head.partition(prefix)
        if found:
            address, _, rest = after.partition(b"\r\n")
            return SplitHead(b"\0".join((before, rest)), address, prefix)
    return SplitHead(raw_head, None, b"")


def read_head(state: State, raw_head: bytes, split: SplitHead) -> CachedHead | None:
    """Parse a head and cache it if it may be cached; None where it is not a plain request for a list."""
    trust = state.trust
    head = parse_head(raw_head, state.decider.settings.routes, trust.header)
    if head is None:
        return None
    cached = CachedHead.of(state.decider, head)
    if len(split.key) <= _LONGEST_CACHED and _may_be_cached(head, split, proxies=trust.anyone):
        (state.heads if split.address is None else state.proxied_heads).remember(split.key, cached)
    return cached


def _may_be_cached(head: RequestHead, split: SplitHead, *, proxies: bool) -> bool:
    """Whether a head means the same from every client: an address that was not cut out must not be part of a key."""
    return head.lasting and (split.address is not None or not (head.forwarded and proxies))
