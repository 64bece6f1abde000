"""uvicorn's server as we run it: says when it listens, drains, exits with 0, can listen for somebody else meanwhile.

Nobody who has connected is turned away by a stop: from SIGTERM on each answer says `Connection: close`, and whoever has
come and not yet asked is given a moment to do so.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Final, cast

import uvicorn

from mirrorlistd import logs

if TYPE_CHECKING:
    import socket
    from asyncio.base_events import Server as Listening
    from collections.abc import Generator
    from types import FrameType

    from mirrorlistd.lanes.connection import Guard
    from mirrorlistd.state.service import Service

BEAT_SECONDS: Final = 0.1
"""How long everybody is given to ask after the sockets are closed: what is here, but unread, would meet a reset."""
LAST_BEATS: Final = 10
"""For how many of these those are waited for who have connected and not yet asked."""


class UvicornServer(uvicorn.Server):
    """Serves the sockets that it is given until it is told to stop."""

    def __init__(self, config: uvicorn.Config, service: Service, drain: float, *, signals: bool = True) -> None:
        """`drain` is how many seconds to go on after `stop`; `signals` says that SIGTERM and SIGINT stop it."""
        super().__init__(config)
        self._service = service
        self._drain = drain
        self._signals = signals
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so: READY must not be said before a client can connect."""
        await super().startup(sockets)
        self.listening.set()

    async def borrow(self, sockets: list[socket.socket]) -> list[Listening]:
        """Listen on more sockets; closing what this gives ends it, but not the connections made there."""
        own = self.servers
        await super().startup(sockets)  # uvicorn's replaces the list
        borrowed, self.servers = self.servers, own + self.servers
        return borrowed

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Handle signals only where nobody else does."""
        with super().capture_signals() if self._signals else contextlib.nullcontext():
            yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; a second signal, or SIGINT, is impatient.

        uvicorn's own would raise the signal again in the end, which kills before the pid file is removed.
        """
        del frame
        self.stop(at_once=self._service.draining or sig == signal.SIGINT)

    def stop(self, *, at_once: bool) -> None:
        """Begin to drain; or stop at once, and even without waiting for clients where that has been said before."""
        if at_once or not self._drain:
            self.force_exit = self.should_exit
            self.should_exit = True
        else:
            logs.get_logger().info("draining", seconds=self._drain)
            loop = asyncio.get_running_loop()
            loop.call_soon_threadsafe(loop.call_later, self._drain, self._exit)
        self._service.draining = True
        self.config.timeout_keep_alive = 0  # for connections to come
        for connection in self._connections():
            connection.answer_last()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, then let go of the clients: first those who ask, then those who only keep a connection."""
        for listening in self.servers:
            listening.close()
        for _ in range(LAST_BEATS):
            await asyncio.sleep(BEAT_SECONDS)
            if self.force_exit or not any(one.awaited for one in self._connections()):
                break
        await super().shutdown(sockets)

    def _connections(self) -> list[Guard]:
        return cast("list[Guard]", list(self.server_state.connections))  # uvicorn names its own protocols only

    def _exit(self) -> None:
        self.should_exit = True
