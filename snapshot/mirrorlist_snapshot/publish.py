"""Put a snapshot in place so that whoever opens it sees the old one or the new one, whole.

Write aside, flush to disk, read back and verify, rename, flush the folder. Whatever fails before the rename leaves
what was there, and nothing beside it.
"""

from __future__ import annotations

import os
import secrets
import stat
from typing import TYPE_CHECKING

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.errors import PublishError

if TYPE_CHECKING:
    from pathlib import Path


def write_snapshot(data: bytes, target: Path) -> None:
    """Make `target` hold exactly `data`, a snapshot; raise PublishError, or SnapshotError where it is none.

    A symbolic link stays and the file that it names is replaced, with its permissions kept; a new file gets 0644
    less the umask. Only regular files are replaced: renaming over /dev/null would take it from everyone.
    """
    try:
        final = target.resolve()
        mode = _mode(final)
        temporary = final.with_name(f".{final.name}.{secrets.token_hex(8)}.tmp")
        folder = os.open(final.parent, os.O_RDONLY | os.O_DIRECTORY)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symbolic links, up to Python 3.12
        raise PublishError(f"cannot write {target}: {_reason(error)}") from error
    try:
        try:
            _write(data, temporary, mode)
            _verify(data, temporary)
            temporary.replace(final)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        os.fsync(folder)
    except OSError as error:
        raise PublishError(f"cannot write {target}: {_reason(error)}") from error
    finally:
        os.close(folder)


def _mode(final: Path) -> int | None:
    """Return the permissions to keep, None for a new file; refuse what is not a regular file."""
    try:
        found = final.stat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found):
        raise PublishError(f"cannot write {final}: it is there and not a regular file; name another")
    return stat.S_IMODE(found)


def _write(data: bytes, temporary: Path, mode: int | None) -> None:
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor is not a path
        if mode is not None:
            os.fchmod(descriptor, mode)
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _verify(data: bytes, temporary: Path) -> None:
    """Refuse what the disk gives back, if it is not what was written or no snapshot."""
    written = temporary.read_bytes()
    if written != data:
        raise PublishError(f"what was written to {temporary.parent} reads back differently; check the disk")
    snapshot_format.verify(written)


def _reason(error: BaseException) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
