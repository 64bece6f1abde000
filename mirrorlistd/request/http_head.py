"""Request heads: raw bytes -> RequestHead, parsed by llhttp, as in uvicorn. Pure.

Only a GET or HEAD for a list, without a body, becomes a RequestHead. All other requests are None and left to the ASGI
lane. llhttp alone splits lines and fields, so that both lanes read a request alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httptools

from mirrorlistd.request.accept import joined
from mirrorlistd.request.target import origin_form

if TYPE_CHECKING:
    from mirrorlistd.request.routes import Routes

_UNUSUAL: Final = frozenset((b"content-length", b"expect", b"transfer-encoding", b"upgrade"))
"""Headers that change where a request ends, or what follows it."""


@dataclass(slots=True)  # not frozen: the ASGI lane makes one for each request
class ListRequest:
    """A request for a list, without the client; equal in both lanes."""

    path: bytes
    """As sent, for the log."""
    query_string: bytes
    """As sent, for the log."""
    query: bytes
    """Canonical: see `routes`."""
    redirect: bool = False
    """Whether it may be a redirect (see `is_redirect`); only then are the following fields set."""
    accept: bytes = b""
    """The `Accept` header."""
    https: bool = False
    """The request came over https."""


@dataclass(frozen=True, slots=True)
class RequestHead:
    """One whole head, parsed."""

    list_request: ListRequest
    wants_body: bool
    """False for HEAD."""
    keep_alive: bool
    """Whether the client wants to keep the connection."""
    scheme: bytes
    """The `X-Forwarded-Proto` header, which counts if a trusted proxy sent it; empty without one."""
    forwarded: tuple[bytes, ...]
    """Values of the header in which trusted proxies name the client."""
    lasting: bool
    """Whether it may be remembered: without `Forwarded`, and with at most one value in `forwarded`."""


def parse_head(raw: bytes, routes: Routes, forwarded_header: bytes) -> RequestHead | None:
    """Parse exactly one head; None where the bytes are anything else, or no request for a list.

    `forwarded_header` is the lower-case name of the header in which trusted proxies name the client.
    """
    if b"\r\n " in raw or b"\r\n\t" in raw:  # obs-fold (RFC 9112 5.2), which llhttp refuses by default
        return None
    reader = _Reader()
    if not reader.read(raw) or reader.method not in (b"GET", b"HEAD") or reader.version not in ("1.1", "1.0"):
        return None
    headers = dict(reader.headers)  # of repeated ones the last counts, as in the ASGI lane
    if not _UNUSUAL.isdisjoint(headers):
        return None
    try:
        url = httptools.parse_url(origin_form(reader.method, reader.url))
    except (httptools.HttpParserInvalidURLError, ValueError):
        return None
    if not url.path:
        return None
    query_string = url.query or b""
    query = routes.query(url.path, query_string)
    if query is None:
        return None
    redirect = is_redirect(query)
    forwarded = tuple(value for name, value in reader.headers if name == forwarded_header)
    return RequestHead(
        list_request=ListRequest(url.path, query_string, query, redirect, joined(reader.headers) if redirect else b""),
        wants_body=reader.method == b"GET",
        keep_alive=reader.keep_alive and reader.version == "1.1",  # as uvicorn: never after 1.0
        scheme=headers.get(b"x-forwarded-proto", b""),
        forwarded=forwarded,
        lasting=len(forwarded) <= 1 and b"forwarded" not in headers,
    )


def is_redirect(query: bytes) -> bool:
    """Whether a canonical query may be a redirect, whose answer depends on more than the query and the place."""
    return b"redirect" in query


def over_https(forwarded_scheme: bytes, scheme: bytes) -> bool:
    """Whether the client uses https: by the last scheme that a trusted proxy names (empty: none), else the socket's."""
    return (forwarded_scheme.rpartition(b",")[2].strip().lower() or scheme) == b"https"


class _Reader:
    """Collects llhttp's events of one head."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.method = b""
        self.version = ""
        self.keep_alive = False
        self._begun = self._complete = 0
        self._parser: httptools.HttpRequestParser | None = None

    def read(self, raw: bytes) -> bool:
        """Return whether the bytes are exactly one request without a body."""
        self._parser = parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(raw)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return False
        finally:
            self._parser = None  # they refer to each other
        return self._begun == self._complete == 1

    def on_message_begin(self) -> None:
        self._begun += 1

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        assert self._parser is not None  # noqa: S101 - for the type checkers: set while `read` runs
        self.method = self._parser.get_method()
        self.version = self._parser.get_http_version()
        self.keep_alive = self._parser.should_keep_alive()  # valid only here, not after feed_data

    def on_message_complete(self) -> None:
        self._complete += 1
