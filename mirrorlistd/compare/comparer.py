"""Sends the same requests to two servers, within bounds: so many at once, so many a second, for so long.

The standard library's client sends a target exactly as it is in the file, and follows no redirect.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mirrorlistd import __version__
from mirrorlistd.compare.answers import SeenAnswer, read_answer, read_tiers
from mirrorlistd.compare.judging import Comparison, judge
from mirrorlistd.errors import MirrorlistdError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mirrorlistd.compare.requests import Request

FEW: Final = 8
"""Answers of each server after which most requests are judged."""
MANY: Final = 60
"""Answers of each server after which chance is improbable; see `judging.OFTEN`."""
LONGEST_BODY: Final = 4 << 20
"""Longest answer in bytes: a metalink of a thousand mirrors has a tenth of it."""
PATIENCE: Final = 3
"""Time-outs that a whole answer may take: each byte of it may come within a time-out of its own."""
_IN_A_ROW: Final = 5
"""Requests in a row that could not be compared, after which the comparison ends."""


class ComparisonError(MirrorlistdError):
    """A server that cannot be asked, or an address that is not one; the message names it and the reason."""


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """The URL of a server, taken apart."""

    url: str
    """As the operator wrote it."""
    secure: bool
    host: str
    port: int | None
    path: str
    """Put before each target."""

    @classmethod
    def parse(cls, url: str) -> ServerUrl:
        """Read `http://host:port/prefix`; raise ComparisonError where it is wrong."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.username:
            raise ComparisonError(f"expected a server's URL, as http://127.0.0.1:8080; found {url!a}")
        return cls(url, parts.scheme == "https", host, port, parts.path.rstrip("/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBounds:
    """The load on the servers."""

    asks: int = FEW
    """Answers of each server before the first judgement, 1 to MANY."""
    concurrency: int = 4
    """Requests that are compared at once."""
    rate: float = 50.0
    """Requests a second to each server."""
    timeout: float = 10.0
    """Seconds to wait for a connection, and for each piece of an answer."""


@dataclass(frozen=True, slots=True)
class Result:
    """The comparison of one request."""

    request: Request
    lines: int
    """Lines of the file with this request."""
    asks: int
    """Answers that each server gave."""
    verdict: Comparison | None
    """None where it could not be compared."""
    trouble: str = ""
    """Why it could not be compared."""


class Comparer:
    """Compares two servers, in threads."""

    def __init__(self, ours: ServerUrl, other: ServerUrl, header: str, bounds: LoadBounds) -> None:
        """`header` names the client to both servers."""
        self._bounds = bounds
        self._header = header
        self._bases = ours, other
        self._rate_limits = _RateLimit(bounds.rate), _RateLimit(bounds.rate)
        self._mine = threading.local()
        self._all: list[_Connection] = []
        self._stopped = threading.Event()

    def run(self, wanted: Mapping[Request, int]) -> Iterator[Result]:
        """Compare the requests in their order; raise ComparisonError where several in a row could not be compared."""
        threading.Thread(target=self._cut_overdue, daemon=True).start()
        try:
            yield from self._run(wanted)
        finally:
            self._stopped.set()
            for connection in self._all:
                connection.close()

    def _run(self, wanted: Mapping[Request, int]) -> Iterator[Result]:
        failed = 0
        with ThreadPoolExecutor(self._bounds.concurrency, "compare") as pool:
            try:
                for result in pool.map(self._compare, wanted.keys(), wanted.values()):
                    yield result
                    failed = failed + 1 if result.trouble else 0
                    if failed >= _IN_A_ROW:
                        raise ComparisonError(f"stopped after {failed} requests in a row: {result.trouble}")
            finally:
                self._stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)

    def _cut_overdue(self) -> None:
        """End connections whose answers take too long, until the comparison ends."""
        while not self._stopped.wait(min(1.0, self._bounds.timeout / 4)):
            for connection in tuple(self._all):
                connection.cut_if_overdue()

    def _compare(self, request: Request, lines: int) -> Result:
        answers: tuple[list[SeenAnswer], list[SeenAnswer]] = [], []
        connections = self._connections()
        try:
            verdict = Comparison((), suspicious=True)
            for goal in sorted({self._bounds.asks, MANY}):
                while len(answers[0]) < goal:
                    for connection, seen, rate_limit in zip(connections, answers, self._rate_limits, strict=True):
                        rate_limit.wait(self._stopped)
                        seen.append(connection.ask(request))
                verdict = judge(*answers, sure=goal == MANY)
                if not verdict.suspicious:
                    break
            if any(difference.kind == "tiers" for difference in verdict.differences):
                self._rate_limits[0].wait(self._stopped)
                verdict = judge(*answers, sure=True, explained=connections[0].explain(request))
        except ComparisonError as error:
            return Result(request, lines, len(answers[1]), None, str(error))
        return Result(request, lines, len(answers[1]), verdict)

    def _connections(self) -> tuple[_Connection, _Connection]:
        """Return this thread's connections to both servers."""
        if not hasattr(self._mine, "connections"):
            one, two = (_Connection(base, self._header, self._bounds.timeout) for base in self._bases)
            self._mine.connections = one, two
            self._all += one, two
        connections: tuple[_Connection, _Connection] = self._mine.connections
        return connections


class _RateLimit:
    """Spreads requests evenly: at most so many in a second."""

    def __init__(self, rate: float) -> None:
        self._between = 1 / rate
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self, stopped: threading.Event) -> None:
        with self._lock:
            now = time.monotonic()
            due = max(now, self._next)
            self._next = due + self._between
        if stopped.wait(due - now):
            raise ComparisonError("stopped")


