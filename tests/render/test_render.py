"""Formats: apt, pacman, metalink 3 and 4, redirects; text and JSON are held byte for byte in test_answer."""

from __future__ import annotations

import re
from base64 import b64decode
from collections import Counter
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from mirrorlistd.answering.answer import Answer, RedirectContext, answer
from mirrorlistd.request.routes import Routes
from support.distributions import chi_square
from support.paths import DATA
from support.worlds import DE, FR, JP, US, ask, at, decider, hosts, mirror, network

if TYPE_CHECKING:
    from mirrorlistd.answering.decider import Decider

V3 = "{http://www.metalinker.org/}"
MM0 = "{http://fedorahosted.org/mirrormanager}"
V4 = "{urn:ietf:params:xml:ns:metalink}"
SCHEMA = etree.RelaxNG(etree.parse(DATA / "schema" / "metalink4.rng"))

OLD = {"timestamp": 1_600_000_000, "size": 10, "sha256": "b" * 64}
REPOMD = {
    "path": "repodata/repomd.xml",
    "arch": "x86_64",
    "timestamp": 1_700_000_000,
    "size": 3000,
    "md5": "1" * 32,
    "sha1": "2" * 40,
    "sha256": "3" * 64,
    "sha512": "4" * 128,
    "alternates": [OLD],
}


def world(**settings: Any) -> Decider:
    """Two countries, a private mirror, one repository with file details and one without architectures."""
    source = network(
        {
            "de": mirror("DE"),
            "fr": mirror("FR", categories={"c": ["https://fr/c/", "http://fr/c/"]}),
            "us": mirror("US", categories={"c": "http://us/c/"}),
            "campus": mirror("DE", private=True, netblocks=["198.51.100.1/32"]),
        },
        repositories={
            "os": {"category": "c", "path": "9/{arch}", "arches": ["x86_64", "s390x"], "files": [REPOMD]},
            "r": {"category": "c"},
        },
    )
    return decider(source, public_url="https://lists.example.org", **settings)


def headers(reply: Answer, name: bytes) -> list[str]:
    """Every value of a header."""
    return [value.decode() for key, value in reply.headers if key == name]


def test_apt_gets_a_priority_per_tier() -> None:
    """Apt shuffles lines of equal priority: equal within a tier, growing from tier to tier.

    See docs/client-compatibility.md, Priorities for apt.
    """
    reply = ask(world(), "repo=r&format=apt", FR)
    assert reply.body == (
        b"# repo = r country = FR continent = EU\n"
        b"https://fr/c/\tpriority:1\nhttps://de/c/\tpriority:2\nhttp://us/c/\tpriority:3\n"
    )


def test_pacman_fills_in_the_rest() -> None:
    """An `Include` file: pacman itself replaces $repo and $arch."""
    reply = ask(world(), "repo=r&format=pacman&limit=1", FR)
    assert reply.body.splitlines()[1:] == [b"Server = https://fr/c/$repo/os/$arch"]


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("repo=os&arch=x86_64", b"os/$arch"),
        ("path=c/$repo/os/$arch/", b"$repo/os/$arch"),
        ("path=c/%24arch/%24repo", b"$arch/$repo"),
        ("path=c/pub/", b"pub/$arch/$repo"),
        ("path=c/", b"$arch/$repo"),
    ],
)
def test_pacman_layouts(query: str, line: bytes) -> None:
    """The architecture in a repository's path, variables in the client's, and the operator's layout everywhere else."""
    world_of_arches = decider(
        network(
            {"de": mirror("DE")}, repositories={"os": {"category": "c", "path": "os/{arch}", "arches": ["x86_64"]}}
        ),
        pacman_layout="$arch/$repo",
    )
    reply = ask(world_of_arches, f"{query}&format=pacman&comments=0", DE)
    assert reply.body == b"Server = https://de/c/" + line + b"\n"


