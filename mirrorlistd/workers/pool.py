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

    from mirrorlistd.telemetry.scoreboard import Scoreboard
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
class WorkerSlot:
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
    borrower: WorkerSlot | None = None
    """Whose worker listens meanwhile."""
    born: float = 0.0
    """When the process was forked, monotonic."""
    due: float = 0.0
    """When the next one is to be forked."""
    pause: float = FIRST_PAUSE
    """Seconds before the next one, if this one dies young."""
    removed: bool = False
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


class WorkerPool:
    """All places."""

    def __init__(
        self,
        scoreboard: Scoreboard,
        bind: Callable[[], list[socket.socket]],
        shared: list[socket.socket],
        work: Callable[[int, list[socket.socket], Channel], None],
    ) -> None:
        """`bind` gives the sockets of one more worker; `shared` are listened on by everybody.

        `work` is a worker's life, in its own process: place, sockets, and the channel to the parent.
        """
        self.slots: list[WorkerSlot] = []
        self.private: list[Closable] = []
        """What else must not stay open in workers."""
        self._scoreboard = scoreboard
        self._bind = bind
        self._shared = shared
        self._work = work
        self._log = logs.get_logger()

    def add(self) -> None:
        """Make one more place, to be filled; StateError where there can be none."""
        number = self.slots[-1].number + 1 if self.slots else 0
        if number >= MAX_WORKERS:
            raise StateError(f"--workers: at most {MAX_WORKERS}")
        self.slots.append(WorkerSlot(number=number, sockets=self._bind()))

    def remove(self) -> None:
        """Take the last place away, unless it is the only one: its worker finishes what is under way."""
        staying = [slot for slot in self.slots if not slot.removed]
        if len(staying) > 1:
            slot = staying[-1]
            slot.removed = True
            _close(slot.sockets)
            slot.send(Stop(at_once=True))

    def fill(self) -> None:
        """Fork workers for the empty places whose time has come."""
        for slot in self.slots:
            if not slot.pid and not slot.removed and slot.due <= monotonic():
                self._fork(slot)

    @property
    def due(self) -> float:
        """When `fill` has something to do, by the monotonic clock."""
        return min((slot.due for slot in self.slots if not slot.pid and not slot.removed), default=inf)

    def balance(self) -> None:
        """Lend the sockets of places where nobody listens, take back those of places where somebody does again."""
        up = [slot for slot in self.slots if slot.up and not slot.removed]
        for slot in self.slots:
            if slot.borrower and (slot.up or slot.removed or not slot.borrower.up):
                slot.borrower.send(GiveBack(slot.number))
                slot.borrower = None
            if slot.seen and not (slot.up or slot.removed or slot.borrower) and up:
                slot.borrower = min(up, key=lambda one: sum(other.borrower is one for other in self.slots))
                slot.borrower.send(Lend(slot.number), [one.fileno() for one in slot.sockets])

    def reap(self, *, expected: bool) -> None:
        """Take note of every worker that has ended; `expected` says that they were told to."""
        for slot in self.slots:
            # One by one: other children are for others to wait for.
            if slot.pid and (found := os.waitpid(slot.pid, os.WNOHANG))[0]:
                self._ended(slot, found[1], expected=expected or slot.removed)
        self.slots = [slot for slot in self.slots if slot.pid or not slot.removed]

    def _ended(self, slot: WorkerSlot, status: int, *, expected: bool) -> None:
        code = os.waitstatus_to_exitcode(status)
        age = monotonic() - slot.born
        slot.pause = min(2 * slot.pause, LONGEST_PAUSE) if age < YOUNG else FIRST_PAUSE
        # Half of it: the pause was doubled for the next time.
        slot.due = monotonic() + (slot.pause / 2 if age < YOUNG else 0)
        if not expected:
            how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
            wait = round(max(0.0, slot.due - monotonic()), 1)
            self._log.error("worker ended, another one follows", worker=slot.number, pid=slot.pid, how=how, wait=wait)
        self._scoreboard.leave(slot.number, for_good=slot.removed)
        slot.pid, slot.up = 0, False
        if slot.channel is not None:
            slot.channel.close()
            slot.channel = None

    def tell(self, message: ToWorker, descriptors: Sequence[int] = ()) -> None:
        """Tell everybody."""
        for slot in self.slots:
            slot.send(message, descriptors)

    def let_go(self) -> None:
        """Close the parent's copies of all sockets: when the last worker closes its own, nobody can connect."""
        _close(self._shared)
        for slot in self.slots:
            _close(slot.sockets)
            slot.sockets = []

    def _fork(self, slot: WorkerSlot) -> None:
        ours, theirs = Channel.pair()
        sys.stderr.flush()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
        try:
            slot.born = monotonic()
            pid = os.fork()
            if pid == 0:
                self._live(slot, ours, theirs)
        except OSError as error:
            ours.close()
            slot.due = monotonic() + slot.pause
            slot.pause = min(2 * slot.pause, LONGEST_PAUSE)
            self._log.error("cannot fork a worker", worker=slot.number, error=str(error))
        else:
            slot.pid, slot.channel = pid, ours
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()

    def _live(self, slot: WorkerSlot, ours: Channel, theirs: Channel) -> NoReturn:
        """Be a worker, from the fork to the exit; nothing of the parent's is cleaned up on the way."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in HELD:
                ours_to_handle = number in (signal.SIGTERM, signal.SIGCHLD)
                signal.signal(number, signal.SIG_DFL if ours_to_handle else signal.SIG_IGN)
            others = [other for other in self.slots if other is not slot]
            _close([ours, *self.private, *(other.channel for other in others if other.channel)])
            for other in others:
                _close(other.sockets)
            self._work(slot.number, slot.sockets + self._shared, theirs)
            status = 0
        except BaseException:  # noqa: BLE001 - nothing may get past: the parent's cleaning up waits there
            self._log.exception("worker failed", worker=slot.number)
        finally:
            with suppress(OSError, ValueError):
                sys.stderr.flush()
            os._exit(status)


def _close(things: Sequence[Closable]) -> None:
    for thing in things:
        thing.close()
