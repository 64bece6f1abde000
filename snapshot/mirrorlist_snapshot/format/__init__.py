"""The snapshot file: the sole reader and writer of its bytes, specified in FORMAT.md.

A server loads a snapshot with `decode`. It checks the digest, every type and every cross reference, so that no answer
can fail later. Tables stay views into the given bytes, which must therefore not change. `verify` also checks every row
of every table. Both raise SnapshotError and no other exception, and take memory within a small multiple of the file's
size.
"""

from __future__ import annotations

from typing import Final

from mirrorlist_snapshot.errors import SnapshotError
from mirrorlist_snapshot.format import bulk, check, container, records
from mirrorlist_snapshot.format.container import MAGIC, MAX_SERIAL, MAX_TIME, VERSION, Header, Signer
from mirrorlist_snapshot.format.files import FileTable
from mirrorlist_snapshot.format.health import EMPTY, HealthTable, Names
from mirrorlist_snapshot.model import CarrierSets, Netblocks, Snapshot
from mirrorlist_snapshot.tables import NetTable

__all__ = [
    "MAGIC",
    "MAX_SERIAL",
    "MAX_TIME",
    "VERSION",
    "Header",
    "Signer",
    "decode",
    "digest",
    "encode",
    "header",
    "reissue",
    "sections",
    "signature",
    "verify",
]

_SECTIONS: Final = (
    *("meta", "Category", "Mirrors", "Repos", "Aliases", "Override"),
    *("Places", "Place4", "Place6", "ChainRow", "ChainHit", "Client4", "Client6", "Sets"),
    *("DirKeys", "DirSets", "FileKeys", "FileRows", "FileVers"),
)
_NETWORKS: Final = ("asn4", "asn6")
_UNITS, _HEALTH = "units", "health"
"""Sections that are written last, and only if they are not empty; readers that do not know them skip them."""


def encode(snapshot: Snapshot) -> bytes:
    """Return a snapshot as bytes; equal snapshots give equal bytes. Raise SnapshotError for what readers refuse."""
    return container.pack(snapshot.serial, snapshot.built, _pack(snapshot))


def _pack(snapshot: Snapshot) -> list[tuple[str, bytes]]:
    check.serveable(snapshot)
    clients, places, directories = snapshot.client_netblocks, snapshot.country_netblocks, snapshot.directories
    files = FileTable.build(snapshot.files)
    contents: tuple[bytes, ...] = (
        records.pack_meta(snapshot.generator, snapshot.observed),
        records.pack_categories(snapshot.categories),
        records.pack_mirrors(snapshot.mirrors),
        records.pack_repositories(snapshot.repositories),
        records.pack_aliases(snapshot.aliases),
        records.pack_overrides(snapshot.overrides),
        records.pack_places(snapshot.netblock_countries),
        bytes(places.v4.data),
        bytes(places.v6.data),
        *bulk.pack_chains(snapshot.netblock_chains),
        bytes(clients.v4.data),
        bytes(clients.v6.data),
        bytes(snapshot.sets.data),
        bytes(directories.keys.data),
        bulk.pack_set_numbers(directories),
        bytes(files.keys_table.data),
        bytes(files.rows),
        bytes(files.versions),
    )
    names = Names.of(snapshot.categories, snapshot.repositories, len(snapshot.mirrors))
    health = HealthTable.build(snapshot.health, names)
    networks = snapshot.asn_netblocks.v4, snapshot.asn_netblocks.v6
    return [
        *zip(_SECTIONS, contents, strict=True),
        *((name, bytes(table.data)) for name, table in zip(_NETWORKS, networks, strict=True) if table),
        *([(_UNITS, bytes(health.units_data)), (_HEALTH, bytes(health.data))] if health else []),
    ]


