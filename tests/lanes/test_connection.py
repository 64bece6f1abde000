"""Claims of `connection` and `uvicorn_protocol`: limits before both lanes, order, draining; what uvicorn must have."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.utils import get_remote_addr, is_ssl
from uvicorn.server import ServerState

from mirrorlistd.errors import StateError
from mirrorlistd.lanes.connection import ANSWERS_PER_TURN, HEAD_BYTES, Guard
from mirrorlistd.lanes.uvicorn_internals import ATTRIBUTES, METHODS, TESTED_VERSION, check_version
from mirrorlistd.web.app import create_app
from support.paths import ROOT
from support.wires import HIGH_WATER, Line, Wire, converse, protocols, service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

LANES = pytest.mark.parametrize("lane", ["fast", "asgi"])
PLAIN = b"GET /mirrorlist?repo=r HTTP/1.1\r\nHost: x\r\n\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def numbered(count: int) -> bytes:
    """Requests whose answers tell which they are: each names a path of its own."""
    return b"".join(
        b"GET /mirrorlist?path=c/%c%c HTTP/1.1\r\nHost: x\r\n\r\n" % (65 + number // 26 % 26, 65 + number % 26)
        for number in range(count)
    )


def numbers(answers: bytes | bytearray) -> list[int]:
    """Which of `numbered` were answered, in order."""
    return [(a[0] - 65) * 26 + a[1] - 65 for a in re.findall(rb"# path = c/([A-Z]{2})\n", answers)]


def talk(lane: str, conversation: Callable[[Line], Awaitable[None]], **options: Any) -> Line:
    """Hold one conversation on one connection; lose it in the end."""
    serving = service()

    async def hold() -> Line:
        line = Line(protocols(lane, serving), create_app(serving), **options)
        await conversation(line)
        line.send_sighup()
        await line.settle()
        assert not line.state.connections
        assert not line.wire.late
        return line

    return asyncio.run(hold())


# -------------------------------------------------------------------------------------------- uvicorn


@pytest.mark.slow
def test_what_is_relied_on_in_uvicorn() -> None:
    """All of uvicorn that the lanes use and that it promises nowhere; a version that changes it fails here first."""
    signature = ["self", "config", "server_state", "app_state", "_loop"]
    assert list(inspect.signature(HttpToolsProtocol.__init__).parameters) == signature
    assert list(inspect.signature(Guard.__init__).parameters) == signature
    classes = {one.__name__: one for one in (HttpToolsProtocol, RequestResponseCycle, ServerState, uvicorn.Server)}
    for owner, names in METHODS.items():
        for name in names:
            assert callable(getattr(classes[owner], name)), name
    for owner, names in ATTRIBUTES.items():
        for name in names:
            assert f"self.{name}" in inspect.getsource(classes[owner]), name
    assert "on_response=self.on_response_complete" in inspect.getsource(HttpToolsProtocol.on_headers_complete)
    assert httptools_impl.STATUS_LINE[431] == b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    state = ServerState()
    assert (state.connections, state.default_headers) == (set(), [])
    wire = Wire(("192.0.2.1", 5))
    assert get_remote_addr(wire) == ("192.0.2.1", 5)
    assert get_remote_addr(Wire(None)) is None
    assert is_ssl(wire) is False
    config = uvicorn.Config("x:y", http=Guard, timeout_keep_alive=7, log_config=None)
    assert (config.http, config.timeout_keep_alive) == (Guard, 7)
    shutdown = inspect.getsource(uvicorn.Server.shutdown)
    assert "connection.shutdown()" in shutdown
    assert "self.server_state.connections" in shutdown


def test_the_date_is_a_new_list_each_second() -> None:
    """The fast lane takes uvicorn's list for unchanged as long as it is the same object."""

    async def ticks() -> list[list[tuple[bytes, bytes]]]:
        server = uvicorn.Server(uvicorn.Config(create_app(service()), log_config=None, headers=[("server", "us")]))
        server.config.load()
        seen: list[list[tuple[bytes, bytes]]] = []
        for counter in (0, 5, 10):
            await server.on_tick(counter)
            seen.append(server.server_state.default_headers)
        return seen

    first, same, later = asyncio.run(ticks())
    assert [name for name, _ in first] == [b"date", b"server"]
    assert first is same
    assert first is not later


