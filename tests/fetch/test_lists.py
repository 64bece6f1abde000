"""What a list says, in every format that mirrorlist-fetch takes, and how little a hostile list can do. Pure."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from pathlib import Path
from urllib.parse import urlsplit
from xml.sax.saxutils import escape, quoteattr

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlistd.fetch.errors import ListError, MirrorError, UsageError
from mirrorlistd.fetch.lists import from_headers, is_list_url, parse, sniff
from mirrorlistd.fetch.source import (
    LAST,
    MAX_MIRRORS,
    ContentVersion,
    Hash,
    MirrorUrl,
    Source,
    check_path,
    is_fetchable,
    next_hop,
    safe_name,
)

A, B, C = "http://a.example/x/", "https://b.example/x/", "http://c.example:8080/x/"
SHA256 = hashlib.sha256(b"").hexdigest()
SHA512 = hashlib.sha512(b"").hexdigest()
MD5 = hashlib.md5(b"", usedforsecurity=False).hexdigest()
OLD = hashlib.sha256(b"old").hexdigest()

V3 = f"""<?xml version="1.0" encoding="utf-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/" type="dynamic" generator="mirrormanager"
 xmlns:mm0="http://fedorahosted.org/mirrormanager">
 <files>
  <file name="repomd.xml">
   <mm0:timestamp>1700000000</mm0:timestamp>
   <size>3000</size>
   <verification>
    <hash type="md5">{MD5}</hash><hash type="sha512">{SHA512}</hash><hash type="sha256">{SHA256}</hash>
   </verification>
   <mm0:alternates>
    <mm0:alternate>
     <mm0:timestamp>1690000000</mm0:timestamp>
     <size>2900</size>
     <verification><hash type="sha256">{OLD}</hash></verification>
    </mm0:alternate>
   </mm0:alternates>
   <resources maxconnections="1">
    <url protocol="rsync" type="rsync" location="US" preference="100">rsync://a.example/x/repomd.xml</url>
    <url protocol="http" type="http" location="US" preference="99">{A}repomd.xml</url>
    <url protocol="https" type="https" location="DE" preference="100">{B}repomd.xml</url>
    <url protocol="http" type="http">{C}repomd.xml</url>
   </resources>
  </file>
 </files>
</metalink>
""".encode()

V4 = f"""<?xml version="1.0" encoding="UTF-8"?>
<metalink xmlns="urn:ietf:params:xml:ns:metalink">
 <file name="hello.deb">
  <size>5</size>
  <hash type="sha-1">{"0" * 40}</hash>
  <hash type="sha-256">{SHA256.upper()}</hash>
  <hash type="tiger">abc</hash>
  <pieces length="2" type="sha-256"><hash>{OLD}</hash></pieces>
  <url location="us">{C}hello.deb</url>
  <url location="de" priority="2">{B}hello.deb</url>
  <url priority="1">{A}hello.deb</url>
  <metaurl mediatype="torrent">{A}hello.torrent</metaurl>
 </file>
</metalink>
""".encode()


def urls(source: Source) -> list[str]:
    """The URLs in the order in which they would be asked."""
    return [mirror.url for mirror in source.mirrors]


def test_a_plain_list_is_walked_in_its_order() -> None:
    """Comments, blank lines, CRLF, other protocols and repetitions do no harm; the order is the document's."""
    text = f"# repo = x\n\n  # indented\r\n{B}\r\nrsync://z.example/x/\n{A}\n{B}\n".encode()
    source = parse(text, "list", "dists/stable/InRelease")
    assert urls(source) == [f"{B}dists/stable/InRelease", f"{A}dists/stable/InRelease"]
    assert (source.name, source.version) == ("dists/stable/InRelease", ContentVersion())


def test_a_list_of_files_needs_no_path() -> None:
    """The server answers `path=DIR/FILE` with URLs of the file itself."""
    source = parse(f"{A}InRelease\n{B}InRelease\n".encode(), "list")
    assert (urls(source), source.name) == ([f"{A}InRelease", f"{B}InRelease"], "InRelease")
    with pytest.raises(ListError, match="--path"):
        parse(A.encode(), "list")


def test_apt_lists_go_by_priority() -> None:
    """`format=apt` has the tier as priority: a lower one comes first, equal ones in the document's order."""
    text = f"{A}\tpriority:2 type:deb\n{B}\tpriority:1\n{C}\tpriority:2\n".encode()
    assert parse(text, "list", "f").mirrors == (
        MirrorUrl(f"{B}f", 1),
        MirrorUrl(f"{A}f", 2),
        MirrorUrl(f"{C}f", 2),
    )


def test_json_lists_go_by_prio() -> None:
    """The shape that libzypp takes, with further keys."""
    text = json.dumps([{"url": A, "prio": 1, "country": "DE"}, {"url": B, "prio": 0}, {"url": C}]).encode()
    assert sniff(text, "application/json") == "list"
    assert urls(parse(text, "list", "f")) == [f"{B}f", f"{A}f", f"{C}f"]


