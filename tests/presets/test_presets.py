"""Presets: MirrorManager's words to the byte, its statuses, its reading of queries, and that ours is still ours."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorlistd.config import OPTIONS
from mirrorlistd.presets import DEFAULT, MIRRORMANAGER, MIRRORMANAGER_AS_IT_WAS, PRESETS
from mirrorlistd.render.metalink import not_a_metalink
from support.worlds import DE, FR, JP, NOWHERE, US, ask, decider, hosts, urls

if TYPE_CHECKING:
    from mirrorlistd.answering.decider import Decider

MET = "application/metalink+xml"
SHA256 = "a" * 64


def repomd(repository: str) -> dict[str, Any]:
    """Details of a repository's repomd.xml."""
    return {"path": f"{repository}/repodata/repomd.xml", "timestamp": 17, "size": 3, "sha256": SHA256}


def mirror(country: str | None, **fields: Any) -> dict[str, Any]:
    """A mirror of the whole category."""
    host = fields.pop("host")
    urls = fields.pop("urls", [f"https://{host}/pub/fedora/", f"http://{host}/pub/fedora/"])
    return ({"country": country} if country else {}) | {"categories": {"fedora": urls}} | fields


SOURCE: dict[str, Any] = {
    "categories": {
        "fedora": {
            "kind": "listed",
            "top": "pub/fedora",
            "directories": [
                "39/x86_64/os",
                "39/x86_64/os/repodata",
                "39/source/tree",
                "39/source/tree/repodata",
                "bare/x86_64/repodata",
            ],
            "files": [repomd("39/x86_64/os"), repomd("39/source/tree"), repomd("bare/x86_64")],
        }
    },
    "repositories": {
        "fedora-39": {"category": "fedora", "path": "39/{arch}/os", "arches": ["x86_64"]},
        "fedora-source-39": {"category": "fedora", "path": "39/{arch}/tree", "arches": ["source"]},
        "bare": {"category": "fedora", "path": "bare/{arch}/repodata", "arches": ["x86_64"]},
        "off": {"category": "fedora", "path": "39/{arch}/os", "arches": ["x86_64"], "disabled": True},
        "rawhide": {"alias": "fedora-39"},
    },
    "mirrors": {
        "de1": mirror("DE", host="de1.example", bandwidth=1_000_000),
        "de2": mirror("DE", host="de2.example"),
        "campus": mirror("DE", host="campus.example", private=True, netblocks=[f"{DE}/32", f"{NOWHERE}/32"]),
        "as680": mirror("FR", host="as680.example", asns=[680]),
        "fr": mirror("FR", host="fr.example", bandwidth=10_000),
        "il": mirror("IL", host="il.example"),
        "us": mirror("US", host="us.example"),
        "ftp": mirror("GB", host="ftp.example", urls=["ftp://ftp.example/pub/fedora/"]),
        "nowhere": mirror(None, host="nowhere.example"),
    },
    "overrides": {"continents": {"IL": "EU"}},
}
EUROPE = "country = FR country = IL "
REPO = "repo=fedora-39&arch=x86_64"
HEAD = "# repo = fedora-39 arch = x86_64 "
SOURCE_HEAD = "# repo = fedora-source-39 arch = source "
WORLD = "country = US country = global \n"
NETWORKS = "Using preferred netblock Using ASN 680 "


def world(preset: Any = MIRRORMANAGER, minimum: int = 3) -> Decider:
    """The network above."""
    return decider(SOURCE, preset=preset, minimum=minimum)


def test_the_option_names_the_presets() -> None:
    """What --preset takes is what there is."""
    option = next(option for option in OPTIONS if option.field == "preset")
    for name in PRESETS:
        assert option.kind.parse(name) == name
    assert option.kind.allowed == " or ".join(PRESETS)


