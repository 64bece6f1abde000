"""The limits that stand before both lanes, and the ASGI lane behind them: one connection of a client.

uvicorn's HTTP protocol (0.54) has no limits: it takes 60 MB of headers, waits for ever for the other half of a head,
and queues whatever a client pipelines. A `Guard` is the transport's protocol for all of a connection's life:

- Bytes wait here until they are a whole head. Heads are handed on one by one, the next after the answer. What waits is
  bounded: nothing is read while a whole head must wait.
- A head has at most 16 KiB (431) and 10 seconds. A silent connection is closed; so is one whose client takes nothing
  of its answers.
- At most 32 answers are given in a turn of the event loop, and none while the client does not read.
- A request with a body is its connection's last, and the body is not read: nothing here takes one, and no two readers
  (we, a proxy) can then disagree about where the next request begins.
- An offer to upgrade (`Upgrade: h2c`, from ostree with every request) is ignored without a word.

Behind it stands uvicorn's own protocol (`behind`), made when first needed. A Guard without more is the ASGI lane;
`fastlane` answers what it can before.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from mirrorlistd.lanes.uvicorn_protocol import AsgiProtocol

if TYPE_CHECKING:
    import uvicorn
    from uvicorn.server import ServerState

    from mirrorlistd.state.service import Service

HEAD_BYTES: Final = 16 * 1024
"""Request line and headers together; nginx takes 32 KiB (`large_client_header_buffers`), Node 16."""
HEAD_SECONDS: Final = 10.0
"""From a head's first byte to its last, and from connecting to the end of the first head."""
STALL_SECONDS: Final = 30.0
"""How long a client may take nothing of an answer; nginx's `send_timeout` is 60."""
ANSWERS_PER_TURN: Final = 32

_END: Final = b"\r\n\r\n"
"""Where a head ends: llhttp refuses every other way to write it."""
_TOO_LARGE: Final = b"the head of a request has at most %d bytes\n" % HEAD_BYTES
_LETTERS: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
"""First bytes of methods."""


def guarded(service: Service) -> type[Guard]:
    """Make the protocol that uvicorn's `http=` takes, for one service that counts connections."""

    class Counted(Guard):
        __slots__ = ()
        counting = service

    return Counted


