"""Which servers a fetch may ask: none on this machine or this link alone, unless the user's own URLs name one there.

A list, or a redirect, can name any address: without this rule it could have a client send requests to services that
listen on loopback, or to the link-local address where clouds keep credentials. Private networks stay allowed: a campus
has private mirrors. Behind a proxy the proxy looks names up, so only addresses written in a URL are judged.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import urllib.request
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mirrorlistd.fetch.errors import MirrorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx2

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""RFC 6052: the last 32 bits are an IPv4 address."""


class Reach:
    """The rule for one run; `check` is called with each request before it is sent."""

    def __init__(self, urls: Sequence[str]) -> None:
        """Take the URLs that the user gave."""
        self._urls = urls
        self._anywhere: bool | None = None
        """Whether one of them is near; None: not known yet."""

    async def check(self, request: httpx2.Request) -> None:
        """Raise MirrorError if the request would go to an address that only this machine or this link has."""
        url = str(request.url)
        if not await _is_near(url):
            return
        if self._anywhere is None:
            self._anywhere = any([await _is_near(given) for given in self._urls])
        if not self._anywhere:
            raise MirrorError("address", "has an address of this machine or link; no list or redirect may lead there")


def is_near(address: str) -> bool:
    """Whether an address is of this machine or link alone, or no host's: loopback, link-local, multicast, 0.0.0.0."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if found in _NAT64:
            inner = ipaddress.IPv4Address(found.packed[12:])
        found = inner or found
    return found.is_loopback or found.is_link_local or found.is_multicast or found.is_unspecified


async def _is_near(url: str) -> bool:
    """Whether a host of a URL has such an address; a name that has none is the library's to complain about."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    try:
        return is_near(host)
    except ValueError:
        pass  # a name
    if urllib.request.getproxies().get(parts.scheme) and not urllib.request.proxy_bypass(host):
        return False
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return any(is_near(str(entry[4][0])) for entry in found)