def test_the_pinned_versions_hold_this_one() -> None:
    """Allowed is the minor version of uvicorn that these tests run with, and no other one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    major, minor = TESTED_VERSION
    assert f"uvicorn>={major}.{minor},<{major}.{minor + 1}" in project["project"]["dependencies"]
    assert tuple(map(int, uvicorn.__version__.split(".")[:2])) == TESTED_VERSION


@pytest.mark.parametrize("version", ["0.53.9", "0.55.0", "0.540.0", "1.54.0", "1.0", "0.5", ""])
def test_another_minor_version_of_uvicorn_is_refused(version: str) -> None:
    """Older, newer, or with a name that begins alike: the message says which version is needed."""
    check_version("0.54.0")
    check_version("0.54.99")
    with pytest.raises(StateError, match=r"install 'uvicorn>=0\.54,<0\.55'"):
        check_version(version)


@pytest.mark.process
@pytest.mark.parametrize("version", ["0.53.2", "0.55.0"])
def test_a_server_with_another_uvicorn_ends_with_one_line(tmp_path: Path, version: str) -> None:
    """Exit status 1 and one line, no traceback, although this uvicorn has none of the names that the server needs."""
    (tmp_path / "uvicorn").mkdir()
    (tmp_path / "uvicorn" / "__init__.py").write_text(f"__version__ = {version!r}\n")
    environ = dict(os.environ, PYTHONPATH=f"{tmp_path}:{ROOT}:{ROOT / 'snapshot'}")
    command = [sys.executable, "-m", "mirrorlistd", "serve", "--port", "0"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"mirrorlistd: uvicorn {version} is installed")
    assert done.stderr.count("\n") == 1


# -------------------------------------------------------------------------------------------- limits


@LANES
def test_one_client_has_only_so_many_answers_in_a_turn(lane: str) -> None:
    """Of 300 pipelined requests 32 are answered in the first turn; then nothing is read until all are. In order."""
    known = numbered(302).removeprefix(numbered(301))

    async def conversation(line: Line) -> None:
        line.send(known)
        await line.settle()
        before = line.wire.writes
        line.send(numbered(300))
        assert line.wire.writes - before == (ANSWERS_PER_TURN if lane == "fast" else 0)
        assert not line.wire.is_reading()
        line.send(known)  # what was on its way
        line.send(b"GET /heal")
        await line.settle()
        assert line.wire.is_reading()
        line.send(b"thz HTTP/1.1\r\n\r\n")
        await line.settle()

    line = talk(lane, conversation)
    assert numbers(line.wire.sent) == [301, *range(300), 301]
    assert line.wire.sent.endswith(b"\r\n\r\nok\n")


@LANES
def test_nothing_is_answered_to_a_client_that_does_not_read(lane: str) -> None:
    """However much it asks: some 64 KiB of answers wait, and what was read; all is answered once it reads."""

    async def conversation(line: Line) -> None:
        line.wire.client_reads = False
        asked, rounds = b"", 0
        while line.wire.is_reading():
            asked += numbered(600)
            line.send(numbered(600))
            await line.settle()
            rounds += 1
            assert rounds < 50
        waiting = line.wire.get_write_buffer_size()
        assert HIGH_WATER < waiting < HIGH_WATER + 4_096
        assert len(line.protocol._waiting) <= len(numbered(600))
        await line.settle()
        assert line.wire.get_write_buffer_size() == waiting
        line.wire.client_reads = True
        line.wire.flow()
        await line.settle()
        assert numbers(line.wire.sent) == list(range(600)) * rounds
        assert line.wire.is_reading()

    talk(lane, conversation)


@LANES
def test_a_client_that_takes_nothing_is_cut_off(lane: str) -> None:
    """A timeout check that finds the same bytes unsent as the previous one aborts; one that finds fewer does not."""

    async def conversation(line: Line) -> None:
        line.wire.client_reads = False
        line.send(numbered(600))
        await line.settle()
        check: Callable[[], None] = line.protocol._check
        check()
        del line.wire.unsent[:1_000]
        check()
        assert not line.wire.aborted
        check()
        assert line.wire.aborted

    talk(lane, conversation)


@LANES
@pytest.mark.parametrize(
    "head",
    [
        b"GET /mirrorlist?repo=%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"r" * HEAD_BYTES),
        b"GET /mirrorlist?repo=r HTTP/1.1\r\nA: %s\r\n\r\n" % (b"b" * HEAD_BYTES),
        b"GET /mirrorlist?repo=r HTTP/1.1\r\n%s\r\n" % (b"a: b\r\n" * HEAD_BYTES),
        b"G" * HEAD_BYTES + b"G",
    ],
    ids=["target", "value", "headers", "no end"],
)
@pytest.mark.parametrize("step", [HEAD_BYTES * 8, 1_000])
def test_heads_past_the_limit_are_431(lane: str, head: bytes, step: int) -> None:
    """Once, after the answers to what came before, then the connection closes; what comes after it is not read."""
    raw = PLAIN + head + PLAIN
    pieces = [(raw[start : start + step], False) for start in range(0, len(raw), step)]
    serving = service()
    ((said, closed),) = converse(lane, [pieces], serving)
    assert closed
    assert re.findall(rb"HTTP/1.1 (\d+)", said) == [b"200", b"431"]
    assert serving.counters.refused == {"head_size": 1, "head_time": 0, "stalled": 0}
    assert serving.counters.connections == 1
    text = b"the head of a request has at most 16384 bytes\n"
    assert said.endswith(
        b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
        b"date: Sun, 22 Nov 2026 15:00:00 GMT\r\nserver: mirrorlistd\r\n"
        b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
        % (len(text), text)
    )


@LANES
def test_heads_up_to_the_limit_are_answered(lane: str) -> None:
    """Exactly 16 KiB are taken."""
    frame = b"GET /mirrorlist?repo=r HTTP/1.1\r\nA: %s\r\n\r\n"
    head = frame % (b"b" * (HEAD_BYTES - len(frame) + 2))
    assert len(head) == HEAD_BYTES
    ((said, closed),) = converse(lane, [[(head + PLAIN, True)]], service())
    assert re.findall(rb"HTTP/1.1 (\d+)", said) == [b"200", b"200"]
    assert not closed


@LANES
def test_a_head_may_come_in_two_parts(lane: str) -> None:
    """Wherever it is cut, even where what has come is as long as the end that is looked for."""
    cut = range(1, len(PLAIN))
    told = converse(lane, [[(PLAIN[:at], True), (PLAIN[at:], True)] for at in cut], service())
    assert [said[:12] for said, _ in told] == [b"HTTP/1.1 200"] * len(cut)


@LANES
@pytest.mark.parametrize("line", [b"Content-Length: 1000000000", b"Transfer-Encoding: chunked"])
def test_a_request_with_a_body_is_the_last(lane: str, line: bytes) -> None:
    """It is answered with `connection: close`; no byte of the body, or from behind it, is kept or obeyed."""

    async def conversation(one: Line) -> None:
        one.send(b"GET /mirrorlist?repo=r HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n" % line + PLAIN * 10)
        for _ in range(50):
            one.send(PLAIN * 1_000)
        assert not one.protocol._waiting
        await one.settle()

    one = talk(lane, conversation)
    assert re.findall(rb"HTTP/1.1 (\d+)", one.wire.sent) == [b"200"]
    assert one.wire.sent.count(b"connection: close\r\n") == 1
    assert one.wire.closing


def test_an_application_that_wants_a_body_gets_an_empty_one() -> None:
    """It must not wait for ever for what nobody reads."""
    bodies: list[Any] = []

    async def application(_scope: Any, receive: Any, send: Any) -> None:
        bodies.append(await receive())
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    async def hold() -> None:
        line = Line(Guard, application)
        line.send(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n")
        await line.settle()
        line.send(b"abc")
        line.send_sighup()
        await line.settle()
        assert line.wire.sent.startswith(b"HTTP/1.1 200")

    asyncio.run(hold())
    assert bodies == [{"type": "http.request", "body": b"", "more_body": False}]


def test_an_answer_is_one_write() -> None:
    """The ASGI lane, too, sends head and body together; an answer without a body, and an odd end, lose nothing."""

    async def conversation(line: Line) -> None:
        for raw in (PLAIN, HEALTH, PLAIN.replace(b"GET", b"HEAD"), b"nonsense\r\n\r\n"):
            before = line.wire.writes
            line.send(raw)
            await line.settle()
            assert line.wire.writes == before + 1

    assert talk("asgi", conversation).wire.sent.count(b"HTTP/1.1 ") == 4


def test_an_application_that_breaks_off_has_its_head_sent() -> None:
    """What was begun is sent before the connection closes: a client can tell a broken answer from none."""

    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})

    async def hold() -> Line:
        line = Line(Guard, application)
        line.send(PLAIN)
        await line.settle()
        line.send_sighup()
        return line

    line = asyncio.run(hold())
    assert line.wire.sent.startswith(b"HTTP/1.1 200")
    assert line.wire.is_closing()


@LANES
def test_no_keep_alive_is_said(lane: str) -> None:
    """With `--keep-alive 0` each answer says `connection: close`, and is the connection's only one."""
    ((said, closed),) = converse(lane, [[(PLAIN + PLAIN, True)]], service(), keep_alive=0)
    assert closed
    assert said.count(b"connection: close\r\n") == said.count(b"HTTP/1.1 200") == 1


