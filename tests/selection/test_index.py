"""Claims of `index`: docs/selection.md, What is asked, and docs/selection.md, Who asks (places), on small snapshots."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlistd.errors import NotServedError
from mirrorlistd.geo.locate import UNKNOWN, Location
from mirrorlistd.request.query import parse_query
from mirrorlistd.selection.index import LONGEST_PATH, NAMES_SHOWN, Index, Place, Target
from support.snapshots import netblocks
from support.worlds import at, compiled, mirror, network

CATEGORIES = {
    "debian": {},
    "debian-security": {},
    "fedora": {"kind": "listed", "top": "pub", "directories": ["", "fedora/39", "both", "epel/shadowed", "é %/+"]},
    "epel": {"kind": "listed", "top": "pub/epel", "directories": ["", "9/x86_64", "no-parent/of/this"]},
}
REPOSITORIES = {
    "stable": {"category": "debian", "path": "dists/stable"},
    "top": {"category": "debian"},
    "f39": {"category": "fedora", "arches": {"x86_64": "fedora/39", "s390x": "both"}},
    "epel": {"category": "epel", "path": "9/{arch}", "arches": ["x86_64"]},
    "lost": {"category": "epel", "path": "never/listed"},
    "off": {"category": "debian", "path": "off", "disabled": True},
    "testing": {"alias": "oldname"},
    "oldname": {"alias": "stable"},
    "dark": {"alias": "off"},
}
MIRRORS = {
    "all": {
        "categories": {
            "debian": "https://all/debian/",
            "debian-security": "https://all/security/",
            "fedora": "https://all/pub/",
            "epel": "https://all/epel/",
        }
    },
    "part": {
        "categories": {
            "debian": {"urls": ["https://part/debian/"], "exclude": ["pool/big", "pool/a.iso"]},
            "fedora": {"urls": ["https://part/pub/"], "directories": ["", "fedora/39"]},
        }
    },
}


def indexed(**source: dict[str, Any]) -> Index:
    """An index of a source document, with a repository `r` where it has none."""
    category = next(iter(source["categories"]))
    return Index(compiled({"repositories": {"r": {"category": category}}} | source))


@pytest.fixture(scope="module")
def index() -> Index:
    """The small world above."""
    return indexed(categories=CATEGORIES, repositories=REPOSITORIES, mirrors=MIRRORS)


def resolved(index: Index, query: str) -> Target:
    """What a query string asks for."""
    return index.resolve(parse_query(query.encode()))


def refused(index: Index, query: str) -> NotServedError:
    """The error a query string gives."""
    with pytest.raises(NotServedError) as caught:
        resolved(index, query)
    assert caught.value.message == str(caught.value)
    assert caught.value.message.isprintable()
    return caught.value


def facts(index: Index, target: Target) -> tuple[str, bytes, bytes, str]:
    """Category, path, suffix, and the initials of the mirrors that carry it."""
    snapshot = index.snapshot
    carriers = "".join(sorted(snapshot.mirrors[mirror].name[0] for mirror in snapshot.sets.members(target.carriers)))
    return snapshot.categories[target.category].name, target.path, target.suffix, carriers


@pytest.mark.parametrize(
    ("query", "expected", "label"),
    [
        ("repo=stable", ("debian", b"dists/stable", b"dists/stable/", "ap"), b"# repo = stable"),
        ("repo=stable&arch=amd64", ("debian", b"dists/stable", b"dists/stable/", "ap"), b"# repo = stable"),
        ("repo=top", ("debian", b"", b"", "ap"), b"# repo = top"),
        ("repo=f39&arch=x86_64", ("fedora", b"fedora/39", b"fedora/39/", "ap"), b"# repo = f39 arch = x86_64"),
        ("repo=f39&arch=s390x", ("fedora", b"both", b"both/", "a"), b"# repo = f39 arch = s390x"),
        ("repo=epel", ("epel", b"9/x86_64", b"9/x86_64/", "a"), b"# repo = epel arch = x86_64"),
        ("repo=epel&arch=x86_64", ("epel", b"9/x86_64", b"9/x86_64/", "a"), b"# repo = epel arch = x86_64"),
        # An alias of an alias is followed to its end, and the comment has the repository's own name.
        ("repo=oldname", ("debian", b"dists/stable", b"dists/stable/", "ap"), b"# repo = stable"),
        ("repo=testing", ("debian", b"dists/stable", b"dists/stable/", "ap"), b"# repo = stable"),
        # `path` wins.
        ("repo=nonsense&arch=x&path=debian", ("debian", b"", b"", "ap"), b"# path = debian/"),
    ],
)
def test_repositories(index: Index, query: str, expected: tuple[str, bytes, bytes, str], label: bytes) -> None:
    """A name, an alias or an architecture leads to one directory; an architecture is ignored where there are none."""
    target = resolved(index, query)
    assert facts(index, target) == expected
    assert target.label == label


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("", 400, ["repo=", "path=", "known repositories: epel f39 lost stable top"]),
        ("arch=x86_64&limit=3", 400, ["repo="]),
        ("repo=f39", 400, ["f39", "arch=", "s390x x86_64"]),
        ("repo=f39&arch=", 400, ["f39", "arch=", "s390x x86_64"]),
        ("repo=f39&arch=sparc", 404, ["f39", "s390x x86_64"]),
        ("repo=epel&arch=sparc", 404, ["epel", "x86_64"]),
        ("repo=debian", 404, ["known repositories: epel f39 lost stable top"]),
        ("repo=Stable", 404, ["known repositories"]),
        ("repo=stabl", 404, ["known repositories"]),
        ("repo=stable2", 404, ["known repositories"]),
        ("repo=%FF", 404, ["known repositories"]),
        ("repo=off", 403, ["off is disabled"]),
        ("repo=dark", 403, ["off is disabled"]),
        ("repo=lost", 404, ["lost", "no mirror"]),
        ("path=nothing/here", 404, ["known repositories"]),
        ("path=/", 404, ["known repositories"]),
    ],
)
def test_refusals(index: Index, query: str, status: int, words: list[str]) -> None:
    """What is missing is 400, what is unknown 404 with the names that are known, what is disabled 403 by any name."""
    error = refused(index, query)
    assert error.reason.status == status
    for word in words:
        assert word in error.message
    assert " off " not in error.message.partition("known")[2]  # what is disabled is not advertised


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        # Open: anything below the top; a slash at its end makes a directory.
        ("debian", ("debian", b"", b"", "ap")),
        ("/debian/", ("debian", b"", b"", "ap")),
        ("debian/anything", ("debian", b"anything", b"anything", "ap")),
        ("debian/anything/", ("debian", b"anything", b"anything/", "ap")),
        ("debian/dists/stable", ("debian", b"dists/stable", b"dists/stable/", "ap")),  # a repository's directory
        ("debian/dists/stable/InRelease", ("debian", b"dists/stable/InRelease", b"dists/stable/InRelease", "ap")),
        ("debian/pool/big", ("debian", b"pool/big", b"pool/big/", "a")),  # a prefix that a mirror excludes
        ("debian/pool/big/file", ("debian", b"pool/big/file", b"pool/big/file", "a")),
        ("debian/pool/a.iso", ("debian", b"pool/a.iso", b"pool/a.iso", "a")),  # as above, but for its name a file
        ("debian/pool/bigger", ("debian", b"pool/bigger", b"pool/bigger", "ap")),
        # Tops that are prefixes of one another as texts (docs/prior-defects.md, Defect 10).
        ("debian-security", ("debian-security", b"", b"", "a")),
        ("debian-security/dists/", ("debian-security", b"dists", b"dists/", "a")),
        # Listed: exactly the directories, and the files in them.
        ("pub", ("fedora", b"", b"", "ap")),
        ("pub/fedora/39", ("fedora", b"fedora/39", b"fedora/39/", "ap")),
        ("pub/fedora/39/", ("fedora", b"fedora/39", b"fedora/39/", "ap")),
        ("pub/fedora/39/a.rpm", ("fedora", b"fedora/39/a.rpm", b"fedora/39/a.rpm", "ap")),
        ("pub/README", ("fedora", b"README", b"README", "ap")),
        ("pub/fedora", ("fedora", b"fedora", b"fedora", "ap")),  # not listed: as far as anyone knows a file
        # Nested tops: the longer one owns what it has, the shorter one may list more below it.
        ("pub/epel", ("epel", b"", b"", "a")),
        ("pub/epel/9/x86_64/", ("epel", b"9/x86_64", b"9/x86_64/", "a")),
        ("pub/epel/shadowed/", ("fedora", b"epel/shadowed", b"epel/shadowed/", "a")),
        ("pub/epel/shadowed", ("fedora", b"epel/shadowed", b"epel/shadowed/", "a")),  # a directory before a file
        ("pub/epel/shadow", ("epel", b"shadow", b"shadow", "a")),
        # Bytes: percent signs, spaces, plus signs and what is not ASCII come out as they are on a mirror's disk.
        ("pub/%C3%A9%20%25/+", ("fedora", "é %/+".encode(), b"%C3%A9%20%25/+/", "a")),
        ("debian/%FF/%3F%23/a%2Bb", ("debian", b"\xff/?#/a+b", b"%FF/%3F%23/a%2Bb", "ap")),
    ],
)
def test_paths(index: Index, path: str, expected: tuple[str, bytes, bytes, str]) -> None:
    """A path is found below the longest fitting top, as a directory or as a directory and a file."""
    target = resolved(index, f"path={path}")
    assert facts(index, target) == expected
    top = index.snapshot.categories[target.category].top.encode()
    assert target.label == b"# path = " + top + b"/" + target.suffix


@pytest.mark.parametrize(
    "path",
    [
        "debia",
        "debianx",
        "debian-securit",
        "pub/fedora/",  # an ancestor of a listed directory is not listed
        "pub/fedora/40",  # so it holds no files either
        "pub/fedora/39/os/a.rpm",  # nor does what nobody listed
        "pub/fedora/39/a.rpm/",  # a slash says: directory
        "pub/fedora/390",
        "pub/no-parent/of",
        "PUB",
        "epel",  # a category's name is not its top
    ],
)
def test_unknown_paths(index: Index, path: str) -> None:
    """Whatever is not exactly there is 404, however much it looks like something that is."""
    error = refused(index, f"path={path}")
    assert error.reason.status == 404
    assert "known repositories" in error.message


def test_empty_top() -> None:
    """A category at the root answers for every path that no longer top has; its own top is `path=/`."""
    index = indexed(
        categories={"root": {"top": ""}, "deb": {}},
        repositories={"r": {"category": "root"}},
        mirrors={"a": {"categories": {"root": "https://a/", "deb": "https://a/d/"}}},
    )
    assert resolved(index, "path=/").label == b"# path = /"
    assert facts(index, resolved(index, "path=/")) == ("root", b"", b"", "a")
    assert facts(index, resolved(index, "path=x/y")) == ("root", b"x/y", b"x/y", "a")
    assert facts(index, resolved(index, "path=deb/y")) == ("deb", b"y", b"y", "a")
    assert facts(index, resolved(index, "path=debt/y/")) == ("root", b"debt/y", b"debt/y/", "a")


SEGMENTS = st.sampled_from(["a", "b", "ab", "a.b"])
PATHS = st.lists(SEGMENTS, max_size=4).map("/".join)


@given(tops=st.lists(PATHS, unique=True, min_size=1, max_size=5), path=PATHS)
@settings(max_examples=100, deadline=None)
def test_the_longest_top_that_is_an_ancestor_owns_a_path(tops: list[str], path: str) -> None:
    """Among open categories exactly one owns a path: the one whose top is its nearest ancestor, segment by segment."""
    index = indexed(
        categories={f"c{number}": {"top": top} for number, top in enumerate(tops)},
        mirrors={"m": {"categories": {f"c{number}": f"https://m/{number}/" for number in range(len(tops))}}},
    )
    own = path.split("/") if path else []
    owners = [top for top in tops if own[: len(segments := top.split("/") if top else [])] == segments]
    query = parse_query(f"path=/{path}/".encode())
    if not owners:
        with pytest.raises(NotServedError):
            index.resolve(query)
        return
    target = index.resolve(query)
    top = index.snapshot.categories[target.category].top
    assert top == max(owners, key=lambda owner: len(owner.split("/")) if owner else 0)
    assert "/".join(filter(None, (top, target.path.decode()))) == path


def test_known_names_are_bounded() -> None:
    """An error lists a screenful of names and says how many more there are."""
    names = [f"r{number:03}" for number in range(NAMES_SHOWN + 5)]
    index = indexed(
        categories={"c": {}},
        mirrors={"a": {"categories": {"c": "https://a/"}}},
        repositories={name: {"category": "c"} for name in names}
        | {"many": {"category": "c", "path": "{arch}", "arches": names}},
    )
    for query in ("repo=x", "path=x", ""):
        told = refused(index, query).message.partition("known repositories: ")[2]
        assert told == " ".join(["many", *names[: NAMES_SHOWN - 1]]) + " and 6 more"
    for query in ("repo=many", "repo=many&arch=x"):
        told = refused(index, query).message.partition("architectures: ")[2]
        assert told == " ".join(names[:NAMES_SHOWN]) + " and 5 more"


def test_a_network_without_repositories_says_so() -> None:
    """No names is not an empty hint."""
    off = {"category": "c", "disabled": True}
    index = indexed(categories={"c": {}}, repositories={"r": off}, mirrors={"a": {"categories": {"c": "https://a/"}}})
    assert refused(index, "repo=x").message.endswith("known repositories: none")


def test_endless_paths_are_unknown() -> None:
    """Each segment costs a search, so a path longer than any source may state is not looked for."""
    index = indexed(categories={"c": {}}, mirrors={"a": {"categories": {"c": "https://a/"}}})
    longest = "a/" * (LONGEST_PATH // 2 - 1) + "aa"
    assert len(resolved(index, f"path=c/{longest}").path) == LONGEST_PATH
    assert refused(index, f"path=c/{longest}a").reason.status == 404


PLACES = indexed(
    categories={"c": {}},
    mirrors={
        "first": {
            "asns": [680],
            "netblocks": ["192.0.2.0/24", "2001:db8::/32"],
            "categories": {"c": "https://first/"},
        },
        "second": {
            "netblocks": ["192.0.2.128/25", {"prefix": "192.0.2.0/24", "exclusive": True}],
            "categories": {"c": "https://second/"},
        },
    },
    overrides={
        "continents": {"IL": "EU", "US": "SA"},
        "netblocks": {"198.51.100.0/24": "IL", "198.51.100.64/26": "FR", "2001:db8:1::/48": "NA"},
    },
)


@pytest.mark.parametrize(
    ("address", "location", "country", "continent"),
    [
        # What the database knows, its own continent first.
        ("203.0.113.1", Location("TR", "AS", 0), "TR", "AS"),
        ("203.0.113.1", Location("TR", "EU", 0), "TR", "EU"),
        ("203.0.113.1", Location("TR", None, 0), "TR", "AS"),
        ("203.0.113.1", Location("NA", None, 0), "NA", "AF"),
        ("203.0.113.1", UNKNOWN, None, None),
        ("203.0.113.1", Location(None, "EU", 0), None, "EU"),
        # The continent override is on top of both.
        ("203.0.113.1", Location("IL", "AS", 0), "IL", "EU"),
        ("203.0.113.1", Location("IL", None, 0), "IL", "EU"),
        ("203.0.113.1", Location("US", "NA", 0), "US", "SA"),
        # A netblock override beats the database, and its continent goes with its country.
        ("198.51.100.1", Location("JP", "AS", 0), "IL", "EU"),
        ("198.51.100.1", UNKNOWN, "IL", "EU"),
        ("198.51.100.1", Location(None, "OC", 0), "IL", "EU"),
        ("198.51.100.64", Location("JP", "AS", 0), "FR", "EU"),
        ("198.51.100.127", Location("JP", "AS", 0), "FR", "EU"),
        ("198.51.100.128", Location("JP", "AS", 0), "IL", "EU"),
        ("198.51.101.0", Location("JP", "AS", 0), "JP", "AS"),
        ("198.51.99.255", Location("JP", "AS", 0), "JP", "AS"),
        ("2001:db8:1::5", Location("JP", "AS", 0), "NA", "AF"),
        ("2001:db8:2::5", Location("JP", "AS", 0), "JP", "AS"),
    ],
)
def test_places(address: str, location: Location, country: str | None, continent: str | None) -> None:
    """Country: the longest netblock override, else the database. Continent: override, else database, else ISO."""
    place = PLACES.place(location, PLACES.networks(at(address).packed))
    assert (place.country, place.continent) == (country, continent)


@pytest.mark.parametrize(
    ("address", "database", "asn"),
    [
        ("192.0.2.1", 0, 680),
        ("192.0.2.1", 7018, 680),
        ("192.0.2.200", 680, 0),  # announced by a system that has no mirrors
        ("198.51.100.1", 680, 680),
        ("198.51.100.1", 7018, 0),
        ("2001:db8::1", 0, 680),
    ],
)
def test_autonomous_systems(address: str, database: int, asn: int) -> None:
    """Who announces a network says the snapshot, else the database; only systems that have mirrors count."""
    announced = {"192.0.2.0/24": 680, "192.0.2.128/25": 65_000, "2001:db8::/32": 680}
    table = netblocks({ip_network(prefix): number for prefix, number in announced.items()})
    index = Index(replace(PLACES.snapshot, asn_netblocks=table))
    assert index.place(Location(None, None, database), index.networks(at(address).packed)).asn == asn


def test_an_unknown_address_is_nowhere() -> None:
    """Nobody's address is in no netblock, not even in one of all zeros."""
    assert PLACES.place(UNKNOWN) == Place(None, None, 0, 0)


