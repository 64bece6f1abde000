"""The snapshot file: the sole reader and writer of its bytes, specified in FORMAT.md.

`decode` is what a server loads with. It verifies the digest, every cross reference and every type, so that
serving can never raise later; tables stay views into the given bytes, which must therefore not change.
`verify` adds the checks that walk over every row. Whatever is wrong with the bytes, the one exception is
SnapshotError, and memory stays within a small multiple of the file's size.

A reader takes the current version and the one before; a compiler can write both. So servers and compilers
can be upgraded separately, in either order.
"""

from __future__ import annotations

import hashlib
from typing import Final

from mirrorlist_snapshot.errors import SnapshotError
from mirrorlist_snapshot.format import bulk, check, container, records
from mirrorlist_snapshot.format.container import MAGIC, MAX_SERIAL, MAX_TIME, VERSION, VERSIONS, Header, Signer
from mirrorlist_snapshot.format.files import FileTable
from mirrorlist_snapshot.model import CarrierSets, Netblocks, Snapshot
from mirrorlist_snapshot.tables import NetTable

__all__ = [
    "MAGIC",
    "MAX_SERIAL",
    "MAX_TIME",
    "VERSION",
    "VERSIONS",
    "Header",
    "Signer",
    "content_digest",
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
)
_TABLES: Final = {1: ("Dirs", "Files"), 2: ("DirKeys", "DirSets", "FileKeys", "FileRows", "FileVers")}
"""Sections that differ between versions, after those that do not."""
_NETWORKS: Final = ("asn4", "asn6")
"""Sections that are written last, and only where they say something: older readers skip them."""


def encode(snapshot: Snapshot, *, version: int = VERSION) -> bytes:
    """Write a snapshot as bytes, the same for the same; SnapshotError for what no reader would take."""
    return container.pack(version, snapshot.serial, snapshot.built, _pack(snapshot, version))


def content_digest(snapshot: Snapshot, *, version: int = VERSION) -> str:
    """Return the content digest that `encode` would state, in hexadecimal."""
    return hashlib.sha256(container.pack_body(_pack(snapshot, version))).hexdigest()


def _pack(snapshot: Snapshot, version: int) -> list[tuple[str, bytes]]:
    if version not in VERSIONS:
        raise SnapshotError(
            f"format version {' or '.join(map(str, VERSIONS))}", str(version), "ask for another version"
        )
    check.serveable(snapshot)
    clients, places, directories = snapshot.client_netblocks, snapshot.country_netblocks, snapshot.directories
    common: tuple[bytes, ...] = (
        records.pack_meta(snapshot.generator),
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
    )
    tables: tuple[bytes, ...]
    if version == 1:
        tables = (bulk.pack_directories_1(directories), bulk.pack_files_1(snapshot.files))
    else:
        files = FileTable.build(snapshot.files)
        keys = bytes(directories.keys.data), bulk.pack_set_numbers(directories)
        tables = (*keys, bytes(files.keys_table.data), bytes(files.rows), bytes(files.versions))
    networks = snapshot.asn_netblocks.v4, snapshot.asn_netblocks.v6
    return [
        *zip(_SECTIONS + _TABLES[version], common + tables, strict=True),
        *((name, bytes(table.data)) for name, table in zip(_NETWORKS, networks, strict=True) if table),
    ]


def decode(data: bytes | memoryview) -> Snapshot:
    """Read a snapshot out of its bytes, which are kept; SnapshotError for what could not be served."""
    view = _view(data)
    facts, parts = container.unpack(view)
    parts.setdefault("meta", memoryview(b"\x80"))
    for name in _NETWORKS:
        parts.setdefault(name, memoryview(bytes(4)))  # no range
    _check_names(facts.version, parts)
    mirrors = records.unpack_mirrors(parts["Mirrors"])
    directories = (
        bulk.unpack_directories_1(parts["Dirs"])
        if facts.version == 1
        else bulk.unpack_directories(parts["DirKeys"], parts["DirSets"])
    )
    files = (
        bulk.unpack_files_1(parts["Files"])
        if facts.version == 1
        else FileTable(parts["FileKeys"], parts["FileRows"], parts["FileVers"])
    )
    snapshot = Snapshot(
        serial=facts.serial,
        built=facts.built,
        generator=records.unpack_meta(parts["meta"]),
        categories=records.unpack_categories(parts["Category"]),
        mirrors=mirrors,
        repositories=records.unpack_repositories(parts["Repos"]),
        aliases=records.unpack_aliases(parts["Aliases"]),
        overrides=records.unpack_overrides(parts["Override"]),
        sets=CarrierSets(width=check.set_width(len(mirrors)), data=parts["Sets"]),
        directories=directories,
        files=files,
        client_netblocks=Netblocks(v4=NetTable(parts["Client4"], 4), v6=NetTable(parts["Client6"], 16)),
        netblock_chains=bulk.unpack_chains(parts["ChainRow"], parts["ChainHit"]),
        country_netblocks=Netblocks(v4=NetTable(parts["Place4"], 4), v6=NetTable(parts["Place6"], 16)),
        netblock_countries=records.unpack_places(parts["Places"]),
        asn_netblocks=Netblocks(v4=NetTable(parts["asn4"], 4), v6=NetTable(parts["asn6"], 16)),
    )
    check.serveable(snapshot)
    return snapshot


def _check_names(version: int, parts: dict[str, memoryview]) -> None:
    known = _SECTIONS + _TABLES[version]
    for name in parts:
        if name not in known and name[0].isupper():
            raise SnapshotError("sections that this version knows", name, "upgrade mirrorlistd")
    for name in known:
        if name not in parts:
            raise SnapshotError(f"a section {name}", "none")


def verify(data: bytes | memoryview) -> Snapshot:
    """`decode`, and check every row of every table: what is done once, before a snapshot is published."""
    snapshot = decode(data)
    check.thorough(snapshot)
    return snapshot


def header(data: bytes | memoryview) -> Header:
    """Read the header, checked against itself but not against the content."""
    return container.read_header(_view(data))


def reissue(data: bytes | memoryview, *, serial: int, signer: Signer | None = None) -> bytes:
    """Give a file's content and build time another serial, signed if there is a signer; the content is not unpacked.

    Raises SnapshotError for what is damaged.
    """
    return container.reissue(_view(data), serial, signer)


def signature(data: bytes | memoryview) -> tuple[bytes, bytes, bytes] | None:
    """Give key id, signature and the bytes that it is to cover; None for an unsigned file. It may not fit."""
    return container.signature(_view(data)) if header(data).signed else None


def digest(data: bytes | memoryview) -> str:
    """Return the content digest that a file states, in hexadecimal."""
    return header(data).digest


def sections(data: bytes | memoryview) -> tuple[tuple[str, int], ...]:
    """Name and size in bytes of each section, in file order; the digest is verified."""
    _, parts = container.unpack(_view(data))
    return tuple((name, len(content)) for name, content in parts.items())


def _view(data: bytes | memoryview) -> memoryview:
    return memoryview(data).cast("B").toreadonly()