HASHED = network(
    {"de": mirror("DE"), "fr": mirror("FR")},
    categories={
        "c": {"files": [{"path": "a/x.iso", "timestamp": 1, "size": 3, "sha256": "ab" * 32, "md5": "cd" * 16}]}
    },
)


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [
        ("/r/r/a/x.iso.sha256", 200, b"ab" * 32 + b"  x.iso\n"),
        ("/r/r/a/x.iso?sha256", 200, b"ab" * 32 + b"  x.iso\n"),
        ("/r/r/a/x.iso.md5", 200, b"cd" * 16 + b"  x.iso\n"),
        ("/c/a/x.iso.sha256", 200, b"ab" * 32 + b"  x.iso\n"),
        ("/c/a/x.iso?md5", 200, b"cd" * 16 + b"  x.iso\n"),
        ("/mirrorlist?path=c/a/x.iso&format=sha256", 200, b"ab" * 32 + b"  x.iso\n"),
        ("/r/r/a/x.iso.sha1", 302, b"https://de/c/a/x.iso.sha1\n"),
        ("/r/r/a/y.iso.sha256", 302, b"https://de/c/a/y.iso.sha256\n"),
        ("/c/a/y.iso.sha256", 302, b"https://de/c/a/y.iso.sha256\n"),
        ("/r/r/a/x.iso.sha256?redirect=1&limit=3", 200, b"ab" * 32 + b"  x.iso\n"),
        ("/r/r/a/x.iso.sha256?mirrorlist", 200, b"ab" * 32 + b"  x.iso\n"),
        ("/r/r/a/x.iso?sha1", 404, b"no sha1 of this file is known\n"),
        ("/r/r/a/y.iso?sha256", 404, b"no sha256 of this file is known\n"),
        ("/r/r/a/?sha256", 404, b"a sha256 is about one file; name it by file= or path=DIRECTORY/FILE\n"),
    ],
)
def test_hashes(target: str, status: int, body: bytes) -> None:
    """A known hash is one line that `sha256sum --check` reads; if it is not known, the suffix may be a real file's."""
    path, _, query = target.partition("?")
    canonical = Routes().query(path.encode(), query.encode())
    assert canonical is not None
    reply = ask(decider(HASHED), canonical.decode(), DE)
    assert (reply.status, reply.body) == (status, body)


def test_the_list_of_a_country_by_a_path() -> None:
    """`/mirrors/DE.txt` is of the only repository; where there are several it asks which one."""
    canonical = Routes().query(b"/mirrors/DE.txt", b"comments=0&format=text")
    assert canonical is not None
    assert ask(decider(HASHED), canonical.decode(), FR).body == b"https://de/c/\n"
    several = network({"de": mirror("DE")}, repositories={"r": {"category": "c"}, "s": {"category": "c", "path": "s"}})
    reply = ask(decider(several), canonical.decode(), FR)
    assert (reply.status, b"known repositories: r s" in reply.body) == (404, True)
    named = Routes().query(b"/mirrors/s/DE.txt", b"comments=0&format=text")
    assert named is not None
    assert ask(decider(several), named.decode(), FR).body == b"https://de/c/s/\n"