def test_a_guard_that_was_never_needed_costs_no_uvicorn() -> None:
    """The protocol behind, 13 us to make, is made when first needed."""

    async def conversation(line: Line) -> None:
        for head in (PLAIN, HEALTH):
            line.send(head)
            made.append(line.protocol._asgi is not None)
            await line.settle()

    made: list[bool] = []
    talk("fast", conversation)
    assert made == [False, True]


# -------------------------------------------------------------------------------------------- the end


@LANES
@pytest.mark.parametrize("before", [b"", PLAIN, PLAIN[:20], PLAIN + PLAIN[:20]])
def test_shutdown_closes_what_waits_for_a_request(lane: str, before: bytes) -> None:
    """An idle connection, or one with half a head, is closed at once when the server drains."""

    async def conversation(line: Line) -> None:
        line.send(before)
        await line.settle()
        assert not line.wire.is_closing()
        line.protocol.shutdown()
        assert line.wire.is_closing()

    talk(lane, conversation)


@LANES
def test_shutdown_answers_what_was_asked(lane: str) -> None:
    """Pipelined requests that have come are answered, then it closes."""

    async def conversation(line: Line) -> None:
        line.send(numbered(100))
        line.protocol.shutdown()
        assert not line.wire.is_closing()
        await line.settle()
        assert line.wire.is_closing()

    assert numbers(talk(lane, conversation).wire.sent) == list(range(100))