@pytest.mark.parametrize(
    ("address", "chain"),
    [
        ("192.0.2.1", [(24, 0, False), (24, 1, True)]),
        ("192.0.2.128", [(25, 1, False), (24, 0, False), (24, 1, True)]),
        ("2001:db8:ffff::1", [(32, 0, False)]),
        ("192.0.3.0", []),
        ("192.0.1.255", []),
        ("::c000:201", []),  # the bits of 192.0.2.1 in the other family
    ],
)
def test_netblocks(address: str, chain: list[tuple[int, int, bool]]) -> None:
    """All netblocks that hold an address, the longest prefix first; families do not mix."""
    place = PLACES.place(UNKNOWN, PLACES.networks(at(address).packed))
    assert [(match.length, match.mirror, match.exclusive) for match in PLACES.matches(place.chain)] == chain


def test_defect_4_and_5_autonomous_systems() -> None:
    """AS 0 is nobody's, mirror 0 is a mirror, and an AS without mirrors makes no place of its own."""
    assert PLACES.mirrors_of_asn(680) == {0}
    assert PLACES.mirrors_of_asn(0) == frozenset()
    assert PLACES.mirrors_of_asn(7018) == frozenset()
    assert PLACES.place(Location("DE", "EU", 680), PLACES.networks(at("203.0.113.1").packed)).asn == 680
    assert PLACES.place(Location("DE", "EU", 7018), PLACES.networks(at("203.0.113.1").packed)).asn == 0


