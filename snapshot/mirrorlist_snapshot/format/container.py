"""The container of a snapshot file: header, table of contents and digests. Sections are named bytes here.

The layout is the same in every version of the format, so that any reader can distinguish a damaged file from one that
is too new. FORMAT.md specifies it.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from mirrorlist_snapshot.errors import SnapshotError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAGIC: Final = b"\x8dMLS\r\n\x1a\n"
"""As in PNG: a byte that no text starts with, a name, and line ends that a transfer as text changes."""
VERSION: Final = 1
"""The format version that is written, and the only one that is read."""
HEADER_SIZE: Final = 192
MAX_SERIAL: Final = (1 << 63) - 1
"""Fits the signed integers of other languages and of databases."""
MAX_TIME: Final = 253_402_300_799
"""The last second of the year 9999, the last year that calendars can show."""

_HEADER: Final = struct.Struct("<8sHHIQQQ32s32s8s64s16s")
_COVERED: Final = 72
"""Bytes of the header that its check and the signature cover."""
_ENTRY: Final = struct.Struct("<8sQQ")
_NAME: Final = re.compile(rb"([A-Za-z][A-Za-z0-9]*)\0*")
_SIGNED: Final = 1
_DAMAGED: Final = "the file was damaged on its way or on disk: copy it again"
_COPY: Final = "copy it again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The contents of the first 192 bytes."""

    version: int
    """Format version."""
    sections: int
    """How many the table of contents lists."""
    key_id: str | None
    """Id of the signing key, in hexadecimal; None in an unsigned file. The signature has not been verified."""
    length: int
    """Bytes of the whole file."""
    serial: int
    built: int
    """Seconds since 1970 UTC."""
    digest: str
    """SHA-256 over everything after the header, in hexadecimal; serial and build time are not covered."""

    @property
    def signed(self) -> bool:
        """Whether there is a signature, valid or not."""
        return self.key_id is not None


class Signer(Protocol):
    """What can sign: see `mirrorlist_snapshot.signing`."""

    @property
    def key_id(self) -> bytes:
        """8 bytes that identify the key."""
        ...

    def sign(self, covered: bytes) -> bytes:
        """Return an Ed25519 signature, 64 bytes."""
        ...


def pack(serial: int, built: int, sections: Iterable[tuple[str, bytes]]) -> bytes:
    """Return the bytes of a file with these sections, in their order."""
    parts = list(sections)
    if not 0 <= serial <= MAX_SERIAL:
        raise SnapshotError(f"a serial of 0 to {MAX_SERIAL}", str(serial), "choose another serial")
    if not 0 <= built <= MAX_TIME:
        raise SnapshotError(f"a build time of 0 to {MAX_TIME}", str(built), "set the clock or SOURCE_DATE_EPOCH")
    body = _pack_body(parts)
    return _pack_header(len(parts), serial, built, body) + body


def _pack_body(sections: list[tuple[str, bytes]]) -> bytes:
    """Return table of contents and sections: the bytes that the content digest covers."""
    offset = HEADER_SIZE + _ENTRY.size * len(sections)
    entries: list[bytes] = []
    contents: list[bytes] = []
    for name, content in sections:
        entries.append(_ENTRY.pack(name.encode("ascii"), offset, len(content)))
        contents.append(content + bytes(-len(content) % 8))
        offset += len(contents[-1])
    return b"".join(entries + contents)


def _pack_header(count: int, serial: int, built: int, body: bytes) -> bytes:
    length = HEADER_SIZE + len(body)
    covered = struct.pack("<8sHHIQQQ", MAGIC, VERSION, count, 0, length, serial, built) + hashlib.sha256(body).digest()
    return (covered + hashlib.sha256(covered).digest()).ljust(HEADER_SIZE, b"\0")


def reissue(data: memoryview, serial: int, signer: Signer | None) -> bytes:
    """Return the same content and build time under another serial and signature; raise SnapshotError."""
    header, _ = unpack(data)
    if not 0 <= serial <= MAX_SERIAL:
        raise SnapshotError(f"a serial of 0 to {MAX_SERIAL}", str(serial), "choose another serial")
    fields = (MAGIC, header.version, header.sections, _SIGNED if signer else 0, header.length, serial, header.built)
    covered = struct.pack("<8sHHIQQQ", *fields) + bytes.fromhex(header.digest)
    head = covered + hashlib.sha256(covered).digest()
    if signer is not None:
        head += signer.key_id + signer.sign(covered)
    return head.ljust(HEADER_SIZE, b"\0") + data[HEADER_SIZE:]


