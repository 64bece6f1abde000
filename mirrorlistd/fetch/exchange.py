"""One request to one server: headers in, body into a sink, or one MirrorError with the reason.

Every wait is bounded, also against servers that send a byte now and then: the headers have one limit in all, each
piece of the body has one, and the mean speed has a floor. Redirects are followed here and not by the library, because
which may be followed depends on where the request began (`source.next_hop`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx2

from mirrorlistd import __version__
from mirrorlistd.fetch.errors import MirrorError, Reason
from mirrorlistd.fetch.reach import Reach
from mirrorlistd.fetch.source import next_hop

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence

REDIRECTS: Final = 10
"""Most redirects of one request (curl: 50, browsers: 20, mirror networks: 2)."""
OK: Final = 200
PARTIAL: Final = 206
UNSATISFIABLE: Final = 416
_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much time and space a server may take."""

    timeout: float = 10.0
    """Seconds for a connection, for the headers after it (again for each redirect), and for each piece of a body."""
    low_speed: float = 1_000.0
    """Bytes per second; a mirror with a lower mean over `3 * timeout` seconds is abandoned (curl's --speed-limit)."""
    patience: float = 300.0
    """Seconds without a new byte of the file, over all lists and mirrors, after which the fetch ends."""
    max_time: float = 86_400.0
    """Seconds after which the fetch ends, whatever comes."""
    max_size: int = 64 << 30
    """Largest file in bytes, whatever a list or a mirror announces."""
    max_unannounced: int = 1 << 30
    """Largest file in bytes where neither list nor mirror has announced a size: such an answer may have no end."""


@dataclass(frozen=True, slots=True)
class MirrorResponse:
    """A response whose body has not been read."""

    response: httpx2.Response
    url: str
    """Where it came from, after redirects."""

    @property
    def status(self) -> int:
        """The HTTP status: 200, 206, 416, or of a redirect; other statuses have become a MirrorError."""
        return self.response.status_code

    @property
    def length(self) -> int | None:
        """The announced length of this body in bytes; None if it is chunked."""
        text = self.response.headers.get("content-length", "")
        return int(text) if re.fullmatch(r"[0-9]{1,19}", text) else None

    @property
    def content_type(self) -> str:
        """As sent; empty if there is none."""
        return self.response.headers.get("content-type", "")

    @property
    def etag(self) -> str | None:
        """A strong validator, fit for If-Range; None if there is none or a weak one."""
        text = self.response.headers.get("etag", "")
        return text if re.fullmatch(r'"[\x21\x23-\x7e]*"', text) else None

    def range(self) -> tuple[int, int, int]:
        """Return first byte, end (exclusive) and size of the file of a 206; raise MirrorError if one is missing."""
        text = self.response.headers.get("content-range", "")
        found = _CONTENT_RANGE.fullmatch(text)
        if found is None:
            raise MirrorError("range", f"answers 206 with Content-Range {text[:80]!a}")
        first, last, size = map(int, found.groups())
        if not first <= last < size or self.length not in (None, last + 1 - first):
            raise MirrorError("range", f"answers 206 with Content-Range {text!a} and Content-Length {self.length}")
        return first, last + 1, size


def new_client(limits: Limits, connections: int, urls: Sequence[str]) -> httpx2.AsyncClient:
    """Return a client for one run, which begins at `urls` (see `Reach`).

    Proxies and certificates come from the environment, as for other tools.
    """
    return httpx2.AsyncClient(
        event_hooks={"request": [Reach(urls).check]},
        headers={
            "User-Agent": f"mirrorlist-fetch/{__version__}",
            # Sizes, ranges and hashes are of the bytes that lie on the mirror.
            "Accept-Encoding": "identity",
        },
        timeout=httpx2.Timeout(limits.timeout),
        limits=httpx2.Limits(max_connections=connections + 1, max_keepalive_connections=connections + 1),
    )


