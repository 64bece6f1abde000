"""Caches of MirrorManager as the admin side's reader gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.compiler import compile_snapshot
from mirrorlist_snapshot.source.mirrormanager import ImportedCache, read_mirrormanager
from support.caches import encode

if TYPE_CHECKING:
    from pathlib import Path

    from mirrorlist_snapshot.model import Snapshot


def imported(folder: Path, data: bytes | list[tuple[int, Any]], **options: Any) -> ImportedCache:
    """What is read of a cache."""
    path = folder / "cache.proto"
    path.write_bytes(data if isinstance(data, bytes) else encode(data))
    return read_mirrormanager(path, **options)


def snapshot_of(found: ImportedCache) -> Snapshot:
    """The snapshot that records compile to, written, verified and read again."""
    snapshot = compile_snapshot(found.records, serial=1, built=1, generator="")
    return snapshot_format.verify(snapshot_format.encode(snapshot))