def test_metalink_3_is_mirrormanagers_document() -> None:
    """Element for element what dnf and zypper know, in the order that MirrorManager writes."""
    reply = ask(world(), "repo=os&arch=x86_64&format=metalink&protocol=https,http", DE, seed=1)
    assert headers(reply, b"content-type") == ["application/metalink+xml"]
    assert (
        reply.body.decode()
        == f"""<?xml version="1.0" encoding="utf-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/" type="dynamic" pubdate="Tue, 14 Nov 2023 22:13:20 GMT" \
generator="mirrorlistd" xmlns:mm0="http://fedorahosted.org/mirrormanager">
 <files>
  <file name="repomd.xml">
   <mm0:timestamp>1700000000</mm0:timestamp>
   <size>3000</size>
   <verification>
    <hash type="md5">{"1" * 32}</hash>
    <hash type="sha1">{"2" * 40}</hash>
    <hash type="sha256">{"3" * 64}</hash>
    <hash type="sha512">{"4" * 128}</hash>
   </verification>
   <mm0:alternates>
    <mm0:alternate>
     <mm0:timestamp>1600000000</mm0:timestamp>
     <size>10</size>
     <verification>
      <hash type="sha256">{"b" * 64}</hash>
     </verification>
    </mm0:alternate>
   </mm0:alternates>
   <resources maxconnections="1">
    <url protocol="https" type="https" location="DE" preference="100" mm0:private="True">\
https://campus/c/9/x86_64/repodata/repomd.xml</url>
    <url protocol="https" type="https" location="DE" preference="99">https://de/c/9/x86_64/repodata/repomd.xml</url>
    <url protocol="https" type="https" location="FR" preference="98">https://fr/c/9/x86_64/repodata/repomd.xml</url>
    <url protocol="http" type="http" location="FR" preference="97">http://fr/c/9/x86_64/repodata/repomd.xml</url>
    <url protocol="http" type="http" location="US" preference="96">http://us/c/9/x86_64/repodata/repomd.xml</url>
   </resources>
  </file>
 </files>
</metalink>
"""
    )


def test_preferences_follow_the_document_down_to_1() -> None:
    """100, 99, ... 1, 1: dnf goes by the order, zypper by the preference.

    See docs/client-compatibility.md, Order and preference agree.
    """
    many = network(
        {
            f"m{number:03}": mirror("DE", categories={"c": [f"https://m{number}/", f"http://m{number}/"]})
            for number in range(70)
        }
    )
    reply = ask(decider(many), "path=c/x.iso&format=metalink&limit=100&protocol=https,http", DE)
    found = [int(url.get("preference", "")) for url in ET.fromstring(reply.body).iter(f"{V3}url")]
    assert found == [max(1, 100 - place) for place in range(140)]


def test_a_metalink_needs_a_file() -> None:
    """Without details of repomd.xml dnf could not verify; a directory has no metalink: 404 with the reason."""
    for query in ("repo=r&format=metalink", "repo=os&arch=s390x&format=metalink4", "path=c/9/&format=metalink"):
        reply = ask(world(), query, DE)
        assert (reply.status, reply.format) == (404, "text")
        assert b"file" in reply.body


@pytest.mark.parametrize("query", ["repo=os&arch=x86_64", "path=c/9/x86_64/other.iso", "repo=r&file=a/b.iso"])
def test_metalink_4_is_valid(query: str) -> None:
    """Every document satisfies the schema of RFC 5854 and names the mirrors in order of priority."""
    reply = ask(world(), f"{query}&format=metalink4", FR)
    assert headers(reply, b"content-type") == ["application/metalink4+xml"]
    SCHEMA.assertValid(etree.fromstring(reply.body))
    urls = list(ET.fromstring(reply.body).iter(f"{V4}url"))
    assert [url.get("priority") for url in urls] == [str(place) for place in range(1, len(urls) + 1)]
    assert [url.get("location") for url in urls] == ["fr", "de", "us"]


def test_metalink_4_has_every_hash() -> None:
    """Size and hashes by their registered names."""
    document = ET.fromstring(ask(world(), "repo=os&arch=x86_64&format=metalink4", DE).body)
    assert {element.get("type"): element.text for element in document.iter(f"{V4}hash")} == {
        "md5": "1" * 32,
        "sha-1": "2" * 40,
        "sha-256": "3" * 64,
        "sha-512": "4" * 128,
    }
    assert document.findtext(f".//{V4}size") == "3000"


