"""The parent of several workers: loads once, watches, decides; answers nobody.

It is single-threaded, because it forks, and waits with poll(2), because forking from within an event loop is asking for
trouble. What it has loaded, in sealed memory, is what every worker serves: pages that they share.

A reload has two steps. The parent reads and verifies; the workers map the same memory, index and probe it and say
that they are ready; when all of them are, all are told to adopt it. Whatever fails before that, nobody does. Nobody is
forked meanwhile: who comes later starts from the outcome. Between the first worker's swap and the last one's lies what
is left of a turn of an event loop; when the log says `reloaded`, all have swapped.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from collections import deque
from dataclasses import dataclass
from functools import partial
from math import ceil, inf
from time import monotonic
from typing import TYPE_CHECKING, Final

from mirrorlistd import logs
from mirrorlistd.errors import MirrorlistdError, StateError
from mirrorlistd.process.file_watch import TICK
from mirrorlistd.process.gc_policy import freeze_heap
from mirrorlistd.process.mirrormanager_import import ImportProcess
from mirrorlistd.process.reload import ReloadOutcomes, keep
from mirrorlistd.process.systemd import notify
from mirrorlistd.pull.watching import PullWatch
from mirrorlistd.state.admission import admit
from mirrorlistd.state.service import Service
from mirrorlistd.telemetry.scoreboard import Scoreboard
from mirrorlistd.workers.messages import Adopt, Done, Keep, Prepare, Pulled, Ready, Reopen, Stop, Up
from mirrorlistd.workers.pool import HELD, WorkerPool
from mirrorlistd.workers.worker import Worker, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from mirrorlistd.config import Config
    from mirrorlistd.process.file_watch import FileWatch
    from mirrorlistd.process.reload import Clock
    from mirrorlistd.process.uvicorn_server import UvicornServer
    from mirrorlistd.pull.watching import Pulls
    from mirrorlistd.state.state import State
    from mirrorlistd.workers.messages import Channel, ToWorker
    from mirrorlistd.workers.pool import Closable, WorkerSlot

READY_SECONDS: Final = 120.0
"""How long workers may take to prepare a State: well below a second, unless the machine is swapping."""
DONE_SECONDS: Final = 10.0
"""How long a worker may take to swap a reference; one that takes longer hangs, and would serve the old State."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerParts:
    """What serving takes besides a State, as a single process does it, too."""

    config: Config
    workers: int
    """How many to begin with."""
    reread: Callable[[], Config]
    """Gives the configuration as it is now."""
    reconfigure: Callable[[Config], None]
    """Applies log settings."""
    make_server: Callable[[Service], UvicornServer]
    """Makes a worker's server, in the worker."""
    bind: Callable[[], list[socket.socket]]
    """Binds the sockets of one more worker."""
    shared: list[socket.socket]
    """Sockets that all workers listen on."""
    announce: Callable[[list[socket.socket]], None]
    """Says that the server can be asked, and at which sockets."""
    watch: FileWatch | None
    """Tells when files have been replaced; None: nobody looks."""
    private: Sequence[Closable]
    """What must not stay open in workers."""


@dataclass(frozen=True, slots=True)
class _Pending:
    """A reload that has begun."""

    config: Config
    clock: Clock
    run: ImportProcess | None
    """What has to end first."""


