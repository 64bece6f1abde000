"""The sections that grow with directories, files and netblocks: tables, and version 1's maps in their place.

Nothing here is unpacked in version 2 but the chains of netblocks, whose objects selection needs as they are.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from mirrorlist_snapshot.errors import SnapshotError
from mirrorlist_snapshot.format.files import HASHES, FileTable
from mirrorlist_snapshot.format.packed import Fields, array_of_maps, pack_array, without
from mirrorlist_snapshot.model import (
    DirectoryTable,
    FileDetails,
    FileVersion,
    NetblockMatch,
)
from mirrorlist_snapshot.tables import KeyTable, read_u16s, read_u32s, steps_within, write_integers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_SETS: Final = 0x1_0000
"""Carrier set numbers are u16; the design point is 3,000."""
_MATCH: Final = struct.Struct("<HBB")
_MAX_LENGTH: Final = 128
"""The longest prefix of an IPv6 address."""
_CHAIN_BITS: Final = 24
"""Matches of one chain: more than all mirrors at all prefix lengths."""


def pack_chains(chains: tuple[tuple[NetblockMatch, ...], ...]) -> tuple[bytes, bytes]:
    """Sections ChainRow and ChainHit."""
    rows, matches = [0], bytearray()
    for chain in chains:
        for match in chain:
            matches += _MATCH.pack(match.mirror, match.length, match.exclusive)
        rows.append(len(matches) // _MATCH.size)
    return write_integers("I", rows), bytes(matches)


def unpack_chains(rows: memoryview, matches: memoryview) -> tuple[tuple[NetblockMatch, ...], ...]:
    """Sections ChainRow and ChainHit; equal matches are one object."""
    starts = read_u32s(rows)
    if len(starts) < 2 or starts[0] != 0 or starts[1] != 0:  # noqa: PLR2004 - chain 0 has two ends
        raise SnapshotError("an empty netblock chain 0", "none or another")
    if len(matches) % _MATCH.size or starts[-1] != len(matches) // _MATCH.size:
        raise SnapshotError(f"{starts[-1]} netblock matches of {_MATCH.size} bytes", f"{len(matches)} bytes")
    if not steps_within(rows[4:], 1, _CHAIN_BITS):
        raise SnapshotError("netblock chains of at least one match each", "an empty or backward one")
    words = read_u32s(matches)
    found = {word: _unpack_match(word) for word in set(words)}
    ordered = [found[word] for word in words]
    return tuple(tuple(ordered[start:end]) for start, end in pairwise(starts))


def _unpack_match(word: int) -> NetblockMatch:
    mirror, length, exclusive = word & 0xFFFF, word >> 16 & 0xFF, word >> 24  # _MATCH, as one integer
    if length > _MAX_LENGTH or exclusive > 1:
        raise SnapshotError("a netblock match of length up to 128, exclusive 0 or 1", f"{length} and {exclusive}")
    return NetblockMatch(length=length, mirror=mirror, exclusive=bool(exclusive))


def pack_set_numbers(directories: DirectoryTable) -> bytes:
    """Section DirSets; the caller has checked that they fit."""
    return write_integers("H", directories.sets)


def unpack_directories(keys: memoryview, sets: memoryview) -> DirectoryTable:
    """Sections DirKeys and DirSets."""
    return DirectoryTable(keys=KeyTable(keys), sets=read_u16s(sets))


_DIRECTORY: Final[dict[str, Any]] = {"category": 0, "set": 0}
_FILE: Final[dict[str, Any]] = {"category": 0}
_VERSION: Final[dict[str, Any]] = dict.fromkeys(HASHES)


def pack_directories_1(directories: DirectoryTable) -> bytes:
    """Section Dirs of version 1."""
    return pack_array(
        "directory",
        (
            without(_DIRECTORY, {"category": category, "path": _path(path), "set": number})
            for category, path, number in directories
        ),
    )


def unpack_directories_1(data: memoryview) -> DirectoryTable:
    """Section Dirs of version 1, turned into tables."""
    rows = sorted((_key(one), _below(one.number("set", 0), MAX_SETS)) for one in array_of_maps("directory", data))
    _refuse_repetition("directory", [key for key, _ in rows])
    return DirectoryTable(
        keys=KeyTable.build([key for key, _ in rows]),
        sets=read_u16s(memoryview(write_integers("H", (number for _, number in rows)))),
    )


def pack_files_1(files: Mapping[bytes, FileDetails]) -> bytes:
    """Section Files of version 1."""
    return pack_array("file", _files_1(FileTable.build(files)))


def _files_1(files: FileTable) -> Iterator[dict[str, Any]]:
    for key, details in files.items():
        versions = [
            without(
                _VERSION,
                {
                    "time": version.timestamp,
                    "size": version.size,
                    **{name: getattr(version, name) for name in HASHES},
                },
            )
            for version in (details.current, *details.alternates)
        ]
        category = int.from_bytes(key[:2], "big")
        yield without(_FILE, {"category": category, "path": _path(key[2:]), "versions": versions})


def unpack_files_1(data: memoryview) -> FileTable:
    """Section Files of version 1, turned into tables."""
    files = [(_key(one), _details(one)) for one in array_of_maps("file", data)]
    _refuse_repetition("file", sorted(key for key, _ in files))
    return FileTable.build(dict(files))


def _details(fields: Fields) -> FileDetails:
    versions = tuple(
        FileVersion(
            timestamp=one.number("time"),
            size=one.number("size"),
            **{name: one.optional_text(name) for name in HASHES},
        )
        for one in fields.maps("versions")
    )
    if not versions:
        raise SnapshotError("at least one version of a file", "none")
    return FileDetails(current=versions[0], alternates=versions[1:])


def _key(fields: Fields) -> bytes:
    return _below(fields.number("category", 0), 0x1_0000).to_bytes(2, "big") + fields.text("path").encode()


def _below(number: int, limit: int) -> int:
    if number >= limit:
        raise SnapshotError(f"a number below {limit}", str(number))
    return number


def _refuse_repetition(kind: str, ordered: list[bytes]) -> None:
    for left, right in pairwise(ordered):
        if left == right:
            raise SnapshotError(f"each {kind} once", f"{left[2:]!r} twice")


def _path(path: bytes) -> str:
    try:
        return path.decode()
    except UnicodeDecodeError:
        raise SnapshotError("paths in UTF-8", repr(path), "compile with --format-version 2") from None
