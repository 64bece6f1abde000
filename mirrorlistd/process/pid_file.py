"""The pid file: a locked file with this process' number. The lock, not the number, shows that the server is alive."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from time import sleep
from typing import TYPE_CHECKING, Final

from mirrorlistd.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path
    from typing import TextIO

_LONGEST: Final = 4096
"""Bytes read from a file that is there already."""


@contextlib.contextmanager
def held_pid_file(path: Path) -> Generator[TextIO]:
    """Hold a pid file until the block ends, then remove it; raise StateError where that cannot be."""
    try:
        # O_NONBLOCK: opening a pipe must not wait for another process.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
    except (OSError, ValueError) as error:  # ValueError: NUL in the name
        raise _unwritable(path, error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StateError(f"{path}: is no pid file: it is not a regular file; name another file")
    with os.fdopen(descriptor, "r+") as file:
        if not _lock(file):
            raise StateError(f"{path}: another server holds it, process {_content(file)[:32]}")
        content = _content(file)
        if content and not content.isdecimal():  # a stale pid file is taken over; other data is not
            raise StateError(f"{path}: is no pid file: it holds something else than a number; name another file")
        try:
            file.seek(0)
            file.truncate(0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            path.unlink(missing_ok=True)  # an empty file would hide that no server runs
            raise _unwritable(path, error) from error
        try:
            yield file
        finally:
            path.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError | ValueError) -> StateError:
    reason = error.strerror if isinstance(error, OSError) else None
    return StateError(f"{path}: cannot write the pid file: {reason or error}")


def _content(file: TextIO) -> str:
    """Return what a file holds, as far as that matters: bytes that are no text are no number, either."""
    return os.pread(file.fileno(), _LONGEST, 0).decode("latin-1").strip()


def _lock(file: TextIO) -> bool:
    """Lock a file; return whether that worked.

    `mirrorlist-snapshot publish --signal` locks the file for a moment to learn whether a server holds it.
    """
    for _ in range(5):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        sleep(0.05)
    return False
