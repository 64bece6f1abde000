"""One of several workers: serves its sockets as a single process would, and follows the supervisor's orders.

It is forked from a supervisor that has loaded everything. On the supervisor's orders it prepares another State, in a
thread, and swaps it in; it decides nothing. It stops when its supervisor has ended. SIGTERM stops this worker alone,
and the supervisor replaces it; SIGINT and SIGHUP, which a terminal sends to every process, are the supervisor's.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import TYPE_CHECKING, Final

from mirrorlistd import logs
from mirrorlistd.process.gc_policy import gc_paused
from mirrorlistd.state.handover import warm
from mirrorlistd.workers.messages import Adopt, Done, GiveBack, Keep, Lend, Prepare, Pulled, Ready, Reopen, Stop, Up

if TYPE_CHECKING:
    from asyncio.base_events import Server as Listening
    from collections.abc import Callable, Coroutine, Sequence

    from mirrorlistd.config import Config
    from mirrorlistd.process.uvicorn_server import UvicornServer
    from mirrorlistd.state.service import Service
    from mirrorlistd.state.state import State
    from mirrorlistd.telemetry.scoreboard import ScoreboardSlot
    from mirrorlistd.workers.messages import Channel

PUBLISH_SECONDS: Final = 1.0
"""Largest age of the counts that other workers show of this one; a worker that is killed loses as much."""


class Worker:
    """A worker in one event loop."""

    def __init__(
        self,
        server: UvicornServer,
        service: Service,
        scoreboard_slot: ScoreboardSlot,
        channel: Channel,
        reconfigure: Callable[[Config], None],
    ) -> None:
        """`reconfigure` applies log settings."""
        self._server = server
        self._service = service
        self._scoreboard_slot = scoreboard_slot
        self._channel = channel
        self._reconfigure = reconfigure
        self._load = 0
        """Number of the load that was ordered last."""
        self._prepared: tuple[Config, State] | None = None
        self._borrowed: dict[int, list[Listening]] = {}
        self._lending = asyncio.Lock()
        """Keeps the order of Lend and GiveBack, which both take time."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, sockets: list[socket.socket], blocked: Sequence[signal.Signals]) -> None:
        """Serve until ordered to stop; `blocked` are the signals that are blocked until they are handled here."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop, Stop(at_once=False))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, blocked)
        loop.add_reader(self._channel.fileno(), self._receive)
        publishing = asyncio.create_task(self._publish())
        serving = asyncio.create_task(self._server.serve(sockets=sockets))
        try:
            listening = asyncio.create_task(self._server.listening.wait())
            await asyncio.wait((serving, listening), return_when="FIRST_COMPLETED")
            if self._server.started:
                self._enter()
                self._channel.send(Up())
            await serving
        finally:
            loop.remove_reader(self._channel.fileno())
            publishing.cancel()
            self._scoreboard_slot.publish(self._service.counted())
            self._scoreboard_slot.leave()

    def _enter(self) -> None:
        state = self._service.state
        self._scoreboard_slot.enter(os.getpid(), state.serial if state else 0)

    async def _publish(self) -> None:
        while True:
            await asyncio.sleep(PUBLISH_SECONDS)
            self._scoreboard_slot.publish(self._service.counted())

    def _receive(self) -> None:
        message, descriptors = self._channel.receive()
        match message:
            case None:
                asyncio.get_running_loop().remove_reader(self._channel.fileno())
                logs.get_logger().error("the supervisor has ended, this worker stops", pid=os.getpid())
                self._stop(Stop(at_once=False))
            case Stop():
                self._stop(message)
            case Prepare():
                self._load = message.load
                self._begin(self._prepare(message, descriptors))
            case Adopt() | Keep():
                self._end_load(message)
            case Pulled(pulls):
                self._service.pulls = pulls
            case Lend():
                sockets = [socket.socket(fileno=number) for number in descriptors]
                self._begin(self._borrow(message.slot, sockets))
            case Reopen():
                if self._service.recorder is not None:
                    self._service.recorder.reopen()
            case GiveBack():
                self._begin(self._give_back(message.slot))
            case _:  # pragma: no cover - a message from workers
                raise TypeError(message)

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _stop(self, order: Stop) -> None:
        # A service manager's SIGTERM reaches every process: the supervisor's order that follows is not a second one.
        if order.at_once or not self._service.draining:
            self._server.stop(at_once=order.at_once)

    async def _prepare(self, order: Prepare, descriptors: list[int]) -> None:
        error = None
        try:
            with gc_paused():
                state = await asyncio.to_thread(order.verdict.build, descriptors, self._service.state)
            await warm(state, self._service.state, self._service.random)
        except Exception as failure:  # noqa: BLE001 - whatever it is, the supervisor reports it
            error = str(failure) or repr(failure)
        else:
            if order.load == self._load:
                self._prepared = order.verdict.config, state
        self._channel.send(Ready(order.load, error))

    def _end_load(self, order: Adopt | Keep) -> None:
        match order, self._prepared:
            case Adopt(), (config, state):
                self._begin(self._service.adopt(state).free())
                self._reconfigure(config)
                self._enter()
            case Keep(error), _:
                self._service.reload_error = error
            case _:  # pragma: no cover - the supervisor waits until all are ready
                raise RuntimeError("ordered to adopt what was not prepared")
        self._prepared = None
        self._load = 0
        self._channel.send(Done())

    async def _borrow(self, slot: int, sockets: list[socket.socket]) -> None:
        async with self._lending:
            if self._server.should_exit:
                for listener in sockets:
                    listener.close()
            else:
                self._borrowed.setdefault(slot, []).extend(await self._server.borrow(sockets))

    async def _give_back(self, slot: int) -> None:
        async with self._lending:
            for listening in self._borrowed.pop(slot, ()):
                listening.close()


def run(worker: Worker, server: UvicornServer, sockets: list[socket.socket], blocked: Sequence[signal.Signals]) -> None:
    """Run a worker to its end, in a process that has just been forked."""
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(worker.run(sockets, blocked))
