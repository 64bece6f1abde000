"""Snapshot files for tests: one small snapshot by hand, any snapshot as plain values, files taken apart and sealed."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import TYPE_CHECKING, Any

import pytest

from mirrorlist_snapshot.format import container
from mirrorlist_snapshot.model import (
    Category,
    CategoryKind,
    ClientNetblock,
    Content,
    FileDetails,
    FileVersion,
    Overrides,
    Repository,
    RepositoryDirectory,
)
from mirrorlist_snapshot.tiers import tier_map
from support.snapshots import carrier_sets, chain_netblocks, country_netblocks, directory_table, mirror, snapshot_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirrorlist_snapshot.model import Snapshot


def small_snapshot() -> Snapshot:
    """A little of everything, by hand: what tests/data/version-1.mls was once written from."""
    office = ipaddress.ip_network("192.0.2.0/24")
    clients, chains = chain_netblocks(
        [
            (office, 0, True),
            (ipaddress.ip_network("192.0.0.0/16"), 1, False),
            (ipaddress.ip_network("2001:db8::/32"), 0, False),
        ]
    )
    places, countries = country_netblocks(
        {ipaddress.ip_network("198.51.100.0/24"): "NL", ipaddress.ip_network("198.51.0.0/16"): "BE"}
    )
    earlier = FileVersion(timestamp=1_600_000_000, size=1, md5="0" * 32)
    current = FileVersion(timestamp=1_700_000_000, size=2_954, sha256="ab" * 32, sha512="cd" * 64)
    return snapshot_of(
        (
            mirror(
                "ftp.example.nl",
                "NL",
                bandwidth=10_000,
                asns=(1103, 4_200_000_000),
                netblocks=(
                    ClientNetblock(prefix="192.0.2.0/24", exclusive=True),
                    ClientNetblock(prefix="2001:db8::/32", exclusive=False),
                ),
                urls=("https://ftp.example.nl/pub/", "http://ftp.example.nl/pub/", "rsync://ftp.example.nl/pub/"),
            ),
            mirror(
                "intern.example.de",
                "DE",
                private=True,
                allowed_countries=("AT", "DE"),
                netblocks=(ClientNetblock(prefix="192.0.0.0/16", exclusive=False),),
                contents=(
                    Content(category=0, urls=("http://intern.example.de/linux/",)),
                    Content(category=1, urls=("http://intern.example.de/tex/",)),
                ),
            ),
            mirror("last.example.org", fallback=True, denied_countries=("US",)),
            mirror("old.example.com", "US", active=False),
        ),
        serial=42,
        generator="mirrorlist-snapshot by hand",
        categories=(
            Category(name="linux", kind=CategoryKind.LISTED, top="pub/linux"),
            Category(name="tex", kind=CategoryKind.OPEN, top="tex"),
        ),
        repositories=(
            Repository(
                name="linux-40",
                disabled=False,
                directories=(
                    RepositoryDirectory(arch="aarch64", category=0, path="releases/40/aarch64"),
                    RepositoryDirectory(arch="x86_64", category=0, path="releases/40/x86_64"),
                ),
            ),
            Repository(name="tex", disabled=True, directories=(RepositoryDirectory(arch="", category=1, path=""),)),
        ),
        aliases={"linux": "linux-40", "linux-rawhide": "linux-40"},
        overrides=Overrides(
            continents={"IL": "EU", "TR": "EU"},
            neighbours={"CH": (("DE", "AT"), ("FR", "IT")), "NL": (("BE",),)},
            never_served={"AM": ("AZ",), "AZ": ("AM",)},
        ),
        sets=carrier_sets([(0, 1, 2, 3), (0, 2), (1,)], 4),
        directories=directory_table(
            {(0, "releases/40/aarch64"): 1, (0, "releases/40/x86_64"): 0, (0, "été"): 1, (1, ""): 2}
        ),
        files={b"\0\0releases/40/x86_64/repodata/repomd.xml": FileDetails(current=current, alternates=(earlier,))},
        client_netblocks=clients,
        netblock_chains=chains,
        country_netblocks=places,
        netblock_countries=countries,
    )


def seal(data: bytes) -> bytes:
    """The file with its length and digests made right: damage that only the parser itself can find."""
    head = bytearray(data[:192])
    head[16:24] = len(data).to_bytes(8, "little")
    head[40:72] = hashlib.sha256(data[192:]).digest()
    head[72:104] = hashlib.sha256(head[:72]).digest()
    return bytes(head) + data[192:]


def with_sections(data: bytes, changes: Mapping[str, bytes | None]) -> bytes:
    """The file with sections replaced, added or (None) left out, and digests that are right."""
    _, found = container.unpack(memoryview(data))
    parts: dict[str, bytes | None] = {**{name: bytes(content) for name, content in found.items()}, **changes}
    header = container.read_header(memoryview(data))
    kept = [(name, content) for name, content in parts.items() if content is not None]
    return container.pack(header.serial, header.built, kept)


def _steps(degrees: float | None) -> int | None:
    """Degrees in the steps of the format, from zero."""
    return None if degrees is None else round(degrees * 10_000)


def plain(snapshot: Snapshot) -> dict[str, Any]:
    """All that a snapshot says, in lists, dicts and scalars: equal for equal snapshots."""
    return {
        "serial": snapshot.serial,
        "built": snapshot.built,
        "generator": snapshot.generator,
        "categories": [[one.name, str(one.kind), one.top, one.part_of] for one in snapshot.categories],
        "mirrors": [
            {
                "name": one.name,
                "country": one.country,
                "bandwidth": one.bandwidth,
                "asns": list(one.asns),
                "netblocks": [[block.prefix, block.exclusive] for block in one.netblocks],
                "private": one.private,
                "fallback": one.fallback,
                "active": one.active,
                "allowed": list(one.allowed_countries),
                "denied": list(one.denied_countries),
                "contents": [[content.category, list(content.urls), int(content.families)] for content in one.contents],
                "continent": one.continent,
                "worldwide": one.worldwide,
                "also": list(one.also_countries),
                "about": {
                    **{
                        key: getattr(one.about, key)
                        for key in ("sponsor", "sponsor_url", "sponsor_logo", "city", "notes")
                    },
                    "latitude": _steps(one.about.latitude),
                    "longitude": _steps(one.about.longitude),
                },
            }
            for one in snapshot.mirrors
        ],
        "repositories": [
            [one.name, one.disabled, [[place.arch, place.category, place.path] for place in one.directories]]
            for one in snapshot.repositories
        ],
        "aliases": dict(snapshot.aliases),
        "continents": dict(snapshot.overrides.continents),
        "neighbours": {key: [list(group) for group in groups] for key, groups in snapshot.overrides.neighbours.items()},
        "never": {key: list(pairs) for key, pairs in snapshot.overrides.never_served.items()},
        "sets": [snapshot.sets.members(number) for number in range(len(snapshot.sets))],
        "directories": [list(row) for row in snapshot.directories],
        "files": [
            [int.from_bytes(key[:2], "big"), key[2:], [_version(one) for one in (details.current, *details.alternates)]]
            for key, details in sorted(snapshot.files.items())
        ],
        "clients": [list(map(list, table)) for table in (snapshot.client_netblocks.v4, snapshot.client_netblocks.v6)],
        "chains": [[[one.mirror, one.length, one.exclusive] for one in chain] for chain in snapshot.netblock_chains],
        "places": [list(map(list, table)) for table in (snapshot.country_netblocks.v4, snapshot.country_netblocks.v6)],
        "countries": list(snapshot.netblock_countries),
        "observed": snapshot.observed,
        "health": [_health(number, snapshot) for number in snapshot.health],
        "networks": [list(map(list, table)) for table in (snapshot.asn_netblocks.v4, snapshot.asn_netblocks.v6)],
    }


def _health(number: int, snapshot: Snapshot) -> dict[str, Any]:
    one = snapshot.health[number]
    categories = [category.name for category in snapshot.categories]
    repositories = [repository.name for repository in snapshot.repositories]
    return {
        "mirror": number,
        "checked": one.checked,
        "families": list(one.families),
        "weight": one.weight,
        "until": one.until,
        "lags": {repositories.index(name): lag for name, lag in one.lags.items()},
        "down": [[categories.index(row.category), row.url, row.family, row.since, row.reason] for row in one.down],
        "old": [
            {
                "category": categories.index(row.unit.category),
                "unit": row.unit.path,
                "directories": list(row.unit.directories),
                "state": str(row.state),
                "offered": row.offered,
                "since": row.since,
                "lag": row.lag,
                "reason": row.reason,
            }
            for row in one.old
        ],
    }


def _version(one: FileVersion) -> dict[str, Any]:
    return {
        "time": one.timestamp,
        "size": one.size,
        "md5": one.md5,
        "sha1": one.sha1,
        "sha256": one.sha256,
        "sha512": one.sha512,
    }


def use(snapshot: Snapshot) -> None:
    """Look up everything there is, and what is not there, as a server would."""
    categories = range(len(snapshot.categories))
    for category, path, _ in [*snapshot.directories, *((number, b"no/such/path", 0) for number in categories)]:
        if category in categories:
            for number in (snapshot.directories.nearest(category, path), snapshot.directories.find(category, path)):
                assert number is None or snapshot.sets.members(number) == sorted(snapshot.sets[number])
    for key in [*snapshot.files, b"\0\0no/such/file"]:
        details = snapshot.files.get(key)
        assert details is None or details.current.size >= 0
    for packed in (bytes(4), b"\xff" * 4, b"\xc0\0\2\1", bytes(16), b"\xff" * 16):
        for match in snapshot.netblock_chains[snapshot.client_netblocks.find(packed)]:
            assert snapshot.mirrors[match.mirror].name
        assert snapshot.country_netblocks.find(packed) <= len(snapshot.netblock_countries)
        assert snapshot.asn_netblocks.find(packed) < 1 << 32
    for country in (None, "NL", "CH", "AM"):
        assert len(tier_map(snapshot, country, "EU")) == len(snapshot.mirrors)
    for one in snapshot.repositories:
        assert all(snapshot.categories[place.category].top is not None for place in one.directories)
    assert all(one.checked >= 0 for one in snapshot.health.values())
    assert all(url.encode("ascii") for one in snapshot.mirrors for content in one.contents for url in content.urls)


def cases(rows: list[tuple[Any, ...]]) -> list[Any]:
    """Parameters with distinct names: their number and what is short of them."""
    return [
        pytest.param(*row, id=f"{number}-{'-'.join(one for one in row if isinstance(one, str))}")
        for number, row in enumerate(rows)
    ]