def decode(data: bytes | memoryview) -> Snapshot:
    """Read a snapshot from its bytes, which stay in use; raise SnapshotError for one that cannot be served."""
    view = _view(data)
    facts, parts = container.unpack(view)
    parts.setdefault("meta", memoryview(b"\x80"))
    for name in _NETWORKS:
        parts.setdefault(name, memoryview(bytes(4)))  # no range
    for name in (_UNITS, _HEALTH):
        parts.setdefault(name, EMPTY)
    _check_names(parts)
    generator, observed = records.unpack_meta(parts["meta"])
    categories = records.unpack_categories(parts["Category"])
    repositories = records.unpack_repositories(parts["Repos"])
    mirrors = records.unpack_mirrors(parts["Mirrors"])
    snapshot = Snapshot(
        serial=facts.serial,
        built=facts.built,
        generator=generator,
        observed=observed,
        categories=categories,
        mirrors=mirrors,
        repositories=repositories,
        aliases=records.unpack_aliases(parts["Aliases"]),
        overrides=records.unpack_overrides(parts["Override"]),
        sets=CarrierSets(width=check.set_width(len(mirrors)), data=parts["Sets"]),
        directories=bulk.unpack_directories(parts["DirKeys"], parts["DirSets"]),
        files=FileTable(parts["FileKeys"], parts["FileRows"], parts["FileVers"]),
        client_netblocks=Netblocks(v4=NetTable(parts["Client4"], 4), v6=NetTable(parts["Client6"], 16)),
        netblock_chains=bulk.unpack_chains(parts["ChainRow"], parts["ChainHit"]),
        country_netblocks=Netblocks(v4=NetTable(parts["Place4"], 4), v6=NetTable(parts["Place6"], 16)),
        netblock_countries=records.unpack_places(parts["Places"]),
        asn_netblocks=Netblocks(v4=NetTable(parts["asn4"], 4), v6=NetTable(parts["asn6"], 16)),
        health=HealthTable(parts[_HEALTH], parts[_UNITS], Names.of(categories, repositories, len(mirrors))),
    )
    check.serveable(snapshot)
    return snapshot


def _check_names(parts: dict[str, memoryview]) -> None:
    for name in parts:
        if name not in _SECTIONS and name[0].isupper():
            raise SnapshotError("sections that this version knows", name, "upgrade mirrorlistd")
    for name in _SECTIONS:
        if name not in parts:
            raise SnapshotError(f"a section {name}", "none")


def verify(data: bytes | memoryview) -> Snapshot:
    """Decode a snapshot and check every row of every table: done once, before it is published."""
    snapshot = decode(data)
    check.thorough(snapshot)
    return snapshot


def header(data: bytes | memoryview) -> Header:
    """Read the header; its own check is verified, the content is not."""
    return container.read_header(_view(data))


def check_start(data: bytes | memoryview, size: int) -> Header:
    """Check the header at the beginning of a file of a known size, before the rest is read; raise SnapshotError."""
    return container.read_header(_view(data), size)


def reissue(data: bytes | memoryview, *, serial: int, signer: Signer | None = None) -> bytes:
    """Return the file with another serial, signed if there is a signer; content and build time stay the same.

    The content is not unpacked. Raise SnapshotError for a damaged file.
    """
    return container.reissue(_view(data), serial, signer)


def signature(data: bytes | memoryview) -> tuple[bytes, bytes, bytes] | None:
    """Return key id, signature and the signed bytes, not verified; None for an unsigned file."""
    return container.signature(_view(data)) if header(data).signed else None


def digest(data: bytes | memoryview) -> str:
    """Return the content digest from a file's header, in hexadecimal."""
    return header(data).digest


def sections(data: bytes | memoryview) -> tuple[tuple[str, int], ...]:
    """Return name and size in bytes of each section, in file order; the digest is verified."""
    _, parts = container.unpack(_view(data))
    return tuple((name, len(content)) for name, content in parts.items())


def _view(data: bytes | memoryview) -> memoryview:
    return memoryview(data).cast("B").toreadonly()