def test_the_schema_can_say_no() -> None:
    """The schema refuses a document with a wrong priority or without a file's name."""
    good = ask(world(), "path=c/x.iso&format=metalink4", DE).body
    for wrong in (good.replace(b'priority="1"', b'priority="0"'), good.replace(b' name="x.iso"', b"")):
        assert wrong != good
        assert not SCHEMA.validate(etree.fromstring(wrong))


@given(name=st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="/\0"), min_size=1, max_size=40))
def test_hostile_file_names_are_harmless(name: str) -> None:
    """Quotes, markup, `..`, line ends: well-formed XML and header lines, or a refusal; never a path to elsewhere."""
    escaped = "".join(f"%{byte:02X}" for byte in name.encode())
    for shape in ("metalink", "metalink4", "redirect"):
        reply = ask(HOSTILE, f"repo=r&file=d/{escaped}&format={shape}", DE)
        assert reply.status in {200, 302, 400, 404}
        for _, value in reply.headers:
            assert re.fullmatch(rb"[\x20-\x7e]*", value)
        if reply.status == 200:
            document = ET.fromstring(reply.body)
            file = document.find(f".//{V3 if shape == 'metalink' else V4}file")
            assert file is not None
            assert "/" not in (file.get("name") or "")
            if shape == "metalink4":
                SCHEMA.assertValid(etree.fromstring(reply.body))


HOSTILE = decider(network({"de": mirror("DE")}))


@pytest.mark.parametrize("name", ["..", ".", "../x", "a%00b", "a%0Ab"])
def test_names_that_are_no_names(name: str) -> None:
    """Dot segments and control bytes are refused before any format sees them."""
    for shape in ("metalink", "metalink4", "redirect", "text"):
        assert ask(HOSTILE, f"repo=r&file={name}&format={shape}", DE).status == 400


def test_a_long_name_stays_bounded() -> None:
    """A file name of 4 kB is refused or answered within a small header; nothing breaks."""
    reply = ask(HOSTILE, f"repo=r&file={'x' * 4096}&format=redirect", DE)
    assert reply.status in {302, 404}
    assert sum(len(value) for _, value in reply.headers) < 64_000


def test_redirect_names_the_next_mirrors_and_the_metalinks() -> None:
    """302 to the nearest, RFC 6249 links in order, describedby, the hash; no cache stores it."""
    reply = ask(world(), "repo=os&arch=x86_64&file=repodata/repomd.xml&redirect=1", FR)
    assert reply.status == 302
    assert headers(reply, b"location") == ["http://fr/c/9/x86_64/repodata/repomd.xml"]
    assert headers(reply, b"cache-control") == ["private"]
    path = "https://lists.example.org/metalink?path=c/9/x86_64/repodata/repomd.xml&format="
    assert headers(reply, b"link") == [
        "<http://fr/c/9/x86_64/repodata/repomd.xml>; rel=duplicate; pri=1; geo=fr",
        "<https://de/c/9/x86_64/repodata/repomd.xml>; rel=duplicate; pri=2; geo=de",
        "<http://us/c/9/x86_64/repodata/repomd.xml>; rel=duplicate; pri=3; geo=us",
        f'<{path}metalink4>; rel=describedby; type="application/metalink4+xml"',
        f'<{path}metalink>; rel=describedby; type="application/metalink+xml"',
    ]
    algorithm, _, value = headers(reply, b"digest")[0].partition("=")
    assert (algorithm, b64decode(value).hex()) == ("SHA-256", "3" * 64)


def test_describedby_leads_to_the_metalink() -> None:
    """The reference in the header, asked as it stands, is the metalink of that very file."""
    reply = ask(world(), "repo=r&file=a%26b%2Bc%20d.iso&format=redirect", FR)
    link = next(link for link in headers(reply, b"link") if "metalink4&" not in link and "metalink4>" in link)
    query = link[link.index("?") + 1 : link.index(">")]
    file = ET.fromstring(ask(world(), query, FR).body).find(f"{V4}file")
    assert file is not None
    assert file.get("name") == "a&b+c d.iso"


