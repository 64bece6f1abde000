"""MirrorManager's cache as a source: what becomes of each field, what is skipped, what is refused."""

from __future__ import annotations

import os
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlist_snapshot.errors import SourceError
from mirrorlist_snapshot.model import ClientNetblock, FileDetails, FileVersion
from mirrorlist_snapshot.records import (
    CategoryRecord,
    ContentRecord,
    MirrorRecord,
    RepositoryDirectoryRecord,
    RepositoryRecord,
)
from mirrorlist_snapshot.source.mirrormanager import ImportedCache, read_mirrormanager
from mirrorlist_snapshot.source.mirrormanager.protobuf_framing import MAX_RECORD
from mirrorlist_snapshot.source.mirrormanager.skips import SkippedRows
from support import caches
from support.caches import directory, encode, pair, small_cache
from support.imported_caches import imported, snapshot_of

EPEL_1 = ("https://one.example/pub/epel/", "http://one.example/pub/epel/")
NOTHING: dict[str, int] = {}


def skipped(found: ImportedCache) -> dict[str, int]:
    """Table of the cache -> rows that were skipped."""
    return found.skips[0].counts


def test_every_field_becomes_what_the_page_says(folder: Path) -> None:
    """docs/mirrormanager.md, field by field, by a cache with a little of everything."""
    found = imported(folder, small_cache())
    records = found.records
    assert skipped(found) == NOTHING
    assert found.time == 1_790_000_000
    assert records.netblock_countries == {"198.51.100.0/24": "NL"}
    assert records.overrides.continents == {"TR": "EU"}
    assert records.aliases == {"epel": "epel-9"}
    assert [(one.name, one.top, one.kind) for one in records.categories] == [
        ("pub/epel", "pub/epel", "listed"),
        ("pub/fedora/linux", "pub/fedora/linux", "listed"),
    ]
    assert records.repositories == (
        RepositoryRecord(
            name="epel-9",
            disabled=False,
            directories=(RepositoryDirectoryRecord(arch="x86_64", category="pub/epel", path="9/x86_64"),),
        ),
        RepositoryRecord(
            name="linux-1",
            disabled=True,
            directories=(RepositoryDirectoryRecord(arch="source", category="pub/fedora/linux", path="1"),),
        ),
    )
    assert records.files == {
        ("pub/epel", "9/x86_64/repodata/repomd.xml"): FileDetails(
            current=FileVersion(timestamp=1_789_000_000, size=3_000, sha256=caches.SHA256),
            alternates=(FileVersion(timestamp=1_788_000_000, size=2_999, sha1="cd" * 20, md5="ef" * 16),),
        )
    }
    everyone = {"one.example#1", "two.example#2", "three.example#3"}
    assert records.directories["pub/epel"] == {
        "": everyone,
        "9/x86_64": everyone,
        "9/x86_64/repodata": everyone,
        "9/x86_64/Packages": {"one.example#1"},
    }
    assert {name: set(found.keys()) for name, found in records.directories.items()}["pub/fedora/linux"] == {"", "1"}


def mirror(name: str, country: str, urls: dict[str, tuple[str, ...]], **fields: Any) -> MirrorRecord:
    """A mirror with what the cache says by saying nothing."""
    values: dict[str, Any] = {
        "bandwidth": 100,
        "asns": (),
        "netblocks": (),
        "private": False,
        "fallback": False,
        "active": True,
        "allowed_countries": (),
        "denied_countries": (),
    }
    contents = tuple(ContentRecord(category=category, urls=found) for category, found in urls.items())
    return MirrorRecord(name=name, country=country, contents=contents, **(values | fields))


def test_hosts_become_mirrors(folder: Path) -> None:
    """Name, country, bandwidth, networks, and who may be offered a host: all that the tables say of it by number."""
    office, home = (ClientNetblock(prefix=one, exclusive=False) for one in ("192.0.2.0/24", "2001:db8::1/128"))
    assert set(imported(folder, small_cache()).records.mirrors) == {
        mirror(
            "one.example#1",
            "DE",
            {"pub/epel": EPEL_1, "pub/fedora/linux": ("https://one.example/fedora/",)},
            bandwidth=1_000,
            netblocks=(home,),
        ),
        mirror("two.example#2", "DE", {"pub/epel": ("http://two.example/",)}, private=True, netblocks=(office, home)),
        mirror("three.example#3", "AT", {"pub/epel": ("http://three.example/epel/",)}, allowed_countries=("AT", "DE")),
        mirror(
            "four.example#4",
            "US",
            {"pub/fedora/linux": ("rsync://four.example/linux/", "https://four.example/linux/")},
            bandwidth=1,
            asns=(64500,),
        ),
    }


