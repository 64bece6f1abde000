"""Read an object over HTTP: within limits of size and time, and through no redirect that was not allowed.

The client of the object stores follows redirects to any host. Here a redirect is followed to the same host and port, or
to a host that the operator has named; never from https to http, and never to a more private address than the store's:
a hostile store must not make this machine ask the services of its own network.
"""

from __future__ import annotations

import base64
import contextlib
import http
import http.client
import ipaddress
import re
import socket
import ssl
import urllib.request
from dataclasses import dataclass
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from mirrorlist_snapshot.embedded_ipv4 import any_ipv4_inside
from mirrorlist_snapshot.errors import NoObjectError, StoreError
from mirrorlist_snapshot.publishing.stores import CONNECT_SECONDS, MAX_OBJECT_BYTES, READ_SECONDS, SILENT_SECONDS
from mirrorlistd import __version__
from mirrorlistd.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator
    from urllib.parse import SplitResult

MAX_REDIRECTS: Final = 5
TRIES: Final = 3
"""Attempts where the connection fails or the store has a passing error (5xx)."""
_CHUNK: Final = 1 << 16
_PORTS: Final = {"http": 80, "https": 443}
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_CODE: Final = re.compile(rb"<Code>(\w{1,64})</Code>")
_PLAIN: Final = re.compile(r"[A-Za-z0-9 -]{1,60}")


@dataclass(frozen=True, slots=True)
class HttpObject:
    """An object that was read."""

    data: bytes
    etag: str | None


class _PassingError(StoreError):
    """A failure that may be over at the next attempt."""


