"""Write lines to a file without making the event loop wait for a disk.

The loop appends lines to a queue. A thread writes them once a second, or sooner where there are many. It writes whole
lines, in append mode and under a lock of the file, so several processes can share one file; a line that a full disk cut
off is removed. Lines that cannot be written stay in the queue while there is room, and then are counted as lost.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, Self

from mirrorlistd import logs
from mirrorlistd.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path

FLUSH_SECONDS: Final = 1.0
"""How long a line may wait; a killed process loses these lines."""
FLUSH_LINES: Final = 1_000
"""Lines that are written at once: some 80 kB."""
MAX_LINES: Final = 100_000
"""Lines that may wait before further ones are lost: some 10 MB, a few seconds of full load."""
CLOSE_SECONDS: Final = 5.0
"""How long an exit waits for a disk that does not answer."""


def check_statistics_file(path: Path) -> None:
    """Raise StateError for what can never be the file: a folder, a socket, or a pipe, which cannot be shared."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return  # it may be there later: until then lines are lost, and counted
    kinds = {stat.S_ISFIFO: "a pipe", stat.S_ISDIR: "a folder", stat.S_ISSOCK: "a socket"}
    for matches, kind in kinds.items():
        if matches(mode):
            raise StateError(f"--statistics: {path}: is not a regular file but {kind}; name a file to append to")


class Writer:
    """Appends lines to one file, in a thread, until it is closed."""

    def __init__(self, path: Path) -> None:
        """Start the thread; call this in the process that writes, after the last fork."""
        self.lost = 0
        """Lines for which there was no room; counted by the caller of `append`."""
        self.failures = 0
        """Writes that failed; counted by the thread."""
        self._file = _File(path)
        self._lines: deque[bytes] = deque()
        self._held: list[bytes] = []
        """Taken from the queue by the thread and not written yet."""
        self._failing = False
        self._reopen = True
        self._closing = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="statistics", daemon=True)
        self._thread.start()

    def append(self, line: bytes) -> None:
        """Add one line, with its end."""
        lines = self._lines
        waiting = len(lines)
        if waiting >= MAX_LINES:
            self.lost += 1
            return
        lines.append(line)
        if waiting == FLUSH_LINES:
            self._wake.set()

    def reopen(self) -> None:
        """Close the file, which was renamed, and continue in a new one of the same name."""
        self._reopen = True
        self._wake.set()

    def close(self) -> None:
        """Write the queue and end the thread; lines that cannot be written are lost."""
        self._closing = True
        self._wake.set()
        self._thread.join(CLOSE_SECONDS)
        if left := len(self._held) + len(self._lines):
            self.lost += left
            logs.get_logger().error("statistics lost at exit", file=str(self._file.path), lines=left)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        while not self._closing:
            self._flush()
            self._wake.wait(FLUSH_SECONDS)
            self._wake.clear()
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        try:
            if self._reopen:
                self._reopen = False
                self._file.close()
                self._file.open()  # at once, so that the new file is there
            while self._hold():
                self._held = self._held[self._file.append(self._held) :]
                self._succeeded()
        except OSError as error:
            self._file.close()
            self._failed(error)

    def _hold(self) -> bool:
        """Take the lines to write next; return whether there are any."""
        lines = self._lines
        if not self._held:
            self._held = [lines.popleft() for _ in range(min(len(lines), FLUSH_LINES))]
        return bool(self._held)

    def _failed(self, error: OSError) -> None:
        self.failures += 1
        if not self._failing:  # logged once, not every second
            self._failing = True
            why = error.strerror or str(error)
            logs.get_logger().error("statistics cannot be written", file=str(self._file.path), error=why)

    def _succeeded(self) -> None:
        if self._failing:
            self._failing = False
            logs.get_logger().info("statistics are written again", file=str(self._file.path), lost=self.lost)


class _File:
    """A file to which other processes append, too."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def open(self) -> int:
        if self._descriptor is None:
            # Not readable for everyone: addresses are personal data.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self.path, flags | os.O_NONBLOCK, 0o640)  # opening a FIFO must not wait
            if stat.S_ISFIFO(os.fstat(self._descriptor).st_mode):
                self.close()
                raise OSError(errno.EINVAL, "is a pipe, which cannot be shared")
        return self._descriptor

    def append(self, lines: list[bytes]) -> int:
        """Write lines and return their number, fewer where the disk becomes full; raise OSError if none was written."""
        descriptor = self.open()
        data = b"".join(lines)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            begin = os.fstat(descriptor).st_size
            written = os.write(descriptor, data)
            if written == len(data):
                return len(lines)
            whole = data.rfind(b"\n", 0, written) + 1
            os.ftruncate(descriptor, begin + whole)
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        if not whole:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return data.count(b"\n", 0, whole)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