class Guard(asyncio.Protocol):
    """One connection. Made as uvicorn makes its own protocols; a subclass answers what it can in `take`."""

    __slots__ = (
        "_alarm",
        "_arguments",
        "_behind",
        "_draining",
        "_head_since",
        "_last",
        "_reading",
        "_seen_unsent",
        "_timer",
        "_turn",
        "_waiting",
        "_writable",
        "loop",
        "open",
        "seconds",
        "server_state",
        "since",
        "transport",
    )

    counting: ClassVar[Service | None] = None
    """Whose counters know of connections and refusals; nobody's without one."""
    transport: asyncio.Transport
    _timer: asyncio.TimerHandle
    _alarm: float
    """When the timer is due, by `perf_counter`."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.loop = _loop or asyncio.get_running_loop()
        self.server_state = server_state
        self.seconds: float = config.timeout_keep_alive
        """How long a connection may be silent after a request; 0 closes it after the first."""
        self.open = True
        """Nothing waits, no answer is under way, the client reads: what comes may be answered at once."""
        self.since = 0.0
        """When it was last heard of, by `perf_counter`."""
        self._arguments = (config, server_state, app_state, self.loop)
        self._behind: AsgiProtocol | None = None
        self._waiting = b""
        """What has come and is not yet handed on: never more than one read and one head."""
        self._head_since = 0.0
        """When the head that waits for its end began; 0 without one."""
        self._turn: asyncio.Handle | None = None
        """The turn of the loop in which it goes on with what waits."""
        self._reading = True
        self._writable = True
        self._draining = False
        """Close as soon as no whole head waits."""
        self._last = False
        """The latest request has a body: no other is taken."""
        self._seen_unsent = 0
        """Bytes unsent when the alarm last rang for a client that does not read."""

    # ------------------------------------------------------------------ what the event loop calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride] - uvloop's are no subclasses of BaseTransport's subclasses
        """Begin: ten seconds for the first head."""
        self.transport = transport
        if self.counting is not None:
            self.counting.counters.connections += 1
        self.server_state.connections.add(self)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - uvicorn names its own protocols only; it calls shutdown()
        self.since = self._head_since = perf_counter()
        self._set_alarm(min(HEAD_SECONDS, self.seconds or HEAD_SECONDS))

    def data_received(self, data: bytes) -> None:
        """Take bytes, whatever they are; as a rule they are one whole head, and nothing waits."""
        if self.open and 0 < data.find(_END) == len(data) - len(_END) and len(data) <= HEAD_BYTES:
            self.open = False
            self._head_since = 0.0
            self.take(data)
            if not (self._last or self._busy() or self.transport.is_closing()):
                self._wait()
            return
        self._waiting = self._waiting + data if self._waiting else data
        if self._turn is None:
            self._advance()

    def eof_received(self) -> bool:
        """Finish what has come: True keeps the transport open for it."""
        self._draining = True
        return bool(self._turn or (self._waiting and not self._writable) or self._busy())

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self.server_state.connections.discard(self)  # pyright: ignore[reportArgumentType] - as above
        self._timer.cancel()
        if self._turn is not None:
            self._turn.cancel()
        self._waiting = b""
        if self._behind is not None:
            self._behind.connection_lost(exc)
            self._behind = None

    def pause_writing(self) -> None:
        """Answer nothing until the client has read."""
        self._writable = self.open = False
        self._seen_unsent = 0
        if self._behind is not None:
            self._behind.pause_writing()
        self._set_alarm(STALL_SECONDS, only_sooner=True)

    def resume_writing(self) -> None:
        """Go on."""
        self._writable = True
        if self._behind is not None:
            self._behind.resume_writing()
        self._go_on()

    # ------------------------------------------------------------------ what the server calls

    @property
    def awaited(self) -> bool:
        """A head is awaited: the first one, or the rest of one."""
        return bool(self._head_since)

    def answer_last(self) -> None:
        """Make the next answer the last: it says `Connection: close`."""
        self.seconds = 0
        if self._behind is not None:
            self._behind.timeout_keep_alive = 0

    # ------------------------------------------------------------------ what uvicorn calls

    def shutdown(self) -> None:
        """Stop gracefully: what has been asked for is answered, what is half said is not waited for."""
        self._draining = True
        if self._busy() and not self._waiting:
            assert self._behind is not None  # noqa: S101 - it is what is busy
            self._behind.shutdown()
        elif not (self._busy() or self._turn or (self._waiting and not self._writable)):
            self.close()

    # ------------------------------------------------------------------ heads

    def take(self, head: bytes) -> None:
        """Answer one whole head, or hand it to uvicorn."""
        self.hand_over(head)

    def hand_over(self, head: bytes) -> None:
        """Give one whole head to uvicorn's protocol."""
        if self._behind is None:
            self._behind = AsgiProtocol(self._arguments, self.transport, self._answered)
        self._last = self._behind.read_head(head)

    def _answered(self) -> None:
        """Go on after an answer of uvicorn's."""
        self.since = perf_counter()
        if self.transport.is_closing():
            self._set_alarm(STALL_SECONDS, only_sooner=True)
        elif self._waiting or self._draining or not self._writable:
            self._go_on()
        else:
            self.open = True

    def close(self) -> None:
        """Close when everything is sent; a client who does not take it is cut off by the alarm."""
        self.transport.close()
        self._set_alarm(STALL_SECONDS, only_sooner=True)

    def _busy(self) -> bool:
        return self._behind is not None and self._behind.busy

    def _go_on(self) -> None:
        """Go on with what waits, in a turn of its own: our caller is in the midst of something."""
        if self._turn is None and not self._last:
            self._turn = self.loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._turn = None
        self._advance()

    def _advance(self) -> None:
        """Hand on whole heads, in order, as far as they may be answered now; then see what to do about the rest."""
        data, start, left = self._waiting, 0, ANSWERS_PER_TURN
        size = 0
        while left and self._writable and not self._last and not self._busy() and not self.transport.is_closing():
            size = data.find(_END, start) + len(_END) - start
            if size < len(_END) or size > HEAD_BYTES:
                break
            self._head_since = 0.0
            self.take(data[start : start + size])
            start += size
            left -= 1
        self._waiting = data[start:]
        self.open = False
        if self._last or self.transport.is_closing():
            self._waiting = b""
        elif self._busy() or not self._writable:
            self._read(on=not self._waiting)
        elif not left and self._waiting:
            self._read(on=False)
            self._go_on()
        elif self._waiting and _hopeless(self._waiting[:HEAD_BYTES]):
            self.hand_over(self._waiting[:HEAD_BYTES])
            self._waiting = b""
        elif max(size, len(self._waiting)) > HEAD_BYTES:
            self._refuse()
        elif self._draining:
            self.close()
        else:
            self._wait()

    def _wait(self) -> None:
        """Wait for a request, or for the rest of one."""
        self.open = not self._waiting
        self._read(on=True)
        if self._waiting and not self._head_since:
            self._head_since = perf_counter()
            self._set_alarm(HEAD_SECONDS, only_sooner=True)

    def _read(self, *, on: bool) -> None:
        if on is not self._reading:
            self._reading = on
            if on:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def _reached(self, limit: str) -> None:
        """Count a connection that ends at a limit (see `metrics.LIMITS`)."""
        if self.counting is not None:
            self.counting.counters.refused[limit] += 1

    def _refuse(self) -> None:
        self._reached("head_size")
        self._waiting = b""
        lines = [STATUS_LINE[431]]
        lines += [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        lines += [b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n" % len(_TOO_LARGE)]
        self.transport.write(b"".join((*lines, b"connection: close\r\n\r\n", _TOO_LARGE)))
        self.close()

    # ------------------------------------------------------------------ time

    def _set_alarm(self, seconds: float, *, only_sooner: bool = False) -> None:
        """Look at the connection then. It is looked at, not told: nothing is done about it per request."""
        at = perf_counter() + seconds
        if only_sooner:
            if self._alarm <= at:
                return
            self._timer.cancel()
        self._alarm = at
        self._timer = self.loop.call_later(seconds, self._ring)

    def _ring(self) -> None:
        now = perf_counter()
        if self.transport.is_closing() or not self._writable:
            unsent = self.transport.get_write_buffer_size()
            if unsent and unsent == self._seen_unsent:
                self._reached("stalled")
                self.transport.abort()
                return
            self._seen_unsent = unsent
            due = now + STALL_SECONDS
        elif self._head_since:
            due = self._head_since + HEAD_SECONDS
        elif self._busy():
            due = now + HEAD_SECONDS
        else:
            due = self.since + self.seconds
        if due <= now:
            if self._head_since and self._waiting:  # one that never said a word was only opened in advance
                self._reached("head_time")
            self.close()
            due = now + STALL_SECONDS
        self._set_alarm(due - now)


def _hopeless(part: bytes) -> bool:
    """Whether a part of a head can have no good end: not HTTP at all (TLS), or lines that end without CR.

    Its client gets its 400 now; he would wait for ever for our answer, and we ten seconds for more.
    """
    part = part.lstrip(b"\r\n")  # empty lines before a request are allowed (RFC 9112 2.2)
    return bool(part) and (part[0] not in _LETTERS or part.count(b"\n") != part.count(b"\r\n"))