def privacy(address: str) -> int:
    """Return how private an address is: 0 global, 1 of a private network, 2 loopback, 3 link-local or special.

    An IPv6 address is as private as the IPv4 address inside it, to which a translator or a tunnel may lead.
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and (inner := any_ipv4_inside(found.packed)) is not None:
        return privacy(str(ipaddress.IPv4Address(inner)))
    if found.is_loopback:
        return 2
    if found.is_link_local or found.is_unspecified or found.is_multicast or found.is_reserved:
        return 3
    return 0 if found.is_global else 1


def read_object(
    name: str, url: str, etag: str | None, redirects: Collection[str], check: Callable[[bytes, int], object]
) -> HttpObject | None:
    """GET an object; return None if it still has this ETag. Raise NoObjectError or StoreError.

    `name` stands for the URL, which may be signed, in errors. `redirects` are hosts (`host` or `host:port`) to which
    redirects may lead. `check` gets the first bytes and the announced size, and may raise.
    """
    until = monotonic() + READ_SECONDS
    backoff = Backoff(0.1, 1)
    while True:
        try:
            with _as_store_error(name):
                return _Exchange(name, until, redirects, check).get(url, etag)
        except _PassingError:
            pause = backoff.failed()
            if backoff.failures >= TRIES or monotonic() + pause > until:
                raise
            sleep(pause)


def redirected(name: str, start: str, url: str, redirects: Collection[str]) -> str:
    """Return where a redirect from `start` leads; raise StoreError, which names the object, where it must not."""
    here, target = urlsplit(start), urlsplit(url)
    host, port = target.hostname or "", _port(target)
    shown = f"{target.scheme}://{host}:{port}"[:200]
    if target.scheme not in _PORTS or not host:
        raise StoreError(f"{name}: is redirected to {shown!a}, which is no http or https URL")
    if here.scheme == "https" and target.scheme != "https":
        raise StoreError(f"{name}: is redirected from https to {shown!a}; a redirect must keep https")
    same = host == here.hostname and (port == _port(here) or (_port(here), port) == (80, 443))
    named = f"{host}:{port}" in redirects or (port == _PORTS[target.scheme] and host in redirects)
    if not (same or named):
        raise StoreError(
            f"{name}: is redirected to {shown!a}, another host; if that is meant, name the final URL, or "
            "allow the host with --redirect (--pull-redirect of the server)"
        )
    return url


class _Exchange:
    """One attempt: a request, and those that redirects lead to."""

    def __init__(
        self, name: str, until: float, redirects: Collection[str], check: Callable[[bytes, int], object]
    ) -> None:
        self._name = name
        self._until = until
        self._redirects = {host.lower() for host in redirects}
        self._check = check
        self._privacy: int | None = None
        """Of the store's address; None before the first connection, and behind a proxy."""

    def get(self, url: str, etag: str | None) -> HttpObject | None:
        for _ in range(MAX_REDIRECTS + 1):
            parts = urlsplit(url)
            with contextlib.closing(self._connect(parts)) as connection:
                headers = {"User-Agent": f"mirrorlistd/{__version__}", "Accept-Encoding": "identity"}
                if etag:
                    headers["If-None-Match"] = etag
                target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
                if parts.scheme == "http" and (proxy := _proxy(parts)) is not None:
                    target, headers = urlunsplit(parts._replace(fragment="")), headers | _credentials(proxy)
                connection.request("GET", target, headers=headers)
                with contextlib.closing(connection.getresponse()) as response:
                    location = response.getheader("location")
                    if response.status not in _REDIRECTS or location is None:
                        return self._read(response)
                url = redirected(self._name, url, urljoin(url, location), self._redirects)
        raise StoreError(f"{self._name}: is redirected more than {MAX_REDIRECTS} times")

    def _read(self, response: http.client.HTTPResponse) -> HttpObject | None:
        if response.status == http.HTTPStatus.NOT_MODIFIED:
            return None
        if response.status == http.HTTPStatus.NOT_FOUND:
            raise NoObjectError(f"{self._name}: is not there; publish it first, or correct the URL")
        if response.status != http.HTTPStatus.OK:
            code = _CODE.search(response.read(_CHUNK))
            reason = f" {response.reason}" if _PLAIN.fullmatch(response.reason) else ""
            shown = f"{self._name}: the store answers {response.status}{reason}"
            shown += f" ({code[1].decode()})" if code else ""
            raise (_PassingError if response.status >= 500 else StoreError)(shown)  # noqa: PLR2004 - a class of statuses
        size = response.length
        if size is None:
            raise StoreError(f"{self._name}: expected an answer that states its length, found none")
        if size > MAX_OBJECT_BYTES:
            raise StoreError(f"{self._name}: {size} bytes, more than the {MAX_OBJECT_BYTES} that a snapshot may have")
        return HttpObject(self._body(response, size), response.getheader("etag"))

    def _body(self, response: http.client.HTTPResponse, size: int) -> bytes:
        """Read the body; check its beginning before the rest is read."""
        data = bytearray()
        checked = False
        while chunk := response.read1(_CHUNK):
            data += chunk
            if not checked and (len(data) >= _CHUNK or len(data) == size):
                self._check(bytes(data[:_CHUNK]), size)
                checked = True
            if monotonic() > self._until:
                break
        if len(data) != size:
            raise _PassingError(f"{self._name}: expected {size} bytes within {READ_SECONDS} s, found {len(data)}")
        if not checked:
            self._check(bytes(data), size)
        return bytes(data)

    def _connect(self, parts: SplitResult) -> http.client.HTTPConnection:
        host, port, secure = parts.hostname or "", _port(parts), parts.scheme == "https"
        proxy = _proxy(parts)
        there = (proxy.hostname or "", _port(proxy)) if proxy else (host, port)
        connection = _connection(*there, secure=secure)
        if proxy and secure:
            connection.set_tunnel(host, port, headers=_credentials(proxy))
        if proxy:
            connection.connect()
        else:
            connection.sock = self._socket(host, port)
            if secure:
                connection.sock = ssl.create_default_context().wrap_socket(connection.sock, server_hostname=host)
        connection.sock.settimeout(SILENT_SECONDS)
        return connection

    def _socket(self, host: str, port: int) -> socket.socket:
        """Connect to an address of the host, of which none may be more private than the store's own."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        if self._privacy is not None and max(map(privacy, addresses)) > self._privacy:
            raise StoreError(f"{self._name}: is redirected to {host[:200]!a}, which has a more private address")
        failure: OSError | None = None
        for address in addresses:
            try:
                connected = socket.create_connection((address, port), CONNECT_SECONDS)
            except OSError as error:
                failure = error
            else:
                if self._privacy is None:
                    self._privacy = privacy(address)
                return connected
        raise failure or OSError("no address")


def _connection(host: str, port: int, *, secure: bool) -> http.client.HTTPConnection:
    if secure:
        return http.client.HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)


def _port(parts: SplitResult) -> int:
    return parts.port or _PORTS.get(parts.scheme, 80)


def _proxy(parts: SplitResult) -> SplitResult | None:
    """Return the proxy that the environment has for a URL (HTTPS_PROXY, NO_PROXY, ...)."""
    found = urllib.request.getproxies().get(parts.scheme)
    if not found or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return urlsplit(found if "://" in found else f"http://{found}")


def _credentials(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    text = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


@contextlib.contextmanager
def _as_store_error(name: str) -> Generator[None]:
    """Turn what the system, TLS and HTTP raise into a StoreError that names the object and no signed URL."""
    try:
        yield
    except ssl.SSLError as error:
        raise StoreError(f"{name}: the store cannot be asked: {error.reason or 'TLS failed'}") from None
    except TimeoutError:
        raise _PassingError(f"{name}: the store cannot be asked: timed out") from None
    except OSError as error:
        raise _PassingError(f"{name}: the store cannot be asked: {error.strerror or 'no connection'}") from None
    except (http.client.HTTPException, ValueError) as error:
        raise StoreError(f"{name}: the store cannot be asked: no HTTP ({type(error).__name__})") from None
