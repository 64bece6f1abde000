"""Mirrors for tests: a folder served over real sockets on a loopback address, well or with one chosen defect.

    with StaticMirror(folder, host="127.0.0.2", mode="truncated", only="*/repomd.xml") as mirror:
        ...  # point a client at mirror.url
        assert [request.path for request in mirror.requests] == ["/repodata/repomd.xml"]

Give each mirror an address of its own (127.0.0.2 to .9): some clients give up on an address, not on a port.
"""

from __future__ import annotations

import contextlib
import email.utils
import fnmatch
import re
import socket
import threading
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self, get_args
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Mapping

Mode = Literal[
    "ok",  # GET, HEAD, Range, If-Range and conditional requests, as a good mirror does
    "refused",  # nobody listens on the port
    "reset",  # the connection is closed instead of an answer
    "404",
    "500",
    "stalled",  # the request is read and never answered
    "stalled-midway",  # half of the body, then silence
    "slow",  # one byte every `pace` seconds
    "truncated",  # announces all, sends half, closes
    "short",  # half of the file, as if that were all
    "long",  # the file and a tail, as if that were all
    "corrupt",  # every byte of the body is wrong, whatever the range
    "no-range",  # ignores Range
    "no-if-range",  # gives the range even if the file is another one by now
    "wrong-range",  # a 206 whose Content-Range has another total
    "redirect",  # 302 to the same path below `location`
    "redirect-loop",  # 302 to itself, for ever
    "unannounced",  # the file without its length: the end of the connection is its end
    "endless",  # a chunked body that never ends
]

_TYPES: Final[Mapping[str, str]] = {
    ".json": "application/json",
    ".meta4": "application/metalink4+xml",
    ".metalink": "application/metalink+xml",
    ".html": "text/html",
    ".txt": "text/plain",
    ".xml": "text/xml",
}
_INVERTED: Final = bytes(255 - value for value in range(256))
_PIECE: Final = 1 << 16
_SECONDS: Final = 30
"""How long the end of a mirror waits for its threads; they end at once unless a test is broken."""


@dataclass(frozen=True)
class Request:
    """What a client has asked."""

    method: str
    target: str
    """As sent, with the query."""
    headers: Mapping[str, str]
    """Names in lower case."""

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path


