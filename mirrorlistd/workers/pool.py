"""The worker slots of one supervisor: filled by fork, filled again when a worker ends, their sockets always served.

A slot outlives its processes: its sockets are bound once (SO_REUSEPORT) and stay open in the supervisor. The kernel
goes on assigning clients to the sockets of a dead worker, so these are lent to a live worker until a new one is up.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final, NoReturn

from mirrorlistd import logs
from mirrorlistd.backoff import Backoff
from mirrorlistd.config import MAX_WORKERS
from mirrorlistd.errors import StateError
from mirrorlistd.workers.messages import MOST_DESCRIPTORS, Channel, GiveBack, Lend, Stop

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from mirrorlistd.telemetry.scoreboard import Scoreboard
    from mirrorlistd.workers.messages import ToWorker

    class Closable(Protocol):
        """A file or a socket."""

        def close(self) -> None:
            """Close it."""


SIGNALS: Final = (
    *(signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD),
    *(signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1),
)
"""The supervisor's signals. They are blocked around a fork, and in a worker until it handles them."""
YOUNG: Final = 5.0
"""Seconds; a worker that ends younger is replaced after a pause."""
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 30.0
"""Seconds; the pause doubles with each worker of a slot that ends young."""


@dataclass(slots=True, kw_only=True, eq=False)
class WorkerSlot:
    """One worker slot: its sockets, and the process that currently fills it."""

    number: int
    sockets: list[socket.socket]
    """Bound for this slot alone."""
    pid: int = 0
    """0: the slot is empty."""
    channel: Channel | None = None
    up: bool = False
    """Whether its worker listens."""
    served_once: bool = False
    """Whether a worker has listened on its sockets: from then on clients wait there."""
    borrower: WorkerSlot | None = None
    """The slot whose worker listens on these sockets meanwhile."""
    started_at: float = 0.0
    """When the process was forked, by the monotonic clock."""
    due: float = 0.0
    """When the next process is to be forked, by the monotonic clock."""
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_PAUSE, LONGEST_PAUSE, long_enough=YOUNG))
    removed: bool = False
    """Whether the slot stays empty once its worker has ended."""

    def send(self, message: ToWorker, descriptors: Sequence[int] = ()) -> None:
        """Send a message to the worker, if there is one; kill a worker that does not read what it is sent."""
        if self.channel is not None and not self.channel.send(message, descriptors):
            self.kill()

    def kill(self) -> None:
        """End the worker at once."""
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


