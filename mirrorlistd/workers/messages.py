"""What the parent and a worker say to each other, over a pair of sockets made before the fork.

Messages are whole or not there; descriptors travel along. When one side is gone the other one reads that, whatever the
reason: it is how workers learn that their parent has been killed.
"""

from __future__ import annotations

import pickle
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlistd.config import Config
    from mirrorlistd.pull.watching import Pulls
    from mirrorlistd.state.input_files import SnapshotOrigin

_LONGEST: Final = 1 << 17
"""Bytes of a message: a configuration with hundreds of templates; below what a socket takes at once."""
_DESCRIPTORS: Final = 64
"""Descriptors with a message: three databases, or a socket for each address listened on."""


@dataclass(frozen=True, slots=True)
class Prepare:
    """To a worker: load the files that come along (see `files.Files`), and say Ready."""

    load: int
    """Number of the load: answers to an earlier one are told from those to this."""
    config: Config
    origin: SnapshotOrigin


@dataclass(frozen=True, slots=True)
class Adopt:
    """To a worker: serve what you have prepared, and say Done."""


@dataclass(frozen=True, slots=True)
class Keep:
    """To a worker: forget what you have prepared and go on with what you serve, and say Done."""

    error: str
    """Why."""


@dataclass(frozen=True, slots=True)
class Lend:
    """To a worker: listen on the sockets that come along, too, as their own worker is gone."""

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
    """To a worker: finish what is under way and exit."""

    at_once: bool
    """Do not go on for the time of --drain; said again: do not even wait for clients."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """To a worker: this is how pulling goes, for whoever asks you."""

    pulls: Pulls


@dataclass(frozen=True, slots=True)
class Up:
    """From a worker: it listens."""


@dataclass(frozen=True, slots=True)
class Ready:
    """From a worker: it could serve what it was told to prepare, or why it could not."""

    load: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Done:
    """From a worker: it has done as Adopt or Keep said."""


ToWorker = Prepare | Adopt | Keep | Lend | GiveBack | Reopen | Stop | Pulled
FromWorker = Up | Ready | Done


class Channel:
    """One end."""

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
        """What to wait on until there is something to receive."""
        return self._end.fileno()

    def send(self, message: ToWorker | FromWorker, descriptors: Sequence[int] = ()) -> bool:
        """Send and go on at once; False where the other side is gone, or has not read for long."""
        try:
            socket.send_fds(self._end, [pickle.dumps(message)], list(descriptors))
        except OSError:
            return False
        return True

    def receive(self) -> tuple[ToWorker | FromWorker | None, list[int]]:
        """Take the next message and its descriptors; None where the other side is gone."""
        try:
            data, descriptors, _flags, _address = socket.recv_fds(self._end, _LONGEST, _DESCRIPTORS)
        except ConnectionError:
            return None, []
        message = pickle.loads(data) if data else None  # noqa: S301 - a pair of sockets of our own, shared with nobody
        return message, descriptors

    def close(self) -> None:
        """Be gone."""
        self._end.close()
