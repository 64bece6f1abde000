"""A program of ours beside the server: it says a line where there is something to say, and is started again.

What may block, or be slow, or needs a library with threads, runs there: the process that forks workers has one thread,
and the one that answers has no time. It is a new program, not a fork, so it shares no memory and no locks with anybody.
The pipes are the bond: the child reads its standard input only to learn that the server is gone, whatever the reason;
the server reads the child's standard output, and where that ends it knows that the child has.
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
"""How long a child may take to end when its standard input does, before it is killed."""
_LONGEST_LINE: Final = 1 << 16


class ChildProcess:
    """One child, or the time at which the next one is due. Nothing here waits, except `stop`."""

    def __init__(self, name: str, arguments: Sequence[str]) -> None:
        """`arguments` are those of the command `mirrorlistd`; it has to end when its standard input does."""
        self.due = monotonic()
        """When it is to be started, by the monotonic clock; infinite while it runs, and after `stop`."""
        self._name = name
        self._command = _command(arguments)
        self._replaced = False
        """It was told to end, so that another one can begin with other arguments."""
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self._born = 0.0
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, long_enough=LONG_ENOUGH)
        self._log = logs.get_logger()

    @property
    def pid(self) -> int:
        """Of the process; 0 where there is none."""
        return self._process.pid if self._process else 0

    def fileno(self) -> int:
        """What to wait on until there is something to hear; only while it runs."""
        assert self._process is not None, "nobody is there to listen to"  # noqa: S101 - for the type checkers
        assert self._process.stdout is not None, "it is a pipe"  # noqa: S101 - as above
        return self._process.stdout.fileno()

    def start_if_due(self) -> None:
        """Start it if its time has come."""
        if self.due <= monotonic():
            self.start()

    def start(self) -> None:
        """Start it; where the system has no process to give, later."""
        self._born, self._unread, self.due = monotonic(), b"", inf
        try:
            # A session of its own: what a terminal sends to all of the server's processes is the server's to obey.
            self._process = subprocess.Popen(  # noqa: S603 - our own program, with an operator's settings
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, bufsize=0
            )
            os.set_blocking(self.fileno(), False)
        except OSError as error:
            self._later()
            self._log.error(f"cannot start the {self._name}", error=str(error))

    def hear(self) -> list[bytes]:
        """Give the lines that it has said since; notice where it has ended."""
        try:
            data = os.read(self.fileno(), _LONGEST_LINE)
        except BlockingIOError:
            return []
        if not data or len(self._unread) > _LONGEST_LINE:
            self._ended()
            return []
        *lines, self._unread = (self._unread + data).split(b"\n")
        return lines

    def give(self, arguments: Sequence[str]) -> None:
        """Have another one follow that has these arguments, if the one that is there has others."""
        if (command := _command(arguments)) != self._command:
            self._command = command
            if self._process is not None and self._process.stdin is not None:
                self._replaced = True
                self._process.stdin.close()

    def stop(self) -> None:
        """End it, for good."""
        self.due = inf
        if self._process is not None:
            self._end()

    def close(self) -> None:
        """In a process forked from the one whose child this is: let go of the pipes."""
        self.due = inf
        if self._process is not None:
            self._close_pipes(self._process)
            self._process.returncode = 0  # it is somebody else's to wait for
            self._process = None

    def _ended(self) -> None:
        status = self._end()
        if self._replaced:
            self._replaced, self.due = False, monotonic()
            return
        self._later()
        wait = round(max(0.0, self.due - monotonic()), 1)
        self._log.error(f"the {self._name} ended, another one follows", status=status, wait=wait)

    def _later(self) -> None:
        now = monotonic()
        self.due = now + self._backoff.failed(now - self._born)

    def _end(self) -> int:
        """Take leave of it; give its exit status."""
        assert self._process is not None, "somebody must be there"  # noqa: S101 - for the type checkers
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
    # -P: nothing is imported from whatever folder the server was started in.
    return [sys.executable, "-P", "-m", "mirrorlistd", *arguments]
