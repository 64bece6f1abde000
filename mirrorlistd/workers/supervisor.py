"""The supervisor: the parent process of several workers. It loads and decides on reloads; it answers no request.

It is single-threaded, because it forks, and it waits with poll(2), because a fork within an event loop is unsafe. What
it has loaded is in sealed memory, which all workers map: they share its pages.

A reload has two steps. The supervisor reads and verifies; the workers map the same memory, index and probe it, and
report that they are ready. If all are ready, all are ordered to adopt the new State; if anything fails before, none
adopts it. No worker is forked during a reload; a later one starts with the result. All workers swap within one turn of
an event loop; once `reloaded` is logged, all have swapped.
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
from mirrorlistd.process.reload import ReloadOutcomes, keep, settings_for_reload
from mirrorlistd.process.systemd import notify
from mirrorlistd.pull.puller_process import PullWatch
from mirrorlistd.state.admission import judge
from mirrorlistd.state.inputs import read
from mirrorlistd.state.loading import SentVerdict, build
from mirrorlistd.state.service import Service
from mirrorlistd.telemetry.scoreboard import Scoreboard
from mirrorlistd.workers.messages import Adopt, Done, Keep, Prepare, Pulled, Ready, Reopen, Stop, Up
from mirrorlistd.workers.pool import SIGNALS, WorkerPool
from mirrorlistd.workers.worker import Worker, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from mirrorlistd.config import Config
    from mirrorlistd.process.file_watch import FileWatch
    from mirrorlistd.process.reload import Clock
    from mirrorlistd.process.uvicorn_server import UvicornServer
    from mirrorlistd.pull.puller_process import Pulls
    from mirrorlistd.state.state import State
    from mirrorlistd.workers.messages import Channel, ToWorker
    from mirrorlistd.workers.pool import Closable, WorkerSlot

READY_SECONDS: Final = 120.0
"""How long workers may take to prepare a State: well below a second, unless the machine is swapping."""
DONE_SECONDS: Final = 10.0
"""How long a worker may take to swap a reference; one that takes longer hangs and is killed: it has the old State."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerParts:
    """What a server is composed of besides a State; made by `serve`."""

    config: Config
    workers: int
    """The number of workers at the start."""
    reread: Callable[[], Config]
    """Reads the configuration again."""
    reconfigure: Callable[[Config], None]
    """Applies log settings."""
    make_server: Callable[[Service], UvicornServer]
    """Makes a worker's server, in the worker."""
    bind: Callable[[], list[socket.socket]]
    """Binds the sockets of one more worker."""
    shared: list[socket.socket]
    """Sockets that all workers listen on."""
    announce: Callable[[list[socket.socket]], None]
    """Reports that the server answers, and at which sockets."""
    watch: FileWatch | None
    """Notices replaced files; None: they are not watched."""
    private: Sequence[Closable]
    """Files and sockets that must not stay open in workers."""


@dataclass(frozen=True, slots=True)
class _Pending:
    """A reload that has begun and waits for an import."""

    config: Config
    refused: dict[str, MirrorlistdError]
    """See `Inputs`."""
    clock: Clock
    run: ImportProcess | None
    """The import, which has to end first; None where there is none."""