@LANES
def test_shutdown_says_close_in_an_answer_under_way(lane: str) -> None:
    """The one request that is being answered is told that it is the last."""

    async def conversation(line: Line) -> None:
        line.send(HEALTH)
        line.protocol.shutdown()
        await line.settle()
        assert line.wire.is_closing()

    assert b"connection: close\r\n\r\nok\n" in talk(lane, conversation).wire.sent


@LANES
@pytest.mark.parametrize("raw", [numbered(100), HEALTH * 3, numbered(40) + HEALTH + PLAIN[:9]])
def test_a_half_closed_connection_gets_its_answers(lane: str, raw: bytes) -> None:
    """`printf ... | nc -N`: all that was asked before the end of the stream is answered, then the server closes."""

    async def conversation(line: Line) -> None:
        line.send(raw)
        if not line.protocol.eof_received():
            line.wire.close()  # what an event loop does then
        await line.settle()
        assert line.wire.is_closing()

    sent = talk(lane, conversation).wire.sent
    assert sent.count(b"HTTP/1.1 200") == raw.count(b"\r\n\r\n")


@LANES
def test_a_lost_connection_ends_quietly(lane: str) -> None:
    """In the midst of a head, of answers, of an answer: no error, nothing written, nothing left."""
    for raw in (PLAIN[:9], numbered(100), HEALTH):

        async def conversation(line: Line, raw: bytes = raw) -> None:
            line.send(raw)
            line.wire.closing = True  # as a transport that is lost

        talk(lane, conversation)