@pytest.mark.parametrize(
    ("query", "client", "header"),
    [
        (REPO, DE, f"{HEAD}{NETWORKS}country = DE {EUROPE}\n"),
        (f"{REPO}&netblock=0", DE, f"{HEAD}country = DE {EUROPE}\n"),
        (f"{REPO}&netblock", DE, f"{HEAD}country = DE {EUROPE}\n"),
        (f"{REPO}&netblock=1", DE, f"{HEAD}{NETWORKS}country = DE {EUROPE}\n"),
        (f"{REPO}&ip={FR}", DE, f"{HEAD}country = FR country = DE country = IL \n"),
        (REPO, JP, f"{HEAD}country = global \n"),
        (REPO, US, f"{HEAD}country = US country = global \n"),
        (REPO, NOWHERE, f"{HEAD}Using preferred netblock country = global \n"),
        (REPO, None, f"{HEAD}country = global \n"),
        (f"{REPO}&country=us", DE, f"{HEAD}country = US \n"),
        (f"{REPO}&country=US,de,XX", DE, f"{HEAD}country = DE country = US \n"),
        (f"{REPO}&country=global", DE, f"{HEAD}country = global \n"),
        (f"{REPO}&country=global,FR", DE, f"{HEAD}country = FR country = global \n"),
        (f"{REPO}&country=PL", JP, f"{HEAD}country = DE {EUROPE}\n"),
        (f"{REPO}&country=JP", DE, f"{HEAD}country = DE {EUROPE}\n"),
        (f"{REPO}&protocol=http,HTTPS", US, f"{HEAD}country = US country = global protocol = https,http\n"),
        (f"{REPO}&protocol=ftp", DE, f"{HEAD}country = GB country = global protocol = ftp\n"),
        (
            f"{REPO}&time&protocol=http",
            US,
            f"{HEAD}country = US country = global protocol = http\n# database creation time: 1700000000\n",
        ),
        (f"{REPO}&time=0", US, f"{HEAD}country = US country = global \n# database creation time: 1700000000\n"),
        ("repo=rawhide&arch=x86_64", US, f"{HEAD}country = US country = global \n"),
        ("path=//pub/fedora//39/x86_64/os/", US, "# path = pub/fedora/39/x86_64/os country = US country = global \n"),
        (
            "path=pub/fedora/39/x86_64/os/a.iso",
            US,
            f"# path = pub/fedora/39/x86_64/os/a.iso {WORLD}",
        ),
        (
            "repo=fedora-source-39&arch=x86_64",
            US,
            SOURCE_HEAD + WORLD,
        ),
        ("repo=fedora-source-39", US, SOURCE_HEAD + WORLD),
        (f"{REPO}&comments=0", US, ""),
        (f"{REPO}&countme=3&infra=stock", US, f"{HEAD}country = US country = global \n"),
    ],
)
def test_the_header_is_mirrormanagers_to_the_byte(query: str, client: str | None, header: str) -> None:
    """A word and a space for each source of mirrors, protocols without one, the time on a line of its own."""
    reply = ask(world(), query, client)
    assert reply.status == 200, reply
    found = [line for line in reply.body.decode().splitlines(keepends=True) if line.startswith("#")]
    assert "".join(found) == header
    assert reply.body.decode().startswith(header)


def test_mirrors_come_as_the_header_says() -> None:
    """Netblock, AS, country, continent, and the world where there are too few: all of them, without limit."""
    names = [host.removesuffix(".example") for host in hosts(ask(world(), REPO, DE))]
    assert names[:2] == ["campus", "as680"]
    assert set(names[2:4]) == {"de1", "de2"}
    assert set(names[4:]) == {"fr", "il"}
    everyone = hosts(ask(world(minimum=100), REPO, DE))
    assert set(everyone[6:]) == {"us.example", "nowhere.example"}


@pytest.mark.slow
def test_no_limit_but_the_clients() -> None:
    """Lists have as many mirrors as there are; who asks for fewer gets fewer; the operator's word counts."""
    many = SOURCE | {"mirrors": {f"m{n}": mirror("DE", host=f"m{n}.example") for n in range(150)}}
    assert len(urls(ask(decider(many, preset=MIRRORMANAGER), REPO, DE))) == 150
    assert len(urls(ask(decider(many, preset=MIRRORMANAGER), f"{REPO}&limit=7", DE))) == 7
    assert len(urls(ask(decider(many, preset=MIRRORMANAGER, limit=30), REPO, DE))) == 30
    assert len(urls(ask(decider(many), REPO, DE))) == DEFAULT.limit == 20


