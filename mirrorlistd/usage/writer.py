"""Lines to a file, without the event loop ever waiting for a disk.

The loop appends to a queue; a thread writes what is there, once a second or when it is many lines. A write is of whole
lines, in append mode and under a lock of the file, so several processes share one file; what a full disk cuts off is
taken back. A file that cannot be written costs lines, in the end, and never an answer: they are kept for the next try
as long as there is room, then counted as lost.
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

if TYPE_CHECKING:
    from pathlib import Path

FLUSH_SECONDS: Final = 1.0
"""How long a line may wait: what a killed process loses."""
FLUSH_LINES: Final = 1_000
"""So many are written at once: some 80 kB."""
MAX_LINES: Final = 100_000
"""As many may wait, some 10 MB with Python's overhead, before more are lost: a few seconds of full load."""
CLOSE_SECONDS: Final = 5.0
"""How long an exit waits for a disk that hangs."""


class Writer:
    """Appends lines to one file, in a thread of its own, until it is closed."""

    def __init__(self, path: Path) -> None:
        """Start the thread: in the process that is to write, after the last fork."""
        self.lost = 0
        """Lines that found no room; counted where lines come from."""
        self.failures = 0
        """Writes that failed; counted by the thread."""
        self._file = _File(path)
        self._lines: deque[bytes] = deque()
        self._held: list[bytes] = []
        """Taken from the queue and not written yet; the thread's."""
        self._failing = False
        self._reopen = True
        self._closing = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="statistics", daemon=True)
        self._thread.start()

    def append(self, line: bytes) -> None:
        """Take one line, its end included."""
        lines = self._lines
        waiting = len(lines)
        if waiting >= MAX_LINES:
            self.lost += 1
            return
        lines.append(line)
        if waiting == FLUSH_LINES:
            self._wake.set()

    def reopen(self) -> None:
        """Leave the file to whoever has moved it away, and go on in a new one of the same name."""
        self._reopen = True
        self._wake.set()

    def close(self) -> None:
        """Write what is there and end; what cannot be written by then is lost."""
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
                self._file.open()  # at once: whoever looks should see the new file
            while self._hold():
                self._held = self._held[self._file.append(self._held) :]
                self._succeeded()
        except OSError as error:
            self._file.close()
            self._failed(error)

    def _hold(self) -> bool:
        """Take what is to be written next; whether there is anything."""
        lines = self._lines
        if not self._held:
            self._held = [lines.popleft() for _ in range(min(len(lines), FLUSH_LINES))]
        return bool(self._held)

    def _failed(self, error: OSError) -> None:
        self.failures += 1
        if not self._failing:  # said once, not every second
            self._failing = True
            why = error.strerror or str(error)
            logs.get_logger().error("statistics cannot be written", file=str(self._file.path), error=why)

    def _succeeded(self) -> None:
        if self._failing:
            self._failing = False
            logs.get_logger().info("statistics are written again", file=str(self._file.path), lost=self.lost)


class _File:
    """A file to append to, which other processes append to as well."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def open(self) -> int:
        if self._descriptor is None:
            # Not for everybody: addresses are personal data.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self.path, flags | os.O_NONBLOCK, 0o640)  # opening a FIFO must not wait
            if stat.S_ISFIFO(os.fstat(self._descriptor).st_mode):
                self.close()
                raise OSError(errno.EINVAL, "is a pipe, which cannot be shared")
        return self._descriptor

    def append(self, lines: list[bytes]) -> int:
        """Write lines, at least one or OSError; give how many: fewer where the disk has become full."""
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
