"""Read an input file as it is at one moment: regular, of a limited size, not being written to.

Every file that an option names is read here. A pipe, a device, a socket or a folder is refused at once: opening a pipe
waits for a writer, and opening a device may act on it. A file that another one is renamed over stays whole.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from mirrorlist_snapshot.errors import FileProblem, InputFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from io import BufferedReader

_CHUNK: Final = 1 << 20
"""Bytes read at a time."""
_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_GIVEN: Final = (Path("/dev/fd"), Path("/proc/self/fd"))
"""Folders whose names are descriptors of the process."""


class SizeLimit(NamedTuple):
    """The size that a file may have for its purpose."""

    purpose: str
    """`a snapshot`."""
    size: int
    """Bytes."""


SNAPSHOT: Final = SizeLimit("a snapshot", 128 << 20)
"""The design point (1,000 mirrors, 150,000 directories) takes some 10 MB."""
GEO_DATABASE: Final = SizeLimit("a geo database", 1 << 30)
"""The largest commercial databases of cities and providers have some 600 MB."""
STATUS_FILE: Final = SizeLimit("a status file", 1 << 19)
"""A thousand mirrors, each with the longest reason, take 300 kB. Parsing TOML takes up to two seconds a megabyte."""
OPTIONS_FILE: Final = SizeLimit("an options file", 1 << 20)
"""Ten thousand networks take 200 kB."""
SOURCE_FILE: Final = SizeLimit("a source file", 32 << 20)
"""A thousand mirrors take some 500 kB in the syntax of people; lists of 150,000 directories some 10 MB."""
YAML_FILE: Final = SizeLimit("a YAML file", 2 << 20)
"""The YAML reader takes a hundred times the memory of the others; TOML and JSON hold larger descriptions."""
CACHE_FILE: Final = SizeLimit("a MirrorManager cache", 1 << 32)
"""The cache of a large distribution (1,000 hosts, 150,000 directories) has some 300 MB."""
TABLE_FILE: Final = SizeLimit("a table beside a cache", 256 << 20)
"""The million networks of the internet's routing table take some 30 MB."""
KEY_FILE: Final = SizeLimit("a key file", 1 << 16)
"""A key in PEM takes 120 bytes."""

LINES_FILE: Final = SizeLimit("a file of lines", 1 << 40)
"""Logs and statistics are read line by line, in bounded memory, whatever their size."""


def read_file(path: Path, limit: SizeLimit) -> bytes:
    """Return the bytes of a file; raise InputFileError."""
    chunks: list[bytes] = []
    copy_file(path, chunks.append, limit)
    return b"".join(chunks)


@contextlib.contextmanager
def open_file(path: Path, limit: SizeLimit, *, pipes: bool = False) -> Generator[BufferedReader]:
    """Open a file that is too large to be kept in memory; raise InputFileError.

    With `pipes`, a pipe that the process has been given is read, too: `<(command)` of a shell is /dev/fd/63.
    """
    given = pipes and (path == Path("/dev/stdin") or path.parent in _GIVEN)
    try:
        mode = path.stat().st_mode
        if not (given and stat.S_ISFIFO(mode)):
            _check_kind(path, mode)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:  # ValueError: NUL in the name
        raise _unreadable(path, error) from error
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor is not a path
        status = os.fstat(descriptor)
        if given and stat.S_ISFIFO(status.st_mode):
            os.set_blocking(descriptor, True)
        else:
            _check_kind(path, status.st_mode)  # another file may have taken its place
            _check_size(path, status.st_size, limit)
        yield file


def copy_file(
    path: Path,
    write: Callable[[bytes], object],
    limit: SizeLimit | None = None,
    *,
    inspect: Callable[[int, int], object] | None = None,
    strict: bool = False,
) -> os.stat_result:
    """Give the bytes of a file to `write`, chunk by chunk; return its status. Raise InputFileError.

    `inspect` gets the descriptor and the size before anything is read: for cheap checks. `strict` also refuses a
    symbolic link, and a file whose inode has changed in any way, as it does when another file is renamed over it.
    """
    try:
        _check_kind(path, path.stat().st_mode)
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (os.O_NOFOLLOW if strict else 0)
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:  # ValueError: NUL in the name
        raise _unreadable(path, error) from error
    try:
        before = os.fstat(descriptor)
        _check_kind(path, before.st_mode)  # another file may have taken its place
        if limit is not None:
            _check_size(path, before.st_size, limit)
        if inspect is not None:
            inspect(descriptor, before.st_size)
        size = 0
        while size <= before.st_size and (chunk := _read(path, descriptor, before.st_size + 1 - size)):
            write(chunk)
            size += len(chunk)
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if size != before.st_size or _identity(before, strict=strict) != _identity(after, strict=strict):
        found = f"changed while it was read ({before.st_size} bytes before, {after.st_size} after)"
        raise InputFileError(path, FileProblem.CHANGED, found)
    return before


def _read(path: Path, descriptor: int, most: int) -> bytes:
    try:
        return os.read(descriptor, min(most, _CHUNK))
    except OSError as error:
        raise _unreadable(path, error) from error


def _check_size(path: Path, size: int, limit: SizeLimit) -> None:
    if size > limit.size:
        found = f"has {size} bytes, more than the {limit.size} that {limit.purpose} may have"
        raise InputFileError(path, FileProblem.TOO_LARGE, found)


def _check_kind(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((kind for matches, kind in _KINDS if matches(mode)), "something else")
        raise InputFileError(path, FileProblem.NOT_REGULAR, f"is not a regular file but {kind}")


def _unreadable(path: Path, error: OSError | ValueError) -> InputFileError:
    reason = error.strerror if isinstance(error, OSError) else None
    return InputFileError(path, FileProblem.UNREADABLE, f"cannot be read: {reason or error}")


def _identity(status: os.stat_result, *, strict: bool) -> tuple[int, ...]:
    """Return what changes when a file is written; strictly also where its time is set back."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns if strict else 0
