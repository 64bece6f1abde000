"""uvicorn's HTTP protocol behind a Guard: the ASGI lane.

It is uvicorn's own class, so any ASGI application runs unchanged. It receives one whole head at a time, the next one
after the answer: its queue of pipelined requests and its timer stay unused.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from mirrorlistd.lanes.uvicorn_internals import HttpToolsProtocol
from mirrorlistd.request.target import origin_form

if TYPE_CHECKING:
    from collections.abc import Callable

    import uvicorn

    from mirrorlistd.lanes.uvicorn_internals import ServerState

    Arguments = tuple[uvicorn.Config, ServerState, dict[str, Any], asyncio.AbstractEventLoop]
    """The arguments with which uvicorn constructs protocols."""

_BODY_HEADERS: Final = frozenset((b"content-length", b"transfer-encoding"))


class AsgiProtocol(HttpToolsProtocol):
    """uvicorn's protocol for one connection, given one request at a time."""

    def __init__(self, arguments: Arguments, transport: asyncio.Transport, answered: Callable[[], None]) -> None:
        """`answered` is called after each answer, also after one that broke off."""
        super().__init__(*arguments)
        self._answered = answered
        self._unfinished = False
        """A message has begun and is not complete."""
        self._out = _OneWrite(transport)
        self.connection_made(self._out)
        self.connections.discard(self)  # the Guard is there for both

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr] # pyright: ignore[reportUnnecessaryComparison] - uvicorn declares otherwise, but sets None

    def read_head(self, head: bytes) -> bool:
        """Read one whole head; return whether a body follows: then the request is the connection's last one."""
        self._unfinished = False
        self.data_received(head)
        if not self._unfinished:
            return False
        if self.busy:
            self.cycle.keep_alive = False
            self.on_message_complete()  # for the application the body is empty
        elif not self.transport.is_closing():
            self.send_400_response("Invalid HTTP request received.")  # more was expected, as after HTTP/2's `PRI`
        return True

    def on_message_begin(self) -> None:
        """Record that a request has begun."""
        self._unfinished = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        # No client speaks HTTP/0.9, and it ends requests elsewhere: 400, which uvicorn makes of any exception here.
        if self.parser.get_http_version() == "0.9":  # pyright: ignore[reportOptionalMemberAccess] - None after the end only
            raise ValueError("HTTP/0.9")
        self.url = origin_form(self.parser.get_method(), self.url)  # pyright: ignore[reportOptionalMemberAccess] - as above
        super().on_headers_complete()
        if not self.timeout_keep_alive:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Record that the request is whole."""
        self._unfinished = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Report the answer, instead of uvicorn's timer for each request and its queue of further requests."""
        self._out.flush()
        self._answered()

    def send_400_response(self, msg: str) -> None:
        """Answer 400 to bytes that cannot be parsed."""
        super().send_400_response(msg)
        if self.busy:  # the mistake came after the head: the application must not answer as well
            self.cycle.disconnected = True

    def _unsupported_upgrade_warning(self) -> None:
        """Log nothing. llhttp takes what follows for bytes of another protocol, so it does not see a body there."""
        self._unfinished = not _BODY_HEADERS.isdisjoint(name.lower() for name, _ in self.headers)


class _OneWrite(asyncio.Transport):
    """Joins the head and the body of an answer, which uvicorn writes one after the other: one system call less."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._held: bytes | bytearray | memoryview = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._held:
            data, self._held = b"".join((self._held, data)), b""
            self._transport.write(data)
        else:
            self._held = data

    def flush(self) -> None:
        """Send a head that still waits: that of an answer without a body."""
        if self._held:
            self._transport.write(self._held)
            self._held = b""

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - the signature is asyncio's
        return self._transport.get_extra_info(name, default)