def test_without_a_public_url_no_metalink_is_named() -> None:
    """Nobody said where clients reach us: a relative reference would break wget2, the Host header is the client's."""
    reply = ask(HOSTILE, "repo=r&file=x&format=redirect", FR)
    assert reply.status == 302
    assert not [link for link in headers(reply, b"link") if "describedby" in link]


def redirect(world: Decider, file: str, client: str | None, around: RedirectContext = RedirectContext()) -> Answer:  # noqa: B008 - frozen
    """One redirect."""
    query = f"repo=r&file={file}&redirect=1".encode()
    return answer(world, query, at(client) if client else None, Random(), around)


def test_https_stays_https() -> None:
    """Who came by https is never sent to http: 404 where nobody offers better."""
    secure = RedirectContext(https=True)
    assert headers(redirect(world(), "x", FR, secure), b"location") == ["https://fr/c/x"]
    assert not [link for link in headers(redirect(world(), "x", FR, secure), b"link") if link.startswith("<http:")]
    plain = decider(network({"us": mirror("US", categories={"c": "http://us/c/"})}))
    assert redirect(plain, "x", FR).status == 302
    assert redirect(plain, "x", FR, secure).status == 404


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (b"*/*", "redirect"),
        (b"text/html,application/xml;q=0.9", "redirect"),
        (b"*/*,application/metalink4+xml,application/metalink+xml", "metalink4"),
        (b"application/metalink+xml", "metalink"),
        (b"APPLICATION/METALINK4+XML", "metalink4"),
        (b"application/metalink4+xml;q=0, */*", "redirect"),
        (b"application/metalink4+xml;q=0, application/metalink+xml;q=0.001", "metalink"),
        (b"application/metalink4+xml;q=0.4, application/metalink+xml;q=0.5", "metalink"),
        (b"application/metalink4+xml;q=0.4, */*;q=0.5", "redirect"),
        (b"application/*", "redirect"),
        (b'text/html;x="application/metalink4+xml", */*', "redirect"),
    ],
)
def test_a_metalink_by_accept(accept: bytes, expected: str) -> None:
    """A request for a file whose Accept lists a metalink type gets it; a directory is always redirected.

    See docs/client-compatibility.md, Metalinks only where asked for.
    """
    assert redirect(world(), "x", FR, RedirectContext(accept=accept)).format == expected
    assert redirect(world(), "d/", FR, RedirectContext(accept=accept)).format == "redirect"


@pytest.mark.parametrize("wanted", ["redirect", "metalink", "metalink4", "text"])
def test_a_format_in_the_url_wins_over_accept(wanted: str) -> None:
    """What the URL names is what is given."""
    for accept in (b"application/metalink4+xml", b"application/metalink+xml, */*;q=0.1", b"application/json"):
        context = RedirectContext(accept=accept)
        reply = answer(world(), f"repo=r&file=x&redirect=1&format={wanted}".encode(), at(FR), Random(), context)
        assert (reply.status, reply.format) == (302 if wanted == "redirect" else 200, wanted)


@pytest.mark.parametrize(
    ("scheme", "https", "parameters", "expected"),
    [
        ("keep", False, "", "http://fr/c/x"),
        ("keep", True, "", "https://fr/c/x"),
        ("https", False, "", "https://fr/c/x"),
        ("https", True, "", "https://fr/c/x"),
        ("keep", False, "&protocol=https", "https://fr/c/x"),
        ("keep", False, "&protocol=https,http", "http://fr/c/x"),
        ("https", False, "&protocol=http", "http://fr/c/x"),
        ("keep", True, "&protocol=http", "https://fr/c/x"),
    ],
)
def test_a_redirect_keeps_the_scheme(scheme: str, https: bool, parameters: str, expected: str) -> None:
    """Http stays http where the mirror has it, unless the operator prefers https; https is never sent to http."""
    context = RedirectContext(https=https)
    for accept in (b"", b"application/metalink4+xml"):
        query = f"repo=r&file=x&redirect=1{parameters}".encode()
        reply = answer(world(redirect_scheme=scheme), query, at(FR), Random(), context._replace(accept=accept))
        if accept:
            assert expected in reply.body.decode()
        else:
            assert headers(reply, b"location") == [expected]
    # A mirror that has https alone stays in, and is offered by https.
    assert headers(redirect(world(redirect_scheme=scheme), "x", DE, context), b"location") == ["https://campus/c/x"]


