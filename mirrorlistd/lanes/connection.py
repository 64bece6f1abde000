"""One connection of a client: the limits that both lanes have, and the ASGI lane.

uvicorn's HTTP protocol has no limits: it takes 60 MB of headers, waits for the rest of a head without a timeout, and
queues whatever a client pipelines. A `Guard` is the transport's protocol for the whole life of a connection:

- Bytes are kept here until a head is complete. Heads are handled one by one, each after the answer to the one before.
  The number of waiting bytes is bounded: while a complete head waits, nothing is read.
- A head may have 16 KiB (else 431) and take 10 seconds. A silent connection is closed, and so is a connection whose
  client reads nothing of its answers.
- At most 32 answers are given in a turn of the event loop, and none while the client does not read.
- A request with a body is the last one of its connection, and the body is not read: no list needs one. This prevents
  request smuggling: this server and a proxy cannot disagree about where the next request begins.
- An offer to upgrade (`Upgrade: h2c`, which ostree sends with every request) is ignored without a log line.

A Guard passes heads to uvicorn's own protocol (`uvicorn_protocol`), which is made for the first head that needs it. A
Guard alone is the ASGI lane; a subclass (`fast.lane`) answers some heads itself.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Final

from mirrorlistd.lanes.uvicorn_internals import STATUS_LINE
from mirrorlistd.lanes.uvicorn_protocol import AsgiProtocol

if TYPE_CHECKING:
    import uvicorn

    from mirrorlistd.lanes.uvicorn_internals import ServerState
    from mirrorlistd.state.service import Service

HEAD_BYTES: Final = 16 * 1024
"""Request line and headers together; nginx takes 32 KiB (`large_client_header_buffers`), Node 16 KiB."""
HEAD_SECONDS: Final = 10.0
"""From the first byte of a head to its last one, and from connecting to the end of the first head."""
STALL_SECONDS: Final = 30.0
"""How long a client may stop reading an answer; nginx's `send_timeout` is 60."""
ANSWERS_PER_TURN: Final = 32

_END: Final = b"\r\n\r\n"
"""The end of a head: llhttp refuses every other form."""
_TOO_LARGE: Final = b"the head of a request has at most %d bytes\n" % HEAD_BYTES
_LETTERS: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
"""The bytes that a method can begin with."""


def guarded(serving: Service) -> type[Guard]:
    """Return the ASGI lane of one service: the class that uvicorn takes as `http=`."""

    class AsgiLane(Guard):
        __slots__ = ()
        service = serving

    return AsgiLane


