"""Messages between the supervisor and a worker, over a pair of sockets made before the fork.

A message arrives whole or not at all, with the descriptors that belong to it. It has no largest size: what does not fit
a packet travels in a file in memory. When one side has ended, for whatever reason, the other side receives None: that
is how workers learn that their supervisor was killed.
"""

from __future__ import annotations

import os
import pickle
import socket
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlistd.pull.puller_process import Pulls
    from mirrorlistd.state.loading import SentVerdict

PACKET: Final = 1 << 14
"""Bytes of a message that are sent as a packet; some ten of this size fit what a socket holds by default."""
MOST_DESCRIPTORS: Final = 64
"""Descriptors with a message: three databases, or sockets (see `WorkerPool.lend`). The kernel takes 253."""
_INLINE, _IN_FILE = b"I", b"F"
"""First byte of a packet: the message follows, or is in the file whose descriptor comes first."""


@dataclass(frozen=True, slots=True)
class Prepare:
    """To a worker: build what the supervisor has decided, of the files that come along, and answer Ready."""

    load: int
    """Number of the load: an answer to an earlier load has another one."""
    verdict: SentVerdict


@dataclass(frozen=True, slots=True)
class Adopt:
    """To a worker: serve what has been prepared, and answer Done."""


@dataclass(frozen=True, slots=True)
class Keep:
    """To a worker: discard what has been prepared, go on with what is served, and answer Done."""

    error: str
    """Why."""


@dataclass(frozen=True, slots=True)
class Lend:
    """To a worker: listen on the sockets that come along, too, until their own worker is up again."""

    slot: int
    """Number of that worker."""


@dataclass(frozen=True, slots=True)
class GiveBack:
    """To a worker: stop listening on what was lent."""

    slot: int


@dataclass(frozen=True, slots=True)
class Reopen:
    """To a worker: the file of statistics has been moved away, go on in a new one."""


@dataclass(frozen=True, slots=True)
class Stop:
    """To a worker: finish the requests under way and exit."""

    at_once: bool
    """Skip the time of --drain; a second time: do not wait for clients, either."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """To a worker: the state of pulling, for /readyz and /metrics."""

    pulls: Pulls


@dataclass(frozen=True, slots=True)
class Up:
    """From a worker: it listens."""


@dataclass(frozen=True, slots=True)
class Ready:
    """From a worker: it could serve what it had to prepare, or why it could not."""

    load: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Done:
    """From a worker: it has followed Adopt or Keep."""


ToWorker = Prepare | Adopt | Keep | Lend | GiveBack | Reopen | Stop | Pulled
FromWorker = Up | Ready | Done


class Channel:
    """One end of the pair."""

    def __init__(self, end: socket.socket) -> None:
        """Use `pair`."""
        self._end = end

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Make both ends."""
        ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in ends:
            end.settimeout(0)
        one, other = map(cls, ends)
        return one, other

    def fileno(self) -> int:
        """Return the descriptor to wait on until there is something to receive."""
        return self._end.fileno()

    def send(self, message: ToWorker | FromWorker, descriptors: Sequence[int] = ()) -> bool:
        """Send without waiting; return whether the other side lives and reads what it is sent."""
        data = pickle.dumps(message)
        try:
            if len(data) < PACKET:
                socket.send_fds(self._end, [_INLINE, data], list(descriptors))
            else:
                with _in_memory(data) as file:
                    socket.send_fds(self._end, [_IN_FILE], [file.fileno(), *descriptors])
        except OSError:
            return False
        return True

    def receive(self) -> tuple[ToWorker | FromWorker | None, list[int]]:
        """Take the next message and its descriptors; None where the other side has ended."""
        try:
            packet, descriptors, _, _ = socket.recv_fds(self._end, PACKET, MOST_DESCRIPTORS + 1)
        except ConnectionError:
            return None, []
        if not packet:
            return None, []
        data = packet[1:]
        if packet[:1] == _IN_FILE:
            with open(descriptors.pop(0), "rb") as file:  # noqa: PTH123 - a descriptor, which `Path` cannot open
                data = os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)
        return pickle.loads(data), descriptors  # noqa: S301 - a pair of sockets of our own, shared with no other program

    def close(self) -> None:
        """Close this end."""
        self._end.close()


def _in_memory(data: bytes) -> BinaryIO:
    """Return an open file that holds `data`: in memory, or on disk where a sandbox forbids that."""
    file: BinaryIO | None = None
    with suppress(OSError):
        file = os.fdopen(os.memfd_create("mirrorlistd message", os.MFD_CLOEXEC), "w+b")
    file = file or tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    file.write(data)
    file.flush()
    return file
