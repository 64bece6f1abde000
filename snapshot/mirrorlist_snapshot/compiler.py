"""Records -> Snapshot: names become numbers, equal sets of carriers become one, netblocks become disjoint ranges.

Pure and deterministic: equal records give equal snapshots, whatever the order of files and tables. Repositories,
mirrors and categories are sorted by name, directories and files by the bytes of their keys; then they are numbered.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Final, TypeVar

from mirrorlist_snapshot.architectures import split_by_architecture
from mirrorlist_snapshot.carriers import directories_and_sets
from mirrorlist_snapshot.errors import SnapshotError
from mirrorlist_snapshot.model import (
    BANDWIDTH_RANGE,
    MAX_CATEGORIES,
    MAX_MIRRORS,
    Category,
    Content,
    Mirror,
    NetblockMatch,
    Netblocks,
    Overrides,
    Repository,
    RepositoryDirectory,
    Snapshot,
)
from mirrorlist_snapshot.tables import NetTable, flatten

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
    records = split_by_architecture(records)
    _check_count("categories, with their parts for architectures", len(records.categories), MAX_CATEGORIES)
    categories = sorted(records.categories, key=lambda record: record.name)
    category_numbers = {record.name: number for number, record in enumerate(categories)}
    mirrors = sorted(records.mirrors, key=lambda record: record.name)
    directories, sets = directories_and_sets(records, mirrors, category_numbers)
    client_netblocks, chains = _client_netblocks(mirrors)
    country_netblocks, countries = _country_netblocks(records.netblock_countries)
    return Snapshot(
        serial=serial,
        built=built,
        generator=generator,
        categories=tuple(
            Category(
                name=record.name,
                kind=record.kind,
                top=record.top,
                part_of=None if record.part_of is None else category_numbers[record.part_of],
            )
            for record in categories
        ),
        mirrors=tuple(_mirror(record, category_numbers) for record in mirrors),
        repositories=tuple(
            _repository(record, category_numbers)
            for record in sorted(records.repositories, key=lambda record: record.name)
        ),
        aliases=_aliases(records.aliases),
        overrides=_overrides(records.overrides),
        directories=directories,
        sets=sets,
        files=_files(records, category_numbers),
        client_netblocks=client_netblocks,
        netblock_chains=chains,
        country_netblocks=country_netblocks,
        netblock_countries=countries,
        asn_netblocks=_netblocks(records.asn_netblocks),
        observed=records.observed,
        health={number: record.health for number, record in enumerate(mirrors) if record.health},
    )


def _check_count(what: str, count: int, limit: int) -> None:
    if count > limit:
        raise SnapshotError(f"at most {limit} {what}", f"{count}", "split the description")


def _mirror(record: MirrorRecord, category_numbers: Mapping[str, int]) -> Mirror:
    contents = (
        Content(
            category=category_numbers[content.category],
            urls=tuple(sorted(_urls(content), key=_url_rank)),
            families=content.families,
        )
        for content in record.contents
    )
    return Mirror(
        name=record.name,
        country=record.country,
        bandwidth=max(BANDWIDTH_RANGE[0], record.bandwidth * record.weight // 100),
        asns=tuple(sorted(record.asns)),
        netblocks=tuple(sorted(record.netblocks, key=lambda netblock: _network_rank(netblock.prefix))),
        private=record.private,
        fallback=record.fallback,
        active=record.active,
        allowed_countries=tuple(sorted(record.allowed_countries)),
        denied_countries=tuple(sorted(record.denied_countries)),
        contents=tuple(sorted(contents, key=lambda content: content.category)),
        continent=record.continent,
        worldwide=record.worldwide,
        also_countries=tuple(sorted(record.also_countries)),
        about=record.about,
    )


def _urls(content: ContentRecord) -> tuple[str, ...]:
    """Return the URLs that are offered; all of them if none is, as the mirror is then in no carrier set."""
    return tuple(url for url in content.urls if url not in content.down_urls) or content.urls


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
    for alias in aliases:
        chain: list[str] = []
        target = alias
        while target in aliases and target not in followed:
            chain.append(target)
            target = aliases[target]
        followed |= dict.fromkeys(chain, followed.get(target, target))
    return dict(sorted(followed.items()))


def _overrides(overrides: Overrides) -> Overrides:
    return Overrides(
        continents=dict(sorted(overrides.continents.items())),
        neighbours=dict(sorted(overrides.neighbours.items())),
        never_served={country: tuple(sorted(never)) for country, never in sorted(overrides.never_served.items())},
    )


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