def test_bandwidth_is_clamped_at_ten_thousand() -> None:
    """A mirror that claims a terabit gets no more first places than one with 10,000 Mbit/s."""
    source = SOURCE | {
        "mirrors": {
            "a": mirror("DE", host="a.example", bandwidth=1_000_000),
            "b": mirror("DE", host="b.example", bandwidth=10_000),
        }
    }
    ours, theirs = decider(source), decider(source, preset=MIRRORMANAGER)
    assert ours.index.weights == (1_000_000, 10_000)
    assert theirs.index.weights == (10_000, 10_000)
    firsts = Counter(hosts(ask(theirs, REPO, DE, seed))[0] for seed in range(400))
    assert 140 < firsts["a.example"] < 260  # six standard deviations


MISSING = "# either path=, or repo= and arch= must be specified"
KNOWN = """\
# following repositories are available:
# repo=bare&arch=x86_64
# repo=fedora-39&arch=x86_64
# repo=fedora-source-39&arch=source
"""


@pytest.mark.parametrize(
    ("query", "status", "original", "body"),
    [
        ("", 400, 200, MISSING),
        ("repo=fedora-40", 400, 200, MISSING),
        ("arch=x86_64", 400, 200, MISSING),
        ("repo=&arch=", 400, 200, MISSING),
        ("repo=off&arch=x86_64", 403, 200, "repo disabled"),
        ("path=pub/nothing/here", 404, 404, "error: invalid path"),
        ("repo=x&arch=y", 404, 404, f"# repo = x arch = y error: invalid repo or arch\n{KNOWN}"),
        ("repo=fedora-39&arch=y", 404, 404, f"# repo = fedora-39 arch = y error: invalid repo or arch\n{KNOWN}"),
        ("repo=rawhide&arch=y", 404, 404, f"# repo = fedora-39 arch = y error: invalid repo or arch\n{KNOWN}"),
        ("repo=%0Ax&arch=<", 404, 404, f"# repo = %0Ax arch = %3C error: invalid repo or arch\n{KNOWN}"),
        ("repo=x--&arch=-y", 404, 404, f"# repo = x-- arch = -y error: invalid repo or arch\n{KNOWN}"),
    ],
)
def test_errors_are_mirrormanagers(query: str, status: int, original: int, body: str) -> None:
    """Its words to the byte, with statuses that say what they are, or its own; in metalinks inside an XML comment."""
    for preset, expected in ((MIRRORMANAGER, status), (MIRRORMANAGER_AS_IT_WAS, original)):
        reply = ask(world(preset), query, DE)
        assert (reply.status, reply.body.decode()) == (expected, body)
        assert (b"content-type", b"text/plain; charset=utf-8") in reply.headers
        metalink = ask(world(preset), f"format=metalink&{query}", DE)
        assert metalink.status == expected
        assert (b"content-type", MET.encode()) in metalink.headers
        said = comment_of(metalink.body)
        assert said.replace("- -", "--") == f" {body.removesuffix(chr(10))}\n"


def comment_of(document: bytes) -> str:
    """The one comment of an XML document that says nothing else."""
    parser = ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))
    root = ET.fromstring(document, parser)
    comment: Any
    (comment,) = root
    assert comment.tag is ET.Comment
    return comment.text or ""


@pytest.mark.parametrize(
    ("query", "status"),
    [
        (f"{REPO}&limit=x", 400),
        (f"{REPO}&ip=1.2.3", 400),
        (f"{REPO}&protocol=gopher", 404),
        ("path=pub/fedora/39/x86_64/os", 404),
    ],
)
def test_errors_of_our_own_stand_in_the_comment_too(query: str, status: int) -> None:
    """Where the original has no words, or crashes, a metalink is asked for and a metalink comes."""
    reply = ask(world(), f"format=metalink&{query}", DE)
    assert reply.status == status
    assert comment_of(reply.body)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_no_error_ends_its_comment(said: str) -> None:
    """Whatever is said, hyphens and all, the document stays one comment."""
    text = comment_of(not_a_metalink(404, 0, said).body)
    assert text.replace("- -", "--").replace("- -", "--").strip() == said.replace("- -", "--").strip()