class Supervisor:
    """Runs in the main thread of the process that was started."""

    def __init__(self, state: State | None, parts: ServerParts) -> None:
        """Take what has been loaded, or None; nothing is forked yet."""
        self._parts = parts
        self._service = Service(state=state)
        self._scoreboard = Scoreboard()
        self._outcomes = ReloadOutcomes(
            self._service, parts.config, parts.reconfigure, self._scoreboard.publish_supervisor
        )
        self._pool = WorkerPool(self._scoreboard, parts.bind, parts.shared, self._work)
        self._log = logs.get_logger()
        logs.count_drops(self._count_dropped_lines)
        self._signals: deque[int] = deque()
        self._alarm, self._alarmed = socket.socketpair()
        """A signal writes to the first, and `poll` wakes up for the second."""
        self._pool.private += [self._alarm, self._alarmed, *parts.private]
        self._puller = (
            PullWatch(parts.config, self._publish_pulls, self._request_reload, self._serial)
            if parts.config.pull
            else None
        )
        if self._puller:
            self._pool.private.append(self._puller.child)
        self._announced = False
        self._stopping = False
        self._reload_wanted = False
        self._next_check = inf if parts.watch is None else monotonic() + TICK
        self._loads = 0
        """Number of the latest load."""
        self._loading = False
        self._pending: _Pending | None = None
        self._answers: dict[WorkerSlot, Ready | Done | None] = {}
        """Workers' answers to the latest order; None where they died."""

    def _count_dropped_lines(self, lines: int) -> None:
        self._service.counters.supervisor_log_lines_dropped += lines
        self._scoreboard.publish_supervisor(self._service.counters)

    def run(self, early_sighups: list[int]) -> None:
        """Keep the workers running until a signal ends the server; `early_sighups` holds SIGHUPs that came before."""
        for end in (self._alarm, self._alarmed):
            end.settimeout(0)
        signal.set_wakeup_fd(self._alarm.fileno(), warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, self._queue_signal)
        self._reload_wanted = bool(early_sighups)
        self._warm_up()
        for _ in range(self._parts.workers):
            self._pool.add()
        while self._pool.slots:
            self._poll_once(self._next_check)
            self._check_files()
            if self._stopping:
                self._pool.slots = [slot for slot in self._pool.slots if slot.pid]
            elif self._announced:
                self._advance_reload()
        if self._puller:
            self._puller.child.stop()

    def _check_files(self) -> None:
        """Ask for a reload where files have been replaced; at most once a tick."""
        if self._parts.watch is not None and monotonic() >= self._next_check:
            self._next_check = monotonic() + TICK
            if self._parts.watch.changed():
                self._log.info("files have changed")
                self._reload_wanted = True

    def _warm_up(self) -> None:
        """Import and make what each worker would otherwise import and make; then exempt it from garbage collection."""
        server = self._parts.make_server(self._service)
        server.config.load()
        server.config.get_loop_factory()
        freeze_heap()

    def _queue_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals.append(number)

    def _poll_once(self, until: float = inf) -> None:
        """Wait for one round of events, until a moment of the monotonic clock at most, and handle them."""
        pool = self._pool
        if not (self._stopping or self._loading):
            pool.fill()
            until = min(until, pool.due)
        if self._puller and not self._stopping:
            self._puller.child.start_if_due()
            until = min(until, self._puller.child.due)
        pool.lend()
        poll = select.poll()
        listening: dict[int, Callable[[], object]] = {
            slot.channel.fileno(): partial(self._receive, slot) for slot in pool.slots if slot.channel
        }
        listening[self._alarmed.fileno()] = partial(self._alarmed.recv, 4096)
        if self._puller and self._puller.child.pid:
            listening[self._puller.child.fileno()] = self._puller.read_reports
        for descriptor in listening:
            poll.register(descriptor, select.POLLIN)
        wait = None if until == inf else max(0, ceil((until - monotonic()) * 1000))
        for descriptor, _ in poll.poll(wait):
            listening[descriptor]()
        while self._signals:
            self._handle_signal(self._signals.popleft())
        pool.reap(expected=self._stopping)
        if not self._announced and all(slot.up for slot in pool.slots) and not self._stopping:
            self._announced = True
            self._parts.announce(pool.slots[0].sockets + self._parts.shared)

    def _receive(self, slot: WorkerSlot) -> None:
        assert slot.channel is not None, "it has just been waited for"  # noqa: S101 - for the type checkers
        message, _ = slot.channel.receive()
        match message:
            case Up():
                slot.up = slot.served_once = True
                self._log.info("worker up", worker=slot.number, pid=slot.pid)
            case Ready(load) if load != self._loads:
                pass  # an answer to an earlier load
            case Ready() | Done():
                self._answers[slot] = message
            case _:  # the worker has ended, and SIGCHLD follows
                slot.channel.close()
                slot.channel = None
                slot.up = False

    def _handle_signal(self, number: int) -> None:
        match number:
            case signal.SIGHUP:
                self._request_reload()
            case signal.SIGTERM | signal.SIGINT:
                self._pool.broadcast(Stop(at_once=self._stopping or number == signal.SIGINT))
                if not self._stopping:
                    notify(os.environ, "STOPPING=1")
                    self._pool.close_sockets()
                    if self._puller:
                        self._puller.child.stop()
                    if self._pending and self._pending.run:
                        self._pending.run.stop()
                self._stopping = True
            case signal.SIGUSR1:
                self._pool.broadcast(Reopen())
            case signal.SIGTTIN:
                try:
                    self._pool.add()
                except MirrorlistdError as error:
                    self._log.error("no more workers", error=str(error))
            case signal.SIGTTOU:
                self._pool.remove()
            case _:
                pass  # SIGCHLD: `reap` follows

    def _request_reload(self) -> None:
        self._reload_wanted = True

    def _publish_pulls(self, pulls: Pulls) -> None:
        self._service.pulls = pulls
        self._pool.broadcast(Pulled(pulls))

    def _serial(self) -> int | None:
        return self._service.serial

    def _advance_reload(self) -> None:
        """Begin a reload that is wanted, or go on with one whose import has ended."""
        if self._pending is None:
            if not self._reload_wanted:
                return
            self._reload_wanted = False
            clock = self._outcomes.begun()
            try:
                config, refused = settings_for_reload(self._parts.reread, self._service.state)
                if self._puller:
                    self._puller.follow(config)
                run = ImportProcess(config) if config.mirrormanager else None
            except Exception as error:  # noqa: BLE001 - as in `_reload`
                self._keep(error, clock)
                return
            self._pending = _Pending(config, refused, clock, run)
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
            try:
                if pending.run:
                    pending.run.result()
            except StateError as error:
                pending.refused["import"] = error
            state = self._prepare(pending.config, pending.refused)
        except Exception as error:  # noqa: BLE001 - a defect must not end the supervisor: the next reload may work
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

    def _prepare(self, config: Config, refused: dict[str, MirrorlistdError]) -> State:
        """Load, and have all workers build the same State; raise where one of them cannot."""
        self._loads += 1
        before = self._service.state
        with read(config, start=before is None, refused=refused) as inputs:
            verdict = judge(inputs, before)
            state = build(verdict, before)
            sent, descriptors = SentVerdict.of(verdict)
            silent = self._order(Prepare(self._loads, sent), descriptors, READY_SECONDS)
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
        """Have all workers swap, or keep what they serve; kill a worker that does not answer."""
        for slot in self._order(order, [], DONE_SECONDS):
            if not self._stopping:
                self._log.error("worker hangs and is ended", worker=slot.number, pid=slot.pid)
                slot.kill()

    def _order(self, order: ToWorker, descriptors: list[int], seconds: float) -> list[WorkerSlot]:
        """Send an order to all workers and wait for their answers; return the living ones that have not answered."""
        self._answers.clear()
        until = monotonic() + seconds
        ordered = [slot for slot in self._pool.slots if slot.channel]
        for slot in ordered:
            slot.send(order, descriptors)
        while silent := [slot for slot in ordered if slot not in self._answers]:
            if self._stopping or monotonic() >= until:
                break
            self._poll_once(until)
            self._answers |= {slot: None for slot in silent if not slot.pid}
        return silent

    def _work(self, number: int, sockets: list[socket.socket], channel: Channel) -> None:
        """Be a worker, in a process of its own, that begins with the State which the supervisor has now."""
        scoreboard_slot = self._scoreboard.scoreboard_slot(number)
        before = self._service
        service = Service(
            state=before.state,
            reload_error=before.reload_error,
            scoreboard_slot=scoreboard_slot,
            counters=scoreboard_slot.resume(),
        )
        logs.count_drops(service.count_dropped_lines)
        service.pulls = before.pulls
        failures = before.state.decider.geo.failures if before.state else 0
        service.geo_failures_before = service.counters.geo_failures - failures
        server = self._parts.make_server(service)
        worker = Worker(server, service, scoreboard_slot, channel, self._parts.reconfigure)
        with service.recording(self._parts.config):
            run(worker, server, sockets, SIGNALS)