class Supervisor:
    """Lives in the main thread of the process that was started."""

    def __init__(self, state: State | None, means: ServerParts) -> None:
        """Take what has been loaded, if there was something; nothing is forked yet."""
        self._means = means
        self._service = Service(state=state)
        self._scoreboard = Scoreboard()
        self._outcomes = ReloadOutcomes(
            self._service, means.config, means.reconfigure, self._scoreboard.publish_supervisor
        )
        self._pool = WorkerPool(self._scoreboard, means.bind, means.shared, self._work)
        self._log = logs.get_logger()
        self._signals: deque[int] = deque()
        self._alarm, self._alarmed = socket.socketpair()
        """A signal writes to the one, and `poll` wakes up for the other."""
        self._pool.private += [self._alarm, self._alarmed, *means.private]
        self._puller = PullWatch(means.config, self._show, self._want, self._serial) if means.config.pull else None
        if self._puller:
            self._pool.private.append(self._puller.child)
        self._announced = False
        self._stopping = False
        self._reload_wanted = False
        self._next_look = inf if means.watch is None else monotonic() + TICK
        self._loads = 0
        """How many there were: the number of the latest."""
        self._loading = False
        self._pending: _Pending | None = None
        """A reload that waits for an import."""
        self._answers: dict[WorkerSlot, Ready | Done | None] = {}
        """What workers have said to the latest order; None where they died."""

    def run(self, hangups: list[int]) -> None:
        """Keep the workers running until told to stop; `hangups` holds a SIGHUP that came before."""
        for end in (self._alarm, self._alarmed):
            end.settimeout(0)
        signal.set_wakeup_fd(self._alarm.fileno(), warn_on_full_buffer=False)
        for number in HELD:
            signal.signal(number, self._note)
        self._reload_wanted = bool(hangups)
        self._warm_up()
        for _ in range(self._means.workers):
            self._pool.add()
        while self._pool.slots:
            self._turn(self._next_look)
            self._look()
            if self._stopping:
                self._pool.slots = [slot for slot in self._pool.slots if slot.pid]
            elif self._announced:
                self._renew()
        if self._puller:
            self._puller.child.stop()

    def _look(self) -> None:
        """See whether files have been replaced, when it is time to."""
        if self._means.watch is not None and monotonic() >= self._next_look:
            self._next_look = monotonic() + TICK
            if self._means.watch.changed():
                self._log.info("files have changed")
                self._reload_wanted = True

    def _warm_up(self) -> None:
        """Import and make now what workers would otherwise each import and make; then keep the collector off it."""
        server = self._means.make_server(self._service)
        server.config.load()
        server.config.get_loop_factory()
        freeze_heap()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._signals.append(number)

    def _turn(self, until: float = inf) -> None:
        """Wait for something to happen, until a moment of the monotonic clock at most, and see to it."""
        crew = self._pool
        if not (self._stopping or self._loading):
            crew.fill()
            until = min(until, crew.due)
        if self._puller and not self._stopping:
            self._puller.child.start_if_due()
            until = min(until, self._puller.child.due)
        crew.balance()
        poll = select.poll()
        listening: dict[int, Callable[[], object]] = {
            slot.channel.fileno(): partial(self._hear, slot) for slot in crew.slots if slot.channel
        }
        listening[self._alarmed.fileno()] = partial(self._alarmed.recv, 4096)
        if self._puller and self._puller.child.pid:
            listening[self._puller.child.fileno()] = self._puller.hear
        for descriptor in listening:
            poll.register(descriptor, select.POLLIN)
        wait = None if until == inf else max(0, ceil((until - monotonic()) * 1000))
        for descriptor, _ in poll.poll(wait):
            listening[descriptor]()
        while self._signals:
            self._obey(self._signals.popleft())
        crew.reap(expected=self._stopping)
        if not self._announced and all(slot.up for slot in crew.slots) and not self._stopping:
            self._announced = True
            self._means.announce(crew.slots[0].sockets + self._means.shared)

    def _hear(self, slot: WorkerSlot) -> None:
        assert slot.channel is not None, "it has just been waited for"  # noqa: S101 - for the type checkers
        message, _ = slot.channel.receive()
        match message:
            case Up():
                slot.up = slot.seen = True
                self._log.info("worker up", worker=slot.number, pid=slot.pid)
            case Ready(load) if load != self._loads:
                pass  # an answer to a load that has been given up
            case Ready() | Done():
                self._answers[slot] = message
            case _:  # it is gone: SIGCHLD tells the rest; until then, nothing more is to be heard
                slot.channel.close()
                slot.channel = None
                slot.up = False

    def _obey(self, number: int) -> None:
        match number:
            case signal.SIGHUP:
                self._want()
            case signal.SIGTERM | signal.SIGINT:
                self._pool.tell(Stop(at_once=self._stopping or number == signal.SIGINT))
                if not self._stopping:
                    notify(os.environ, "STOPPING=1")
                    self._pool.let_go()
                    if self._puller:
                        self._puller.child.stop()
                    if self._pending and self._pending.run:
                        self._pending.run.stop()
                self._stopping = True
            case signal.SIGUSR1:
                self._pool.tell(Reopen())
            case signal.SIGTTIN:
                try:
                    self._pool.add()
                except MirrorlistdError as error:
                    self._log.error("no more workers", error=str(error))
            case signal.SIGTTOU:
                self._pool.remove()
            case _:
                pass  # SIGCHLD has woken us up

    def _want(self) -> None:
        self._reload_wanted = True

    def _show(self, pulls: Pulls) -> None:
        self._service.pulls = pulls
        self._pool.tell(Pulled(pulls))

    def _serial(self) -> int | None:
        return self._service.serial

    def _renew(self) -> None:
        """Go on with a reload, or begin the one that is wanted; an import, where there is one, comes first."""
        if self._pending is None:
            if not self._reload_wanted:
                return
            self._reload_wanted = False
            clock = self._outcomes.begun()
            try:
                config = self._means.reread()
                if self._puller:
                    self._puller.follow(config)
                run = ImportProcess(config) if config.mirrormanager else None
            except Exception as error:  # noqa: BLE001 - as in `_reload`
                self._keep(error, clock)
                return
            self._pending = _Pending(config, clock, run)
            self._pool.private += [run] if run else []
        pending, run = self._pending, self._pending.run
        if run and not run.ended:
            return
        self._pending = None
        if run:
            self._pool.private.remove(run)
        self._reload(pending)

    def _reload(self, pending: _Pending) -> None:
        self._loading = True
        try:
            if pending.run:
                pending.run.result()
            state = self._prepare(pending.config)
        except Exception as error:  # noqa: BLE001 - a defect must not end the parent: the next push may be fine
            self._keep(error, pending.clock)
        else:
            self._finish(Adopt())
            self._outcomes.adopted(pending.config, state, pending.clock)
            keep(pending.config, state)
        self._loading = False

    def _keep(self, error: Exception, clock: Clock) -> None:
        self._loading = True
        self._finish(Keep(str(error) if isinstance(error, MirrorlistdError) else repr(error)))
        self._outcomes.kept(error, clock)
        self._loading = False

    def _prepare(self, config: Config) -> State:
        """Load, and have everybody load; raise where anybody cannot."""
        self._loads += 1
        with admit(config, self._service.state) as (state, files):
            silent = self._ask(Prepare(self._loads, config, state.origin), files.descriptors, READY_SECONDS)
        for slot in silent:
            why = "was stopped meanwhile" if self._stopping else f"did not get ready in {READY_SECONDS:.0f} s"
            raise StateError(f"worker {slot.number} {why}")
        for slot, answer in self._answers.items():
            if isinstance(answer, Ready) and answer.error is not None:
                raise StateError(f"worker {slot.number} could not load it: {answer.error}")
            if answer is None and not slot.removed:
                raise StateError(f"worker {slot.number} died of it, or meanwhile; reload again")
        return state

    def _finish(self, order: Adopt | Keep) -> None:
        """Have everybody swap, or not; end who does not say that it has."""
        for slot in self._ask(order, [], DONE_SECONDS):
            if not self._stopping:
                self._log.error("worker hangs and is ended", worker=slot.number, pid=slot.pid)
                slot.kill()

    def _ask(self, order: ToWorker, descriptors: list[int], seconds: float) -> list[WorkerSlot]:
        """Tell everybody something and wait until all have answered; give those who have not, and live."""
        self._answers.clear()
        until = monotonic() + seconds
        asked = [slot for slot in self._pool.slots if slot.channel]
        for slot in asked:
            slot.send(order, descriptors)
        while silent := [slot for slot in asked if slot not in self._answers]:
            if self._stopping or monotonic() >= until:
                break
            self._turn(until)
            self._answers |= {slot: None for slot in silent if not slot.pid}
        return silent

    def _work(self, number: int, sockets: list[socket.socket], channel: Channel) -> None:
        """Be a worker, in a process of its own: begin with what the parent has now, but for chance and counts."""
        scoreboard_slot = self._scoreboard.scoreboard_slot(number)
        before = self._service
        service = Service(
            state=before.state,
            reload_error=before.reload_error,
            scoreboard_slot=scoreboard_slot,
            counters=scoreboard_slot.resume(),
        )
        service.pulls = before.pulls
        failures = before.state.decider.geo.failures if before.state else 0
        service.geo_failures_before = service.counters.geo_failures - failures
        server = self._means.make_server(service)
        worker = Worker(server, service, scoreboard_slot, channel, self._means.reconfigure)
        with service.recording(self._means.config):
            run(worker, server, sockets, HELD)
