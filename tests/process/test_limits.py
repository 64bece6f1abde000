"""Claims about hostile clients of the real process: what they take, and that others do not notice (both lanes)."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.processes import SECONDS, Server, eventually, stamped, write_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.process

LANES = pytest.mark.parametrize("lane", ["fast", "asgi"])
REQUEST = b"GET /mirrorlist?repo=r HTTP/1.1\r\nHost: x\r\n\r\n"
MEGABYTE = 1024 * 1024
MORE = 32 * MEGABYTE
"""What all of a hostile client's doing may cost."""


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot in place, with lists of 1 kB."""
    return write_snapshot(tmp_path_factory.mktemp("limits") / "mirrors.mls", stamped(1, mirrors=40))


@contextlib.contextmanager
def serving(snapshot: Path, lane: str, *flags: str) -> Iterator[Server]:
    """One process of this lane, warm."""
    with Server("--snapshot", str(snapshot), "--lane", lane, "--workers", "1", *flags) as server:
        for _ in range(50):
            assert server.get("/mirrorlist?repo=r").status == 200
        yield server


def resident(server: Server) -> int:
    """Bytes of memory that the process has."""
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(server.lines)


def connect(server: Server) -> socket.socket:
    """One connection."""
    return socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS)


def read_all(stream: socket.socket) -> bytes:
    """What comes until the server closes."""
    received = b""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        while data := stream.recv(1 << 16):
            received += data
    return received


def others_are_served(server: Server, times: int = 50) -> None:
    """Somebody else gets lists."""
    with contextlib.closing(server.connect()) as connection:
        for _ in range(times):
            connection.request("GET", "/mirrorlist?repo=r")
            response = connection.getresponse()
            assert (response.status, len(response.read()) > 300) == (200, True)


@LANES
def test_a_pipeliner_who_does_not_read(snapshot: Path, lane: str) -> None:
    """He is stopped by TCP after some megabytes that the kernel keeps; our memory does not grow; others are served."""
    with serving(snapshot, lane) as server, contextlib.closing(connect(server)) as stream:
        before = resident(server)
        stream.setblocking(False)  # noqa: FBT003 - the standard library's signature
        chunk, sent, stuck = REQUEST * 2_000, 0, 0
        deadline = time.monotonic() + SECONDS
        while stuck < 20 and time.monotonic() < deadline:
            try:
                sent += stream.send(chunk)
                stuck = 0
            except BlockingIOError:
                stuck += 1
                others_are_served(server, 5)
        assert stuck == 20
        assert sent > MEGABYTE / 8
        assert resident(server) - before < MORE
        others_are_served(server)


@LANES
def test_a_slow_reader(snapshot: Path, lane: str) -> None:
    """Who reads four kilobytes at a time gets every answer, whole and in order, and costs no memory."""
    count = 20_000  # 13 MB of answers: more than the kernel keeps
    with serving(snapshot, lane) as server, contextlib.closing(connect(server)) as stream:
        before = resident(server)
        waiting, received = memoryview(REQUEST * count), bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ | selectors.EVENT_WRITE)
            deadline = time.monotonic() + SECONDS
            while waiting:
                for _, events in selector.select(1):
                    if events & selectors.EVENT_WRITE:
                        waiting = waiting[stream.send(waiting[:65_536], socket.MSG_DONTWAIT) :]
                    if events & selectors.EVENT_READ:
                        received += stream.recv(4_096)
                assert time.monotonic() < deadline
        assert resident(server) - before < MORE
        others_are_served(server)
        stream.shutdown(socket.SHUT_WR)
        received += read_all(stream)
        assert received.count(b"HTTP/1.1 200 OK\r\n") == count
        assert received.endswith(b"/\n")


def test_silent_connections_and_half_heads_are_closed(snapshot: Path) -> None:
    """1,000 idle connections and a slow-loris of 500, in both lanes at once: gone after their time, others served."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(serving(snapshot, lane, "--keep-alive", "2")) for lane in ("fast", "asgi")]
        held: list[list[socket.socket]] = []
        for server in servers:
            before = resident(server)
            idle = [stack.enter_context(contextlib.closing(connect(server))) for _ in range(1_000)]
            for stream in idle[:500]:  # the others never ask
                stream.sendall(REQUEST)
            loris = [stack.enter_context(contextlib.closing(connect(server))) for _ in range(500)]
            for stream in loris:
                stream.sendall(REQUEST * 2 + REQUEST[:-2] + b"A: " + b"b" * 8_000)
            others_are_served(server)
            assert resident(server) - before < MORE
            held.append([*idle, *loris])
        for server, streams in zip(servers, held, strict=True):
            for number, stream in enumerate(streams):
                if number % 50 == 0:
                    others_are_served(server, 1)
                    with contextlib.suppress(OSError):
                        stream.sendall(b"c")  # a byte now and then does not help
            for number, stream in enumerate(streams):
                answers = read_all(stream).count(b"HTTP/1.1 200 OK\r\n")
                assert answers == (2 if number >= 1_000 else 1 if number < 500 else 0)
            others_are_served(server)
            assert b'_refused_total{limit="head_time"} 500.0\n' in server.get("/metrics").body  # not the idle
            server.stop()
            assert not [event for event in server.events() if event["level"] not in ("info", "debug")]


@LANES
def test_oversized_heads(snapshot: Path, lane: str) -> None:
    """A target of 20 MB, a header of 60 MB: refused after 16 KiB, memory does not grow."""
    with serving(snapshot, lane) as server:
        before = resident(server)
        for start, megabytes in ((b"GET /mirrorlist?repo=", 20), (b"GET / HTTP/1.1\r\nA: ", 60)):
            with contextlib.closing(connect(server)) as stream:
                stream.sendall(start)
                with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                    for _ in range(megabytes):
                        stream.sendall(b"x" * MEGABYTE)
                    raise AssertionError("all of it was taken")
        for size in (17_000, 1_000_000):
            with contextlib.closing(connect(server)) as stream:
                with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                    stream.sendall(b"GET /mirrorlist?repo=r HTTP/1.1\r\nA: " + b"b" * size + b"\r\n\r\n")
                if size == 17_000:  # more may be reset before it is read
                    assert read_all(stream).startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
        assert resident(server) - before < MORE
        others_are_served(server)


@LANES
def test_sigterm_with_a_pipeliner_under_way(snapshot: Path, lane: str) -> None:
    """What was asked before the signal is answered, in whole answers; then the process ends with status 0."""
    with serving(snapshot, lane) as server, contextlib.closing(connect(server)) as stream:
        stream.sendall(REQUEST * 500)
        assert stream.recv(10).startswith(b"HTTP/1.1")
        server.process.terminate()
        rest = read_all(stream)
        assert rest.endswith(b"/\n")
        eventually(lambda: server.process.poll() == 0, "the end")
