"""What a request's head asks for: raw bytes -> Head, told by llhttp, the parser that uvicorn uses as well. Pure.

Only a plain GET or HEAD for a list, without a body, is a Head; the rest is None and somebody else's. llhttp is the only
judge of what the bytes mean: nothing here splits lines or fields, so the two lanes cannot read a request differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httptools

from mirrorlistd.request.accept import joined

if TYPE_CHECKING:
    from mirrorlistd.request.routes import Routes

_UNUSUAL: Final = frozenset((b"content-length", b"expect", b"transfer-encoding", b"upgrade"))
"""Headers that change where a request ends, or what comes next."""


@dataclass(slots=True)  # not frozen: the ASGI lane makes one for each request, and that would take thrice as long
class ListRequest:
    """What an answer depends on, but for who asks; the same from whichever lane it comes."""

    path: bytes
    """As sent, for the log."""
    query_string: bytes
    """As sent, for the log."""
    query: bytes
    """Canonical: see `routes`."""
    redirect: bool = False
    """It may be a redirect (see `is_redirect`): then the following matter."""
    accept: bytes = b""
    """The `Accept` header."""
    https: bool = False
    """The request came over https."""


@dataclass(frozen=True, slots=True)
class RequestHead:
    """One whole head, understood."""

    list_request: ListRequest
    wants_body: bool
    """False for HEAD."""
    keep_alive: bool
    """What the client wishes."""
    scheme: bytes
    """The `X-Forwarded-Proto` header, which counts if a trusted proxy sent it; empty without one."""
    forwarded: tuple[bytes, ...]
    """Values of the header in which trusted proxies name the client."""
    lasting: bool
    """May be remembered: a head without `Forwarded`, and with no more than one value in `forwarded`."""


def parse_head(raw: bytes, routes: Routes, forwarded_header: bytes) -> RequestHead | None:
    """Read bytes that should be exactly one head; None where they are not, or are not for a list.

    `forwarded_header` is the lower-case name of the header in which trusted proxies name the client.
    """
    if b"\r\n " in raw or b"\r\n\t" in raw:  # obs-fold (RFC 9112 5.2); llhttp refuses it, unless told to be lenient
        return None
    reader = _Reader()
    if not reader.read(raw) or reader.method not in (b"GET", b"HEAD") or reader.version not in ("1.1", "1.0"):
        return None
    headers = dict(reader.headers)  # of several the last one counts, as in the other lane
    if not _UNUSUAL.isdisjoint(headers):
        return None
    try:
        url = httptools.parse_url(reader.url)
    except httptools.HttpParserInvalidURLError:
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
    """Tell the client's scheme: the last that a trusted proxy names (empty without one), else the socket's."""
    return (forwarded_scheme.rpartition(b",")[2].strip().lower() or scheme) == b"https"


class _Reader:
    """Collects what llhttp says about one head."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.method = b""
        self.version = ""
        self.keep_alive = False
        self._begun = self._complete = 0
        self._parser: httptools.HttpRequestParser | None = None

    def read(self, raw: bytes) -> bool:
        """Whether the bytes are one request without a body, to the last byte."""
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
        assert self._parser is not None  # noqa: S101 - for the type checkers: only `read` makes it call us
        self.method = self._parser.get_method()
        self.version = self._parser.get_http_version()
        self.keep_alive = self._parser.should_keep_alive()  # after feed_data it says something else

    def on_message_complete(self) -> None:
        self._complete += 1