class WorkerPool:
    """All worker slots."""

    def __init__(
        self,
        scoreboard: Scoreboard,
        bind: Callable[[], list[socket.socket]],
        shared: list[socket.socket],
        work: Callable[[int, list[socket.socket], Channel], None],
    ) -> None:
        """`bind` binds the sockets of one more slot; `shared` are the sockets that all workers listen on.

        `work` runs a worker in its own process: number of the slot, sockets, and the channel to the supervisor.
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
        """Add an empty slot; raise StateError at the limit."""
        number = self.slots[-1].number + 1 if self.slots else 0
        if number >= MAX_WORKERS:
            raise StateError(f"--workers: at most {MAX_WORKERS}")
        self.slots.append(WorkerSlot(number=number, sockets=self._bind()))

    def remove(self) -> None:
        """Remove the last slot, unless it is the only one: its worker finishes the requests under way."""
        staying = [slot for slot in self.slots if not slot.removed]
        if len(staying) > 1:
            slot = staying[-1]
            slot.removed = True
            _close(slot.sockets)
            slot.send(Stop(at_once=True))

    def fill(self) -> None:
        """Fork a worker for each empty slot that is due."""
        for slot in self.slots:
            if not slot.pid and not slot.removed and slot.due <= monotonic():
                self._fork(slot)

    @property
    def due(self) -> float:
        """When `fill` has something to do, by the monotonic clock."""
        return min((slot.due for slot in self.slots if not slot.pid and not slot.removed), default=inf)

    def lend(self) -> None:
        """Lend the sockets of slots without a listening worker; take back those of slots that have one again."""
        up = [slot for slot in self.slots if slot.up and not slot.removed]
        for slot in self.slots:
            if slot.borrower and (slot.up or slot.removed or not slot.borrower.up):
                slot.borrower.send(GiveBack(slot.number))
                slot.borrower = None
            if slot.served_once and not (slot.up or slot.removed or slot.borrower) and up:
                slot.borrower = min(up, key=lambda one: sum(other.borrower is one for other in self.slots))
                descriptors = [listener.fileno() for listener in slot.sockets]
                for start in range(0, len(descriptors), MOST_DESCRIPTORS):
                    slot.borrower.send(Lend(slot.number), descriptors[start : start + MOST_DESCRIPTORS])

    def reap(self, *, expected: bool) -> None:
        """Take note of every worker that has ended; `expected` is whether all of them had to."""
        for slot in self.slots:
            # One by one: the other children are waited for elsewhere.
            if slot.pid and (found := os.waitpid(slot.pid, os.WNOHANG))[0]:
                self._ended(slot, found[1], expected=expected or slot.removed)
        self.slots = [slot for slot in self.slots if slot.pid or not slot.removed]

    def _ended(self, slot: WorkerSlot, status: int, *, expected: bool) -> None:
        code = os.waitstatus_to_exitcode(status)
        now = monotonic()
        wait = slot.backoff.failed(now - slot.started_at)
        slot.due = now + wait
        if not expected:
            how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
            pause = round(wait, 1)
            self._log.error("worker ended, another one follows", worker=slot.number, pid=slot.pid, how=how, wait=pause)
        self._scoreboard.leave(slot.number, for_good=slot.removed)
        slot.pid, slot.up = 0, False
        if slot.channel is not None:
            slot.channel.close()
            slot.channel = None

    def broadcast(self, message: ToWorker, descriptors: Sequence[int] = ()) -> None:
        """Send a message to every worker."""
        for slot in self.slots:
            slot.send(message, descriptors)

    def close_sockets(self) -> None:
        """Close the supervisor's copies of all sockets: when the last worker closes its own, no client can connect."""
        _close(self._shared)
        for slot in self.slots:
            _close(slot.sockets)
            slot.sockets = []

    def _fork(self, slot: WorkerSlot) -> None:
        ours, theirs = Channel.pair()
        sys.stderr.flush()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            slot.started_at = monotonic()
            pid = os.fork()
            if pid == 0:
                self._run_worker(slot, ours, theirs)
        except OSError as error:
            ours.close()
            slot.due = monotonic() + slot.backoff.failed()
            self._log.error("cannot fork a worker", worker=slot.number, error=str(error))
        else:
            slot.pid, slot.channel = pid, ours
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()

    def _run_worker(self, slot: WorkerSlot, ours: Channel, theirs: Channel) -> NoReturn:
        """Be a worker, from the fork to the exit; nothing of the supervisor's is cleaned up on the way."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in SIGNALS:
                handled = number in (signal.SIGTERM, signal.SIGCHLD)
                signal.signal(number, signal.SIG_DFL if handled else signal.SIG_IGN)
            others = [other for other in self.slots if other is not slot]
            _close([ours, *self.private, *(other.channel for other in others if other.channel)])
            for other in others:
                _close(other.sockets)
            self._work(slot.number, slot.sockets + self._shared, theirs)
            status = 0
        except BaseException:  # noqa: BLE001 - nothing may leave this frame: the supervisor's cleanup is above it
            self._log.exception("worker failed", worker=slot.number)
        finally:
            with suppress(OSError, ValueError):
                sys.stderr.flush()
            os._exit(status)


def _close(files: Sequence[Closable]) -> None:
    for file in files:
        file.close()