def with_rows(*rows: tuple[int, Any], without: int | None = None) -> list[tuple[int, Any]]:
    """The small cache with rows before its directories, and without those of a table."""
    kept = [row for row in small_cache() if row[0] != without]
    return [row for row in kept if row[0] < 16] + list(rows) + [row for row in kept if row[0] == 16]


def test_a_host_private_in_places_is_two_mirrors(folder: Path) -> None:
    """A host that is public in one directory and private in another is offered in each to whom it is for."""
    secret = directory("pub/epel/secret", "secret", {1: [11, 12]}, [])
    found = imported(folder, with_rows(secret))
    mirrors = {one.name: one.private for one in found.records.mirrors}
    assert mirrors["one.example#1!"]
    assert not mirrors["one.example#1"]
    assert found.records.directories["pub/epel"]["secret"] == {"one.example#1!"}
    assert found.records.directories["pub/epel"]["9/x86_64/Packages"] == {"one.example#1"}
    snapshot_of(found)


def test_one_top_with_different_urls_is_two_categories(folder: Path) -> None:
    """Directories below one top for which a host has different URLs keep them: each has those of its own category."""
    other = directory("pub/epel/testing", "testing", {1: [13], 3: [31]}, [1, 3], {"DE": [1], "AT": [3]})
    found = imported(folder, with_rows(other))
    assert [one for one in found.records.categories if one.top == "pub/epel"] == [
        CategoryRecord(name=name, kind=found.records.categories[0].kind, top="pub/epel")
        for name in ("pub/epel", "pub/epel//2")
    ]
    urls = {(one.name, content.category): content.urls for one in found.records.mirrors for content in one.contents}
    testing = "pub/epel" if "testing" in found.records.directories["pub/epel"] else "pub/epel//2"
    main = {"pub/epel": "pub/epel//2", "pub/epel//2": "pub/epel"}[testing]
    assert urls["one.example#1", testing] == ("https://one.example/fedora/",)
    assert urls["one.example#1", main] == EPEL_1
    assert "9/x86_64" in found.records.directories[main]
    snapshot_of(found)


def test_a_cache_that_splits_a_top_into_countless_categories_is_read_in_time(folder: Path) -> None:
    """Each of 1,000 directories with another URL of one host: 200 are placed, the others skipped and counted."""
    urls = [(caches.URL, pair(1_000 + number, f"https://one.example/{number}")) for number in range(1_000)]
    rows = [directory(f"pub/epel/d{number}", f"d{number}", {1: [1_000 + number]}, [1]) for number in range(1_000)]
    found = imported(folder, [*caches.small_cache(), *urls, *rows])
    assert sum(one.top == "pub/epel" for one in found.records.categories) == 200
    (skipped,) = [one.counts for one in found.skips if one.counts]
    assert skipped["MirrorListCache"] == 801


def test_a_long_chain_of_redirects_is_followed_once(folder: Path) -> None:
    """Ten thousand redirects, each to the next, lead to the repository at the end; what leads into a loop does not."""
    rows = [(caches.REDIRECT, pair(f"a{number}", f"a{number + 1}")) for number in range(10_000)]
    loop = [(caches.REDIRECT, pair("x", "y")), (caches.REDIRECT, pair("y", "z")), (caches.REDIRECT, pair("z", "y"))]
    found = imported(folder, with_rows(*rows, (caches.REDIRECT, pair("a10000", "epel-9")), *loop))
    assert found.records.aliases["a0"] == found.records.aliases["a10000"] == "epel-9"
    assert {"x", "y", "z"}.isdisjoint(found.records.aliases)