class StaticMirror:
    """A folder served on `host` at a port the system chose (or `port`), with TLS if given a context.

    `mode` says how well, for paths that match `only` (a shell pattern on the whole path, such as `*/InRelease`); all
    other paths are served well. It may be changed while the mirror runs, except from and to `refused`.
    `headers` are added to every answer.
    `requests` grows as clients ask, in the order of arrival; nothing is added for a refused connection.
    """

    def __init__(
        self,
        folder: Path,
        *,
        host: str = "127.0.0.2",
        port: int = 0,
        mode: Mode = "ok",
        only: str = "*",
        location: str = "",
        pace: float = 0.05,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        assert mode in get_args(Mode), mode
        self.folder = folder
        self.host = host
        self.mode: Mode = mode
        self.only = only
        self.location = location
        self.pace = pace
        self.headers = dict(headers or {})
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self._scheme = "http" if tls is None else "https"
        self._server: _Server | None = None
        self._reserved: socket.socket | None = None
        if mode == "refused":  # bound but not listening: refuses, and nobody else gets the port
            self._reserved = socket.socket()
            self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._reserved.bind((host, port))
            self.port = int(self._reserved.getsockname()[1])
        else:
            self._server = _Server((host, port), self, tls)
            self.port = self._server.server_port
            self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """The top of the mirror, with its slash."""
        return f"{self._scheme}://{self.host}:{self.port}/"

    def asked(self, pattern: str = "*") -> int:
        """How many requests came for paths that match."""
        return sum(fnmatch.fnmatchcase(request.path, pattern) for request in list(self.requests))

    def mode_for(self, path: str) -> Mode:
        """How a path is to be served now."""
        return self.mode if fnmatch.fnmatchcase(path, self.only) else "ok"

    def __enter__(self) -> Self:
        if self._server is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        if self._reserved is not None:
            self._reserved.close()
        if self._server is not None:
            self._server.shutdown()
            self._server.send_sighup()
            self._server.server_close()
            self._thread.join(_SECONDS)


class _Server(ThreadingHTTPServer):
    """One thread a connection; all of them have ended when the mirror has."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], mirror: StaticMirror, tls: ssl.SSLContext | None) -> None:
        super().__init__(address, _Handler)
        self.mirror = mirror
        self._tls = tls
        self._lock = threading.Lock()
        self._open: set[Any] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self._tls is None:
            super().finish_request(request, client_address)
            return
        # In the connection's own thread, so that a client that never shakes hands holds up nobody else.
        with contextlib.suppress(OSError), self._tls.wrap_socket(request, server_side=True) as wrapped:
            with self._lock:
                self._open.add(wrapped)
            super().finish_request(wrapped, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._lock:
            self._open.discard(request)

    def send_sighup(self) -> None:
        """End every connection, so that its thread ends."""
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news; a defect of this module fails the test by a missing answer."""


class _Handler(BaseHTTPRequestHandler):
    """One connection. The methods `_answer_*` are the modes that are not a variation of a good answer."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        mirror = self.server.mirror
        mirror.requests.append(
            Request(self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
        )
        mode = mirror.mode_for(urlsplit(self.path).path)
        match mode:
            case "404" | "500":
                self._empty(int(mode))
            case "reset":
                self.close_connection = True
            case "stalled":
                self.close_connection = True
                mirror.closing.wait()
            case "redirect":
                self._empty(302, ("Location", mirror.location.rstrip("/") + self.path))
            case "redirect-loop":
                self._empty(302, ("Location", self.path))
            case "endless":
                self._answer_endless()
            case _:
                self._answer_file(mode)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """`requests` is the log."""

    def _empty(self, status: int, *headers: tuple[str, str]) -> None:
        self._head(status, (*headers, ("Content-Length", "0")))

    def _head(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        self.send_response(status)
        for name, value in (*headers, *self.server.mirror.headers.items()):
            self.send_header(name, value)
        self.end_headers()

    def _answer_endless(self) -> None:
        self._head(200, (("Content-Type", "application/octet-stream"), ("Transfer-Encoding", "chunked")))
        while self.command == "GET" and not self.server.mirror.closing.is_set():
            self.wfile.write(b"%x\r\n%b\r\n" % (_PIECE, bytes(_PIECE)))

    def _answer_file(self, mode: Mode) -> None:
        path = self._file()
        if path is None:
            self._empty(404)
            return
        content, modified = path.read_bytes(), path.stat().st_mtime
        etag, date = f'"{len(content):x}-{int(modified * 1e6):x}"', email.utils.formatdate(modified, usegmt=True)
        if mode == "short":
            content = content[: len(content) // 2]
        elif mode == "long":
            content += b"more than was announced\n"
        elif mode == "corrupt":
            content = content.translate(_INVERTED)
        headers = [("ETag", etag), ("Last-Modified", date)]
        if self._is_current(etag, date):
            self._head(304, headers)
            return
        headers.append(("Content-Type", _content_type(path)))
        status, first, last = 200, 0, len(content) - 1
        if mode not in ("no-range", "unannounced"):
            headers.append(("Accept-Ranges", "bytes"))
            status, first, last = self._range(mode, len(content), etag, date)
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            self._empty(status, ("Content-Range", f"bytes */{len(content)}"))
            return
        if status == HTTPStatus.PARTIAL_CONTENT:
            total = len(content) + (mode == "wrong-range")
            headers.append(("Content-Range", f"bytes {first}-{last}/{total}"))
        length = ("Connection", "close") if mode == "unannounced" else ("Content-Length", str(last + 1 - first))
        self._head(status, [*headers, length])
        if self.command == "GET":
            self._send(content[first : last + 1], mode)

    def _send(self, body: bytes, mode: Mode) -> None:
        closing = self.server.mirror.closing
        if mode == "slow":
            for value in body:
                self.wfile.write(bytes((value,)))
                if closing.wait(self.server.mirror.pace):
                    return
        elif mode in ("truncated", "stalled-midway"):
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            if mode == "stalled-midway":
                closing.wait()
        else:
            self.wfile.write(body)

    def _file(self) -> Path | None:
        """The file a request names; a folder is its index.html; None if there is none, or it is outside."""
        top = self.server.mirror.folder.resolve()
        path = Path(f"{top}/{unquote(urlsplit(self.path).path)}").resolve()
        if path.is_dir():
            path /= "index.html"
        return path if path.is_file() and path.is_relative_to(top) else None

    def _is_current(self, etag: str, date: str) -> bool:
        if (known := self.headers.get("If-None-Match")) is not None:
            return known == etag
        return self.headers.get("If-Modified-Since") == date

    def _range(self, mode: Mode, size: int, etag: str, date: str) -> tuple[int, int, int]:
        """Status, first and last byte. Only single ranges, as RFC 9110 allows a server to choose."""
        whole = (200, 0, size - 1)
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if asked is None or asked[0] == "bytes=-":
            return whole
        if mode != "no-if-range" and self.headers.get("If-Range", etag) not in (etag, date):
            return whole
        if not asked[1]:
            first, last = max(size - int(asked[2]), 0), size - 1
        else:
            first, last = int(asked[1]), min(int(asked[2] or size), size - 1)
        return (206, first, last) if first <= last else (416, 0, 0)


def _content_type(path: Path) -> str:
    if path.name.startswith("mirrorlist") and not path.suffix:
        return "text/plain; charset=utf-8"
    return _TYPES.get(path.suffix, "application/octet-stream")
