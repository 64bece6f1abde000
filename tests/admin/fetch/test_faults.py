"""Every fault of a mirror becomes one failure of a known class, in bounded time and memory; never an exception."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Self

import pytest

from mirrorlist_admin.exchange import Answer, Request
from mirrorlist_admin.fetch import Client, Names, Pace
from mirrorlist_admin.fetch.transfer import Patience
from mirrorlist_admin.netguard import Netguard, parse_network
from mirrorlist_admin.units import LONGEST_HEAD
from support.certificates import write_certificate
from support.mirrors import Mode, StaticMirror

if TYPE_CHECKING:
    from pathlib import Path

LOOPBACK = Netguard((parse_network("127.0.0.0/8"), parse_network("::1/128")))
BODY = bytes(range(256)) * 64


class Impatient(Client):
    """A client for tests: what takes longer than a second will not come."""

    patience = Patience(connect=1, slow=1, whole=2)


def ask(*requests: Request) -> list[Answer]:
    """Send requests, all at once."""

    async def main() -> list[Answer]:
        client = Impatient(Names(LOOPBACK), LOOPBACK, Pace(float("inf")), "test/1")
        try:
            return list(await asyncio.gather(*map(client.get, requests)))
        finally:
            client.close()

    return asyncio.run(main())


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with one file."""
    (tmp_path / "x").write_bytes(BODY)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "cause", "of_the_host"),
    [
        ("refused", "refused", True),
        ("reset", "no answer", True),
        ("500", "status 500", False),
        ("stalled", "timeout", True),
        ("stalled-midway", "timeout", True),
        ("slow", "timeout", True),
        ("truncated", "cut off", False),
        ("endless", "too large", False),
        ("redirect-loop", "redirect", False),
    ],
)
def test_each_fault_has_its_class(tree: Path, mode: Mode, cause: str, *, of_the_host: bool) -> None:
    """What a client of the mirror would suffer is told as such, within seconds; and whether the whole host has it."""
    with StaticMirror(tree, host="127.0.0.1", mode=mode) as mirror:
        answer = ask(Request(url=f"{mirror.url}x", family=4, most=1 << 17))[0]
    assert answer.failure is not None
    assert (answer.failure.cause, answer.failure.host, answer.failure.certain) == (cause, of_the_host, True)
    assert answer.failure.evidence.isprintable()


@pytest.mark.parametrize("mode", ["ok", "short", "long", "corrupt", "unannounced"])
def test_what_arrives_is_told_by_its_hash(tree: Path, mode: Mode) -> None:
    """A whole answer is an answer, and its hash tells whether it is the right one; one without a length, too."""
    with StaticMirror(tree, host="127.0.0.1", mode=mode) as mirror:
        answer = ask(Request(url=f"{mirror.url}x", family=4))[0]
    assert answer.failure is None
    right = answer.sha256 == hashlib.sha256(BODY).hexdigest()
    assert right == (mode in {"ok", "unannounced"})
    assert answer.head[:10] == BODY[:10] or mode == "corrupt"


def test_a_conditional_request_brings_no_body(tree: Path) -> None:
    """With the validators of the last answer, an unchanged file is a 304."""
    with StaticMirror(tree, host="127.0.0.1") as mirror:
        first = ask(Request(url=f"{mirror.url}x", family=4))[0]
        again = ask(Request(url=f"{mirror.url}x", family=4, etag=first.etag, modified=first.modified))[0]
    assert (first.status, again.status, again.size) == (200, 304, 0)


def test_a_redirect_to_another_file_is_no_answer(tree: Path) -> None:
    """The same path elsewhere is followed; the front page for everything is not."""
    (tree / "other").mkdir()
    (tree / "other" / "x").write_bytes(BODY)
    with (
        StaticMirror(tree / "other", host="127.0.0.1") as target,
        StaticMirror(tree, host="127.0.0.1", mode="redirect", location=target.url) as mirror,
    ):
        good = ask(Request(url=f"{mirror.url}x", family=4))[0]
        assert (good.status, good.size, good.requests) == (200, len(BODY), 2)
    with StaticMirror(tree, host="127.0.0.1", mode="redirect", location="http://127.0.0.1:9/front?") as mirror:
        bad = ask(Request(url=f"{mirror.url}x", family=4))[0]
    assert bad.failure is not None
    assert "another file" in bad.failure.evidence