def test_lists_ignore_accept() -> None:
    """Only per-file requests are negotiated: a list is a list whatever Accept says.

    See docs/client-compatibility.md, Metalinks only where asked for.
    """
    reply = answer(world(), b"repo=r", at(FR), Random(), RedirectContext(accept=b"application/metalink4+xml"))
    assert reply.format == "text"


CROWD = decider(
    network({f"m{number}": mirror("DE", bandwidth=100 * (1 + number % 3)) for number in range(9)}),
    places={f"198.51.{high}.{low}": ("DE", "EU", 0) for high in range(40) for low in range(100)},
)


def test_one_client_stays_with_one_mirror() -> None:
    """Whatever file of whatever directory, for a while; then, at a moment of its own, another one."""
    turns = [redirect(CROWD, "x", DE, RedirectContext(now=1e9 + 60 * minute)).body for minute in range(240)]
    changes = sum(left != right for left, right in pairwise(turns))
    assert 5 < changes <= 24  # ten minutes each
    others = {
        redirect(CROWD, f"pool/{number}/y", DE, RedirectContext(now=1e9)).body.split(b"/")[2] for number in range(50)
    }
    assert others == {turns[0].split(b"/")[2]}


def test_a_mirror_that_is_not_asked_changes_nothing() -> None:
    """Taking away another mirror leaves the choice alone: rendezvous hashing, so servers agree, too.

    See docs/prior-defects.md, Defect 14.
    """
    full = network({f"m{number}": mirror("DE") for number in range(9)})
    chosen = hosts_of(redirect(decider(full), "x", DE, RedirectContext(now=1e9)))
    for name in set(full["mirrors"]) - {chosen}:
        fewer = {**full, "mirrors": {other: fields for other, fields in full["mirrors"].items() if other != name}}
        assert hosts_of(redirect(decider(fewer), "x", DE, RedirectContext(now=1e9))) == chosen


def hosts_of(reply: Answer) -> str:
    """The mirror that a redirect leads to."""
    return headers(reply, b"location")[0].split("/")[2]


@pytest.mark.slow
def test_stable_choices_follow_the_weights() -> None:
    """Over many clients redirects are shared by bandwidth, as lists are."""
    clients = [f"198.51.{high}.{low}" for high in range(40) for low in range(100)]
    found = Counter(int(hosts_of(redirect(CROWD, "x", client, RedirectContext(now=1e9)))[1:]) for client in clients)
    assert chi_square(found, {number: 1 + number % 3 for number in range(9)}, len(clients)) < 26.12


def test_unknown_clients_are_spread() -> None:
    """Nobody's address is not one client: they are drawn for, not all sent to one mirror."""
    assert len({hosts_of(redirect(CROWD, "x", None)) for _ in range(200)}) > 4


def test_a_mirror_without_the_directory_is_never_chosen() -> None:
    """The first mirror that carries the file's directory, for every client."""
    source = network(
        {
            "part": mirror("DE", categories={"c": {"urls": ["https://part/c/"], "include": ["dists"]}}),
            "full": mirror("JP"),
        }
    )
    for client in (DE, FR, US, JP):
        assert hosts_of(redirect(decider(source), "pool/x.deb", client)) == "full"
    assert hosts(ask(decider(source), "repo=r&file=dists/x", DE))[0] == "part"