@pytest.mark.parametrize(
    ("query", "path"),
    [
        (REPO, "39/x86_64/os/repodata/repomd.xml"),
        ("repo=fedora-source-39&arch=x86_64", "39/source/tree/repodata/repomd.xml"),
        ("repo=bare&arch=x86_64", "bare/x86_64/repodata/repomd.xml"),
        ("path=pub/fedora/39/x86_64/os/repodata/repomd.xml", "39/x86_64/os/repodata/repomd.xml"),
    ],
)
@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_metalinks_are_of_repomd(query: str, path: str, preset: Any) -> None:
    """Of a repository's repodata/repomd.xml, and `repodata` is not doubled where the repository names it itself."""
    if "source" in query and preset is DEFAULT:
        query = query.replace("x86_64", "source")
    reply = ask(world(preset), f"format=metalink&{query}", DE)
    assert reply.status == 200, reply
    root = ET.fromstring(reply.body)
    links = [element.text or "" for element in root.iter("{http://www.metalinker.org/}url")]
    assert links[0] == f"https://campus.example/pub/fedora/{path}"
    assert {link.partition("/pub/fedora/")[2] for link in links} == {path}
    assert [element.text for element in root.iter("{http://www.metalinker.org/}hash")] == [SHA256]


@pytest.mark.parametrize("form", ["metalink", "metalink4"])
def test_metalinks_state_no_size_or_time_that_is_not_known(form: str) -> None:
    """MirrorManager writes 0 for what it does not know: a client that is told so would refuse every file."""
    unknown = repomd("39/x86_64/os") | {"timestamp": 0, "size": 0}
    category = SOURCE["categories"]["fedora"] | {"files": [unknown]}
    reply = ask(
        decider(SOURCE | {"categories": {"fedora": category}}, preset=MIRRORMANAGER), f"format={form}&{REPO}", DE
    )
    assert reply.status == 200
    said = {element.tag.rpartition("}")[2] for element in ET.fromstring(reply.body).iter()}
    assert "hash" in said
    assert not {"size", "timestamp"} & said


def test_metalinks_that_state_nothing_are_ours_alone() -> None:
    """A named file without details: we give its mirrors, MirrorManager a 404."""
    query = "format=metalink&path=pub/fedora/39/x86_64/os/a.iso"
    assert ask(world(DEFAULT), query, DE).status == 200
    reply = ask(world(), query, DE)
    assert reply.status == 404
    assert "nothing is known" in comment_of(reply.body)


@pytest.mark.parametrize("query", [f"{REPO}&redirect", f"{REPO}&redirect=0", f"redirect=&{REPO}"])
def test_redirect_counts_where_it_stands(query: str) -> None:
    """`redirect` with whatever value is a redirect to the directory on the nearest mirror."""
    reply = ask(world(), query, DE)
    assert reply.status == 302
    assert (b"location", b"http://campus.example/pub/fedora/39/x86_64/os/") in reply.headers


def test_netblocks_exclusive_to_a_client_are_all_that_the_header_names() -> None:
    """No country is named where none was used."""
    mirrors = SOURCE["mirrors"] | {
        "only": mirror("DE", host="only.example", netblocks=[{"prefix": f"{DE}/32", "exclusive": True}])
    }
    reply = ask(decider(SOURCE | {"mirrors": mirrors}, preset=MIRRORMANAGER), REPO, DE)
    assert reply.body.decode() == f"{HEAD}Using preferred netblock \nhttps://only.example/pub/fedora/39/x86_64/os/\n"


@pytest.mark.slow
def test_errors_name_a_bounded_number_of_repositories() -> None:
    """A snapshot with thousands of repositories does not make every typing mistake a transfer of megabytes."""
    many = {f"r{n}": {"category": "fedora", "path": "39/{arch}/os", "arches": ["x86_64"]} for n in range(2_100)}
    lines = (
        ask(decider(SOURCE | {"repositories": many}, preset=MIRRORMANAGER), "repo=x&arch=y").body.decode().splitlines()
    )
    assert len(lines) == 2_003
    assert lines[-1] == "# and 100 more: see /repos"
