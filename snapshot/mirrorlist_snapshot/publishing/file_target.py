"""Replace a snapshot file atomically: a reader sees the old snapshot or the new one, complete; keep earlier ones.

The steps: write a temporary file, flush it to disk, read it back and verify it, rename it, flush the folder. A failure
before the rename leaves the old file and no temporary file. Earlier snapshots, the *generations*, are kept beside the
file as NAME.SERIAL; the serial is padded with zeros, so that names sort as serials do.
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
from mirrorlist_snapshot.errors import InputFileError, PublishedError, PublishError
from mirrorlist_snapshot.input_file import SNAPSHOT, read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

GENERATION_DIGITS: Final = 19
"""Digits of the largest serial; names of generations end in that many."""


@dataclass(frozen=True, slots=True)
class FileTarget:
    """A file that snapshots are published to, with earlier ones beside it."""

    path: Path
    """May be a symbolic link: the file that it names is replaced, and has the generations beside it."""

    @property
    def name(self) -> str:
        """The name of the target in messages."""
        return str(self.path)

    @contextlib.contextmanager
    def locked(self) -> Generator[None]:
        """Keep other publishers out; raise PublishError if one is at work.

        The lock is on the folder: it needs no file of its own and ends with the process.
        """
        with _as_publish_error(self.path):
            folder = os.open(self.path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise PublishError(f"{self.path}: another process is publishing there; try again") from None
            except OSError as error:
                raise PublishError(f"{self.path}: its folder cannot be locked: {error.strerror}") from error
            yield
        finally:
            os.close(folder)

    def current(self) -> bytes | None:
        """Return the snapshot in place, None if there is none; raise PublishError."""
        with _as_publish_error(self.path, "read"):
            if _kept(self.path.resolve()) is None:
                return None
            return read_file(self.path, SNAPSHOT)

    def generations(self) -> list[int]:
        """Return the serials of the kept generations, newest first."""
        with _as_publish_error(self.path, "read"):
            final = self.path.resolve()
            pattern = re.compile(re.escape(final.name) + rf"\.(\d{{{GENERATION_DIGITS}}})", re.ASCII)
            found = [pattern.fullmatch(path.name) for path in final.parent.iterdir()]
        return sorted((int(match[1]) for match in found if match), reverse=True)

    def generation(self, serial: int) -> bytes:
        """Return one generation; raise PublishError."""
        path = self._generation(serial)
        with _as_publish_error(path, "read"):
            return read_file(path, SNAPSHOT)

    def replace(self, data: bytes, replaced: int | None, keep: int) -> list[str]:
        """Put `data` in place; keep the file with serial `replaced` as a generation, and `keep` generations in all.

        Nothing is kept if `replaced` is None. Return what failed after `data` was in place, as warnings. Raise the
        errors of `write_snapshot`.
        """
        warnings: list[str] = []
        with _as_publish_error(self.path), _second_name(self.path.resolve()) as spare:
            write_snapshot(data, self.path)
            if replaced is not None and keep:
                with _as_warning(warnings), _as_publish_error(self._generation(replaced)):
                    spare.replace(self._generation(replaced))
        with _as_warning(warnings):
            for serial in self.generations()[keep:]:
                with _as_publish_error(self._generation(serial), "remove"):
                    self._generation(serial).unlink(missing_ok=True)
        return warnings

    def _generation(self, serial: int) -> Path:
        final = self.path.resolve()
        return final.with_name(f"{final.name}.{serial:0{GENERATION_DIGITS}}")


@contextlib.contextmanager
def _second_name(path: Path) -> Generator[Path]:
    """Give an existing file a second, temporary name. Snapshot files are never written to, so a link is enough."""
    other = _temporary(path)
    try:
        if path.exists():
            try:
                other.hardlink_to(path)
            except OSError:  # a file system without links
                _write(path.read_bytes(), other, path.stat())
        yield other
    finally:
        with contextlib.suppress(OSError):
            other.unlink(missing_ok=True)


@contextlib.contextmanager
def _as_warning(warnings: list[str]) -> Generator[None]:
    """Turn a failure after the snapshot was put in place into a warning; Ctrl-C raises PublishedError."""
    try:
        yield
    except PublishError as error:
        warnings.append(f"the snapshot is in place, but {error}")
    except KeyboardInterrupt:
        raise PublishedError("the snapshot is in place, but the work on generations was interrupted") from None


def _temporary(final: Path) -> Path:
    return final.with_name(f".{final.name}.{secrets.token_hex(8)}.tmp")


@contextlib.contextmanager
def _as_publish_error(path: Path, what: str = "write") -> Generator[None]:
    """Raise PublishError for errors of the operating system."""
    try:
        yield
    except InputFileError as error:
        raise PublishError(str(error)) from error
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symbolic links, up to Python 3.12
        raise PublishError(f"cannot {what} {path}: {_reason(error)}") from error


def write_snapshot(data: bytes, target: Path) -> None:
    """Replace `target` by `data`, a snapshot; raise PublishError, PublishedError, or SnapshotError if it is none.

    Every row is verified as read back from the disk. For the rest see `replace_file`.
    """
    replace_file(data, target, snapshot_format.verify)


def replace_file(data: bytes, target: Path, check: Callable[[bytes], object] = bytes) -> None:
    """Replace `target` by `data`, if `data` is read back unchanged and passes `check`.

    Raise PublishError if the old file is still in place, and PublishedError if the new one is but may not survive a
    power failure.

    A symbolic link is kept, and the file that it names is replaced. The new file has the permissions and group of the
    old one, and its owner if the system allows it; without an old file it gets 0644 less the umask. Only regular files
    are replaced: renaming over /dev/null would remove it for every process.
    """
    with _as_publish_error(target):
        final = target.resolve()
        kept = _kept(final)
        temporary = _temporary(final)
        folder = os.open(final.parent, os.O_RDONLY | os.O_DIRECTORY)
        written = False
        try:
            _write(data, temporary, kept)
            _verify(data, temporary, check)
            written = True
            temporary.replace(final)
            os.fsync(folder)
        except BaseException as error:  # Ctrl-C, too
            if written and not temporary.exists():
                message = f"{final} is in place, but its folder cannot be flushed to disk: {_reason(error)}"
                raise PublishedError(message) from error
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.close(folder)


def _kept(final: Path) -> os.stat_result | None:
    """Return the status of the file to be replaced, None if there is none; refuse anything but a regular file."""
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
    """Give a new file the group and permissions of another, and its owner if permitted."""
    with contextlib.suppress(PermissionError):  # only root may
        os.fchown(descriptor, kept.st_uid, -1)
    try:
        os.fchown(descriptor, -1, kept.st_gid)
    except PermissionError:
        # If the group has permissions that others lack, its members, perhaps the server, would lose access.
        if kept.st_mode >> 3 & 7 != kept.st_mode & 7:
            raise PublishError(f"cannot give the new file group {kept.st_gid}, as the old one: be a member") from None
    os.fchmod(descriptor, stat.S_IMODE(kept.st_mode))


def _verify(data: bytes, temporary: Path, check: Callable[[bytes], object]) -> None:
    """Raise PublishError unless the file reads back as it was written; run the check on it."""
    written = temporary.read_bytes()
    if written != data:
        raise PublishError(f"what was written to {temporary.parent} reads back differently; check the disk")
    check(written)


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
