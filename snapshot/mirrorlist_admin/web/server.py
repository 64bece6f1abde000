"""Serve the application with uvicorn until a signal ends it."""

from __future__ import annotations

import contextlib
import signal
import socket
from typing import TYPE_CHECKING, Final

import uvicorn

from mirrorlist_admin.errors import AdminError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from starlette.applications import Starlette

_GRACE: Final = 10
"""Seconds for requests in progress after SIGTERM."""
_LONGEST_HEAD: Final = 1 << 14
"""Bytes, as in the server for lists."""
_MOST_CONNECTIONS: Final = 1000


def bind(host: str, port: int) -> socket.socket:
    """Bind the socket; port 0 is one that the system chooses. Raise AdminError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise AdminError(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
    return listener


def address(listener: socket.socket) -> str:
    """Return the URL that a socket is reached by."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(app: Starlette, listener: socket.socket, proxies: Sequence[str], ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; `proxies` are the addresses whose X-Forwarded-For is believed."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        timeout_graceful_shutdown=_GRACE,
        limit_concurrency=_MOST_CONNECTIONS,
        http="h11",  # uvicorn's other parser takes a head of any size
        h11_max_incomplete_event_size=_LONGEST_HEAD,
        ws="none",
    )
    _Server(config, ready).run(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it listens, and ends with status 0."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """End on SIGTERM and SIGINT; uvicorn's own method would raise the signal again in the end."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
