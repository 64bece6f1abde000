"""What a list says, in every format that mirrorlist-fetch takes, and how little a hostile list can do. Pure."""

from __future__ import annotations

import base64
import json

import pytest

from mirrorlistd.fetch.errors import ListError, MirrorError, UsageError
from mirrorlistd.fetch.lists import from_headers, is_list_url, parse, sniff
from mirrorlistd.fetch.source import (
    LAST,
    MAX_MIRRORS,
    ContentVersion,
    Hash,
    MirrorUrl,
    check_path,
    is_fetchable,
    next_hop,
    safe_name,
)
from support.list_documents import MD5, OLD, SHA256, SHA512, V3, V4, A, B, C, urls


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
