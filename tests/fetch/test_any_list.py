"""Properties of all readers of lists: formats agree, garbage raises one error, no name leaves the folder."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from urllib.parse import urlsplit
from xml.sax.saxutils import escape, quoteattr

import httpx2
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlistd.fetch.errors import ListError, MirrorError, UsageError
from mirrorlistd.fetch.lists import from_headers, parse, sniff
from mirrorlistd.fetch.source import (
    MAX_MIRRORS,
    is_fetchable,
    next_hop,
    safe_name,
)
from support.list_documents import V3, V4, A, B, urls

MIRRORS = st.lists(
    st.tuples(
        st.sampled_from(("http", "https")), st.from_regex(r"[a-z]{1,8}\.example(/[a-z&'%]{0,5})?", fullmatch=True)
    ).map(lambda parts: f"{parts[0]}://{parts[1]}/f"),
    min_size=1,
    max_size=8,
    unique=True,
)


@given(MIRRORS, st.integers(0, 2**63 - 1))
def test_every_format_says_the_same(mirrors: list[str], size: int) -> None:
    """One list written in each format reads alike."""
    v4_urls = "".join(f"<url priority={quoteattr(str(at))}>{escape(url)}</url>" for at, url in enumerate(mirrors, 1))
    v4 = (
        f'<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="f"><size>{size}</size>'
        f"{v4_urls}</file></metalink>"
    )
    v3_urls = "".join(f'<url preference="{100 - at}">{escape(url)}</url>' for at, url in enumerate(mirrors))
    v3 = (
        f'<metalink xmlns="http://www.metalinker.org/"><files><file name="f"><size>{size}</size>'
        f"<resources>{v3_urls}</resources></file></files></metalink>"
    )
    rows = json.dumps([{"url": url, "prio": at} for at, url in enumerate(mirrors)])
    text = "\n".join(mirrors)
    for document in (v3, v4, rows, text):
        source = parse(document.encode(), sniff(document.encode(), ""))
        assert (urls(source), source.name) == (mirrors, "f")
        assert source.version.size in (None, size)


PIECES = st.sampled_from(
    b'\n|#|http://a.example/|\t|priority:|1|[{"url":|"|}]|<|>|</|metalink|file|&amp;|&x;|'
    b"<!DOCTYPE x [|]>|<?xml|?>|\x00|\xff| |=".split(b"|")
)


GARBAGE = st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=40).map(b"".join))


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A good metalink with a piece replaced."""
    document = draw(st.sampled_from((V3, V4)))
    at = draw(st.integers(0, len(document)))
    return document[:at] + draw(GARBAGE) + document[at + draw(st.integers(0, 60)) :]


@settings(max_examples=300)
@given(
    st.one_of(GARBAGE, spoilt()),
    st.sampled_from(("list", "metalink")),
    st.one_of(st.none(), st.just("f")),
)
def test_garbage_raises_one_error(document: bytes, kind: str, path: str | None) -> None:
    """Any bytes are read or raise ListError; what is read can be asked for."""
    assert sniff(document, "") in ("list", "metalink", "file")
    try:
        source = parse(document, "list" if kind == "list" else "metalink", path)
    except ListError:
        return
    assert 1 <= len(source.mirrors) <= MAX_MIRRORS
    assert all(is_fetchable(url) for url in urls(source))


@given(st.lists(st.text(max_size=60), max_size=3), st.lists(st.text(max_size=60), max_size=3))
def test_garbage_in_headers_is_passed_over(links: list[str], digests: list[str]) -> None:
    """Headers may speak of other things: the URL asked stays usable whatever they say."""
    assert urls(from_headers(A, links, digests))[0] == A


@settings(max_examples=300)
@given(st.text("ab.:@[]%/?#\\\t0-", max_size=12).map("http://".__add__))
def test_fetchable_urls_are_the_librarys_too(url: str) -> None:
    """The HTTP library sees the same host in every URL that passes, or refuses it: no check was of another one."""
    if is_fetchable(url):
        with contextlib.suppress(httpx2.InvalidURL):
            assert httpx2.URL(url).raw_host.decode() == urlsplit(url).hostname


@given(st.text(max_size=80))
def test_names_stay_in_the_folder(name: str) -> None:
    """A name that passes is one plain file name."""
    try:
        safe = safe_name(name)
    except UsageError:
        return
    assert Path(safe).name == safe
    assert not safe.startswith((".", "-"))


@given(st.text(max_size=60), st.booleans())
def test_redirects_never_leave_https(location: str, absolute: bool) -> None:
    """Whatever a Location says."""
    try:
        target = next_hop(B, B, f"http{location}" if absolute else location)
    except MirrorError as error:
        assert error.reason == "redirect"
        return
    assert target.startswith("https:")