class _Connection:
    """A connection to one server, opened again when it was closed."""

    def __init__(self, base: ServerUrl, header: str, timeout: float) -> None:
        self._base = base
        self._header = header
        self._patience = PATIENCE * timeout
        self._due = inf
        """Monotonic time at which the answer must be there."""
        self._connection: http.client.HTTPConnection = (
            http.client.HTTPSConnection(base.host, base.port, timeout=timeout, context=ssl.create_default_context())
            if base.secure
            else http.client.HTTPConnection(base.host, base.port, timeout=timeout)
        )

    def ask(self, request: Request) -> SeenAnswer:
        used = self._connection.sock is not None
        try:
            return self._ask(request)
        except (ConnectionError, http.client.BadStatusLine) as error:
            self._connection.close()
            if not used:
                raise self._trouble(error) from error
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise self._trouble(error) from error
        try:  # a server may close an idle connection: try once more with a new one
            return self._ask(request)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise self._trouble(error) from error

    def explain(self, request: Request) -> dict[str, int]:
        """Return the server's tier of each URL; empty where it does not explain the answer to this request."""
        path, _, query = request.target.partition("?")
        folder, _, name = path.rpartition("/")
        if name not in ("mirrorlist", "metalink"):
            return {}
        try:
            status, _, body = self._exchange(f"{folder}/explain?{query}&as=json", request.address)
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return {}
        return read_tiers(body) if status == 200 else {}  # noqa: PLR2004 - a status

    def _ask(self, request: Request) -> SeenAnswer:
        return read_answer(*self._exchange(request.target, request.address))

    def _exchange(self, target: str, address: str | None) -> tuple[int, str | None, bytes]:
        """GET a target for a client; return status, location and body."""
        headers = {"user-agent": f"mirrorlistd-compare/{__version__}"}
        if address is not None:
            headers[self._header] = address
        self._due = time.monotonic() + self._patience
        try:
            self._connection.request("GET", self._base.path + target, headers=headers)
            with contextlib.closing(self._connection.getresponse()) as response:
                body = _whole_body(response)
        except (OSError, http.client.HTTPException):
            if time.monotonic() >= self._due:
                raise TimeoutError(f"no whole answer within {self._patience:g} s") from None
            raise
        finally:
            self._due = inf
        return response.status, response.getheader("location"), body

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def cut_if_overdue(self) -> None:
        """End the connection if its answer is overdue, from another thread: reading it fails then."""
        connected = self._connection.sock
        if time.monotonic() >= self._due and connected is not None:
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)

    def _trouble(self, error: Exception) -> ComparisonError:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        return ComparisonError(f"{self._base.url} cannot be asked: {why}")


def _whole_body(response: http.client.HTTPResponse) -> bytes:
    """Read a body; raise HTTPException for one that is too long or cut off, which half read would look like another."""
    body = response.read(LONGEST_BODY + 1)
    if len(body) > LONGEST_BODY:
        raise http.client.HTTPException(f"an answer of more than {LONGEST_BODY} bytes")
    if response.length:
        raise http.client.HTTPException(f"an answer without its last {response.length} bytes")
    return body
