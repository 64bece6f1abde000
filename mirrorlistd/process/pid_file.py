"""The pid file: a locked file with this process' number. The lock, not the number, shows that the server is alive."""

from __future__ import annotations

import contextlib
import fcntl
import os
from time import sleep
from typing import TYPE_CHECKING, Final

from mirrorlistd.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path
    from typing import TextIO

_LONGEST: Final = 4096
"""Characters read from a file that is there already."""


@contextlib.contextmanager
def held_pid_file(path: Path) -> Generator[TextIO]:
    """Hold a pid file until the block ends, then remove it; raise StateError where that cannot be."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StateError(f"{path}: cannot write the pid file: {error.strerror}") from error
    with os.fdopen(descriptor, "r+") as file:
        if not _lock(file):
            raise StateError(f"{path}: another server holds it, process {file.read(32).strip()}")
        content = file.read(_LONGEST).strip()
        if content and not content.isdecimal():  # a stale pid file is taken over; other data is not
            raise StateError(f"{path}: is no pid file: it holds something else than a number; name another file")
        file.seek(0)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield file
        finally:
            path.unlink(missing_ok=True)


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