def signature(data: memoryview) -> tuple[bytes, bytes, bytes]:
    """Return key id, signature and signed bytes of a file whose header has been checked."""
    return bytes(data[104:112]), bytes(data[112:176]), bytes(data[:_COVERED])


def unpack(data: memoryview) -> tuple[Header, dict[str, memoryview]]:
    """Check a file as a whole; return its header and its sections as views. Raise SnapshotError."""
    header = read_header(data)
    if hashlib.sha256(data[HEADER_SIZE:]).hexdigest() != header.digest:
        raise SnapshotError("content that matches its SHA-256 digest", "other content", _DAMAGED)
    return header, dict(_sections(data, header.sections))


def read_header(data: memoryview, size: int | None = None) -> Header:
    """Check and read the header alone; raise SnapshotError. `size` is that of the file where `data` is its beginning.

    Damage is checked before the version: the advice to upgrade must never be given for a damaged file.
    """
    _check_magic(bytes(data[:8]))
    if len(data) < HEADER_SIZE:
        raise SnapshotError(f"at least {HEADER_SIZE} bytes", f"{len(data)}: the file was cut off", _COPY)
    _, version, sections, flags, length, serial, built, digest, check, *unsigned, rest = _HEADER.unpack_from(data)
    if hashlib.sha256(data[:_COVERED]).digest() != check:
        raise SnapshotError("a header that matches its SHA-256 check", "another header", _DAMAGED)
    if version != VERSION:
        fix = "upgrade mirrorlistd" if version > VERSION else "compile again with a newer mirrorlist-snapshot"
        raise SnapshotError(f"format version {VERSION}", f"version {version}", fix)
    if flags & ~_SIGNED:
        raise SnapshotError("no flags but bit 0", f"flags {flags:#x}", "upgrade mirrorlistd")
    if any(rest) or (not flags & _SIGNED and any(map(any, unsigned))):
        raise SnapshotError("zeros in the unused part of the header", "other bytes", _DAMAGED)
    size = len(data) if size is None else size
    if length != size:
        how = "the file was cut off" if size < length else "something was appended"
        raise SnapshotError(f"{length} bytes", f"{size}: {how}", _COPY)
    if serial > MAX_SERIAL or built > MAX_TIME:
        raise SnapshotError("a serial below 2**63 and a time before the year 10000", f"{serial} and {built}")
    return Header(
        version=version,
        sections=sections,
        key_id=unsigned[0].hex() if flags & _SIGNED else None,
        length=length,
        serial=serial,
        built=built,
        digest=digest.hex(),
    )


def _check_magic(start: bytes) -> None:
    if start == MAGIC:
        return
    if start[:4] == MAGIC[:4] or start[1:4] == MAGIC[1:4]:
        raise SnapshotError("the snapshot's first 8 bytes", start.hex(" "), "copy it again, as binary and not as text")
    found = f"a file that starts with the bytes {start.hex(' ')}" if start else "an empty file"
    raise SnapshotError("a snapshot file", found, "name a file made by compile")


def _sections(data: memoryview, count: int) -> Iterable[tuple[str, memoryview]]:
    """Yield the sections of the table of contents; every byte of the file must belong to one, or be its padding."""
    offset = HEADER_SIZE + _ENTRY.size * count
    if offset > len(data):
        raise SnapshotError(f"a table of contents with {count} sections", f"a file of {len(data)} bytes")
    seen: set[str] = set()
    for padded, start, length in _ENTRY.iter_unpack(data[HEADER_SIZE:offset]):
        name = _NAME.fullmatch(padded)
        if name is None:
            raise SnapshotError(
                "a section name of letters and digits, padded with zeros", f"the bytes {padded.hex(' ')}"
            )
        word = name[1].decode("ascii")
        if word in seen:
            raise SnapshotError("each section once", f"{word} twice")
        seen.add(word)
        if start != offset or length > len(data) - start:
            raise SnapshotError(f"section {word} at byte {offset}, within the file", f"{length} bytes at {start}")
        end = start + length
        offset = end + -length % 8
        if offset > len(data) or any(data[end:offset]):
            raise SnapshotError(f"zeros up to a multiple of 8 after section {word}", "something else")
        yield word, data[start:end]
    if offset != len(data):
        raise SnapshotError(f"the end of the file at byte {offset}", f"{len(data) - offset} bytes more")