class Guard(asyncio.Protocol):
    """One connection, constructed as uvicorn constructs its protocols; a subclass overrides `handle_head`."""

    __slots__ = (
        "_arguments",
        "_asgi",
        "_check_due",
        "_closing_soon",
        "_has_body",
        "_head_started",
        "_reading",
        "_timer",
        "_turn",
        "_unsent_before",
        "_waiting",
        "_writable",
        "idle",
        "last_active",
        "loop",
        "seconds",
        "server_state",
        "transport",
    )

    service: ClassVar[Service | None] = None
    """The service whose counters count connections and refusals; None counts neither."""
    transport: asyncio.Transport
    _timer: asyncio.TimerHandle
    _check_due: float
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
        """How long a connection may be silent after a request; 0 closes it after the first one."""
        self.idle = True
        """No bytes wait, no answer is under way, and the client reads: the next head may be answered at once."""
        self.last_active = 0.0
        """When the latest request came or was answered, by `perf_counter`."""
        self._arguments = (config, server_state, app_state, self.loop)
        self._asgi: AsgiProtocol | None = None
        self._waiting = b""
        """Bytes that were received and not handled yet: at most one read and one head."""
        self._head_started = 0.0
        """When the first byte of an unfinished head came; 0 if there is none."""
        self._turn: asyncio.Handle | None = None
        """The scheduled turn of the loop that handles the waiting bytes."""
        self._reading = True
        self._writable = True
        self._closing_soon = False
        """The connection closes as soon as no whole head waits."""
        self._has_body = False
        """The latest request has a body: no other request is read."""
        self._unsent_before = 0
        """Bytes unsent at the previous check of a client that does not read."""

    # ------------------------------------------------------------------ what the event loop calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride] - uvloop's transports are subclasses of BaseTransport alone
        """Allow ten seconds for the first head."""
        self.transport = transport
        if self.service is not None:
            self.service.counters.connections += 1
        self.server_state.connections.add(self)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - uvicorn declares its own protocols; it calls shutdown() alone
        self.last_active = self._head_started = perf_counter()
        self._schedule_check(min(HEAD_SECONDS, self.seconds or HEAD_SECONDS))

    def data_received(self, data: bytes) -> None:
        """Handle received bytes; usually they are exactly one whole head, and no bytes wait."""
        if self.idle and 0 < data.find(_END) == len(data) - len(_END) and len(data) <= HEAD_BYTES:
            self.idle = False
            self._head_started = 0.0
            self.handle_head(data)
            if not (self._has_body or self._busy() or self.transport.is_closing()):
                self._wait()
            return
        self._waiting = self._waiting + data if self._waiting else data
        if self._turn is None:
            self._handle_waiting()

    def eof_received(self) -> bool:
        """Answer what was received; True keeps the transport open meanwhile."""
        self._closing_soon = True
        return bool(self._turn or (self._waiting and not self._writable) or self._busy())

    def connection_lost(self, exc: Exception | None) -> None:
        """Release the timer, the waiting bytes and uvicorn's protocol."""
        self.server_state.connections.discard(self)  # pyright: ignore[reportArgumentType] - as above
        self._timer.cancel()
        if self._turn is not None:
            self._turn.cancel()
        self._waiting = b""
        if self._asgi is not None:
            self._asgi.connection_lost(exc)
            self._asgi = None

    def pause_writing(self) -> None:
        """Give no more answers until the client has read."""
        self._writable = self.idle = False
        self._unsent_before = 0
        if self._asgi is not None:
            self._asgi.pause_writing()
        self._schedule_check(STALL_SECONDS, only_sooner=True)

    def resume_writing(self) -> None:
        """Go on with answers: the client has read."""
        self._writable = True
        if self._asgi is not None:
            self._asgi.resume_writing()
        self._continue_later()

    # ------------------------------------------------------------------ what the server calls

    @property
    def awaited(self) -> bool:
        """Whether a head is awaited: the first one of the connection, or the rest of one."""
        return bool(self._head_started)

    def answer_last(self) -> None:
        """Make the next answer the last one: it has `Connection: close`."""
        self.seconds = 0
        if self._asgi is not None:
            self._asgi.timeout_keep_alive = 0

    # ------------------------------------------------------------------ what uvicorn calls

    def shutdown(self) -> None:
        """Stop gracefully: whole requests are answered, unfinished ones are not awaited."""
        self._closing_soon = True
        if self._busy() and not self._waiting:
            assert self._asgi is not None  # noqa: S101 - for the type checkers: only it can be busy
            self._asgi.shutdown()
        elif not (self._busy() or self._turn or (self._waiting and not self._writable)):
            self.close()

    # ------------------------------------------------------------------ heads

    def handle_head(self, head: bytes) -> None:
        """Answer one whole head, or pass it on."""
        self.pass_to_asgi(head)

    def pass_to_asgi(self, head: bytes) -> None:
        """Pass one whole head to uvicorn's protocol."""
        if self._asgi is None:
            self._asgi = AsgiProtocol(self._arguments, self.transport, self._answered)
        self._has_body = self._asgi.read_head(head)

    def _answered(self) -> None:
        """Go on after an answer of the ASGI lane."""
        self.last_active = perf_counter()
        if self.transport.is_closing():
            self._schedule_check(STALL_SECONDS, only_sooner=True)
        elif self._waiting or self._closing_soon or not self._writable:
            self._continue_later()
        else:
            self.idle = True

    def close(self) -> None:
        """Close when everything is sent; the timeout check disconnects a client that does not read the rest."""
        self.transport.close()
        self._schedule_check(STALL_SECONDS, only_sooner=True)

    def _busy(self) -> bool:
        return self._asgi is not None and self._asgi.busy

    def _continue_later(self) -> None:
        """Handle the waiting bytes in another turn of the loop: the caller has not finished its own work."""
        if self._turn is None and not self._has_body:
            self._turn = self.loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._turn = None
        self._handle_waiting()

    def _handle_waiting(self) -> None:
        """Handle waiting heads in order, as many as may be answered now; then decide what happens to the rest."""
        data, start, left = self._waiting, 0, ANSWERS_PER_TURN
        size = 0
        while left and self._writable and not self._has_body and not self._busy() and not self.transport.is_closing():
            size = data.find(_END, start) + len(_END) - start
            if size < len(_END) or size > HEAD_BYTES:
                break
            self._head_started = 0.0
            self.handle_head(data[start : start + size])
            start += size
            left -= 1
        self._waiting = data[start:]
        self.idle = False
        if self._has_body or self.transport.is_closing():
            self._waiting = b""
        elif self._busy() or not self._writable:
            self._read(on=not self._waiting)
        elif not left and self._waiting:
            self._read(on=False)
            self._continue_later()
        elif self._waiting and _cannot_be_valid(self._waiting[:HEAD_BYTES]):
            self.pass_to_asgi(self._waiting[:HEAD_BYTES])
            self._waiting = b""
        elif max(size, len(self._waiting)) > HEAD_BYTES:
            self._refuse()
        elif self._closing_soon:
            self.close()
        else:
            self._wait()

    def _wait(self) -> None:
        """Wait for a request, or for the rest of one."""
        self.idle = not self._waiting
        self._read(on=True)
        if self._waiting and not self._head_started:
            self._head_started = perf_counter()
            self._schedule_check(HEAD_SECONDS, only_sooner=True)

    def _read(self, *, on: bool) -> None:
        if on is not self._reading:
            self._reading = on
            if on:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def _count_limit(self, limit: str) -> None:
        """Count a connection that a limit ends (see `telemetry.counters.LIMITS`)."""
        if self.service is not None:
            self.service.counters.refused[limit] += 1

    def _refuse(self) -> None:
        self._count_limit("head_size")
        self._waiting = b""
        lines = [STATUS_LINE[431]]
        lines += [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        lines += [b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n" % len(_TOO_LARGE)]
        self.transport.write(b"".join((*lines, b"connection: close\r\n\r\n", _TOO_LARGE)))
        self.close()

    # ------------------------------------------------------------------ time

    def _schedule_check(self, seconds: float, *, only_sooner: bool = False) -> None:
        """Schedule the next timeout check, which inspects the connection, so that requests need not reschedule it."""
        at = perf_counter() + seconds
        if only_sooner:
            if self._check_due <= at:
                return
            self._timer.cancel()
        self._check_due = at
        self._timer = self.loop.call_later(seconds, self._check)

    def _check(self) -> None:
        """Close or abort the connection if it has exceeded a time limit; schedule the next check."""
        now = perf_counter()
        if self.transport.is_closing() or not self._writable:
            unsent = self.transport.get_write_buffer_size()
            if unsent and unsent == self._unsent_before:
                self._count_limit("stalled")
                self.transport.abort()
                return
            self._unsent_before = unsent
            due = now + STALL_SECONDS
        elif self._head_started:
            due = self._head_started + HEAD_SECONDS
        elif self._busy():
            due = now + HEAD_SECONDS
        else:
            due = self.last_active + self.seconds
        if due <= now:
            if self._head_started and self._waiting:  # a connection that sent nothing was only opened in advance
                self._count_limit("head_time")
            self.close()
            due = now + STALL_SECONDS
        self._schedule_check(due - now)


def _cannot_be_valid(part: bytes) -> bool:
    """Whether every head that begins like this is invalid: it is not HTTP (but TLS, say), or a line ends without CR.

    The client then gets 400 at once; otherwise the connection would be closed after ten seconds without an answer.
    """
    part = part.lstrip(b"\r\n")  # empty lines before a request are allowed (RFC 9112 2.2)
    return bool(part) and (part[0] not in _LETTERS or part.count(b"\n") != part.count(b"\r\n"))