@pytest.mark.parametrize(
    ("row", "table", "reason"),
    [
        ((caches.NETBLOCK_COUNTRY, pair("here", "DE")), "NetblockCountryCache", "no netblock"),
        ((caches.NETBLOCK_COUNTRY, pair("192.0.2.0/24", "N/A")), "NetblockCountryCache", "no country"),
        ((caches.URL, pair(11, "https://again.example")), "HCUrlCache", "the key was there before"),
        ((caches.URL, pair(99, "gopher://old.example")), "HCUrlCache", "no base URL that clients could use"),
        ((caches.URL, [(1, 99)]), "HCUrlCache", "lacks a required field"),
        ((caches.URL, b"\xff\xff"), "HCUrlCache", "no message"),
        ((caches.URL, 7), "HCUrlCache", "no message"),
        ((caches.URL, pair(99, b"http://\xff/")), "HCUrlCache", "no message"),
        (directory("pub/epel/\x85", "\x85", {1: [11, 12]}, [1], {"DE": [1]}), "MirrorListCache", "no path"),
        ((caches.TIME, "now"), "Time", "no number"),
        (caches.file_details("pub/none", "x", [(1, 1), (2, 2)]), "FileDetailsCache", "no such directory"),
        (caches.file_details("pub/epel", "..", [(1, 1), (2, 2)]), "FileDetailsCache", "no file name"),
        (caches.file_details("pub/epel", "a/b", [(1, 1), (2, 2)]), "FileDetailsCache", "no file name"),
        (caches.file_details("pub/epel", "x", [(1, 1 << 50), (2, 2)]), "FileDetailsCache", "no time or size"),
        (caches.file_details("pub/epel", "x", [(1, 1), (2, 2), (5, "beef")]), "FileDetailsCache", "no sha256"),
        (
            caches.file_details("pub/epel", "x", *([(1, 1), (2, number)] for number in range(257))),
            "FileDetailsCache",
            "more than 256 versions",
        ),
        ((caches.DISABLED, pair("no-such", 1)), "DisabledRepositoryCache", "no such repository"),
        ((caches.CONTINENT, pair("T R", "EU")), "CountryContinentRedirectCache", "no country"),
        ((caches.CONTINENT, pair("IL", "XX")), "CountryContinentRedirectCache", "no continent"),
        ((caches.REDIRECT, pair("a", "nothing")), "RepositoryRedirectCache", "no such repository"),
        ((caches.REDIRECT, pair("a", "a")), "RepositoryRedirectCache", "leads back"),
        ((caches.REDIRECT, pair("a b", "epel-9")), "RepositoryRedirectCache", "no name"),
        ((caches.REDIRECT, pair("linux-1", "epel-9")), "RepoArchToDirectoryName", "a redirect has this name"),
        ((caches.REPOSITORY, pair("noarch", "pub/epel")), "RepoArchToDirectoryName", "no repository+architecture"),
        ((caches.REPOSITORY, pair("linux-1+arm", "pub/gone")), "RepoArchToDirectoryName", "disabled"),
        ((caches.ASN, pair(0, 1)), "HostAsnCache", "no AS number"),
        ((caches.COUNTRY, pair(5, "DEU")), "HostCountryCache", None),
        ((caches.ALLOWED, pair(1, "N/A", "DE")), "HostCountryAllowedCache", "no country"),
        ((caches.NETBLOCK, pair("ftp.example.org", 1)), "HostNetblockCache", "no netblock"),
        ((caches.NETBLOCK, pair("fe80::1%eth0", 1)), "HostNetblockCache", "no netblock"),
        (directory("pub/epel", "", {1: [11]}, [1]), "MirrorListCache", "there before"),
        (directory("pub//epel/", "", {1: [11, 12]}, [1], {"DE": [1]}), "MirrorListCache", "there before"),
        (directory("pub/../etc", "", {1: [11, 12]}, [1], {"DE": [1]}), "MirrorListCache", "no path"),
        (directory("pub/epel/new", "old", {1: [11, 12]}, [1], {"DE": [1]}), "MirrorListCache", "not the end"),
        (
            directory("pub/epel/new", "new", {1: [11, 12]}, [1], {"FR": [1]}),
            "MirrorListCache.ByCountry",
            "HostCountryCache, which wins",
        ),
        (
            directory("pub/epel/new", "new", {1: [11, 12], 9: [99]}, [1], {"DE": [1]}),
            "MirrorListCache.ByHostId",
            "no URL in HCUrlCache",
        ),
        (
            directory("pub/new", "", {1: [11, 13]}, [1], {"DE": [1]}),
            "MirrorListCache.ByHostId",
            "another URL of that protocol",
        ),
        ((17, "?"), "field 17", "no such field"),
    ],
)
def test_bad_rows_are_skipped_and_counted(folder: Path, row: tuple[int, Any], table: str, reason: str | None) -> None:
    """A row that cannot be used costs that row: it is counted, with its table and reason, and the rest is imported."""
    found = imported(folder, with_rows(row) if row[0] < 16 else [*small_cache(), row])
    assert skipped(found) == ({table: 1} if reason else NOTHING)
    assert all(complaint.warning for complaint in found.complaints)
    assert [one.key for one in found.complaints] == ([table] if reason else [])
    assert reason is None or reason in found.complaints[0].message
    assert len(snapshot_of(found).mirrors) >= 4


