"""One process that serves: sockets, signals, readiness; uvicorn does the HTTP.

Order matters and is all here: load (or fail with one line), bind, lock the pid file, say READY, serve, drain. SIGHUP
reloads, also one that came before anything was loaded. SIGTERM drains: with `--drain` /readyz says 503 for that long
while requests are still answered, then sockets close and answers under way are finished. A second one is impatient.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import stat
import sys
from typing import TYPE_CHECKING

import uvicorn

from mirrorlistd import logs
from mirrorlistd.app import create_app
from mirrorlistd.errors import StateError
from mirrorlistd.notify import notify
from mirrorlistd.reload import Reloader, facts
from mirrorlistd.service import Service
from mirrorlistd.state import load_state

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path
    from types import FrameType

    from mirrorlistd.config import Config
    from mirrorlistd.state import State


def serve(config: Config, reread: Callable[[], Config], hangups: list[int]) -> int:
    """Serve until told to stop; give the exit status.

    `reread` gives the configuration as it is at a reload; `hangups` holds a SIGHUP that came before. Raises
    MirrorlistdError where there is nothing to serve or nowhere to listen.
    """
    configure_logs(config)
    state = load_state(config)
    service = Service(state=state)
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(contextlib.closing(listener)) for listener in _bind(config, stack)]
        if config.pid_file is not None:
            stack.enter_context(_pid_file(config.pid_file))
        server = _Server(_uvicorn_config(config, service), service, config.drain)
        runner = asyncio.Runner(loop_factory=server.config.get_loop_factory())
        with runner:
            runner.run(_run(server, sockets, state, Reloader(service, config, reread, configure_logs), hangups))
    logs.get_logger().info("stopped")
    return 0


def configure_logs(config: Config) -> None:
    """Apply the log settings."""
    logs.configure(config.log_format, config.log_level, sys.stderr)


class _Server(uvicorn.Server):
    """uvicorn's server, which drains as we do and exits with 0 after a signal it was meant to get."""

    def __init__(self, config: uvicorn.Config, service: Service, drain: float) -> None:
        super().__init__(config)
        self._service = service
        self._drain = drain
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so: READY must not be said before a client can connect."""
        await super().startup(sockets)
        self.listening.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; stop at once the second time, and even without waiting for clients on the third.

        uvicorn's own would raise the signal again in the end, which kills before the pid file is removed.
        """
        del frame
        if self._service.draining or not self._drain or sig == signal.SIGINT:
            self.force_exit = self.should_exit
            self.should_exit = True
        else:
            loop = asyncio.get_running_loop()
            loop.call_soon_threadsafe(loop.call_later, self._drain, self._stop)
        self._service.draining = True

    def _stop(self) -> None:
        self.should_exit = True


async def _run(
    server: _Server, sockets: list[socket.socket], state: State, reloader: Reloader, hangups: list[int]
) -> None:
    log = logs.get_logger()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloader.request)
    if hangups:
        reloader.request()
    reloading = asyncio.create_task(reloader.run())
    serving = asyncio.create_task(server.serve(sockets=sockets))
    try:
        await asyncio.wait((serving, asyncio.create_task(server.listening.wait())), return_when="FIRST_COMPLETED")
        if server.started:
            log.info("serving", **facts(state), pid=os.getpid())
            for listener in sockets:
                log.info("listening", url=_url(listener))
            notify(os.environ, "READY=1", f"STATUS=serving snapshot {state.serial}")
        await serving
    finally:
        notify(os.environ, "STOPPING=1")
        reloading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reloading


def _uvicorn_config(config: Config, service: Service) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(service),
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,  # ours says what matters, and only when asked to
        proxy_headers=False,  # ours decides who the client is
        server_header=False,
        headers=[("server", "mirrorlistd")],
        backlog=config.backlog,
        timeout_keep_alive=config.keep_alive,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    )


def _bind(config: Config, stack: contextlib.ExitStack) -> Iterator[socket.socket]:
    for host in config.hosts:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # `::` and `0.0.0.0` side by side
        try:
            listener.bind((host, config.port))
        except OSError as error:
            listener.close()
            raise StateError(f"cannot listen on {host} port {config.port}: {error.strerror}") from error
        yield listener
    if config.uds is not None:
        yield _bind_unix(config.uds, stack)


def _bind_unix(path: Path, stack: contextlib.ExitStack) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale_socket(path)
        listener.bind(str(path))
        path.chmod(0o666)  # who may connect is decided by the folder's mode
    except OSError as error:
        listener.close()
        raise StateError(f"cannot listen on {path}: {error.strerror or error}") from error
    stack.callback(path.unlink, missing_ok=True)
    return listener


def _remove_stale_socket(path: Path) -> None:
    """Remove what a crashed server left; leave alone what somebody listens on or what is no socket."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()


def _url(listener: socket.socket) -> str:
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"unix:{name}"
    host = f"[{name[0]}]" if listener.family == socket.AF_INET6 else name[0]
    return f"http://{host}:{name[1]}/"


@contextlib.contextmanager
def _pid_file(path: Path) -> Generator[None]:
    """Hold a locked file with our process id: the lock, not the number, says that we are alive."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StateError(f"{path}: cannot write the pid file: {error.strerror}") from error
    with os.fdopen(descriptor, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StateError(f"{path}: another server holds it, process {file.read().strip()}") from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
