"""The start of a compressed tar archive: its first member. Nothing is inflated beyond a limit."""

from __future__ import annotations

import io
import tarfile
import zlib
from typing import Final

GZIP: Final = b"\x1f\x8b"
OTHERS: Final = (b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\x00")
"""Zstandard, xz: known by their first bytes alone."""
_LIMIT: Final = 1 << 18
"""Bytes."""


def inflated(head: bytes) -> bytes:
    """Return at most 256 KiB of what a gzip file contains, streams one after the other; raise zlib.error."""
    found = b""
    while head.startswith(GZIP) and len(found) < _LIMIT:
        stream = zlib.decompressobj(wbits=31)
        found += stream.decompress(head, _LIMIT - len(found))
        head = stream.unused_data
    return found


def members(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """Return (time, content) of the members that the start of a tar archive has whole, by name."""
    found: dict[str, tuple[int, bytes]] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:", ignore_zeros=True) as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isfile() else None
                found[member.name] = (int(member.mtime), file.read() if file else b"")
    except (tarfile.TarError, EOFError, ValueError, OverflowError, OSError, RecursionError):
        pass  # cut off: what was read until then counts
    return found
