"""Connections without sockets: bytes against the protocols that `mirrorlistd serve` gives to uvicorn, and its own."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from mirrorlistd.answering.decider import Decider
from mirrorlistd.answering.plan import AnswerSettings
from mirrorlistd.lanes.connection import guarded
from mirrorlistd.lanes.fast.lane import fast_lane
from mirrorlistd.request.client_address import Trust
from mirrorlistd.selection.index import Index
from mirrorlistd.state.service import Service
from mirrorlistd.web.app import create_app
from support.worlds import PLACES, Map, compiled, mirror, network, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

WORLD: Final = compiled(
    network(
        {f"de{number}": mirror("DE") for number in range(4)}
        | {f"fr{number}": mirror("FR") for number in range(3)}
        | {f"us{number}": mirror("US") for number in range(3)},
    )
)
DEFAULTS: Final = [(b"date", b"Sun, 22 Nov 2026 15:00:00 GMT"), (b"server", b"mirrorlistd")]
HIGH_WATER: Final = 64 * 1024
"""Bytes unsent when a transport says so: asyncio's default."""


def service(*trusted: str, header: str = "x-forwarded-for", access_log: bool = False) -> Service:
    """A service over a small world, with chance that is the same every time."""
    geo: Any = Map(PLACES)
    decider = Decider(Index(WORLD), geo, AnswerSettings(minimum=5, limit=20, sticky=86_400))
    state = state_of(decider, Trust.parse(trusted, header), ["127.0.0.0/8"], access_log=access_log)
    return Service(state=state, random=Random(1))


class Wire(asyncio.Transport):
    """The server's end of a connection; a client that does not read is made by `client_reads = False`."""

    def __init__(self, peer: tuple[str, int] | None = ("127.0.0.1", 5)) -> None:
        super().__init__({"peername": peer, "sockname": ("127.0.0.1", 80)})
        self.sent = bytearray()
        """What the client has read."""
        self.unsent = bytearray()
        self.writes = 0
        self.late = 0
        """Writes after close()."""
        self.client_reads = True
        self.reading = True
        self.closing = False
        self.aborted = False
        self.protocol: Any = None
        self._paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, or keep."""
        if self.closing:  # as the real ones do; only uvicorn alone does it
            self.late += 1
            return
        self.writes += 1
        self.unsent += data
        self.flow()

    def flow(self) -> None:
        """Let the client read what it wants, and say what an event loop's transport would say."""
        if self.client_reads:
            self.sent += self.unsent
            self.unsent.clear()
        if self._paused and not self.unsent:
            self._paused = False
            self.protocol.resume_writing()
        elif not self._paused and len(self.unsent) > HIGH_WATER:
            self._paused = True
            self.protocol.pause_writing()

    def is_closing(self) -> bool:
        """Whether it is closed, or going to be."""
        return self.closing

    def is_reading(self) -> bool:
        """Whether bytes may come."""
        return self.reading

    def close(self) -> None:
        """Close."""
        self.closing = True

    def abort(self) -> None:
        """Cut off."""
        self.closing = self.aborted = True

    def pause_reading(self) -> None:
        """Let bytes wait."""
        assert self.reading, "paused twice"
        self.reading = False

    def resume_reading(self) -> None:
        """Let them come."""
        assert not self.reading, "resumed twice"
        self.reading = True

    def get_write_buffer_size(self) -> int:
        """Give the number of bytes that the client has not read."""
        return len(self.unsent)


class Line:
    """A client, its connection, and one server behind it; made and used inside a running loop."""

    def __init__(
        self,
        make: Callable[..., asyncio.Protocol],
        application: Any,
        *,
        peer: tuple[str, int] | None = ("127.0.0.1", 5),
        keep_alive: float = 15,
    ) -> None:
        config = uvicorn.Config(
            application,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=keep_alive,  # type: ignore[arg-type]  # uvicorn's word is int, its use is any number
        )
        config.load()
        self.state = ServerState()
        self.state.default_headers = DEFAULTS
        self.wire = Wire(peer)
        self.protocol: Any = make(
            config=config, server_state=self.state, app_state={}, _loop=asyncio.get_running_loop()
        )
        self.wire.protocol = self.protocol
        self.protocol.connection_made(self.wire)

    def send(self, data: bytes) -> None:
        """Let bytes come, unless nobody reads them any more."""
        if not self.wire.closing:
            self.protocol.data_received(data)

    async def settle(self) -> None:
        """Wait until nothing happens."""
        quiet, before = 0, -1
        while quiet < 12:
            await asyncio.sleep(0)
            quiet = quiet + 1 if self.wire.writes == before else 0
            before = self.wire.writes

    def send_sighup(self) -> None:
        """Lose the connection."""
        self.protocol.connection_lost(None)


def protocols(lane: str, serving: Service) -> Callable[..., asyncio.Protocol]:
    """The protocol of a lane: `fast`, `asgi`, or `bare` for uvicorn's own without a guard."""
    return {"fast": fast_lane(serving), "asgi": guarded(serving), "bare": HttpToolsProtocol}[lane]


def converse(
    lane: str, conversations: Iterable[Sequence[tuple[bytes, bool]]], serving: Service, **line: Any
) -> list[tuple[bytes, bool]]:
    """Hold conversations, each on a connection of its own: pieces, and whether the client waits after each.

    Gives what was answered to each, and whether the server closed.
    """
    make, application = protocols(lane, serving), create_app(serving)

    async def hold() -> list[tuple[bytes, bool]]:
        results: list[tuple[bytes, bool]] = []
        for pieces in conversations:
            one = Line(make, application, **line)
            for data, pause in pieces:
                if not one.wire.reading:
                    await one.settle()
                one.send(data)
                if pause:
                    await one.settle()
            await one.settle()
            assert not one.wire.late or lane == "bare"
            results.append((bytes(one.wire.sent), one.wire.closing))
            one.send_sighup()
        return results

    return asyncio.run(hold())
