"""Records -> Snapshot: names become numbers, equal sets of carriers become one, netblocks become disjoint ranges.

Pure and deterministic: equal records give equal snapshots, whatever the order of files and tables. Repositories,
mirrors and categories are sorted by name, directories and files by the bytes of their keys; then they are numbered.

A set of mirrors is an int, bit m for mirror m, so that one operation intersects any number of mirrors and 150,000
directories take no loop over mirrors. Inactive, private and restricted mirrors stay in the sets; the server leaves them
out and reports the reason.
"""

from __future__ import annotations

from array import array
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final, TypeVar

from mirrorlist_snapshot.errors import SnapshotError
from mirrorlist_snapshot.model import (
    MAX_CATEGORIES,
    MAX_MIRRORS,
    CarrierSets,
    Category,
    CategoryKind,
    Content,
    DirectoryTable,
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
    from collections.abc import Iterable, Iterator, Mapping

    from mirrorlist_snapshot.model import FileDetails
    from mirrorlist_snapshot.records import ContentRecord, MirrorRecord, NetworkRecords, RepositoryRecord

T = TypeVar("T")

_PROTOCOL_RANK: Final = {"https": 0, "http": 1}
_FAMILIES: Final = ((4, 32), (6, 128))


def compile_snapshot(records: NetworkRecords, *, serial: int, built: int, generator: str) -> Snapshot:
    """Compile validated records; `serial`, `built` (seconds since 1970 UTC) and `generator` are copied unchanged.

    Raise SnapshotError if there are more mirrors or categories than the format can number.
    """
    _check_count("mirrors", len(records.mirrors), MAX_MIRRORS)
    _check_count("categories", len(records.categories), MAX_CATEGORIES)
    categories = sorted(records.categories, key=lambda record: record.name)
    category_numbers = {record.name: number for number, record in enumerate(categories)}
    mirrors = sorted(records.mirrors, key=lambda record: record.name)
    sets = _CarrierSetNumbers(len(mirrors))
    client_netblocks, chains = _client_netblocks(mirrors)
    country_netblocks, countries = _country_netblocks(records.netblock_countries)
    return Snapshot(
        serial=serial,
        built=built,
        generator=generator,
        categories=tuple(Category(name=record.name, kind=record.kind, top=record.top) for record in categories),
        mirrors=tuple(_mirror(record, category_numbers) for record in mirrors),
        repositories=tuple(
            _repository(record, category_numbers)
            for record in sorted(records.repositories, key=lambda record: record.name)
        ),
        aliases=_aliases(records.aliases),
        overrides=_overrides(records.overrides),
        directories=_directory_table(records, mirrors, category_numbers, sets),
        sets=sets.table(),
        files=_files(records, category_numbers),
        client_netblocks=client_netblocks,
        netblock_chains=chains,
        country_netblocks=country_netblocks,
        netblock_countries=countries,
        asn_netblocks=_netblocks(records.asn_netblocks),
    )


def _check_count(what: str, count: int, limit: int) -> None:
    if count > limit:
        raise SnapshotError(f"at most {limit} {what}", f"{count}", "split the description")


def _mirror(record: MirrorRecord, category_numbers: Mapping[str, int]) -> Mirror:
    contents = (
        Content(category=category_numbers[content.category], urls=tuple(sorted(content.urls, key=_url_rank)))
        for content in record.contents
    )
    return Mirror(
        name=record.name,
        country=record.country,
        bandwidth=record.bandwidth,
        asns=tuple(sorted(record.asns)),
        netblocks=tuple(sorted(record.netblocks, key=lambda netblock: _network_rank(netblock.prefix))),
        private=record.private,
        fallback=record.fallback,
        active=record.active,
        allowed_countries=tuple(sorted(record.allowed_countries)),
        denied_countries=tuple(sorted(record.denied_countries)),
        contents=tuple(sorted(contents, key=lambda content: content.category)),
    )


def _url_rank(url: str) -> tuple[int, str]:
    """Sort key: https first, then http, then the others by name."""
    return _PROTOCOL_RANK.get(url.partition("://")[0], len(_PROTOCOL_RANK)), url


def _network_rank(prefix: str) -> tuple[int, int, int]:
    network = ip_network(prefix)
    return network.version, int(network.network_address), network.prefixlen


def _repository(record: RepositoryRecord, category_numbers: Mapping[str, int]) -> Repository:
    found = sorted(record.directories, key=lambda place: place.arch)
    directories = tuple(
        RepositoryDirectory(arch=place.arch, category=category_numbers[place.category], path=place.path)
        for place in found
    )
    return Repository(name=record.name, disabled=record.disabled, directories=directories)


def _aliases(aliases: Mapping[str, str]) -> dict[str, str]:
    """Return alias -> repository, with aliases of aliases resolved; records have no loops."""
    followed: dict[str, str] = {}
    for alias in sorted(aliases):
        target = aliases[alias]
        while target in aliases:
            target = aliases[target]
        followed[alias] = target
    return followed


def _overrides(overrides: Overrides) -> Overrides:
    return Overrides(
        continents=dict(sorted(overrides.continents.items())),
        neighbours=dict(sorted(overrides.neighbours.items())),
        never_served={country: tuple(sorted(never)) for country, never in sorted(overrides.never_served.items())},
    )


class _CarrierSetNumbers:
    """Numbers distinct sets of mirrors in the order in which they occur."""

    def __init__(self, mirrors: int) -> None:
        self._width = max(1, (mirrors + 7) // 8)
        self._numbers: dict[int, int] = {}

    def number(self, members: int) -> int:
        return self._numbers.setdefault(members, len(self._numbers))

    def table(self) -> CarrierSets:
        data = b"".join(members.to_bytes(self._width, "little") for members in self._numbers)
        return CarrierSets(width=self._width, data=memoryview(data))


def _directory_table(
    records: NetworkRecords, mirrors: list[MirrorRecord], category_numbers: Mapping[str, int], sets: _CarrierSetNumbers
) -> DirectoryTable:
    """Build the rows of every category, in key order, and number their carrier sets."""
    bits = {record.name: 1 << number for number, record in enumerate(mirrors)}
    contents: dict[str, list[tuple[int, ContentRecord]]] = {}
    for record in mirrors:
        for content in record.contents:
            contents.setdefault(content.category, []).append((bits[record.name], content))
    kinds = {record.name: record.kind for record in records.categories}
    keys: list[bytes] = []
    numbers = array("I")
    for category, number in category_numbers.items():
        allowed = _allowed(contents.get(category, []))
        if kinds[category] is CategoryKind.OPEN:
            rows = _changes(allowed)
        else:
            rows = _listed(records.directories.get(category, {}), allowed, bits)
        head = number.to_bytes(2, "big")
        for path, members in sorted((path.encode(), members) for path, members in rows):
            keys.append(head + path)
            numbers.append(sets.number(members))
    return DirectoryTable(keys=KeyTable.build(keys), sets=numbers)


def _allowed(contents: Iterable[tuple[int, ContentRecord]]) -> dict[str, int]:
    """Return prefix -> the mirrors whose includes and excludes allow it and what is below it, up to the next prefix.

    A directory's carriers depend only on the prefixes that are the directory itself or one of its ancestors. The
    prefixes are therefore visited from the top down; each starts from the sets of its nearest ancestor.
    """
    everywhere = members = 0
    includes: dict[str, int] = {}
    excludes: dict[str, int] = {}
    for bit, content in contents:
        members |= bit
        if not content.include:
            everywhere |= bit
        for prefix in content.include:
            includes[prefix] = includes.get(prefix, 0) | bit
        for prefix in content.exclude:
            excludes[prefix] = excludes.get(prefix, 0) | bit
    included = {"": everywhere | includes.get("", 0)}
    excluded = {"": excludes.get("", 0)}
    # An ancestor is shorter than its descendants, so it has been visited before them.
    for prefix in sorted((includes.keys() | excludes.keys()) - {""}, key=len):
        ancestor = _nearest(prefix.rpartition("/")[0], included)
        included[prefix] = included[ancestor] | includes.get(prefix, 0)
        excluded[prefix] = excluded[ancestor] | excludes.get(prefix, 0)
    return {prefix: members & included[prefix] & ~excluded[prefix] for prefix in included}


def _nearest(path: str, prefixes: Mapping[str, int]) -> str:
    """Return the path or its nearest ancestor among the prefixes; the top is always one of them."""
    while path not in prefixes:
        path = path.rpartition("/")[0]
    return path


def _changes(allowed: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Yield the rows of an open category: the top, and each prefix whose set differs from its nearest ancestor's."""
    for prefix, members in allowed.items():
        if not prefix or members != allowed[_nearest(prefix.rpartition("/")[0], allowed)]:
            yield prefix, members


def _listed(
    directories: Mapping[str, frozenset[str]], allowed: Mapping[str, int], bits: Mapping[str, int]
) -> Iterator[tuple[str, int]]:
    """Yield the rows of a listed category: every directory with the carriers that include and exclude allow."""
    masks: dict[frozenset[str], int] = {}  # one sum for each distinct set; a frozenset caches its hash
    for path, names in directories.items():
        if (mask := masks.get(names)) is None:
            mask = masks[names] = sum(bits[name] for name in names)
        yield path, mask & allowed[_nearest(path, allowed)]


def _files(records: NetworkRecords, category_numbers: Mapping[str, int]) -> dict[bytes, FileDetails]:
    keyed = {
        category_numbers[category].to_bytes(2, "big") + path.encode(): details
        for (category, path), details in records.files.items()
    }
    return dict(sorted(keyed.items(), key=lambda item: item[0]))


def _client_netblocks(mirrors: Iterable[MirrorRecord]) -> tuple[Netblocks, tuple[tuple[NetblockMatch, ...], ...]]:
    """Return ranges of addresses with the number of the chain of netblocks that hold them, and the chains."""
    claims = (
        (netblock.prefix, (number, netblock.exclusive))
        for number, record in enumerate(mirrors)
        for netblock in record.netblocks
    )
    chains: dict[tuple[NetblockMatch, ...], int] = {(): 0}

    def number_of(chain: tuple[tuple[int, tuple[int, bool]], ...]) -> int:
        matches = tuple(
            NetblockMatch(length=length, mirror=mirror, exclusive=exclusive)
            for length, (mirror, exclusive) in sorted(chain, key=lambda match: (-match[0], match[1]))
        )
        return chains.setdefault(matches, len(chains))

    v4, v6 = (
        NetTable.build([(start, number_of(chain)) for start, chain in ranges], bits // 8)
        for bits, ranges in _ranges(claims)
    )
    return Netblocks(v4=v4, v6=v6), tuple(chains)


def _country_netblocks(netblocks: Mapping[str, str]) -> tuple[Netblocks, tuple[str, ...]]:
    """Return address -> country of the longest prefix that holds it, as 1 + its position in the sorted countries."""
    countries = sorted(set(netblocks.values()))
    values = {country: number for number, country in enumerate(countries, 1)}
    return _netblocks({prefix: values[country] for prefix, country in netblocks.items()}), tuple(countries)


def _netblocks(values: Mapping[str, int]) -> Netblocks:
    """Return address -> value of the longest prefix that holds it, else 0; equal adjacent ranges are joined."""
    tables: list[NetTable] = []
    for bits, ranges in _ranges(values.items()):
        rows: list[tuple[int, int]] = []
        for start, chain in ranges:
            value = chain[0][1] if chain else 0
            if value != (rows[-1][1] if rows else 0):
                rows.append((start, value))
        tables.append(NetTable.build(rows, bits // 8))
    return Netblocks(v4=tables[0], v6=tables[1])


def _ranges(claims: Iterable[tuple[str, T]]) -> Iterator[tuple[int, list[tuple[int, tuple[tuple[int, T], ...]]]]]:
    """Yield (bits of an address, disjoint ranges) of netblocks with payloads, IPv4 first."""
    families: dict[int, list[tuple[int, int, T]]] = {4: [], 6: []}
    for prefix, payload in claims:
        network = ip_network(prefix)
        families[network.version].append((int(network.network_address), network.prefixlen, payload))
    for version, bits in _FAMILIES:
        yield bits, flatten(families[version], bits)