def test_metalink_3_says_everything() -> None:
    """As MirrorManager writes it: hashes strongest first, alternates, preference 100 first, connections."""
    source = parse(V3, "metalink")
    assert source.name == "repomd.xml"
    assert source.version == ContentVersion(3000, (Hash("sha512", SHA512), Hash("sha256", SHA256), Hash("md5", MD5)))
    assert source.previous == (ContentVersion(2900, (Hash("sha256", OLD),)),)
    assert source.connections == 1
    assert source.mirrors == (
        MirrorUrl(f"{B}repomd.xml", 1, "de"),
        MirrorUrl(f"{A}repomd.xml", 2, "us"),
        MirrorUrl(f"{C}repomd.xml", LAST),
    )


def test_metalink_4_says_everything() -> None:
    """RFC 5854: priority 1 first, a missing one last; hashes of pieces and unknown hashes are not the file's."""
    source = parse(V4, "metalink")
    assert (source.name, source.connections) == ("hello.deb", None)
    assert source.version == ContentVersion(5, (Hash("sha256", SHA256), Hash("sha1", "0" * 40)))
    assert source.mirrors == (
        MirrorUrl(f"{A}hello.deb", 1),
        MirrorUrl(f"{B}hello.deb", 2, "de"),
        MirrorUrl(f"{C}hello.deb", LAST, "us"),
    )


def test_one_file_of_several_is_chosen_by_path() -> None:
    """A metalink of several files needs a choice, and one of another file is refused."""
    file = '<file name="{0}"><url>http://a.example/{0}</url></file>'
    head, tail = '<metalink xmlns="urn:ietf:params:xml:ns:metalink">', "</metalink>"
    both = (head + file.format("one") + file.format("two") + tail).encode()
    assert urls(parse(both, "metalink", "pool/two")) == ["http://a.example/two"]
    with pytest.raises(ListError, match="'one', 'two'"):
        parse(both, "metalink")
    with pytest.raises(ListError, match="repomd"):
        parse(V3, "metalink", "primary.xml")


@pytest.mark.parametrize(
    ("head", "content_type", "kind"),
    [
        (b"http://a.example/\n", "text/plain", "list"),
        (b"\xef\xbb\xbf# c\r\n\r\nhttps://a.example/\r\n", "application/octet-stream", "list"),
        (b'[{"url":', "application/json", "list"),
        (b"[]", "application/json", "list"),
        (b'{"a": 1}', "application/json", "file"),
        (V3, "text/xml", "metalink"),
        (V4, "application/octet-stream", "metalink"),
        (b"anything", "application/metalink4+xml; charset=utf-8", "metalink"),
        (b"<?xml version='1.0'?><repomd>", "text/xml", "file"),
        (b"http://a.example/", "text/html", "file"),
        (b"<html>", "text/html", "file"),
        (b"Origin: Debian\nSee: https://a.example/\n", "text/plain", "file"),
        (b"\x7fELF", "application/octet-stream", "file"),
        (b"", "", "file"),
    ],
)
def test_first_bytes_tell(head: bytes, content_type: str, kind: str) -> None:
    """A list, a metalink, or the file itself."""
    assert sniff(head, content_type) == kind


def test_urls_of_lists_are_known_by_their_end() -> None:
    """At such a URL a web page is never taken for the file."""
    assert is_list_url("http://h/a/mirrorlist?repo=x")
    assert is_list_url("http://h/x/f.deb.meta4")
    assert not is_list_url("http://h/r/debian/mirrorlist/f.deb")


def test_headers_name_duplicates_and_hashes() -> None:
    """RFC 6249 and both generations of Digest: the URL asked first, then by `pri`; relative and hostile ones too."""
    links = [
        f'<{B}f>; rel=duplicate; pri=2; geo=de, <{C}f>; rel="duplicate"; pri=1',
        "</meta4>; rel=describedby, <../y>; rel=duplicate, <javascript:x>; rel=duplicate, <http://[>; rel=duplicate",
    ]
    digest = base64.b64encode(bytes.fromhex(SHA256)).decode()
    for digests in ([f"MD5=x,SHA-256={digest}"], [f"sha-256=:{digest}:"]):
        source = from_headers(f"{A}f", links, digests)
        assert urls(source) == [f"{A}f", f"{C}f", f"{B}f", "http://a.example/y"]
        assert source.version.hashes == (Hash("sha256", SHA256),)
        assert source.mirrors[2].location == "de"


