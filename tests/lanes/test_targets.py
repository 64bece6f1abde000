"""Request targets in every form that RFC 9112 (3.2) has: understood, or refused on purpose, alike in both lanes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlistd.request.target import origin_form
from support.wires import converse, service

LIST = "/mirrorlist?repo=r&limit=1"
AUTHORITIES = [
    *("x", "x:80", "x:", "x:0080", "X.example.", "127.0.0.1", "127.0.0.1:65535", "[::1]", "[2001:db8::1]:8080"),
    *("user@x", "user:secret@x:80", "@x", "x%2Dy", "_x", "x-1.example"),
]
BAD_AUTHORITIES = [
    "",
    ":80",
    "user@",
    "x:65536",
    "x:999999999999",
    "x:a",
    "x:80:80",
    "[::1",
    "::1",
    "[]",
    "a@b@c",
    "x|y",
]


def ask(method: str, target: str) -> tuple[int, bytes, bytes, bool]:
    """Status, head, body, and whether the connection ends; twice in each lane, the second time perhaps remembered."""
    raw = f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode("latin-1")
    # A service for each lane: chance is the same for both then.
    fast, asgi = (converse(lane, [[(raw, True)], [(raw, True)]], service()) for lane in ("fast", "asgi"))
    assert fast == asgi
    assert fast[0][0].split(b"\r\n")[0] == fast[1][0].split(b"\r\n")[0]
    head, _, body = fast[0][0].partition(b"\r\n\r\n")
    return int(head[9:12]), head, body, fast[0][1]


@pytest.mark.slow
@pytest.mark.parametrize("authority", AUTHORITIES)
@pytest.mark.parametrize("scheme", ["http", "https", "HTTP"])
def test_an_absolute_form_means_its_path(authority: str, scheme: str) -> None:
    """Whatever scheme, name, port and user it has; a list, a redirect, a page, a path that is not there."""
    base = f"{scheme}://{authority}"
    for path in (LIST, "/r/r/x", "/healthz", "/nowhere", "//", "/?a=/b"):
        assert ask("GET", base + path) == ask("GET", path)


@pytest.mark.slow
@pytest.mark.parametrize("authority", AUTHORITIES)
def test_an_absolute_form_without_a_path_means_the_top(authority: str) -> None:
    """With and without a query, which may hold slashes; for other methods, too."""
    for query in ("", "?", "?repo=r", "?/mirrorlist", "?a=http://y/mirrorlist"):
        assert ask("GET", f"http://{authority}{query}") == ask("GET", f"/{query}")
    assert ask("GET", f"http://{authority}")[2].startswith(b"<!doctype html>")
    for method in ("HEAD", "OPTIONS", "POST"):
        assert ask(method, f"http://{authority}") == ask(method, "/")


@pytest.mark.parametrize("authority", BAD_AUTHORITIES)
@pytest.mark.parametrize("rest", ["", "/", LIST, "?a"])
def test_an_absolute_form_without_a_host_is_refused(authority: str, rest: str) -> None:
    """400, and the connection ends."""
    status, _, _, closed = ask("GET", f"http://{authority}{rest}")
    assert (status, closed) == (400, True)


@pytest.mark.parametrize("target", ["x:80", "[::1]:80", "x", LIST, f"http://x{LIST}", "*"])
def test_connect_is_refused(target: str) -> None:
    """In its own form, and in every other one."""
    status, _, _, closed = ask("CONNECT", target)
    assert (status, closed) == (400, True)


def test_options_for_the_server() -> None:
    """The asterisk form names the methods; it is for OPTIONS alone."""
    status, head, body, closed = ask("OPTIONS", "*")
    assert (status, body, closed) == (200, b"", False)
    assert b"\r\nallow: GET, HEAD, OPTIONS\r\n" in head
    for method in ("GET", "HEAD", "POST"):
        assert ask(method, "*")[0] == 400
    assert ask("OPTIONS", "*?a")[0] == 400


@pytest.mark.parametrize(
    "target", ["x:80", "x", "", "?repo=r", "mailto:x@y", "urn:x", "http:/x", "http:x", "mirrorlist"]
)
def test_what_is_no_form_of_get_is_refused(target: str) -> None:
    """Authority form, relative references, other URIs."""
    assert ask("GET", target)[0] == 400


def test_the_log_has_the_path_of_an_absolute_form(capsys: pytest.CaptureFixture[str]) -> None:
    """As of the origin form, in both lanes."""
    raw = f"GET http://user@x:80{LIST} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    for lane in ("fast", "asgi"):
        converse(lane, [[(raw, True)] * 2], service(access_log=True))
    assert re.findall(r"path=(\S+)", re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out)) == ["/mirrorlist"] * 4


@settings(deadline=None)
@given(
    method=st.sampled_from([b"GET", b"OPTIONS", b"CONNECT"]),
    target=st.binary(max_size=20) | st.text("ht:/@[]?#%a0.*", max_size=12).map(lambda text: b"http://" + text.encode()),
)
def test_any_target_is_in_origin_form_or_refused(method: bytes, target: bytes) -> None:
    """Nothing else comes out; what is in origin form stays as it is."""
    try:
        found = origin_form(method, target)
    except ValueError:
        assert method == b"CONNECT" or not target.startswith(b"/")
    else:
        assert found == target if target.startswith(b"/") else found[:1] in (b"/", b"*")
