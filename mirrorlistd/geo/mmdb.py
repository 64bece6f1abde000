"""Open geo databases in MMDB format so that they cannot fail later, or raise one GeoError.

The file is copied (see `private_copy`), because operators do overwrite these files in place. The copy is probed,
because many corrupt files open well and fail on lookups.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from socket import AF_INET, AF_INET6, inet_ntop
from typing import TYPE_CHECKING, Final

import maxminddb_rust

from mirrorlist_snapshot.errors import FileProblem, InputFileError
from mirrorlist_snapshot.input_file import GEO_DATABASE
from mirrorlistd.errors import GeoError
from mirrorlistd.private_copy import PrivateCopy

if TYPE_CHECKING:
    from collections.abc import Iterator

_GZIP: Final = b"\x1f\x8b"
_WALK_STEPS: Final = 4096
"""Networks visited from a first address on, to find records in sparse databases (some 10 ms at most)."""
_WALK_RECORDS: Final = 32
_V6_START: Final = 0x2000 << 112
"""First address of 2000::/3; IPv4 is below it."""
_SPREAD: Final = 128
"""Addresses probed in each family, spread over what the registries have given out."""
_SPREAD_V6: Final = (0x2001_0000, 0x2400_0000, 0x2600_0000, 0x2800_0000, 0x2A00_0000, 0x2C00_0000)
"""First 32 bits of the registries' blocks; /12 but for the first."""
_AGAIN: Final = "download the database again"
_METADATA_MARKER: Final = b"\xab\xcd\xefMaxMind.com"
_METADATA_WITHIN: Final = 128 << 10
"""Bytes at the end of a file, in which the format has its metadata."""
_REFUSED: Final = {
    FileProblem.UNREADABLE: ("a readable file", "check the path and its permissions"),
    FileProblem.NOT_REGULAR: ("a regular file", "name the .mmdb file itself"),
    FileProblem.TOO_LARGE: ("a file of a database's size", _AGAIN),
    FileProblem.CHANGED: (
        "a file that is not being written to",
        "write the new database beside it, rename it over this one, then reload",
    ),
}
"""What was expected, and the fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A private copy of one file, opened."""

    path: Path
    """The file that was copied."""
    reader: maxminddb_rust.Reader
    database_type: str
    """As the file names itself."""
    build_epoch: int
    """Seconds since 1970 UTC."""
    ip_version: int
    """4: the file knows no IPv6 addresses; 6: it can know both families."""


def open_mmdb(source: Path | PrivateCopy) -> tuple[Database, list[object]]:
    """Copy (unless it is a copy), open and probe a file: the database and a sample of its records, from both its ends.

    Raise GeoError with what is wrong and how to mend it. The file may change or vanish afterwards.
    """
    if isinstance(source, Path):
        with copy_mmdb(source) as copy:
            return open_mmdb(copy)
    path = source.path
    reader = _open(source)
    try:
        metadata = reader.metadata()
        database = Database(
            path=path,
            reader=reader,
            database_type=metadata.database_type,
            build_epoch=metadata.build_epoch,
            ip_version=metadata.ip_version,
        )
        return database, _probe(database)
    except BaseException as error:
        raise_unless_reader_fault(error)
        raise GeoError(path, "records that can be read", str(error), _AGAIN) from error


def raise_unless_reader_fault(error: BaseException) -> None:
    """Let pass what a reader raises on bad data; raise KeyboardInterrupt and the like again.

    The reader's own errors are InvalidDatabaseError, ValueError, OSError, TypeError and UnicodeDecodeError, and a
    Rust panic arrives as PanicException, which derives from BaseException and cannot be imported.
    """
    if not isinstance(error, Exception) and type(error).__module__ != "pyo3_runtime":
        raise error


def _probe(database: Database) -> list[object]:
    """Decode whole records of the families that the file knows."""
    get = database.reader.get
    records = [*_walk(database.reader, AF_INET, 32, 0), *map(get, _spread(AF_INET))]
    if database.ip_version != 4:  # noqa: PLR2004 - IPv4
        records += _walk(database.reader, AF_INET6, 128, _V6_START)
        records += map(get, _spread(AF_INET6))
    return [record for record in records if record is not None]


def _walk(reader: maxminddb_rust.Reader, family: int, bits: int, start: int) -> list[object]:
    """Find the first records from an address on, network by network; a broken tree cannot make it longer."""
    records: list[object] = []
    address = start
    for _ in range(_WALK_STEPS):
        record, length = reader.get_with_prefix_len(inet_ntop(family, address.to_bytes(bits // 8, "big")))
        if record is not None:
            records.append(record)
        address = (address | ((1 << (bits - min(max(length, 0), bits))) - 1)) + 1
        if address >> bits or len(records) == _WALK_RECORDS:
            break
    return records


def _spread(family: int) -> Iterator[str]:
    """Yield addresses from all over the family's space, the same ones every time."""
    for number in range(_SPREAD):
        noise = (number * 0x9E37_79B1) & 0xFFFF_FFFF  # Knuth's multiplicative hash: even, without a pattern
        if family == AF_INET:
            yield inet_ntop(family, noise.to_bytes(4, "big"))
        else:
            first = _SPREAD_V6[number % len(_SPREAD_V6)] | noise >> 12
            yield inet_ntop(family, first.to_bytes(4, "big") + bytes(12))


def copy_mmdb(path: Path) -> PrivateCopy:
    """Return a sealed copy of a file, to be closed by the caller; raise GeoError."""

    def inspect(descriptor: int, size: int) -> None:
        """Refuse what cannot be a database before gigabytes of it are copied."""
        if os.pread(descriptor, len(_GZIP), 0) == _GZIP:
            raise GeoError(path, "an MMDB database", "a gzip file", "unpack it first")
        start = max(0, size - _METADATA_WITHIN)
        if _METADATA_MARKER not in os.pread(descriptor, size - start, start):
            raise GeoError(path, "a whole MMDB database", "a truncated file, or none at all (no metadata)", _AGAIN)

    try:
        return PrivateCopy.read(path, GEO_DATABASE, inspect)
    except InputFileError as error:
        expected, fix = _REFUSED[error.problem]
        raise GeoError(path, expected, f"one that {error.found}", fix) from error


def _open(copy: PrivateCopy) -> maxminddb_rust.Reader:
    """Open a copy."""
    try:
        return _map(copy)
    except BaseException as error:
        raise_unless_reader_fault(error)
        reason = str(error).replace(f"/proc/self/fd/{copy.descriptor}", str(copy.path))
        found = f"a truncated file, or none at all ({reason})"
        raise GeoError(copy.path, "a whole MMDB database", found, _AGAIN) from error


def _map(copy: PrivateCopy) -> maxminddb_rust.Reader:
    """Map a copy where that can be; the mapping outlives the descriptor."""
    if copy.descriptor is not None:
        try:
            return maxminddb_rust.open_database(f"/proc/self/fd/{copy.descriptor}", maxminddb_rust.MODE_MMAP)
        except FileNotFoundError:  # no /proc: a bare chroot
            pass
    return maxminddb_rust.open_database(io.BytesIO(copy.view()), maxminddb_rust.MODE_FD)
