"""Claims of `lanes.fast`, `http_head` and `respond`: the fast lane says what the ASGI lane says, byte for byte."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mirrorlistd.lanes.fast.lane import FastLane, fast_lane
from mirrorlistd.request.http_head import parse_head
from mirrorlistd.request.routes import Routes
from mirrorlistd.web.app import create_app
from support.processes import Server, stamped, write_snapshot
from support.wires import Line, Wire, converse, service
from support.worlds import DE, FR, JP, US

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mirrorlistd.state.service import Service

PLAIN = b"GET /mirrorlist?repo=r&limit=3 HTTP/1.1\r\nHost: x\r\n\r\n"
PROXY = "127.0.0.0/8"


def request(target: str, *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request's head."""
    return "\r\n".join((f"{method} {target} HTTP/{version}", "Host: x", *lines, "", "")).encode("latin-1")


HOSTILE: dict[str, bytes] = {
    "two content-lengths": request("/mirrorlist?repo=r", "Content-Length: 3", "Content-Length: 3") + b"abc",
    "two different": request("/mirrorlist?repo=r", "Content-Length: 3", "Content-Length: 60") + b"abc",
    "list of lengths": request("/mirrorlist?repo=r", "Content-Length: 3, 3") + b"abc",
    "length with a sign": request("/mirrorlist?repo=r", "Content-Length: +3") + b"abc",
    "hexadecimal length": request("/mirrorlist?repo=r", "Content-Length: 0x3") + b"abc",
    "huge length": request("/mirrorlist?repo=r", f"Content-Length: {1 << 64}") + b"abc",
    "no body said": request("/mirrorlist?repo=r", "Content-Length: 0"),
    "body": request("/mirrorlist?repo=r", "Content-Length: 3") + b"abc",
    "body that is a request": request("/mirrorlist?repo=r", f"Content-Length: {len(PLAIN)}") + PLAIN,
    "chunked": request("/mirrorlist?repo=r", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n",
    "chunked, in capitals": request("/mirrorlist?repo=r", "TRANSFER-ENCODING: Chunked") + b"0\r\n\r\n",
    "chunked with trailers": request("/mirrorlist?repo=r", "Transfer-Encoding: chunked") + b"0\r\nA: b\r\n\r\n",
    "chunk extension": request("/mirrorlist?repo=r", "Transfer-Encoding: chunked") + b'0;a="\r\n\r\n"\r\n\r\n',
    "TE.CL": request("/mirrorlist?repo=r", "Transfer-Encoding: chunked", "Content-Length: 4") + b"0\r\n\r\n",
    "CL.TE": request("/mirrorlist?repo=r", "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "TE before colon": request("/mirrorlist?repo=r", "Transfer-Encoding : chunked") + b"0\r\n\r\n",
    "TE xchunked": request("/mirrorlist?repo=r", "Transfer-Encoding: xchunked") + b"0\r\n\r\n",
    "TE identity": request("/mirrorlist?repo=r", "Transfer-Encoding: identity") + b"abc",
    "TE twice": request("/mirrorlist?repo=r", "Transfer-Encoding: chunked", "Transfer-Encoding: identity")
    + b"0\r\n\r\n",
    "TE vertical tab": request("/mirrorlist?repo=r", "Transfer-Encoding:\x0bchunked") + b"0\r\n\r\n",
    "obs-fold": request("/mirrorlist?repo=r", "A: b", " c"),
    "obs-fold of a length": request("/mirrorlist?repo=r", "Content-Length:", " 3") + b"abc",
    "obs-fold of an address": request("/mirrorlist?repo=r", f"X-Forwarded-For: {DE}", f"\t, {FR}"),
    "space before the first header": b"GET /mirrorlist?repo=r HTTP/1.1\r\n Host: x\r\n\r\n",
    "bare LF": b"GET /mirrorlist?repo=r HTTP/1.1\nHost: x\n\n",
    "bare LF in the middle": b"GET /mirrorlist?repo=r HTTP/1.1\r\nHost: x\nContent-Length: 3\r\n\r\nabc",
    "bare LF at the end": b"GET /mirrorlist?repo=r HTTP/1.1\r\nHost: x\r\n\n",
    "bare LF after the target": b"GET /mirrorlist?repo=r\nHost: x\r\n\r\n",
    "bare LF and no header": b"GET /mirrorlist?repo=r\n\r\n\r\n",
    "bare LF before the request": b"\n\nGET /mirrorlist?repo=r HTTP/1.1\r\nHost: x\r\n\r\n",
    "bare CR": b"GET /mirrorlist?repo=r HTTP/1.1\r\nA: b\rContent-Length: 3\r\n\r\n",
    "CR at the end": b"GET /mirrorlist?repo=r HTTP/1.1\r\nHost: x\r\n\r",
    "NUL in a value": request("/mirrorlist?repo=r", "A: b\0c"),
    "NUL in an address": request("/mirrorlist?repo=r", f"X-Forwarded-For: \0, {DE}"),
    "control in an address": request("/mirrorlist?repo=r", f"X-Forwarded-For: a\x01, {DE}"),
    "NUL in a name": request("/mirrorlist?repo=r", "A\0: b"),
    "NUL in the target": request("/mirrorlist?repo=r\0"),
    "bytes in the target": request("/\xff/mirrorlist?repo=r"),
    "bytes in the query": request("/mirrorlist?repo=\xff"),
    "space in the target": request("/mirrorlist?repo=r x"),
    "fragment": request("/mirrorlist?repo=r#x"),
    "absolute form": request("http://y/mirrorlist?repo=r"),
    "asterisk": request("*", method="OPTIONS"),
    "CONNECT": request("x:80", method="CONNECT"),
    "CONNECT a list": request("/mirrorlist?repo=r", method="CONNECT"),
    "POST": request("/mirrorlist?repo=r", "Content-Length: 3", method="POST") + b"abc",
    "POST without a body": request("/mirrorlist?repo=r", method="POST"),
    "unknown method": request("/mirrorlist?repo=r", method="BREW"),
    "small letters": request("/mirrorlist?repo=r", method="get"),
    "expect": request("/mirrorlist?repo=r", "Expect: 100-continue"),
    "expect with a body": request("/mirrorlist?repo=r", "Expect: 100-continue", "Content-Length: 3") + b"abc",
    "h2c": request("/mirrorlist?repo=r", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA"),
    "h2c with a body": request("/mirrorlist?repo=r", "Connection: Upgrade", "Upgrade: h2c", "Content-Length: 3")
    + b"abc",
    "websocket": request("/mirrorlist?repo=r", "Connection: Upgrade", "Upgrade: websocket"),
    "http/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http/1.0 kept alive": request("/mirrorlist?repo=r", "Connection: keep-alive", version="1.0"),
    "http/0.9": b"GET /mirrorlist?repo=r\r\n\r\n",
    "http/0.9 said": request("/mirrorlist?repo=r", version="0.9"),
    "http/2.0 said": request("/mirrorlist?repo=r", version="2.0"),
    "http/1.2 said": request("/mirrorlist?repo=r", version="1.2"),
    "rtsp": b"GET /mirrorlist?repo=r RTSP/1.0\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\0\x01\0",
    "empty lines": b"\r\n\r\n\r\n",
    "one empty line": b"\r\n",
    "only LF": b"\n",
    "long head": request("/mirrorlist?repo=r", "A: " + "b" * 17_000),
    "long target": request("/mirrorlist?repo=" + "r" * 17_000),
    "many headers": request("/mirrorlist?repo=r", *(["a: b"] * 4_000)),
    "endless head": b"GET /mirrorlist?repo=r HTTP/1.1\r\nA: " + b"b" * 17_000,
    "two forwarded-for": request("/mirrorlist?repo=r", f"X-Forwarded-For: {DE}", f"X-Forwarded-For: {FR}"),
    "two forwarded-for, one odd": request("/mirrorlist?repo=r", f"x-FORWARDED-for: {DE}", f"X-Forwarded-For: {FR}"),
    "forwarded": request("/mirrorlist?repo=r", f"Forwarded: for={DE}", f"X-Forwarded-For: {FR}"),
    "not an address": request("/mirrorlist?repo=r", "X-Forwarded-For: unknown"),
    "no address": request("/mirrorlist?repo=r", "X-Forwarded-For:"),
    "white address": request("/mirrorlist?repo=r", "X-Forwarded-For: \t "),
}
"""Requests that servers have read in two ways, or not at all."""

PATHS = [
    "/mirrorlist?repo=r",
    "/mirrorlist?repo=r&limit=2",
    "/a//mirrorlist?format=json&repo=r",
    "/mirrorlist",
    "/metalink?repo=r",
]
PATHS += [
    "/mirrorlist?repo=nothing",
    "/mirrors/r.txt",
    "/r/r/a/b.rpm",
    "/mirrorlist?repo=r&redirect=1&path=a",
    "/healthz",
    "/nowhere",
]
PATHS += [
    f"/mirrorlist?repo=r&ip={FR}",
    "/mirrorlist?repo=r&country=%44E",
    "/%6Dirrorlist?repo=r",
    "/mirrorlist?repo=%00&x=%0d%0a",
]
PATHS += [
    "/r/r/g%2B%2B_1+2.deb",
    "/r/r/@s%2fname&x?format=redirect",
    "/r/r/x.iso.mirrorlist",
    "/r/r/d/?mirrorlist",
    "/r/r/etc/mirrorlist",
    "/mirrorlist?repo=r&country=uk,EU",
    "/mirrorlist?repo=r&country=Germany",
    "/mirrorlist?repo=r&ip=64:ff9b::5102:458e",
]
LINES = [
    "Accept: */*",
    "accept: application/metalink4+xml",
    "Accept: application/metalink4+xml;q=0, application/metalink+xml;q=0.5, */*;q=0.1",
    "Connection: keep-alive",
    "X-Forwarded-Proto: https",
    "user-agent:\tx ",
    "X:",
]
LINES += [
    f"{name}: {address}"
    for name in ("X-Forwarded-For", "x-forwarded-for")
    for address in (DE, FR, US, f"{JP}, {DE}", "127.0.0.2", "64:ff9b::5102:458e", f"{JP}, ::ffff:{DE}")
]
LINES += [
    f"X-Forwarded-For:{DE}",
    f"X-FORWARDED-FOR: {DE}",
    "X-Forwarded-For: 1.2.3",
    "X-Forwarded-For: unknown",
    "Connection: close",
]


@st.composite
def plain(draw: st.DrawFn) -> bytes:
    """A well-formed request without a body."""
    return request(
        draw(st.sampled_from(PATHS)),
        *draw(st.lists(st.sampled_from(LINES), max_size=4)),
        method=draw(st.sampled_from(["GET", "GET", "GET", "HEAD", "POST"])),
        version=draw(st.sampled_from(["1.1"] * 5 + ["1.0"])),
    )


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> list[tuple[bytes, bool]]:
    """The same bytes in pieces, some of them after a pause."""
    places = sorted(draw(st.sets(st.integers(0, len(data)), max_size=6)))
    ends = zip([0, *places], [*places, len(data)], strict=True)
    return [(data[start:end], draw(st.booleans())) for start, end in ends if start < end]


def both(pieces: Sequence[tuple[bytes, bool]], *trusted: str) -> tuple[bytes, bool]:
    """What both lanes say, twice (the second time to heads that may have been remembered); they must agree."""
    fast = converse("fast", [pieces, pieces], service(*trusted))
    asgi = converse("asgi", [pieces, pieces], service(*trusted))
    assert fast == asgi
    return fast[0]


@settings(max_examples=150, deadline=None)
@given(st.data(), st.lists(plain() | st.sampled_from(sorted(HOSTILE.values())), min_size=1, max_size=5), st.booleans())
def test_lanes_agree_on_every_byte(data: st.DataObject, requests: list[bytes], proxy: bool) -> None:
    """Whatever is sent, however it is split: the same answers, the same end; and splitting changes nothing."""
    raw = b"".join(requests)
    trusted = [PROXY] if proxy else []
    assert both(data.draw(cut(raw)), *trusted) == both([(raw, True)], *trusted)


@settings(max_examples=100, deadline=None)
@given(requests=st.lists(plain(), min_size=1, max_size=6), proxy=st.booleans())
@example(requests=[request("/mirrorlist?repo=r", f"X-Forwarded-For: {DE}")] * 5, proxy=True)
def test_plain_requests_are_answered_as_by_uvicorn_alone(requests: list[bytes], proxy: bool) -> None:
    """Without bodies and beyond no limit, the guard and the fast lane change no byte of what uvicorn would send."""
    pieces = [(b"".join(requests), True)]
    trusted = [PROXY] if proxy else []
    assert both(pieces, *trusted) == converse("bare", [pieces], service(*trusted))[0]


@pytest.mark.slow
@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("proxy", [False, True])
def test_hostile_requests_end_where_uvicorn_ends_them(raw: bytes, proxy: bool) -> None:
    """After an odd request both lanes see a plain one, or none; never one that uvicorn does not see."""
    trusted = [PROXY] if proxy else []
    pieces = [(PLAIN, True), (raw, True), (PLAIN, True), (PLAIN, True)]  # uvicorn forgets answers when it says 400
    answered, closed = both(pieces, *trusted)
    alone, _ = converse("bare", [pieces], service(*trusted))[0]
    statuses = re.findall(rb"HTTP/1.1 (\d+)", answered)
    assert statuses[0] == b"200"
    if b"431" in statuses:
        assert closed
        statuses.pop()
    expected = re.findall(rb"HTTP/1.1 (\d+)", alone)[: len(statuses)]
    assert statuses[:-1] == expected[:-1]
    # We do not see mistakes in a body, which we do not read; and we refuse HTTP/0.9.
    assert statuses[-1] == expected[-1] or (closed and b"400" in (statuses[-1], expected[-1]))
    assert closed or raw.strip() == b"" or len(statuses) == 4
    whole = b"".join(piece for piece, _ in pieces)
    for position in range(len(PLAIN), len(PLAIN + raw), 1 + len(raw) // 20):  # and wherever it is torn apart
        assert converse("fast", [[(whole[:position], True), (whole[position:], True)]], service(*trusted)) == [
            (answered, closed)
        ]


def run_line(lane: str, *pieces: bytes, access_log: bool = False, **line: object) -> tuple[Line, int]:
    """Send pieces on one connection; the line, and how many of them were answered in their own call."""
    serving = service(PROXY, access_log=access_log)
    at_once = 0

    async def talk() -> Line:
        nonlocal at_once
        one = Line(fast_lane(serving) if lane == "fast" else object, create_app(serving), **line)  # type: ignore[arg-type]
        for data in pieces:
            before = one.wire.writes
            one.send(data)
            at_once += one.wire.writes == before + 1
            await one.settle()
        one.send_sighup()
        return one

    return asyncio.run(talk()), at_once


def test_hot_heads_are_answered_in_their_own_turn_in_one_write() -> None:
    """No task, no second write: for a new head, for a known one, and for one with another forwarded address."""
    heads = [request("/mirrorlist?repo=r", f"X-Forwarded-For: {address}") for address in (DE, DE, FR, f"{US}, {JP}")]
    line, at_once = run_line("fast", *heads, PLAIN, PLAIN)
    assert (at_once, line.wire.writes) == (6, 6)
    countries = re.findall(rb"country = (\w\w)", line.wire.sent)
    assert countries == [b"DE", b"DE", b"FR", b"JP"]


def test_the_fast_lane_is_taken_again_after_a_request_for_the_other() -> None:
    """A health check on a proxy's connection does not make all that follow slow; order is kept."""
    line, at_once = run_line("fast", PLAIN, request("/healthz"), PLAIN)
    assert at_once == 2
    assert re.findall(rb"\r\n\r\n(ok|#)", line.wire.sent) == [b"#", b"ok", b"#"]


@pytest.mark.parametrize(
    ("raw", "remembered"),
    [
        (PLAIN, True),
        (request("/mirrorlist?repo=r", f"X-Forwarded-For: {DE}"), True),
        (request("/mirrorlist?repo=r", f"x-forwarded-for: {DE}"), True),
        (request("/r/r/a/b.rpm", "Accept: */*"), True),
        (request("/mirrorlist?repo=r", f"X-FORWARDED-FOR: {DE}"), False),
        (request("/mirrorlist?repo=r", f"X-Forwarded-For: {DE}", f"X-Forwarded-For: {DE}"), False),
        (request("/mirrorlist?repo=r", f"x-FORWARDED-for: {DE}", f"X-Forwarded-For: {DE}"), False),
        (request("/mirrorlist?repo=r", f"Forwarded: for={DE}"), False),
        (request("/mirrorlist?repo=r", "A: b", " c"), False),
        (request("/mirrorlist?repo=r", "Content-Length: 0"), False),
        (request("/mirrorlist?repo=r", "Transfer-Encoding: chunked") + b"0\r\n\r\n", False),
        (request("/mirrorlist?repo=r", "Expect: 100-continue"), False),
        (request("/mirrorlist?repo=r", "Upgrade: h2c"), False),
        (request("/mirrorlist?repo=r", "A: " + "b" * 2_048), False),
        (request("/mirrorlist?repo=r", method="POST"), False),
        (request("/healthz"), False),
    ],
)
def test_what_is_remembered(raw: bytes, remembered: bool) -> None:
    """Only plain heads, without the forwarded address; see the issue's list of what never is."""
    serving = service(PROXY)
    converse("fast", [[(raw, True)]], serving)
    assert serving.state is not None
    keys = [key for memo in (serving.state.heads, serving.state.proxied_heads) for key, _ in memo.entries()]
    assert len(keys) == remembered
    assert all(DE.encode() not in key for key in keys)


def test_a_remembered_head_does_not_lend_its_address() -> None:
    """A head that a stranger may write as he likes is not mistaken for a proxy's, whatever was remembered before."""
    heads = [request("/mirrorlist?repo=r", f"{name}: {FR}") for name in ("X-FORWARDED-FOR", "X-Forwarded-For")]
    for head in heads:
        serving = service("192.0.2.1")
        (stranger, _), *_ = converse("fast", [[(head, True)], [(head, True)]], serving, peer=(US, 1))
        (proxied, _), *_ = converse("fast", [[(head, True)]], serving, peer=("192.0.2.1", 1))
        (again, _), *_ = converse("fast", [[(head, True)] * 3], serving, peer=(US, 1))
        assert b"country = FR" in proxied
        for said in (stranger, again):
            assert {*re.findall(rb"country = (\w\w)", said)} == {b"US"}


@pytest.mark.parametrize("behind", [[], ["User-Agent: a"]])
@pytest.mark.parametrize("peer", ["127.0.0.1", FR])
def test_no_client_can_write_what_a_head_is_remembered_by(behind: list[str], peer: str) -> None:
    """Bytes with NUL where a remembered head had its address are what they are in the other lane: no request."""
    serving = service(PROXY)
    head = request("/mirrorlist?repo=r", f"X-Forwarded-For: {DE}", *behind)
    for lane in ("fast", "asgi"):
        converse(lane, [[(head, True)] * 2], serving)
    converse("fast", [[(request("/mirrorlist?repo=r"), True)]], serving, peer=(peer, 5))  # his list is known, too
    assert serving.state is not None
    ((key, _),) = serving.state.proxied_heads.entries()
    assert key.count(b"\0") == 1
    said = [converse(lane, [[(key, True)]], serving, peer=(peer, 5)) for lane in ("fast", "asgi")]
    assert said[0] == said[1]
    assert b" 200 " not in said[0][0][0]


def test_a_blank_address_is_each_proxys_own() -> None:
    """A proxy that names nobody asks for itself; what that gave is not given to another proxy."""
    serving = service(f"{US}/32", f"{FR}/32")
    for value in ("", "  ", "\t"):
        head = request("/mirrorlist?repo=r", f"X-Forwarded-For: {value}")
        for proxy, country in ((US, b"US"), (FR, b"FR"), (US, b"US")):
            for lane in ("fast", "asgi"):
                (said, _), *_ = converse(lane, [[(head, True)] * 2], serving, peer=(proxy, 1))
                assert {*re.findall(rb"country = (\w\w)", said)} == {country}


@pytest.mark.parametrize("value", [f"\0{DE}", f"a\x7f, {DE}", f"\x01, {DE}", f"x, {DE}", "\t", "", DE + " ", f'"{DE}"'])
def test_a_remembered_head_does_not_vouch_for_the_address(value: str) -> None:
    """What stands in place of a known head's address is judged by the rules of headers, as in the other lane."""
    raw = (
        request("/mirrorlist?repo=r", f"X-Forwarded-For: {FR}"),
        request("/mirrorlist?repo=r", f"X-Forwarded-For: {value}"),
    )
    for peer in ("127.0.0.1", "192.0.2.1"):  # a trusted one, and another
        said = [
            converse(lane, [[(one, True) for one in raw * 2]], service(PROXY), peer=(peer, 1))
            for lane in ("fast", "asgi")
        ]
        assert said[0] == said[1]


def test_a_reload_is_seen_by_an_open_connection() -> None:
    """The next answer is from the new state: its trust, its header, its list."""
    old, new = service(PROXY), service(PROXY, header="x-real-ip")

    async def talk() -> bytes:
        line = Line(fast_lane(old), create_app(old))
        head = request("/mirrorlist?repo=r", f"X-Forwarded-For: {DE}", f"X-Real-Ip: {FR}")
        line.send(head)
        old.state = new.state
        line.send(head)
        line.send(head)
        line.send_sighup()
        return bytes(line.wire.sent)

    assert re.findall(rb"country = (\w\w)", asyncio.run(talk())) == [b"DE", b"FR", b"FR"]


@pytest.mark.slow
def test_idle_connections_keep_no_old_state() -> None:
    """What a reload replaced can be freed although connections that used it are open."""
    serving = service(PROXY)

    async def talk() -> int:
        line = Line(fast_lane(serving), create_app(serving))
        line.send(PLAIN)
        old = id(serving.state)
        serving.state = service(PROXY).state
        gc.collect()
        alive = sum(id(thing) == old for thing in gc.get_objects())
        line.send_sighup()
        return alive

    assert asyncio.run(talk()) == 0


def test_the_date_is_uvicorns_of_this_second() -> None:
    """When uvicorn replaces its list of headers, each second, the next answer has the new date."""
    serving = service()

    async def talk() -> bytes:
        line = Line(fast_lane(serving), create_app(serving))
        line.send(PLAIN)
        line.state.default_headers = [(b"date", b"later"), (b"server", b"mirrorlistd")]
        line.send(PLAIN)
        line.send_sighup()
        return bytes(line.wire.sent)

    assert re.findall(rb"date: (.*?)\r\n", asyncio.run(talk())) == [b"Sun, 22 Nov 2026 15:00:00 GMT", b"later"]


@pytest.mark.slow
def test_both_lanes_count_alike() -> None:
    """Metrics do not tell the lanes apart: answers, tiers, failures of addresses; pipelined or one by one."""
    heads = [
        request(path, *lines)
        for path in PATHS
        for lines in ((), *((f"X-Forwarded-For: {who}",) for who in (DE, "unknown", "1.2.3")))
        if "health" not in path
    ]
    counted: list[object] = []
    for lane in ("fast", "asgi"):
        serving = service(PROXY)
        conversations = [[(b"".join(heads), True)], *([(head, True), (head, True)] for head in heads)]
        for peer in ("127.0.0.1", FR, "odd"):
            converse(lane, conversations, serving, peer=(peer, 5))
        counters = serving.counted()
        assert counters.fast == (sum(counters.buckets) if lane == "fast" else 0)
        counted.append((counters.answers, counters.first_tiers, counters.address_failures, sum(counters.buckets)))
    assert counted[0] == counted[1]


@pytest.mark.slow
def test_a_defect_is_the_other_lanes_to_tell(caplog: pytest.LogCaptureFixture) -> None:
    """An exception in the fast lane becomes the 500 of the ASGI lane, and its log line."""
    serving = service()
    assert serving.state is not None
    serving.state.decider.geo = None  # type: ignore[assignment]  # any lookup fails now
    (said, closed), *_ = converse("fast", [[(PLAIN, True)]], serving)
    assert said.startswith(b"HTTP/1.1 500 ")
    assert closed
    assert [record.getMessage() for record in caplog.records] == ["Exception in ASGI application\n"]
    assert serving.counters.answers["text"][500] == 1


def unusable_plan(serving: Service) -> None:
    """Break what only the fast lane reads: the queries of all heads that it has cached."""
    assert serving.state is not None
    assert len(serving.state.heads)
    for _, cached in serving.state.heads.entries():
        object.__setattr__(cached, "plain_query", object())


@pytest.mark.slow
def test_a_defect_of_the_fast_lane_alone_costs_no_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """The client is answered once, as ever; the exceptions are counted in /metrics, and the log has some of them."""
    serving = service()
    converse("fast", [[(PLAIN, True)] * 2], serving)
    unusable_plan(serving)
    assert serving.counters.fast_lane_errors == 0
    (said, closed), *_ = converse("fast", [[(PLAIN, True)] * 3], serving)
    assert re.findall(rb"HTTP/1.1 (\d+)", said) == [b"200"] * 3
    assert not closed
    assert serving.counters.fast_lane_errors == 3
    (metrics, _), *_ = converse("fast", [[(request("/metrics"), True)]], serving)
    assert b"\nmirrorlistd_fast_lane_errors_total 3.0\n" in metrics
    log = re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out)
    assert re.findall(r"the fast lane failed.*errors=(\d)", log) == ["1", "2"]


class BrokenWire(Wire):
    """A transport that sends what it is given and then fails."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, then raise."""
        super().write(data)
        raise RuntimeError("after the write")


@pytest.mark.parametrize("hot", [False, True])
@pytest.mark.parametrize("head", [PLAIN, request("/r/r/a/b.rpm"), request("/mirrorlist?repo=r&format=json")])
def test_an_error_after_an_answer_gives_no_second_one(head: bytes, hot: bool) -> None:
    """Whatever fails once bytes are written is not answered by the other lane as well: the error goes to the loop."""
    serving = service()
    if hot:
        converse("fast", [[(head, True)] * 2], serving)

    async def talk() -> bytes:
        line = Line(fast_lane(serving), create_app(serving))
        line.wire = line.protocol.transport = BrokenWire()
        line.wire.protocol = line.protocol
        with pytest.raises(RuntimeError, match="after the write"):
            line.send(head)
        await line.settle()
        line.send_sighup()
        return bytes(line.wire.sent)

    assert asyncio.run(talk()).count(b"HTTP/1.1 ") == 1


def test_understand_reads_exactly_one_head() -> None:
    """Half a head, a head and a half, or two are not one."""
    routes = Routes()
    assert parse_head(PLAIN, routes, b"x-forwarded-for") is not None
    for raw in (PLAIN[:-1], PLAIN + b"G", PLAIN + PLAIN, b"", b"\r\n"):
        assert parse_head(raw, routes, b"x-forwarded-for") is None


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | plain().flatmap(lambda head: st.just(head).map(bytearray).map(bytes)))
def test_understand_never_raises(raw: bytes) -> None:
    """Whatever the bytes: a Head or None."""
    parse_head(raw, Routes(), b"x-forwarded-for")


@pytest.mark.process
@pytest.mark.parametrize("access_log", [False, True])
def test_real_servers_agree(tmp_path: Path, access_log: bool) -> None:
    """Over real sockets, in pieces: both lanes of the real process say the same, in bytes and in the log."""
    source = stamped(1, mirrors=1)  # no chance in it
    snapshot = write_snapshot(tmp_path / "mirrors.mls", source)
    flags = ["--snapshot", str(snapshot), "--trusted-proxy", PROXY, *(["--access-log"] if access_log else [])]
    texts = [PLAIN + PLAIN, request("/mirrorlist?repo=r", f"X-Forwarded-For: {DE}", method="HEAD"), request("/healthz")]
    texts += [
        HOSTILE["h2c"] + PLAIN,
        request("/r/r/x"),
        request("/mirrorlist?repo=%20"),
        request("/mirrorlist", method="POST"),
    ]
    # After these the server closes by itself, so they come in one piece: what comes later could not be sent.
    closing = [HOSTILE["chunked"] + PLAIN, HOSTILE["bare LF"], request("/mirrorlist?repo=r", version="1.0") + PLAIN]
    said: list[list[bytes]] = []
    logged: list[list[dict[str, object]]] = []
    for lane in ("fast", "asgi"):
        with Server(*flags, "--lane", lane) as server:
            said.append([exchange(server, text, 7, end=True) for text in texts])
            said[-1] += [exchange(server, text, len(text), end=text in texts) for text in (*texts, *closing)]
            server.stop()
            logged.append([event for event in server.events() if event["event"] == "request"])
    assert said[0] == said[1]
    for event in logged[0] + logged[1]:
        del event["microseconds"], event["timestamp"]
    assert logged[0] == logged[1]
    assert bool(logged[0]) is access_log


def exchange(server: Server, text: bytes, step: int, *, end: bool) -> bytes:
    """Send bytes in pieces of some size, then perhaps end; all that comes back, without dates."""
    with contextlib.closing(socket.create_connection(("127.0.0.1", server.port), timeout=30)) as stream:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(text), step):
            stream.sendall(text[start : start + step])
        if end:
            stream.shutdown(socket.SHUT_WR)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while data := stream.recv(65_536):
                received += data
    return re.sub(rb"\r\ndate: .*?\r\n", b"\r\n", received)


def test_the_lane_is_a_class_of_protocols() -> None:
    """It is given to uvicorn as uvicorn's own are, and two services do not share one."""
    first, second = fast_lane(service()), fast_lane(service())
    assert issubclass(first, FastLane)
    assert first.shared is not second.shared
