"""Asking two servers the same, within bounds: so many at once, so many a second, for so long, and then it is over.

By the standard library's client: it sends a target as it stands in the file and follows no redirect.
"""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mirrorlistd import __version__
from mirrorlistd.compare.answers import SeenAnswer, see
from mirrorlistd.compare.judging import Comparison, judge
from mirrorlistd.errors import MirrorlistdError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mirrorlistd.compare.requests import Request

FEW: Final = 8
"""Answers of each server after which most requests are judged."""
MANY: Final = 60
"""Answers of each server after which chance is ruled out; see `judging.OFTEN`."""
LONGEST_BODY: Final = 16 << 20
"""Bytes of an answer that are read."""
_IN_A_ROW: Final = 5
"""Requests that could not be compared, one after the other: the rest could not be, either."""


class ComparisonError(MirrorlistdError):
    """A server that cannot be asked, or an address that is none: names it, and why."""


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """Where a server is."""

    url: str
    """As it was named."""
    secure: bool
    host: str
    port: int | None
    path: str
    """What stands before each target."""

    @classmethod
    def parse(cls, url: str) -> ServerUrl:
        """Read `http://host:port/prefix`; AskError says what is wrong with it."""
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
    """How hard to ask."""

    asks: int = FEW
    """Answers of each server to begin with, 1 to MANY."""
    concurrency: int = 4
    """Requests that are compared at once."""
    rate: float = 50.0
    """Questions a second to each server, all together."""
    timeout: float = 10.0
    """Seconds to wait for a connection, and for each piece of an answer."""


@dataclass(frozen=True, slots=True)
class Result:
    """What comparing one request came to."""

    request: Request
    lines: int
    """How many lines ask so."""
    asks: int
    """Answers had of each server."""
    verdict: Comparison | None
    """None where it could not be compared."""
    trouble: str = ""
    """Why not."""


class Comparer:
    """Compares two servers, in threads."""

    def __init__(self, ours: ServerUrl, other: ServerUrl, header: str, bounds: LoadBounds) -> None:
        """`header` is what names the client to both servers."""
        self._bounds = bounds
        self._header = header
        self._bases = ours, other
        self._paces = _Pace(bounds.rate), _Pace(bounds.rate)
        self._mine = threading.local()
        self._stopped = threading.Event()

    def run(self, wanted: Mapping[Request, int]) -> Iterator[Result]:
        """Compare request by request, in their order; AskError where several in a row could not be."""
        failed = 0
        with ThreadPoolExecutor(self._bounds.concurrency, "compare") as pool:
            try:
                for result in pool.map(self._compare, wanted.keys(), wanted.values()):
                    yield result
                    failed = failed + 1 if result.trouble else 0
                    if failed >= _IN_A_ROW:
                        raise ComparisonError(f"given up after {failed} requests in a row: {result.trouble}")
            finally:
                self._stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)

    def _compare(self, request: Request, lines: int) -> Result:
        answers: tuple[list[SeenAnswer], list[SeenAnswer]] = [], []
        connections = self._connections()
        try:
            verdict = Comparison((), suspicious=True)
            for goal in sorted({self._bounds.asks, MANY}):
                while len(answers[0]) < goal:
                    for connection, seen, pace in zip(connections, answers, self._paces, strict=True):
                        pace.wait(self._stopped)
                        seen.append(connection.ask(request))
                verdict = judge(*answers, sure=goal == MANY)
                if not verdict.suspicious:
                    break
        except ComparisonError as error:
            return Result(request, lines, len(answers[1]), None, str(error))
        return Result(request, lines, len(answers[1]), verdict)

    def _connections(self) -> tuple[_Connection, _Connection]:
        """Both servers' connections of this thread."""
        if not hasattr(self._mine, "connections"):
            one, two = (_Connection(base, self._header, self._bounds.timeout) for base in self._bases)
            self._mine.connections = one, two
        connections: tuple[_Connection, _Connection] = self._mine.connections
        return connections


class _Pace:
    """Lets so many pass in a second, evenly."""

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
    """A connection to one server, made anew when it is gone."""

    def __init__(self, base: ServerUrl, header: str, timeout: float) -> None:
        self._base = base
        self._header = header
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
        try:  # a server may close a connection that was idle; a new one is another matter
            return self._ask(request)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise self._trouble(error) from error

    def _ask(self, request: Request) -> SeenAnswer:
        headers = {"user-agent": f"mirrorlistd-compare/{__version__}"}
        if request.address is not None:
            headers[self._header] = request.address
        self._connection.request("GET", self._base.path + request.target, headers=headers)
        response = self._connection.getresponse()
        body = response.read(LONGEST_BODY)
        if not response.isclosed():  # there is more, or it was just as long: either way this connection is over
            self._connection.close()
        return see(response.status, response.getheader("location"), body)

    def _trouble(self, error: Exception) -> ComparisonError:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        return ComparisonError(f"{self._base.url} cannot be asked: {why}")