def test_skips_are_summed_up() -> None:
    """A million bad rows of a kind are one line: how many, why, and the first three."""
    skips = SkippedRows("cache.proto")
    for number in range(1_234):
        skips.add("HCUrlCache", "no URL", f"url{number}", line=number + 7)
    assert list(map(str, skips.complaints())) == [
        'cache.proto:7: warning: HCUrlCache: 1,234 rows skipped: no URL: "url0", "url1", "url2", and 1,231 more'
    ]


def test_a_list_of_no_valid_country_allows_nobody(folder: Path) -> None:
    """Whose allowed countries are all unusable is not thereby offered to everyone, but only to its own networks."""
    for countries in ((), ("N/A",), ("Germny", "?")):
        found = imported(folder, with_rows((caches.ALLOWED, pair(1, *countries))))
        assert {one.name for one in found.records.mirrors if one.private} == {"one.example#1", "two.example#2"}


def test_redirects_are_followed_to_their_end(folder: Path) -> None:
    """A redirect of a redirect leads to the repository at its end; loops lead nowhere, and end."""
    rows = [pair("a", "b"), pair("b", "c"), pair("c", "epel-9"), pair("x", "y"), pair("y", "x")]
    found = imported(folder, with_rows(*((caches.REDIRECT, row) for row in rows)))
    assert found.records.aliases == dict.fromkeys(("a", "b", "c", "epel"), "epel-9")
    assert skipped(found) == {"RepositoryRedirectCache": 2}


def test_rows_that_say_the_same_are_one(folder: Path) -> None:
    """A disabled repository is repeated for each architecture, a netblock may be for each host: nothing is wrong."""
    rows = [(caches.DISABLED, pair("linux-1", 1)), (caches.NETBLOCK, pair("192.0.2.7/24", 1)), small_cache()[-1]]
    found = imported(folder, with_rows(*rows[:2]) + rows[2:])
    assert skipped(found) == NOTHING
    owners = [one.name for one in found.records.mirrors if "192.0.2.0/24" in [net.prefix for net in one.netblocks]]
    assert sorted(owners) == ["one.example#1", "two.example#2"]


def test_ipv4_networks_written_as_ipv6_are_ipv4_networks(folder: Path) -> None:
    """In the table of clients and in that of countries, whatever the form."""
    rows = [
        *((caches.NETBLOCK, pair(text, 1)) for text in ("::ffff:81.2.69.0/120", "64:ff9b::5103:0/112")),
        (caches.NETBLOCK_COUNTRY, pair("2002:5102:4500::/40", "DE")),
    ]
    records = imported(folder, with_rows(*rows)).records
    prefixes = {net.prefix for one in records.mirrors for net in one.netblocks}
    assert {"81.2.69.0/24", "81.3.0.0/16"} <= prefixes
    assert records.netblock_countries["81.2.69.0/24"] == "DE"


def test_equal_hosts_are_read_once(folder: Path) -> None:
    """Directories with the same hosts share one set of carriers, the very object."""
    many = [directory(f"pub/epel/{number}", str(number), caches.EPEL, [1, 3]) for number in range(50)]
    directories = imported(folder, [*small_cache(), *many]).records.directories["pub/epel"]
    assert len({id(directories[str(number)]) for number in range(50)}) == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not begin with a time"),
        (b"\x0a", "cut off or no cache: the file ends"),
        (b"\x08\x80", "the file ends in the middle of a record, at byte 0"),
        (b"\x08\x01\x12\x05a", "the file ends in the middle of a record, at byte 2"),
        (b"\x08" + b"\xff" * 10, "a number of more than 64 bits"),
        (b"\x00\x01", "field 0"),
        (b"\x0b", "wire type 3"),
        (b"\x12" + caches.varint(MAX_RECORD + 1), "more than any cache has"),
        (b"[mirrors.m]\n", "cut off or no cache"),
        (encode([(1, 1)]), "no mirror or no repository"),
        (encode([row for row in small_cache() if row[0] != 16]), "cache has no directory"),
    ],
)
def test_what_is_no_whole_cache_is_refused(folder: Path, data: bytes, message: str) -> None:
    """There is one error, which says what is wrong, where, and what to do."""
    with pytest.raises(SourceError) as refusal:
        imported(folder, data)
    assert message in str(refusal.value)
    assert not any(complaint.warning for complaint in refusal.value.complaints)


def test_unused_wire_types_are_skipped(folder: Path) -> None:
    """Fields of fixed width, which no version of the cache has, are skipped as protobuf says."""
    data = encode(small_cache())
    found = imported(folder, data + caches.varint(20 << 3 | 1) + bytes(8) + caches.varint(21 << 3 | 5) + bytes(4))
    assert skipped(found) == {"field 20": 1, "field 21": 1}