@pytest.mark.parametrize(
    ("protocols", "urls"),
    [
        ((), ["https://a/", "http://b/", None, "https://d/"]),
        (("https",), ["https://a/", None, None, "https://d/"]),
        (("http",), ["http://a/", "http://b/", None, None]),
        (("https", "http"), ["https://a/ http://a/", "http://b/", None, "https://d/"]),
        (("https", "http", "rsync"), ["https://a/ http://a/ rsync://a/", "http://b/", "rsync://c/", "https://d/"]),
        (("rsync",), ["rsync://a/", None, "rsync://c/", None]),
        (("ftp",), [None, None, None, None]),
    ],
)
def test_offers(protocols: tuple[str, ...], urls: list[str | None]) -> None:
    """Unasked one URL, https before http and nothing else; asked, one per wanted protocol in canonical order."""
    index = indexed(
        categories={"c": {}, "other": {}},
        mirrors={
            "a": {"categories": {"c": ["rsync://a/", "http://a/", "https://a/"]}},
            "b": {"categories": {"c": "http://b/", "other": "https://b/other/"}},
            "c": {"categories": {"c": "rsync://c/"}},
            "d": {"categories": {"c": "https://d/"}},
            "e": {"categories": {"other": "https://e/"}},
        },
    )
    offers = index.offers(0, protocols)
    expected = [tuple((text or "").encode().split()) for text in [*urls, None]]
    assert list(offers.urls) == expected
    assert list(offers.first) == [row[0] if row else b"" for row in expected]
    assert offers.single == all(len(row) < 2 for row in expected)


def test_defect_5_the_first_mirror_is_indexed() -> None:
    """Mirror number 0 has its URLs, its weight and its place in carrier sets."""
    index = Index(compiled(network({"a": mirror("DE", bandwidth=7), "b": mirror("FR")})))
    assert index.weights == (7, 100)
    assert index.offers(0, ()).first[0] == b"https://a/c/"
    assert 0 in index.snapshot.sets.members(resolved(index, "repo=r").carriers)
