"""A child process beside the server that writes a line for each event, and that is restarted when it ends.

Work that may block, is slow, or needs a library with threads runs there: the process that forks workers has one thread,
and a process that answers has no time. The child is a new program, not a fork, so it shares neither memory nor locks.
Its standard input ends when the server does, whatever the reason, and then the child ends. The end of its standard
output tells the server that the child has ended.
"""

from __future__ import annotations

import os
import subprocess
import sys
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final

from mirrorlistd import logs
from mirrorlistd.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Sequence

LONG_ENOUGH: Final = 60.0
"""Seconds; a child that ran so long is started again at once."""
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
"""Seconds; the pause doubles with each child that ends earlier."""
STOP_SECONDS: Final = 5.0
"""How long a child may take to end after its standard input has ended, before it is killed."""
_LONGEST_LINE: Final = 1 << 16


class ChildProcess:
    """One child, or the time at which the next one is due. Only `stop` waits."""

    def __init__(self, name: str, arguments: Sequence[str]) -> None:
        """`arguments` are those of the command `mirrorlistd`; it must end when its standard input does."""
        self.due = monotonic()
        """Monotonic time at which it is to be started; infinite while it runs, and after `stop`."""
        self._name = name
        self._command = _command(arguments)
        self._replaced = False
        """Its standard input was closed so that the next one starts with other arguments."""
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self._born = 0.0
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, long_enough=LONG_ENOUGH)
        self._log = logs.get_logger()

    @property
    def pid(self) -> int:
        """The process id; 0 where there is no process."""
        return self._process.pid if self._process else 0

    def fileno(self) -> int:
        """The descriptor that is readable when there are lines; only while it runs."""
        assert self._process is not None, "it runs"  # noqa: S101 - for the type checkers
        assert self._process.stdout is not None, "it is a pipe"  # noqa: S101 - as above
        return self._process.stdout.fileno()

    def start_if_due(self) -> None:
        """Start it if it is due."""
        if self.due <= monotonic():
            self.start()

    def start(self) -> None:
        """Start it now; try again later where the system refuses a process."""
        self._born, self._unread, self.due = monotonic(), b"", inf
        try:
            # A session of its own: signals of a terminal are for the server alone.
            self._process = subprocess.Popen(  # noqa: S603 - our own program, with an operator's settings
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, bufsize=0
            )
            os.set_blocking(self.fileno(), False)
        except OSError as error:
            self._schedule()
            self._log.error(f"cannot start the {self._name}", error=str(error))

    def read_lines(self) -> list[bytes]:
        """Return the lines that it has written since the last call; notice when it has ended."""
        try:
            data = os.read(self.fileno(), _LONGEST_LINE)
        except BlockingIOError:
            return []
        if not data or len(self._unread) > _LONGEST_LINE:
            self._ended()
            return []
        *lines, self._unread = (self._unread + data).split(b"\n")
        return lines

    def set_arguments(self, arguments: Sequence[str]) -> None:
        """Replace it by one with these arguments, if it has others."""
        if (command := _command(arguments)) != self._command:
            self._command = command
            if self._process is not None and self._process.stdin is not None:
                self._replaced = True
                self._process.stdin.close()

    def stop(self) -> None:
        """End it; it is not started again."""
        self.due = inf
        if self._process is not None:
            self._end()

    def close(self) -> None:
        """Close the pipes, in a process that was forked from the child's parent."""
        self.due = inf
        if self._process is not None:
            self._close_pipes(self._process)
            self._process.returncode = 0  # the parent waits for it
            self._process = None

    def _ended(self) -> None:
        status = self._end()
        if self._replaced:
            self._replaced, self.due = False, monotonic()
            return
        self._schedule()
        wait = round(max(0.0, self.due - monotonic()), 1)
        self._log.error(f"the {self._name} ended, another one follows", status=status, wait=wait)

    def _schedule(self) -> None:
        now = monotonic()
        self.due = now + self._backoff.failed(now - self._born)

    def _end(self) -> int:
        """Close the pipes, wait for the exit, and return its status."""
        assert self._process is not None, "it runs"  # noqa: S101 - for the type checkers
        self._close_pipes(self._process)
        try:
            status = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._process = None
        return status

    @staticmethod
    def _close_pipes(process: subprocess.Popen[bytes]) -> None:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _command(arguments: Sequence[str]) -> list[str]:
    # -P: import nothing from the folder in which the server was started.
    return [sys.executable, "-P", "-m", "mirrorlistd", *arguments]
