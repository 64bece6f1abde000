"""File details as fixed-width records that are looked up in place.

Times, sizes and hash masks of all records are checked at once when the table is opened; any bytes are valid hashes.
A look-up can therefore not fail later, and no record is unpacked before.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Final

from mirrorlist_snapshot.errors import SnapshotError
from mirrorlist_snapshot.format.container import MAX_TIME
from mirrorlist_snapshot.model import FileDetails, FileVersion
from mirrorlist_snapshot.tables import KeyTable, read_u32s, read_u64s, steps_within, write_integers

HASHES: Final = {"md5": 16, "sha1": 20, "sha256": 32, "sha512": 64}
"""Bytes of each hash that a record holds, in their order."""
_RECORD: Final = struct.Struct("<QQQ16s20s32s64s4x")
_WORDS: Final = _RECORD.size // 8
MAX_SIZE: Final = (1 << 63) - 1
"""Bytes of one file: fits the signed integers of other languages."""
_VERSION_BITS: Final = 8
"""A file has 1 to 2**8 versions."""


class FileTable(Mapping[bytes, FileDetails]):
    """Key (u16 big-endian category + path) -> details, over three sections: keys, rows, versions."""

    __slots__ = ("_records", "_rows", "keys_table", "rows", "versions")

    def __init__(self, keys: memoryview, rows: memoryview, versions: memoryview) -> None:
        """Open the table over its sections, which stay in use; raise SnapshotError if they do not fit each other."""
        self.keys_table = KeyTable(keys)
        self.rows = rows
        self.versions = versions
        self._rows = read_u32s(rows)
        self._records = len(versions) // _RECORD.size
        if len(versions) % _RECORD.size:
            raise SnapshotError(f"file versions of {_RECORD.size} bytes each", f"{len(versions)} bytes")
        if len(self._rows) != len(self.keys_table) + 1:
            raise SnapshotError(f"{len(self.keys_table) + 1} rows of files", str(len(self._rows)))
        if self._rows[0] != 0 or self._rows[-1] != self._records or not steps_within(rows, 1, _VERSION_BITS):
            raise SnapshotError(f"rows that give each file 1 to {1 << _VERSION_BITS} of the versions", "others")
        words = read_u64s(versions)
        for column, name, highest in ((0, "times", MAX_TIME), (1, "sizes", MAX_SIZE), (2, "hash masks", 15)):
            if (found := max(words[column::_WORDS], default=0)) > highest:
                raise SnapshotError(f"{name} of files up to {highest}", str(found))

    @classmethod
    def build(cls, files: Mapping[bytes, FileDetails]) -> FileTable:
        """Build a table from any mapping; a FileTable is returned unchanged."""
        if isinstance(files, cls):
            return files
        ordered = sorted(files.items())
        rows, records = [0], bytearray()
        for key, details in ordered:
            for version in chain((details.current,), details.alternates):
                records += _pack_version(key, version)
            rows.append(len(records) // _RECORD.size)
        keys = KeyTable.build([key for key, _ in ordered]).data
        return cls(keys, memoryview(write_integers("I", rows)), memoryview(bytes(records)))

    def __getitem__(self, key: bytes) -> FileDetails:
        row = self.keys_table.find(key)
        if row < 0:
            raise KeyError(key)
        current, *alternates = map(self._version, range(self._rows[row], self._rows[row + 1]))
        return FileDetails(current=current, alternates=tuple(alternates))

    def __len__(self) -> int:
        return len(self.keys_table)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.keys_table)

    def _version(self, number: int) -> FileVersion:
        timestamp, size, mask, *hashes = _RECORD.unpack_from(self.versions, number * _RECORD.size)
        present = {name: hashes[bit].hex() for bit, name in enumerate(HASHES) if mask >> bit & 1}
        return FileVersion(timestamp=timestamp, size=size, **present)

    def check(self) -> None:
        """Raise SnapshotError unless keys ascend and unused bytes are zero (O(rows), for `verify`)."""
        self.keys_table.check()
        for number in range(self._records):
            record = bytes(self.versions[number * _RECORD.size : (number + 1) * _RECORD.size])
            if _pack_version(b"", self._version(number)) != record:
                raise SnapshotError("zeros where a file version has no hash", f"others in version {number}")


def _pack_version(key: bytes, version: FileVersion) -> bytes:
    mask, hashes = 0, list[bytes]()
    for bit, (name, size) in enumerate(HASHES.items()):
        text: str | None = getattr(version, name)
        mask |= (text is not None) << bit
        hashes.append(b"" if text is None else _unhex(key, name, size, text))
    if not (0 <= version.timestamp <= MAX_TIME and 0 <= version.size <= MAX_SIZE):
        found = f"time {version.timestamp}, size {version.size} of {key[2:]!r}"
        raise SnapshotError(f"a time up to {MAX_TIME} and a size up to {MAX_SIZE}", found, "correct it")
    return _RECORD.pack(version.timestamp, version.size, mask, *hashes)


def _unhex(key: bytes, name: str, size: int, text: str) -> bytes:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != size or raw.hex() != text:
        raise SnapshotError(
            f"{name} as {2 * size} lower-case hexadecimal digits", f"{text!r} of {key[2:]!r}", "correct it"
        )
    return raw