@contextlib.asynccontextmanager
async def open_response(
    client: httpx2.AsyncClient,
    url: str,
    headers: Mapping[str, str],
    limits: Limits,
    on_redirect: Callable[[MirrorResponse, str], bool] = lambda _redirect, _target: False,
) -> AsyncGenerator[MirrorResponse]:
    """GET a URL, follow redirects, and give the answer with its body unread; every failure is a MirrorError.

    `on_redirect` gets each redirect and its target. Where it returns true, the redirect itself is the answer.
    """
    with _as_mirror_errors(limits):
        here, seen = url, {url}
        response = await _send(client, here, headers, limits)
        try:
            while response.has_redirect_location:
                target = next_hop(url, here, response.headers["location"])
                if on_redirect(MirrorResponse(response, here), target):
                    break
                if target in seen or len(seen) > REDIRECTS:
                    how = "in a loop" if target in seen else f"more than {REDIRECTS} times"
                    raise MirrorError("redirect", f"is redirected {how}")
                here = target
                seen.add(here)
                await response.aclose()
                response = await _send(client, here, headers, limits)
            if response.status_code not in (OK, PARTIAL, UNSATISFIABLE) and not response.has_redirect_location:
                raise MirrorError("status", f"answers {response.status_code}")
            yield MirrorResponse(response, here)
        finally:
            await response.aclose()


async def _send(client: httpx2.AsyncClient, url: str, headers: Mapping[str, str], limits: Limits) -> httpx2.Response:
    async with asyncio.timeout(2 * limits.timeout):  # connection, then headers
        return await client.send(client.build_request("GET", url, headers=dict(headers)), stream=True)


async def read_body(answer: MirrorResponse, sink: Callable[[bytes], None], limits: Limits) -> None:
    """Read a body into a sink until its end. The sink may raise; a body that is cut short raises MirrorError.

    A body that ends only with the connection is refused: half of it would look like all of it.
    """
    response = answer.response
    if answer.length is None and "chunked" not in response.headers.get("transfer-encoding", "").lower():
        raise MirrorError("broken", "does not say how long its answer is")
    clock = asyncio.get_running_loop().time
    received, window, window_began = 0, 0, clock()
    # `open_response`, which is around every use of this, translates the library's other errors.
    async with contextlib.aclosing(response.aiter_raw()) as pieces:
        while True:
            try:
                async with asyncio.timeout(limits.timeout):
                    piece = await anext(pieces, None)
            except httpx2.RemoteProtocolError as error:
                raise MirrorError("short", f"ends after {received} of {answer.length or 'many'} bytes") from error
            if piece is None:
                return
            sink(piece)
            received += len(piece)
            elapsed = clock() - window_began
            if elapsed > 3 * limits.timeout:
                speed = (received - window) / elapsed
                if speed < limits.low_speed:
                    raise MirrorError("slow", f"gives {speed:.0f} bytes per second")
                window, window_began = received, clock()


@contextlib.contextmanager
def _as_mirror_errors(limits: Limits) -> Generator[None]:
    """Turn what the library, the system and the clock raise into MirrorError."""
    try:
        yield
    except (TimeoutError, httpx2.TimeoutException) as error:
        raise MirrorError("stalled", f"does not answer or go on within {limits.timeout:g} s") from error
    except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
        raise MirrorError(_reason(error), _detail(error)) from error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and its causes: the library wraps them."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _reason(error: BaseException) -> Reason:
    for cause in _causes(error):
        if isinstance(cause, (socket.gaierror, UnicodeError)):
            return "dns"
        if isinstance(cause, ssl.SSLError):
            return "tls"
    return "refused" if isinstance(error, httpx2.ConnectError) else "broken"


def _detail(error: BaseException) -> str:
    """Describe the deepest cause: `Connection refused`, where the library has `All connection attempts failed`."""
    deepest = list(_causes(error))[-1]
    if isinstance(deepest, OSError) and deepest.errno and not isinstance(deepest, (socket.gaierror, ssl.SSLError)):
        return os.strerror(deepest.errno)
    return (str(deepest).strip() or type(deepest).__name__)[:200]