class Scripted:
    """Answers each connection with some bytes."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._server = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}/"

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(self._answer)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(10)


def response(head: str, body: bytes = b"") -> bytes:
    """An answer."""
    return f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


def test_nothing_is_inflated() -> None:
    """A body that claims to be compressed stays as it is: a bomb has the size that it has on the line."""
    bomb = gzip.compress(bytes(1 << 26))
    with Scripted(response("200 OK\r\nContent-Encoding: gzip", bomb)) as server:
        answer = ask(Request(url=f"{server.url}x", family=4))[0]
    assert (answer.failure, answer.size, answer.head) == (None, len(bomb), bomb)


def test_only_the_start_of_a_body_is_kept() -> None:
    """Of a large file the hash is of all, and the first mebibyte is kept."""
    body = bytes(LONGEST_HEAD + 5_000)
    with Scripted(response("200 OK", body)) as server:
        answer = ask(Request(url=f"{server.url}x", family=4, most=1 << 22))[0]
    assert (answer.size, len(answer.head), answer.sha256) == (
        len(body),
        LONGEST_HEAD,
        hashlib.sha256(body).hexdigest(),
    )


@pytest.mark.parametrize(
    ("head", "cause", "certain", "wait"),
    [
        ("503 Busy\r\nRetry-After: 120", "status 503", True, 120),
        ("503 Busy\r\nRetry-After: 99999999999", "status 503", True, 21_600),
        ("503 Busy\r\nRetry-After: Sun, 29 Nov 2020 01:45:48 GMT", "status 503", True, 0),
        ("503 Busy\r\nRetry-After: soon", "status 503", True, 0),
        ("429 Slow down\r\nRetry-After: 60", "status 429", False, 60),
        ("403 No", "status 403", True, 0),
        ("301 Moved", "status 301", True, 0),
        ("302 Found\r\nLocation: http://[::1", "redirect", True, 0),
        ("302 Found\r\nLocation: \x1b[31m\xff", "redirect", True, 0),
        ("999 ???", "status 999", True, 0),
    ],
)
def test_statuses(head: str, cause: str, wait: int, *, certain: bool) -> None:
    """A status that is no answer is a failure; 429 blames nobody; Retry-After is obeyed up to six hours."""
    with Scripted(response(head)) as server:
        failure = ask(Request(url=f"{server.url}x", family=4))[0].failure
    assert failure is not None
    assert (failure.cause, failure.certain, failure.wait) == (cause, certain, wait)
    assert failure.evidence.isprintable()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nContent-Length: 13\r\n\r\nhello world!",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        bytes(range(256)) * 40,
    ],
    ids=["nothing", "ssh", "long header", "many headers", "two lengths", "bad chunk", "negative", "noise"],
)
def test_what_is_no_http_is_a_failure(answer: bytes) -> None:
    """Whatever a port says, there is one failure, and no exception."""
    with Scripted(answer) as server:
        found = ask(Request(url=f"{server.url}x", family=4))[0]
    assert found.failure is not None
    assert found.failure.certain
    assert found.failure.evidence.isprintable()


@pytest.mark.process
def test_a_certificate_that_nobody_trusts_is_a_failure(tree: Path) -> None:
    """TLS is checked as clients check it."""
    write_certificate(tree / "cert.pem", tree / "key.pem", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tree / "cert.pem", tree / "key.pem")
    with StaticMirror(tree, host="127.0.0.1", tls=context) as mirror:
        failure = ask(Request(url=f"{mirror.url}x", family=4))[0].failure
    assert failure is not None
    assert (failure.cause, failure.host) == ("certificate", True)