@pytest.mark.parametrize(
    "document",
    [
        V3.replace(b"<size>3000", b"<size>-1"),
        V3.replace(b"<size>3000", "<size>٣".encode()),
        V3.replace(b"<size>3000", b"<size>99999999999999999999"),
        V3.replace(SHA256.encode(), SHA256[:-1].encode()),
        V3.replace(SHA256.encode(), b"g" * 64),
        V3.replace(b'type="md5"', b'type="sha512"'),
        V3.replace(b'preference="99"', b'preference="101"'),
        V3.replace(b"http://www.metalinker.org/", b"urn:x"),
        V4.replace(b"http", b"ftp"),
        V4.replace(b"</file>", b""),
        b'<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>' + V4.partition(b"?>")[2],
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + V4.partition(b"?>")[2],
        b'<!DOCTYPE metalink SYSTEM "http://127.0.0.1/x.dtd">' + V4.partition(b"?>")[2],
        V4.replace(b"UTF-8", b"x-unknown"),
        b"<metalink/>",
        b"<a>" * 100_000,
        b"",
    ],
)
def test_a_bad_metalink_is_refused(document: bytes) -> None:
    """Nothing is half believed: a file must not go unchecked because its hash was misspelt. No entities, ever."""
    with pytest.raises(ListError):
        parse(document, "metalink")


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"# only a comment\n",
        b"Server = http://a.example/$repo\n",
        b"\xff\xfe",
        b"rsync://a.example/\n",
        b"http://a.example/\tpriority:high\n",
        b"[" * 100_000,
        b'[{"url": 1}]',
        b'["http://a.example/"]',
        b'[{"url": "http://a.example/", "prio": "0"}]',
        b"[] x",
    ],
)
def test_a_bad_list_is_refused(document: bytes) -> None:
    """With the one error."""
    with pytest.raises(ListError):
        parse(document, "list", "f")


def test_long_lists_are_cut() -> None:
    """Nobody walks further than MAX_MIRRORS; the best are kept, wherever they stand."""
    lines = [f"http://m{number}.example/ priority:{5000 - number}" for number in range(5000)]
    found = urls(parse("\n".join(lines).encode(), "list", "f"))
    assert (len(found), found[0]) == (MAX_MIRRORS, "http://m4999.example/f")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/",
        "file:///etc/passwd",
        "http:///x",
        "http://",
        "//a.example/",
        "http://a.example:0/",
        "http://a.example:99999/",
        "http://a.example/\x00",
        "http://a.example/a b",
        "http://a.example/\r\nHost: b",
        "http://[::1/",
        "http://ex\u00e4mple/",
        "http://a.example/" + "a" * 5000,
        "https",
        "",
    ],
)
def test_odd_urls_are_passed_over(url: str) -> None:
    """Only http and https, and nothing that could be read in two ways."""
    assert not is_fetchable(url)


def test_https_stays_https() -> None:
    """A redirect may go up, never down; where the list named http, anything goes. No other protocol, ever."""
    assert next_hop("http://a/", "http://a/", "https://b/") == "https://b/"
    assert next_hop("http://a/", "https://b/", "http://c/") == "http://c/"
    assert next_hop("https://a/x", "https://a/x", "../y") == "https://a/y"
    for location in ("http://a/", "//a b/", "file:///etc/passwd", "ftp://a/", "javascript:x", "http://[", ""):
        with pytest.raises(MirrorError) as caught:
            next_hop("https://a/", "http://[" if location == "" else "https://a/", location)
        assert caught.value.reason == "redirect"


@pytest.mark.parametrize(
    "name",
    [
        "../passwd",
        "/etc/passwd",
        "a/../../b",
        "..",
        ".",
        "",
        "a/",
        ".bashrc",
        "-rf",
        "~root",
        "a\x00b",
        "a\nb",
        "a\x1b[2Jb",
        "a\u202eb",
        "C:\\x",
        "n" * 4096,
        "\u00e4" * 101,
        "\ud800",
    ],
)
def test_hostile_names_name_no_file(name: str) -> None:
    """Refused, not repaired; the message says how to go on and cannot steer a terminal."""
    with pytest.raises(UsageError, match="-o FILE") as caught:
        safe_name(name)
    assert str(caught.value).isprintable()


def test_honest_names_are_kept() -> None:
    """The last segment, whatever folders the list knows."""
    assert safe_name("dists/stable/InRelease") == "InRelease"
    assert safe_name("hello_2.10-3+b1~x_amd64.deb") == "hello_2.10-3+b1~x_amd64.deb"


def test_paths_stay_below_the_mirror() -> None:
    """A leading slash is forgiven, a way up is not; what is no part of a URL's path is escaped."""
    assert check_path("/dists/stable/InRelease") == "dists/stable/InRelease"
    assert urls(parse(A.encode(), "list", "a b?c#d+e%20"))[0] == f"{A}a%20b%3Fc%23d+e%20"
    for path in ("", "/", "a/", "../a", "a/./b", "a\nb"):
        with pytest.raises(UsageError):
            check_path(path)


def test_a_pinned_hash_must_agree() -> None:
    """A list that knows another sha256 than the caller is of no use; one that knows none gets it."""
    source = parse(V3, "metalink")
    assert source.pinned(SHA256) == source
    with pytest.raises(ListError, match="pinned"):
        source.pinned(OLD)
    assert parse(A.encode(), "list", "f").pinned(OLD).version.hashes == (Hash("sha256", OLD),)


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
