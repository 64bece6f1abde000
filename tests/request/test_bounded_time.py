"""Whatever a client sends, reading it takes time in proportion to its length: no pattern and no loop goes back."""

from __future__ import annotations

import contextlib
import re
from functools import partial
from random import Random
from time import process_time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorlist_snapshot.publishing import stores
from mirrorlistd.answering.answer import RedirectContext, reply
from mirrorlistd.compare.answers import read_answer
from mirrorlistd.errors import ConfigError, MirrorlistdError
from mirrorlistd.lanes.connection import HEAD_BYTES
from mirrorlistd.lanes.respond import client_of
from mirrorlistd.request.client_address import parse_address, parse_forwarded
from mirrorlistd.request.http_head import over_https, parse_head
from mirrorlistd.request.query import MAX_QUERY, format_of, parse_query
from mirrorlistd.request.routes import Routes, Template
from support.wires import service

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

SECONDS = 0.005
"""A few hundred microseconds on a busy machine, and for inputs of twice the length that is allowed."""


def seconds(call: Callable[[], object]) -> float:
    """Processor time of a call: the least of several, unless one is enough to see."""
    best = 10.0
    for _ in range(5):
        started = process_time()
        call()
        best = min(best, process_time() - started)
        if best < SECONDS or best > 1:
            break
    return best


TEMPLATES = [
    "/m/{repo}-{version}-{arch} -> repo={repo}",
    "/m/{a}-{b}-{c}-{d}-{e}-{f} -> repo={a}",
    "/m/{a}a{b}a{c}a{d} -> repo={a}",
    "/m/{a}aa{b}ab{c}ba{d}x -> repo={a}",
    "/m/x{a}.{b}/{c}.{d}/{e}%2F{f} -> repo={a}",
    "/{a}/{b}/{c}/{d}/{e} -> repo={a}",
    "/m/{a}" + "-" * 60 + "a{b}" + "-" * 60 + "b{c} -> repo={a}",
]
UNITS = [b"-", b"a", b"a-", b"-a", b"ab", b"/", b"a/", b".", b"%2F", b"x.", b"--a", b"\xff"]


@pytest.mark.parametrize("template", TEMPLATES)
def test_no_template_makes_a_path_expensive(template: str) -> None:
    """Paths of the longest length, of one repeated part, that fit to the last byte, or not."""
    routes = Routes((Template.parse(template),))
    for unit in UNITS:
        for end in (b"", b"!", b"/", b"x", b"-"):
            for start in (b"/m/", b"/m/x", b"/"):
                path = (start + unit * MAX_QUERY)[: MAX_QUERY - len(end)] + end
                assert seconds(partial(routes.query, path, b"")) < SECONDS, (unit, end)


@pytest.mark.parametrize("text", ["/m/{a}{b} -> repo={a}", "/{a}{b}/x -> repo={a}", "/m/{a}-{b}{c} -> repo={a}"])
def test_variables_side_by_side_are_refused(text: str) -> None:
    """Where one ends and the next begins would be arbitrary."""
    with pytest.raises(ConfigError, match="two variables need something between them"):
        Template.parse(text)


@given(
    pieces=st.lists(st.text("a-/.", min_size=1, max_size=2), min_size=0, max_size=4),
    path=st.text("ab-/.", max_size=14).map(str.encode),
)
def test_templates_match_as_a_greedy_expression_does(pieces: list[str], path: bytes) -> None:
    """An oracle that may go back: the same paths fit, and every variable has the same value."""
    template, expression = "/x", "/x"
    for name, piece in zip("pqrs", pieces, strict=False):
        template += f"{piece}{{{name}}}"
        expression += f"{re.escape(piece)}(?P<{name}>[^/]+)"
    parsed = Template.parse(f"{template} -> repo=r")
    expected = re.fullmatch(expression.encode(), b"/x" + path)
    found = parsed.match(b"/x" + path)
    assert found == (expected and {name.encode(): value for name, value in expected.groupdict().items()})


PARTS = [
    "a",
    "%41",
    "%",
    "&",
    "=",
    "a=b&",
    "&a=%41",
    ",",
    ";",
    "; ",
    " ",
    "\t",
    "/",
    "./",
    "../",
    "//",
    "[",
    "]",
    ":",
    "1",
]
PARTS += ["1.", "::", "ip=1.2.3.4&", "country=DE,", "repo=a&", "format=", "text/html, ", "*/*;q=0.1,", "q=", '"', "\\"]
PARTS += ["application/metalink4+xml;q=0.", "http://", "a://", "<", ">", "+", "-", "IP: ", "countme=1&", "unknown, "]


def readers() -> dict[str, Callable[[bytes], object]]:
    """Everything that reads what a client, a server that is compared, or a store sends."""
    serving = service("127.0.0.0/8")
    state = serving.state
    assert state is not None
    client = client_of(state, "127.0.0.1", ())

    def redirect(accept: bytes) -> object:
        return reply(state.decider, b"repo=r&redirect=1&path=a", client, Random(1), RedirectContext(accept=accept))

    return {
        "query": parse_query,
        "query, flags by presence": lambda data: parse_query(data, flags_by_presence=True),
        "format": format_of,
        "path": lambda data: Routes().query(b"/r/" + data, b""),
        "path of a text file": lambda data: Routes().query(b"/mirrors/" + data + b".txt", b""),
        "whole answer": lambda data: reply(state.decider, data, client, Random(1)),
        "accept": redirect,
        "address": lambda data: parse_address(data.decode("latin-1")),
        "forwarded element": parse_forwarded,
        "forwarded header": lambda data: client_of(state, "127.0.0.1", (data,)),
        "forwarded headers": lambda data: client_of(state, "127.0.0.1", (data[:100],) * 100),
        "target": lambda data: parse_head(b"GET http://" + data + b" HTTP/1.1\r\n\r\n", Routes(), b"x"),
        "scheme": lambda data: over_https(data, b"http"),
        "head": lambda data: parse_head(b"GET /mirrorlist?" + data + b" HTTP/1.1\r\n\r\n", Routes(), b"x"),
        "header": lambda data: parse_head(b"GET /r/r/x HTTP/1.1\r\nAccept: " + data + b"\r\n\r\n", Routes(), b"x"),
        "list of another server": lambda data: read_answer(200, None, data),
        "error of a store": lambda data: stores._reason(OSError(data.decode("latin-1"))),
    }


@pytest.mark.parametrize("name", readers())
def test_reading_takes_time_in_proportion(name: str) -> None:
    """One repeated part, as long as a head may be; refused or not."""
    read = readers()[name]

    def call(data: bytes) -> None:
        with contextlib.suppress(MirrorlistdError):
            read(data)

    size = MAX_QUERY if name in ("query", "query, flags by presence", "whole answer") else HEAD_BYTES
    for part in PARTS:
        for end in (b"", b"!", b"="):
            data = (part.encode() * size)[: size - len(end)] + end
            assert seconds(partial(call, data)) < 4 * SECONDS, (part, end)
