"""The compiler: records in any order give one snapshot, and its sets are what the rules say, mirror by mirror."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorlist_snapshot.compiler import compile_snapshot
from mirrorlist_snapshot.errors import SnapshotError
from mirrorlist_snapshot.format import decode, encode
from mirrorlist_snapshot.model import (
    CategoryKind,
    ClientNetblock,
    FileDetails,
    FileVersion,
    NetblockMatch,
    Overrides,
    RepositoryDirectory,
)
from mirrorlist_snapshot.records import (
    ContentRecord,
    MirrorRecord,
    NetworkRecords,
    RepositoryDirectoryRecord,
    RepositoryRecord,
)
from support.mirror_records import category, mirror, records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mirrorlist_snapshot.model import Netblocks, Snapshot

URLS = ("https://example.org/",)


def compiled(given_records: NetworkRecords) -> Snapshot:
    """A snapshot of records, as a server would load it."""
    return decode(encode(compile_snapshot(given_records, serial=7, built=8, generator="test")))


def carriers(snapshot: Snapshot, number: int | None) -> set[str] | None:
    """Names of the mirrors in a set."""
    return None if number is None else {snapshot.mirrors[one].name for one in snapshot.sets.members(number)}


segments = st.sampled_from(["a", "ab", "b", "ä"])
paths = st.lists(segments, min_size=1, max_size=3).map("/".join)
prefixes = st.lists(paths, max_size=3).map(tuple)
offers = st.lists(st.none() | st.tuples(prefixes, prefixes), min_size=1, max_size=9)


def carried(directory: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """The rule, in its own words: segment by segment."""
    parts = directory.split("/")
    around = {"/".join(parts[:length]) for length in range(1, len(parts) + 1)}
    return (not include or not around.isdisjoint(include)) and around.isdisjoint(exclude)


def offering(name: str, offer: tuple[Sequence[str], Sequence[str]] | None) -> MirrorRecord:
    """A mirror with includes and excludes, or without the category."""
    if offer is None:
        return mirror(name)
    return mirror(name, ContentRecord(category="c", urls=URLS, include=tuple(offer[0]), exclude=tuple(offer[1])))


@given(offers=offers, asked=st.lists(paths | st.just(""), min_size=1, max_size=6))
def test_open_categories_follow_the_prefix_rule(
    offers: list[tuple[tuple[str, ...], tuple[str, ...]] | None], asked: list[str]
) -> None:
    """Any path of an open category is carried by exactly the mirrors whose prefixes allow it."""
    mirrors = tuple(offering(f"m{number}", offer) for number, offer in enumerate(offers))
    snapshot = compiled(records(categories=(category("c"),), mirrors=mirrors))
    for directory in asked:
        expected = {f"m{number}" for number, offer in enumerate(offers) if offer and carried(directory, *offer)}
        assert carriers(snapshot, snapshot.directories.nearest(0, directory.encode())) == expected
    rows = {path: number for _, path, number in snapshot.directories}
    assert b"" in rows
    for path, number in rows.items():
        if path:
            assert number != snapshot.directories.nearest(0, path.rpartition(b"/")[0]), "a row where nothing changes"


@given(offers=offers, data=st.data())
def test_listed_categories_have_exact_rows(
    offers: list[tuple[tuple[str, ...], tuple[str, ...]] | None], data: st.DataObject
) -> None:
    """A listed directory is carried by the mirrors that have it and whose prefixes allow it; others are unknown."""
    names = [f"m{number}" for number in range(len(offers))]
    listed = data.draw(st.dictionaries(paths | st.just(""), st.frozensets(st.sampled_from(names)), max_size=6))
    mirrors = tuple(offering(name, offer) for name, offer in zip(names, offers, strict=True))
    snapshot = compiled(
        records(categories=(category("c", CategoryKind.LISTED),), mirrors=mirrors, directories={"c": listed})
    )
    assert {path.decode() for _, path, _ in snapshot.directories} == set(listed)
    for directory, names_of_it in listed.items():
        expected = {
            f"m{number}"
            for number, offer in enumerate(offers)
            if offer and f"m{number}" in names_of_it and carried(directory, *offer)
        }
        assert carriers(snapshot, snapshot.directories.find(0, directory.encode())) == expected


def rich_records(order: Random) -> NetworkRecords:
    """Records with some of everything, in an order of its own."""

    def shuffled(items: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(order.sample(items, len(items)))

    def mapping(items: Mapping[Any, Any]) -> dict[Any, Any]:
        return dict(shuffled(list(items.items())))

    listed, everywhere = frozenset({"m1", "m2"}), frozenset({"m1", "m2", "m3"})
    urls = shuffled(("https://m/", "http://m/", "rsync://m/", "ftp://m/"))
    mirrors = [
        mirror(
            f"m{number}",
            *shuffled(
                (
                    ContentRecord(category="open", urls=urls, include=shuffled(("a", "b/c")), exclude=("b/c/d",)),
                    ContentRecord(category="listed", urls=urls, exclude=shuffled(("x", f"y/{number}"))),
                )
            ),
            country="DE",
            asns=shuffled((3, 1, 2)),
            netblocks=shuffled(
                (
                    ClientNetblock(prefix="10.0.0.0/8", exclusive=False),
                    ClientNetblock(prefix=f"10.{number}.0.0/16", exclusive=True),
                    ClientNetblock(prefix="2001:db8::/32", exclusive=number == 2),
                )
            ),
            allowed_countries=shuffled(("DE", "AT")),
            denied_countries=shuffled(("FR", "BE")),
        )
        for number in (1, 2, 3)
    ]
    places = (
        RepositoryDirectoryRecord(arch="b", category="open", path="a"),
        RepositoryDirectoryRecord(arch="a", category="listed", path="y"),
    )
    details = FileDetails(current=FileVersion(timestamp=1, size=2), alternates=(FileVersion(timestamp=0, size=1),))
    return records(
        categories=shuffled((category("open"), category("listed", CategoryKind.LISTED))),
        mirrors=shuffled(mirrors),
        repositories=shuffled(
            (
                RepositoryRecord(name="r", disabled=False, directories=shuffled(places)),
                RepositoryRecord(
                    name="q", disabled=True, directories=(RepositoryDirectoryRecord(arch="", category="open", path=""),)
                ),
            )
        ),
        aliases=mapping({"z": "y", "y": "x", "x": "r"}),
        directories={"listed": mapping({"y": listed, "y/1": everywhere, "x": everywhere, "": frozenset[str]()})},
        files=mapping({("open", "f"): details, ("listed", "f"): details, ("listed", "e"): details}),
        overrides=Overrides(
            continents=mapping({"IL": "EU", "TR": "EU"}),
            neighbours=mapping({"SE": (("NO",), ("DE", "FI")), "NO": (("SE",),)}),
            never_served=mapping({"CN": shuffled(("TW", "HK")), "TW": ("CN",)}),
        ),
        netblock_countries=mapping({"192.0.2.0/24": "DE", "192.0.2.128/25": "FR", "2001:db8::/48": "DE"}),
        asn_netblocks=mapping({"192.0.2.0/24": 680, "192.0.2.128/25": 0, "2001:db8::/48": 680}),
    )


@pytest.mark.parametrize("seed", range(10))
def test_order_of_the_records_does_not_matter(seed: int) -> None:
    """The same records in any order give the same bytes."""
    first, second = (
        encode(compile_snapshot(rich_records(Random(one)), serial=1, built=2, generator="test")) for one in (99, seed)
    )
    assert first == second


def test_everything_is_sorted_numbered_and_followed() -> None:
    """Names become positions in sorted order, URLs stand best first, aliases end at a repository."""
    snapshot = compiled(rich_records(Random(1)))
    assert (snapshot.serial, snapshot.built, snapshot.generator) == (7, 8, "test")
    assert [one.name for one in snapshot.categories] == ["listed", "open"]
    assert [one.name for one in snapshot.mirrors] == ["m1", "m2", "m3"]
    first = snapshot.mirrors[0]
    assert [content.category for content in first.contents] == [0, 1]
    assert first.contents[0].urls == ("https://m/", "http://m/", "ftp://m/", "rsync://m/")
    assert (first.asns, first.allowed_countries, first.denied_countries) == ((1, 2, 3), ("AT", "DE"), ("BE", "FR"))
    assert [one.prefix for one in first.netblocks] == ["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32"]
    assert [one.name for one in snapshot.repositories] == ["q", "r"]
    assert snapshot.repositories[1].directories == (
        RepositoryDirectory(arch="a", category=0, path="y"),
        RepositoryDirectory(arch="b", category=1, path="a"),
    )
    assert snapshot.aliases == {"x": "r", "y": "r", "z": "r"}
    assert snapshot.overrides.never_served == {"CN": ("HK", "TW"), "TW": ("CN",)}
    assert snapshot.overrides.neighbours["SE"] == (("NO",), ("DE", "FI"))
    assert set(snapshot.files) == {b"\0\1f", b"\0\0f", b"\0\0e"}
    assert [(path, carriers(snapshot, number)) for number_, path, number in snapshot.directories if not number_] == [
        (b"", set()),
        (b"x", set()),
        (b"y", {"m1", "m2"}),
        (b"y/1", {"m2", "m3"}),
    ]


def test_equal_sets_are_stored_once() -> None:
    """Many directories with few distinct carriers make few sets, across categories too."""
    everyone = frozenset({"m0", "m1"})
    listed = {f"d/{number}": everyone if number % 2 else frozenset({"m0"}) for number in range(100)}
    content = (ContentRecord(category="c", urls=URLS), ContentRecord(category="o", urls=URLS))
    snapshot = compiled(
        records(
            categories=(category("c", CategoryKind.LISTED), category("o")),
            mirrors=(mirror("m0", *content), mirror("m1", *content)),
            directories={"c": listed},
        )
    )
    assert len(snapshot.directories) == 101
    assert len(snapshot.sets) == 2


def test_inactive_private_and_first_mirrors_stay_in_the_sets() -> None:
    """Who may be offered is decided when serving, with a reason; mirror number 0 is a mirror like any other."""
    content = ContentRecord(category="c", urls=URLS)
    mirrors = (mirror("a", content, active=False), mirror("b", content, private=True), mirror("c", content))
    snapshot = compiled(records(categories=(category("c"),), mirrors=mirrors))
    assert carriers(snapshot, snapshot.directories.find(0, b"")) == {"a", "b", "c"}


networks = st.builds(
    lambda address, length: f"{ip_network((address & ~((1 << (32 - length)) - 1), length))}",
    st.integers(0, (1 << 32) - 1),
    st.integers(1, 32),
) | st.sampled_from(["10.0.0.0/8", "10.0.0.0/16", "10.0.1.0/24", "10.0.1.128/25", "2001:db8::/32", "2001:db8:1::/48"])
claims = st.lists(st.dictionaries(networks, st.booleans(), max_size=5), min_size=1, max_size=4)


@given(claims=claims)
def test_netblocks_find_every_match_longest_first(claims: list[dict[str, bool]]) -> None:
    """An address finds exactly the netblocks that contain it, the longest prefix first, then by mirror."""
    mirrors = tuple(
        mirror(f"m{number}", netblocks=tuple(ClientNetblock(prefix=one, exclusive=own[one]) for one in own))
        for number, own in enumerate(claims)
    )
    snapshot = compiled(records(mirrors=mirrors))
    for address in _edges(one for own in claims for one in own):
        expected = sorted(
            (
                NetblockMatch(length=ip_network(prefix).prefixlen, mirror=number, exclusive=exclusive)
                for number, own in enumerate(claims)
                for prefix, exclusive in own.items()
                if ip_address(address) in ip_network(prefix)
            ),
            key=lambda match: (-match.length, match.mirror),
        )
        assert snapshot.netblock_chains[_find(snapshot.client_netblocks, address)] == tuple(expected)
    assert snapshot.netblock_chains[0] == ()
    assert len(set(snapshot.netblock_chains)) == len(snapshot.netblock_chains)


@given(countries=st.dictionaries(networks, st.sampled_from(["DE", "FR", "NA"]), max_size=8))
def test_longest_netblock_decides_the_country(countries: dict[str, str]) -> None:
    """An address is in the country of the longest netblock that contains it; elsewhere nothing is said."""
    snapshot = compiled(records(netblock_countries=countries))
    for address in [*_edges(countries), "203.0.113.1", "::1"]:
        around = [one for one in countries if ip_address(address) in ip_network(one)]
        longest = max(around, key=lambda prefix: ip_network(prefix).prefixlen, default=None)
        value = _find(snapshot.country_netblocks, address)
        found = snapshot.netblock_countries[value - 1] if value else None
        assert found == (countries[longest] if longest else None)


@given(asns=st.dictionaries(networks, st.sampled_from([0, 680, 4_200_000_000]), max_size=8))
def test_longest_netblock_decides_the_autonomous_system(asns: dict[str, int]) -> None:
    """An address belongs to the system that announces the longest netblock around it; 0 punches holes."""
    snapshot = compiled(records(asn_netblocks=asns))
    for address in [*_edges(asns), "203.0.113.1", "::1"]:
        around = [one for one in asns if ip_address(address) in ip_network(one)]
        longest = max(around, key=lambda prefix: ip_network(prefix).prefixlen, default=None)
        assert _find(snapshot.asn_netblocks, address) == (asns[longest] if longest else 0)


def _edges(prefixes: Any) -> list[str]:
    """First and last addresses of netblocks, and their neighbours outside."""
    found: list[str] = []
    for network in map(ip_network, prefixes):
        first, last = int(network.network_address), int(network.broadcast_address)
        kind = type(network.network_address)
        found += [str(kind(one)) for one in (first - 1, first, last, last + 1) if 0 <= one < 1 << network.max_prefixlen]
    return found


def _find(netblocks: Netblocks, address: str) -> int:
    return netblocks.find(ip_address(address).packed)


def test_more_mirrors_than_numbers_are_refused() -> None:
    """Mirror numbers are u16: one mirror too many is an error that says so, not a damaged file."""
    with pytest.raises(SnapshotError, match="at most 10000 mirrors"):
        compile_snapshot(records(mirrors=(mirror("m"),) * 65536), serial=1, built=1, generator="test")
