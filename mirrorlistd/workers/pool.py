"""The workers of one parent: forked, replaced when they die, their sockets never without somebody who listens.

A place outlives its processes: its sockets are bound once (SO_REUSEPORT) and stay open in the parent. The kernel goes
on handing clients to the sockets of a dead worker, so these are lent to a live one until a new worker is up.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final, NoReturn

from mirrorlistd import logs
from mirrorlistd.config import MAX_WORKERS
from mirrorlistd.errors import StateError
from mirrorlistd.workers.messages import Channel, GiveBack, Lend, Stop

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from mirrorlistd.telemetry.scoreboard import Board
    from mirrorlistd.workers.messages import ToWorker

    class Closable(Protocol):
        """A file, a socket."""

        def close(self) -> None:
            """Give it back."""


HELD: Final = (
    *(signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD),
    *(signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1),
)
"""Signals that are the parent's to handle. They are held back around a fork, and in a worker until it can obey."""
YOUNG: Final = 5.0
"""Seconds; a worker that dies younger is replaced after a pause."""
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 30.0
"""Seconds; the pause doubles with each worker of a place that dies young."""


@dataclass(slots=True, kw_only=True, eq=False)
class Place:
    """What is one worker's, and the process that is there now."""

    number: int
    sockets: list[socket.socket]
    """Bound for this worker alone."""
    pid: int = 0
    """0: nobody is there."""
    channel: Channel | None = None
    up: bool = False
    """Somebody is there and listens."""
    seen: bool = False
    """Somebody has listened once: clients wait where nobody does."""
    borrower: Place | None = None
    """Whose worker listens meanwhile."""
    born: float = 0.0
    """When the process was forked, monotonic."""
    due: float = 0.0
    """When the next one is to be forked."""
    pause: float = FIRST_PAUSE
    """Seconds before the next one, if this one dies young."""
    dismissed: bool = False
    """Nobody is to follow."""

    def send(self, message: ToWorker, descriptors: Sequence[int] = ()) -> None:
        """Tell whoever is there; who does not take a message any more is as good as dead."""
        if self.channel is not None and not self.channel.send(message, descriptors):
            self.kill()

    def kill(self) -> None:
        """End it at once."""
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


class Crew:
    """All places."""

    def __init__(
        self,
        board: Board,
        bind: Callable[[], list[socket.socket]],
        shared: list[socket.socket],
        work: Callable[[int, list[socket.socket], Channel], None],
    ) -> None:
        """`bind` gives the sockets of one more worker; `shared` are listened on by everybody.

        `work` is a worker's life, in its own process: place, sockets, and the channel to the parent.
        """
        self.places: list[Place] = []
        self.private: list[Closable] = []
        """What else must not stay open in workers."""
        self._board = board
        self._bind = bind
        self._shared = shared
        self._work = work
        self._log = logs.get_logger()

    def hire(self) -> None:
        """Make one more place, to be filled; StateError where there can be none."""
        number = self.places[-1].number + 1 if self.places else 0
        if number >= MAX_WORKERS:
            raise StateError(f"--workers: at most {MAX_WORKERS}")
        self.places.append(Place(number=number, sockets=self._bind()))

    def dismiss(self) -> None:
        """Take the last place away, unless it is the only one: its worker finishes what is under way."""
        staying = [place for place in self.places if not place.dismissed]
        if len(staying) > 1:
            place = staying[-1]
            place.dismissed = True
            _close(place.sockets)
            place.send(Stop(at_once=True))

    def fill(self) -> None:
        """Fork workers for the empty places whose time has come."""
        for place in self.places:
            if not place.pid and not place.dismissed and place.due <= monotonic():
                self._fork(place)

    @property
    def due(self) -> float:
        """When `fill` has something to do, by the monotonic clock."""
        return min((place.due for place in self.places if not place.pid and not place.dismissed), default=inf)

    def balance(self) -> None:
        """Lend the sockets of places where nobody listens, take back those of places where somebody does again."""
        up = [place for place in self.places if place.up and not place.dismissed]
        for place in self.places:
            if place.borrower and (place.up or place.dismissed or not place.borrower.up):
                place.borrower.send(GiveBack(place.number))
                place.borrower = None
            if place.seen and not (place.up or place.dismissed or place.borrower) and up:
                place.borrower = min(up, key=lambda one: sum(other.borrower is one for other in self.places))
                place.borrower.send(Lend(place.number), [one.fileno() for one in place.sockets])

    def reap(self, *, expected: bool) -> None:
        """Take note of every worker that has ended; `expected` says that they were told to."""
        for place in self.places:
            # One by one: other children are for others to wait for.
            if place.pid and (found := os.waitpid(place.pid, os.WNOHANG))[0]:
                self._ended(place, found[1], expected=expected or place.dismissed)
        self.places = [place for place in self.places if place.pid or not place.dismissed]

    def _ended(self, place: Place, status: int, *, expected: bool) -> None:
        code = os.waitstatus_to_exitcode(status)
        age = monotonic() - place.born
        place.pause = min(2 * place.pause, LONGEST_PAUSE) if age < YOUNG else FIRST_PAUSE
        # Half of it: the pause was doubled for the next time.
        place.due = monotonic() + (place.pause / 2 if age < YOUNG else 0)
        if not expected:
            how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
            wait = round(max(0.0, place.due - monotonic()), 1)
            self._log.error("worker ended, another one follows", worker=place.number, pid=place.pid, how=how, wait=wait)
        self._board.leave(place.number, for_good=place.dismissed)
        place.pid, place.up = 0, False
        if place.channel is not None:
            place.channel.close()
            place.channel = None

    def tell(self, message: ToWorker, descriptors: Sequence[int] = ()) -> None:
        """Tell everybody."""
        for place in self.places:
            place.send(message, descriptors)

    def let_go(self) -> None:
        """Close the parent's copies of all sockets: when the last worker closes its own, nobody can connect."""
        _close(self._shared)
        for place in self.places:
            _close(place.sockets)
            place.sockets = []

    def _fork(self, place: Place) -> None:
        ours, theirs = Channel.pair()
        sys.stderr.flush()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
        try:
            place.born = monotonic()
            pid = os.fork()
            if pid == 0:
                self._live(place, ours, theirs)
        except OSError as error:
            ours.close()
            place.due = monotonic() + place.pause
            place.pause = min(2 * place.pause, LONGEST_PAUSE)
            self._log.error("cannot fork a worker", worker=place.number, error=str(error))
        else:
            place.pid, place.channel = pid, ours
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()

    def _live(self, place: Place, ours: Channel, theirs: Channel) -> NoReturn:
        """Be a worker, from the fork to the exit; nothing of the parent's is cleaned up on the way."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in HELD:
                ours_to_handle = number in (signal.SIGTERM, signal.SIGCHLD)
                signal.signal(number, signal.SIG_DFL if ours_to_handle else signal.SIG_IGN)
            others = [other for other in self.places if other is not place]
            _close([ours, *self.private, *(other.channel for other in others if other.channel)])
            for other in others:
                _close(other.sockets)
            self._work(place.number, place.sockets + self._shared, theirs)
            status = 0
        except BaseException:  # noqa: BLE001 - nothing may get past: the parent's cleaning up waits there
            self._log.exception("worker failed", worker=place.number)
        finally:
            with suppress(OSError, ValueError):
                sys.stderr.flush()
            os._exit(status)


def _close(things: Sequence[Closable]) -> None:
    for thing in things:
        thing.close()
