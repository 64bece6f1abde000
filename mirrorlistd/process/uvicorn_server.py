"""uvicorn's server with what this one needs: it reports when it listens, drains, exits with 0, and can borrow sockets.

A stop rejects no client that has connected: from SIGTERM on each answer has `Connection: close`, and a client that has
not sent its request yet gets a moment to do so.
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
"""How long clients have for their requests after the sockets are closed: unread requests would end in a reset."""
LAST_BEATS: Final = 10
"""How many such times the server waits for clients that have connected and sent no request."""


class UvicornServer(uvicorn.Server):
    """Serves given sockets until it is stopped."""

    def __init__(self, config: uvicorn.Config, service: Service, drain: float, *, signals: bool = True) -> None:
        """Go on for `drain` seconds after `stop`; SIGTERM and SIGINT stop the server if `signals`."""
        super().__init__(config)
        self._service = service
        self._drain = drain
        self._signals = signals
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then set `listening`: READY must not be reported before a client can connect."""
        await super().startup(sockets)
        self.listening.set()

    async def borrow(self, sockets: list[socket.socket]) -> list[Listening]:
        """Listen on more sockets; to close the returned servers ends that, but not the connections made there."""
        own = self.servers
        await super().startup(sockets)  # uvicorn's replaces the list
        borrowed, self.servers = self.servers, own + self.servers
        return borrowed

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Handle signals only if this server was made to."""
        with super().capture_signals() if self._signals else contextlib.nullcontext():
            yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; a second signal, or SIGINT, stops at once.

        uvicorn's own handler would raise the signal again in the end, which kills before the pid file is removed.
        """
        del frame
        self.stop(at_once=self._service.draining or sig == signal.SIGINT)

    def stop(self, *, at_once: bool) -> None:
        """Begin to drain; or stop `at_once`, and the second time without waiting for clients."""
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
        """Stop listening, then close connections: first those with a request, then the idle ones."""
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
