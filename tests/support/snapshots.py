"""Snapshots for tests: builders for those made by hand, and arbitrary valid ones for hypothesis."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from mirrorlist_snapshot.countries import CONTINENT_OF
from mirrorlist_snapshot.health import DownUrl, Freshness, MirrorHealth, OldUnit, Unit
from mirrorlist_snapshot.model import (
    BANDWIDTH_RANGE,
    BOTH_FAMILIES,
    CONTINENTS,
    NOTHING_ABOUT,
    About,
    CarrierSets,
    Category,
    CategoryKind,
    ClientNetblock,
    Content,
    DirectoryTable,
    Families,
    FileDetails,
    FileVersion,
    Mirror,
    NetblockMatch,
    Netblocks,
    Overrides,
    Repository,
    RepositoryDirectory,
    Snapshot,
)
from mirrorlist_snapshot.tables import KeyTable, NetTable, flatten

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Chains = dict[tuple[NetblockMatch, ...], int]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def carrier_sets(members: Sequence[Iterable[int]], mirrors: int) -> CarrierSets:
    """Carrier sets of the given mirror numbers."""
    width = max(1, (mirrors + 7) // 8)
    data = b"".join(sum(1 << mirror for mirror in one).to_bytes(width, "little") for one in members)
    return CarrierSets(width=width, data=memoryview(data))


def directory_table(rows: Mapping[tuple[int, str], int]) -> DirectoryTable:
    """A directory table of (category, path) -> set number."""
    ordered = sorted((category.to_bytes(2, "big") + path.encode(), number) for (category, path), number in rows.items())
    return DirectoryTable(keys=KeyTable.build([key for key, _ in ordered]), sets=[number for _, number in ordered])


def chain_netblocks(
    matches: Iterable[tuple[Network, int, bool]],
) -> tuple[Netblocks, tuple[tuple[NetblockMatch, ...], ...]]:
    """Client netblocks as (network, mirror, exclusive) -> tables and the chains they point into."""
    numbers: Chains = {(): 0}
    by_key = {(network, mirror): exclusive for network, mirror, exclusive in matches}
    tables: list[NetTable] = []
    for version, bits in ((4, 32), (6, 128)):
        blocks = [
            (int(network.network_address), network.prefixlen, (mirror, exclusive))
            for (network, mirror), exclusive in sorted(by_key.items(), key=lambda item: item[0][1])
            if network.version == version
        ]
        ranges: list[tuple[int, int]] = []
        for start, found in flatten(blocks, bits):
            chain = tuple(
                NetblockMatch(length=length, mirror=mirror, exclusive=flag) for length, (mirror, flag) in found
            )
            ranges.append((start, numbers.setdefault(chain, len(numbers))))
        tables.append(NetTable.build(ranges, bits // 8))
    return Netblocks(v4=tables[0], v6=tables[1]), tuple(numbers)


def country_netblocks(places: Mapping[Network, str]) -> tuple[Netblocks, tuple[str, ...]]:
    """Network -> country overrides as tables and the countries they point at."""
    countries = tuple(sorted(set(places.values())))
    return netblocks({network: 1 + countries.index(country) for network, country in places.items()}), countries


def netblocks(values: Mapping[Network, int]) -> Netblocks:
    """Network -> value, the longest prefix holding, as tables."""
    tables: list[NetTable] = []
    for version, bits in ((4, 32), (6, 128)):
        blocks = [
            (int(network.network_address), network.prefixlen, value)
            for network, value in values.items()
            if network.version == version
        ]
        ranges = [(start, found[0][1] if found else 0) for start, found in flatten(blocks, bits)]
        tables.append(NetTable.build(ranges, bits // 8))
    return Netblocks(v4=tables[0], v6=tables[1])


def mirror(name: str, country: str | None = None, *, urls: Sequence[str] = (), **fields: Any) -> Mirror:
    """A mirror of category 0 with the defaults of the format; without `urls` it has one made of its name."""
    contents = (Content(category=0, urls=tuple(urls) or (f"https://{name}/",)),)
    values: dict[str, Any] = {
        "bandwidth": 100,
        "asns": (),
        "netblocks": (),
        "private": False,
        "fallback": False,
        "active": True,
        "allowed_countries": (),
        "denied_countries": (),
        "contents": contents,
    }
    return Mirror(name=name, country=country, **(values | fields))


def snapshot_of(mirrors: Sequence[Mirror], **fields: Any) -> Snapshot:
    """A snapshot of one open category `c` and one repository `r` on its top, which all the mirrors carry."""
    v4, v6 = NetTable.build([], 4), NetTable.build([], 16)
    nothing = Netblocks(v4=v4, v6=v6)
    values: dict[str, Any] = {
        "serial": 1,
        "built": 1_700_000_000,
        "generator": "",
        "categories": (Category(name="c", kind=CategoryKind.OPEN, top=""),),
        "mirrors": tuple(mirrors),
        "repositories": (
            Repository(name="r", disabled=False, directories=(RepositoryDirectory(arch="", category=0, path=""),)),
        ),
        "aliases": {},
        "overrides": Overrides(continents={}, neighbours={}, never_served={}),
        "sets": carrier_sets([range(len(mirrors))], len(mirrors)),
        "directories": directory_table({(0, ""): 0}),
        "files": {},
        "client_netblocks": nothing,
        "netblock_chains": ((),),
        "country_netblocks": nothing,
        "netblock_countries": (),
        "asn_netblocks": nothing,
    }
    return Snapshot(**(values | fields))


_CHARACTERS = st.characters(exclude_categories=("Cc", "Cs"))
_NAMES = st.text(st.one_of(st.sampled_from("abcxyz-_.019"), _CHARACTERS), min_size=1, max_size=8)
_SEGMENTS = st.text(_CHARACTERS.filter(lambda one: one != "/"), min_size=1, max_size=6).filter(
    lambda one: one not in {".", ".."}
)
PATHS = st.lists(_SEGMENTS, max_size=3).map("/".join)
"""Clean paths, the empty one among them."""
COUNTRIES = st.sampled_from([*sorted(CONTINENT_OF)[::12], "DE", "NL", "US", "AU"])
"""Few enough to meet, from every continent."""
_COUNTRY_LISTS = st.lists(COUNTRIES, max_size=3, unique=True).map(lambda one: tuple(sorted(one)))
NETWORKS = st.one_of(
    st.builds(
        lambda address, length: ipaddress.ip_network((address, length), strict=False),
        st.sampled_from([0, 0xC0000200, 0xC0000280, 0xC0A80000, 0xFFFFFFFF]),
        st.integers(0, 32),
    ),
    st.builds(
        lambda address, length: ipaddress.ip_network((address.to_bytes(16, "big"), length), strict=False),
        st.sampled_from([0, 0x20010DB8 << 96, (0x20010DB8 << 96) + 0xFFFF, (1 << 128) - 1]),
        st.integers(0, 128),
    ),
)
"""Networks that nest, meet and reach both ends of the address space, both families."""
_TIMES = st.integers(0, 253_402_300_799)


def _hexes(size: int) -> st.SearchStrategy[str | None]:
    return st.none() | st.binary(min_size=size, max_size=size).map(bytes.hex)


_VERSIONS = st.builds(
    FileVersion,
    timestamp=_TIMES,
    size=st.integers(0, (1 << 63) - 1),
    md5=_hexes(16),
    sha1=_hexes(20),
    sha256=_hexes(32),
    sha512=_hexes(64),
)


@st.composite
def _urls(draw: st.DrawFn) -> tuple[str, ...]:
    protocols = draw(st.lists(st.sampled_from(["http", "rsync", "ftp"]), max_size=3, unique=True))
    if draw(st.booleans()) or not protocols:
        protocols = ["https", *protocols]
    host = draw(st.sampled_from(["a.example", "[2001:db8::1]", "xn--bcher-kva.example:8080"]))
    path = draw(st.sampled_from(["", "pub/", "a~b/%C3%A9/c+d,e/"]))
    return tuple(f"{protocol}://{host}/{path}" for protocol in protocols)


FAMILIES = (Families.IPV4, Families.IPV6, BOTH_FAMILIES)
_LINKS = st.sampled_from(["", "https://sponsor.example/", "http://sponsor.example/logo.svg?size=2#top"])


def _degrees(most: int) -> st.SearchStrategy[float]:
    return st.integers(-most * 10_000, most * 10_000).map(lambda steps: round(steps / 10_000, 4))


_ABOUT = st.builds(
    lambda place, **texts: About(**texts, latitude=place and place[0], longitude=place and place[1]),
    place=st.none() | st.tuples(_degrees(90), _degrees(180)),
    sponsor=st.just("") | _NAMES,
    sponsor_url=_LINKS,
    sponsor_logo=_LINKS,
    city=st.just("") | _NAMES,
    notes=st.just("") | _NAMES,
)


@st.composite
def _mirrors(draw: st.DrawFn, categories: int) -> tuple[Mirror, ...]:
    names = draw(st.lists(_NAMES, max_size=10, unique=True))
    return tuple(
        Mirror(
            name=name,
            country=draw(st.none() | COUNTRIES),
            bandwidth=draw(st.just(100) | st.integers(*BANDWIDTH_RANGE)),
            asns=tuple(draw(st.lists(st.integers(1, 0xFFFF_FFFF), max_size=2, unique=True))),
            netblocks=tuple(
                ClientNetblock(prefix=str(network), exclusive=draw(st.booleans()))
                for network in draw(st.lists(NETWORKS, max_size=2, unique=True))
            ),
            private=draw(st.booleans()),
            fallback=draw(st.booleans()),
            active=draw(st.booleans()),
            allowed_countries=draw(_COUNTRY_LISTS),
            denied_countries=draw(_COUNTRY_LISTS),
            contents=tuple(
                Content(category=category, urls=draw(_urls()), families=draw(st.sampled_from([*FAMILIES])))
                for category in range(categories)
                if draw(st.booleans())
            ),
            continent=draw(st.none() | st.sampled_from(CONTINENTS)),
            worldwide=draw(st.booleans()),
            also_countries=draw(_COUNTRY_LISTS),
            about=draw(st.just(NOTHING_ABOUT) | _ABOUT),
        )
        for name in names
    )


@st.composite
def _repositories(draw: st.DrawFn, categories: int) -> tuple[Repository, ...]:
    if not categories:
        return ()
    names = sorted(draw(st.lists(_NAMES, max_size=4, unique=True)))
    arches = st.just([""]) | st.lists(_NAMES, min_size=1, max_size=3, unique=True).map(sorted)
    return tuple(
        Repository(
            name=name,
            disabled=draw(st.booleans()),
            directories=tuple(
                RepositoryDirectory(arch=arch, category=draw(st.integers(0, categories - 1)), path=draw(PATHS))
                for arch in draw(arches)
            ),
        )
        for name in names
    )


@st.composite
def _healths(draw: st.DrawFn, categories: list[str], repositories: list[str]) -> MirrorHealth:
    lines, number = st.just("") | _NAMES, st.integers(0, 1 << 20)
    families = st.sampled_from([(), (4,), (6,), (4, 6)])
    category = st.sampled_from(categories) if categories else st.nothing()
    down = st.builds(
        DownUrl, category=category, url=_urls().map(min), family=st.sampled_from([0, 4, 6]), since=_TIMES, reason=lines
    )
    old = st.builds(
        OldUnit,
        unit=st.builds(Unit, category=category, path=PATHS, directories=st.lists(PATHS, max_size=2).map(tuple)),
        state=st.sampled_from([state for state in Freshness if state is not Freshness.FRESH]),
        offered=st.booleans(),
        since=_TIMES,
        lag=number,
        reason=lines,
    )
    return MirrorHealth(
        checked=draw(_TIMES),
        families=draw(families),
        weight=draw(st.integers(0, 100)),
        until=draw(_TIMES),
        lags=draw(st.dictionaries(st.sampled_from(repositories), number, max_size=3)) if repositories else {},
        down=draw(st.lists(down, max_size=2).map(tuple)) if categories else (),
        old=draw(st.lists(old, max_size=2).map(tuple)) if categories else (),
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Any valid snapshot whose tables fit together, small in every direction, empty ones among them."""
    categories = tuple(
        Category(
            name=name,
            kind=draw(st.sampled_from(CategoryKind)),
            top=draw(PATHS),
            part_of=draw(st.none() | st.integers(0, number - 1)) if number else None,
        )
        for number, name in enumerate(draw(st.lists(_NAMES, max_size=3, unique=True)))
    )
    mirrors = draw(_mirrors(len(categories)))
    repositories = draw(_repositories(len(categories)))
    names = [repository.name for repository in repositories]
    aliases = draw(st.dictionaries(_NAMES, st.sampled_from(names), max_size=3)) if names else {}
    sets = draw(st.lists(st.sets(st.sampled_from(range(len(mirrors) or 1))), min_size=1, max_size=4))
    if not mirrors:
        sets = [set()]
    keys = {(number, "") for number, one in enumerate(categories) if one.kind is CategoryKind.OPEN}
    keys |= {(place.category, place.path) for one in repositories for place in one.directories if draw(st.booleans())}
    if categories:
        keys |= draw(st.sets(st.tuples(st.integers(0, len(categories) - 1), PATHS), max_size=6))
    files = draw(st.lists(st.tuples(st.sampled_from(sorted(keys) or [(0, "x")]), _SEGMENTS), max_size=3, unique=True))
    clients, chains = chain_netblocks(
        (ipaddress.ip_network(block.prefix), number, block.exclusive)
        for number, one in enumerate(mirrors)
        for block in one.netblocks
    )
    places, countries = country_netblocks(draw(st.dictionaries(NETWORKS, COUNTRIES, max_size=4)))
    return Snapshot(
        serial=draw(st.integers(0, (1 << 63) - 1)),
        built=draw(_TIMES),
        generator=draw(st.just("") | _NAMES),
        categories=categories,
        mirrors=mirrors,
        repositories=repositories,
        aliases={alias: target for alias, target in aliases.items() if target not in aliases},
        overrides=Overrides(
            continents=draw(st.dictionaries(COUNTRIES, st.sampled_from(CONTINENTS), max_size=3)),
            neighbours=draw(st.dictionaries(COUNTRIES, st.lists(_COUNTRY_LISTS, max_size=3).map(tuple), max_size=2)),
            never_served=draw(st.dictionaries(COUNTRIES, _COUNTRY_LISTS, max_size=2)),
        ),
        sets=carrier_sets(sets, len(mirrors)),
        directories=directory_table({key: draw(st.integers(0, len(sets) - 1)) for key in sorted(keys)}),
        files={
            category.to_bytes(2, "big") + "/".join(filter(None, (path, name))).encode(): FileDetails(
                current=draw(_VERSIONS), alternates=tuple(draw(st.lists(_VERSIONS, max_size=2)))
            )
            for (category, path), name in files
            if categories
        },
        client_netblocks=clients,
        netblock_chains=chains,
        country_netblocks=places,
        netblock_countries=countries,
        asn_netblocks=netblocks(draw(st.dictionaries(NETWORKS, st.integers(0, 0xFFFF_FFFF), max_size=4))),
        observed=draw(st.just(0) | _TIMES),
        health={
            number: draw(_healths([one.name for one in categories], names))
            for number in range(len(mirrors))
            if draw(st.booleans())
        },
    )
