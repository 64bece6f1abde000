"""Put a snapshot in place so that whoever opens it sees the old one or the new one, whole; keep what was there before.

Write aside, flush to disk, read back and verify, rename, flush the folder. Whatever fails before the rename leaves
what was there, and nothing beside it. Generations, the snapshots that were in place before, lie beside the file under
its name and their serial, padded with zeros so that names sort as serials do.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.errors import PublishError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

GENERATION_DIGITS: Final = 19
"""Of the largest serial: what the names of generations end in."""


@dataclass(frozen=True, slots=True)
class FileTarget:
    """A file that snapshots are published to, with earlier ones beside it."""

    path: Path
    """May be a symbolic link: the file that it names is replaced, and has the generations beside it."""

    @property
    def name(self) -> str:
        """As people are told of it."""
        return str(self.path)

    @contextlib.contextmanager
    def locked(self) -> Generator[None]:
        """Let nobody else publish here meanwhile; raise PublishError where somebody does.

        The lock is on the folder: it needs no file of its own, and goes with the process.
        """
        with _as_publish_error(self.path):
            folder = os.open(self.path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise PublishError(f"{self.path}: somebody else is publishing there; try again") from None
            except OSError as error:
                raise PublishError(f"{self.path}: its folder cannot be locked: {error.strerror}") from error
            yield
        finally:
            os.close(folder)

    def current(self) -> bytes | None:
        """Read what is in place, None where there is nothing; raise PublishError."""
        with _as_publish_error(self.path, "read"):
            if _kept(self.path.resolve()) is None:
                return None
            return self.path.read_bytes()

    def generations(self) -> list[int]:
        """List the serials of what was in place before and has been kept, the newest first."""
        with _as_publish_error(self.path, "read"):
            final = self.path.resolve()
            pattern = re.compile(re.escape(final.name) + rf"\.(\d{{{GENERATION_DIGITS}}})", re.ASCII)
            found = [pattern.fullmatch(path.name) for path in final.parent.iterdir()]
        return sorted((int(match[1]) for match in found if match), reverse=True)

    def generation(self, serial: int) -> bytes:
        """Read one of these; raise PublishError."""
        path = self._generation(serial)
        with _as_publish_error(path, "read"):
            return path.read_bytes()

    def replace(self, data: bytes, replaced: int | None, keep: int) -> None:
        """Put `data` in place; keep what was there, if its serial is given, and `keep` generations in all.

        Raises PublishError and SnapshotError as `write_snapshot` does.
        """
        with _as_publish_error(self.path), _second_name(self.path.resolve()) as spare:
            write_snapshot(data, self.path)
            if replaced is not None and keep:
                spare.replace(self._generation(replaced))
        for serial in self.generations()[keep:]:
            with _as_publish_error(self._generation(serial), "remove"):
                self._generation(serial).unlink(missing_ok=True)

    def _generation(self, serial: int) -> Path:
        final = self.path.resolve()
        return final.with_name(f"{final.name}.{serial:0{GENERATION_DIGITS}}")


@contextlib.contextmanager
def _second_name(path: Path) -> Generator[Path]:
    """Give a file, if it is there, a second name for the time being: nobody writes to it, so one copy will do."""
    other = _temporary(path)
    try:
        if path.exists():
            try:
                other.hardlink_to(path)
            except OSError:  # a file system without links
                _write(path.read_bytes(), other, path.stat())
        yield other
    finally:
        other.unlink(missing_ok=True)


def _temporary(final: Path) -> Path:
    return final.with_name(f".{final.name}.{secrets.token_hex(8)}.tmp")


@contextlib.contextmanager
def _as_publish_error(path: Path, what: str = "write") -> Generator[None]:
    """Raise PublishError where the system does not let us."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symbolic links, up to Python 3.12
        raise PublishError(f"cannot {what} {path}: {_reason(error)}") from error


def write_snapshot(data: bytes, target: Path) -> None:
    """Make `target` hold exactly `data`, a snapshot; raise PublishError, or SnapshotError where it is none.

    Every row is verified as it was read back. Otherwise as `replace_file`.
    """
    replace_file(data, target, snapshot_format.verify)


def replace_file(data: bytes, target: Path, check: Callable[[bytes], object] = bytes) -> None:
    """Make `target` hold exactly `data`, if what is read back is that and passes a `check`; raise PublishError.

    A symbolic link stays and the file that it names is replaced, with its permissions and group kept (and its owner,
    where the system allows that); a new file gets 0644 less the umask. Only regular files are replaced: renaming over
    /dev/null would take it from everyone.
    """
    with _as_publish_error(target):
        final = target.resolve()
        kept = _kept(final)
        temporary = _temporary(final)
        folder = os.open(final.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                _write(data, temporary, kept)
                _verify(data, temporary, check)
                temporary.replace(final)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            os.fsync(folder)
        finally:
            os.close(folder)


def _kept(final: Path) -> os.stat_result | None:
    """Return whose permissions and group are to be kept, None for a new file; refuse what is not a regular file."""
    try:
        found = final.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise PublishError(f"cannot write {final}: it is there and not a regular file; name another")
    return found


def _write(data: bytes, temporary: Path, kept: os.stat_result | None) -> None:
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor is not a path
        if kept is not None:
            _keep(descriptor, kept)
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _keep(descriptor: int, kept: os.stat_result) -> None:
    """Give a new file the group and permissions of another, and its owner where we may."""
    with contextlib.suppress(PermissionError):  # only root may
        os.fchown(descriptor, kept.st_uid, -1)
    try:
        os.fchown(descriptor, -1, kept.st_gid)
    except PermissionError:
        # Where the group may do what others may not, its members would be locked out: a server among them, perhaps.
        if kept.st_mode >> 3 & 7 != kept.st_mode & 7:
            raise PublishError(f"cannot give the new file group {kept.st_gid}, as the old one: be a member") from None
    os.fchmod(descriptor, stat.S_IMODE(kept.st_mode))


def _verify(data: bytes, temporary: Path, check: Callable[[bytes], object]) -> None:
    """Refuse what the disk gives back, if it is not what was written or does not pass."""
    written = temporary.read_bytes()
    if written != data:
        raise PublishError(f"what was written to {temporary.parent} reads back differently; check the disk")
    check(written)


def _reason(error: BaseException) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