def test_a_missing_directory_is_refused_unless_forced(folder: Path) -> None:
    """A repository whose directory is not there means a cut between two records; who knows better says so."""
    rows = [row for row in small_cache() if row[1:] != small_cache()[-5][1:]]
    with pytest.raises(SourceError, match=r"epel-9\+x86_64: the cache has no directory \"pub/epel/9/x86_64\""):
        imported(folder, rows)
    found = imported(folder, rows, force=True)
    assert [one.name for one in found.records.repositories] == ["linux-1"]


SMALL = encode(small_cache())


@pytest.mark.slow
def test_a_cache_cut_at_any_byte_is_refused(folder: Path) -> None:
    """In a record it is the one error, before a repository's directory too; what is left of the last ones is a loss."""
    ends = list(accumulate(len(encode([row])) for row in small_cache()))
    for length in range(len(SMALL)):
        if length in ends[-5:]:  # all repositories are there: `loss` compares it with the snapshot in place
            snapshot_of(imported(folder, SMALL[:length]))
        else:
            with pytest.raises(
                SourceError, match="no mirror|no directory|not begin" if length in ends else "cut off|not begin"
            ):
                imported(folder, SMALL[:length])


@settings(max_examples=300)
@given(data=st.data())
def test_fuzzed_caches_are_refused_or_imported(folder: Path, data: st.DataObject) -> None:
    """Whatever bytes are changed, put in or taken out: the one error, or a snapshot that passes every check."""
    fuzzed = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(fuzzed) - 1))
        fuzzed[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        found = imported(folder, bytes(fuzzed), force=data.draw(st.booleans()))
    except SourceError as refusal:
        assert refusal.complaints
    else:
        snapshot_of(found)


@settings(max_examples=200)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_refused(folder: Path, data: bytes) -> None:
    """No other bytes are a cache, whatever they are."""
    with pytest.raises(SourceError):
        imported(folder, data)


def test_a_pipe_can_be_a_cache(folder: Path) -> None:
    """The cache is read once, from its start to its end: it may come from a decompressor."""
    reading, writing = os.pipe()
    os.write(writing, SMALL)
    os.close(writing)
    found = read_mirrormanager(Path(f"/dev/fd/{reading}"))
    os.close(reading)
    assert found.records == imported(folder, SMALL).records


HOSTS, URL_IDS = st.integers(1, 4), st.integers(1, 8)
TOPS = st.sampled_from(["", "pub", "pub/a", "b"])
PROTOCOLS = ("https", "http", "ftp", "rsync")
ROWS = st.lists(
    st.tuples(
        TOPS,
        st.sampled_from(["", "x", "x/y", "z"]),
        st.dictionaries(HOSTS, st.lists(URL_IDS, min_size=1, max_size=3), max_size=4),
        st.lists(HOSTS, max_size=4),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=150)
@given(rows=ROWS)
def test_directories_offer_what_the_cache_says(folder: Path, rows: list[Any]) -> None:
    """For every directory of any cache: exactly its hosts, each public or private, with one URL per protocol."""
    urls = {number: f"{PROTOCOLS[number % 3]}://h{number}.example/{number}" for number in range(1, 9)}
    directories = {"/".join(filter(None, row[:2])): row[1:] for row in reversed(rows)}
    first = next(iter(directories))
    data = encode(
        [(caches.TIME, 1), *((caches.URL, pair(*item)) for item in urls.items())]
        + [(caches.REPOSITORY, pair("r+a", first))]
        + [directory("/".join(filter(None, row[:2])), *row[1:]) for row in rows]
    )
    if not any(hosts for _, hosts, _ in directories.values()):
        with pytest.raises(SourceError):
            imported(folder, data)
        return
    snapshot = snapshot_of(imported(folder, data))
    found: dict[str, Any] = {}
    for category, path, number in snapshot.directories:
        top = snapshot.categories[category].top
        name = "/".join(filter(None, (top, path.decode())))
        assert name not in found
        found[name] = {
            (int(mirror.name.partition("#")[2].rstrip("!")), mirror.private): sorted(
                url + (f"{path.decode()}/" if path else "")
                for content in mirror.contents
                if content.category == category
                for url in content.urls
            )
            for mirror in (snapshot.mirrors[one] for one in snapshot.sets.members(number))
        }
    assert found == {
        name: {
            (host, host not in public): sorted(
                {
                    urls[one].partition(":")[0]: f"{urls[one]}/{subpath}{subpath and '/'}" for one in reversed(ids)
                }.values()
            )
            for host, ids in hosts.items()
        }
        for name, (subpath, hosts, public) in directories.items()
    }
