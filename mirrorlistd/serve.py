"""Compose a server: one process that serves, or a supervisor of several. uvicorn handles HTTP.

The order matters: load (or fail with one line), bind (or take the sockets of a service manager), lock the pid file,
report READY, serve, drain. SIGHUP reloads, even if it arrives before the first load. SIGTERM drains: for the seconds of
`--drain`, /readyz answers 503 and requests are still answered; then sockets close and requests in progress are
finished. A second SIGTERM stops at once. With several workers, send signals to the supervisor only; SIGTTIN adds a
worker, SIGTTOU removes one.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import uvicorn

from mirrorlist_snapshot.publishing.stores import NO_CLIENT, have_client
from mirrorlistd import logs
from mirrorlistd.errors import StateError
from mirrorlistd.lanes.connection import guarded
from mirrorlistd.lanes.fast.lane import fast_lane
from mirrorlistd.private_copy import is_there, memory_can_be_shared
from mirrorlistd.process.file_watch import TICK, FileWatch
from mirrorlistd.process.gc_policy import freeze_heap, set_gc_policy
from mirrorlistd.process.mirrormanager_import import import_now
from mirrorlistd.process.open_files import ensure_open_files
from mirrorlistd.process.pid_file import held_pid_file
from mirrorlistd.process.reload import Reloader, ReloadOutcomes, facts, keep, warn
from mirrorlistd.process.sockets import Addresses, bind_tcp, bind_unix, url
from mirrorlistd.process.systemd import activated_sockets, notify
from mirrorlistd.process.uvicorn_server import UvicornServer
from mirrorlistd.pull.puller_process import PullWatch
from mirrorlistd.state.inputs import LAST_GOOD
from mirrorlistd.state.loading import load
from mirrorlistd.state.service import Service
from mirrorlistd.usage.writer import check_statistics_file
from mirrorlistd.web.app import create_app
from mirrorlistd.workers.cpu_count import cpu_count
from mirrorlistd.workers.supervisor import ServerParts, Supervisor

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path
    from typing import TextIO

    from mirrorlistd.config import Config
    from mirrorlistd.state.state import State


def serve(config: Config, reread: Callable[[], Config], early_sighups: list[int]) -> int:
    """Serve until a signal stops the server; return the exit status.

    `reread` returns the configuration as it is at a reload; `early_sighups` holds the SIGHUPs that came before. Raise
    MirrorlistdError if there is nothing to serve, or if no socket can be bound.
    """
    configure_logs(config)
    workers = config.workers or cpu_count()
    ensure_open_files(workers)
    if config.statistics is not None:
        check_statistics_file(config.statistics)
    set_gc_policy()
    watch = FileWatch(config, reread) if config.watch else None  # before any file is read, so that no change is missed
    state = _first_state(config, early_sighups)
    _give_back_memory()
    start = _Start(config, watch.reread if watch else reread, early_sighups, state, watch)
    with contextlib.ExitStack() as stack:
        if workers > 1:
            _serve_by_workers(start, workers, stack)
        else:
            _serve_alone(start, stack)
    logs.get_logger().info("stopped")
    return 0


def _give_back_memory() -> None:
    """Give memory that only loading needed back to the system."""
    with contextlib.suppress(OSError, AttributeError):  # a C library other than glibc
        ctypes.CDLL(None).malloc_trim(0)


def configure_logs(config: Config) -> None:
    """Apply the log settings."""
    logs.configure(config.log_format, config.log_level, sys.stderr)


@dataclass(frozen=True, slots=True)
class _Start:
    """What the server needs to start serving."""

    config: Config
    reread: Callable[[], Config]
    early_sighups: list[int]
    state: State | None
    """None with --pull alone, before the first good pull."""
    watch: FileWatch | None


def _first_state(config: Config, early_sighups: list[int]) -> State | None:
    """Load the first State; return None if `--pull` will deliver it later from a store."""
    if config.snapshot and (config.pull or config.mirrormanager):
        _prepare_folder(config.snapshot)
    if config.pull and not have_client():
        raise StateError(f"--pull: {NO_CLIENT}")
    if config.mirrormanager:
        return _first_import(config, early_sighups)
    try:
        state = load(config)
    except StateError as error:
        if not (config.pull and config.snapshot):
            raise
        if is_there(config.snapshot):
            logs.get_logger().error("what was pulled last cannot be served, waiting for the store", error=str(error))
        return None
    keep(config, state)
    return state


def _first_import(config: Config, early_sighups: list[int]) -> State:
    """Load the last import and request a new one; where the last one is missing or bad, import before serving."""
    try:
        state = load(config)
    except StateError as error:
        if config.snapshot and is_there(config.snapshot):
            logs.get_logger().error("what was imported last cannot be served", error=str(error))
    else:
        early_sighups.append(signal.SIGHUP)
        return state
    logs.get_logger().info("importing", folder=str(config.mirrormanager))
    import_now(config)
    state = load(config)
    keep(config, state)
    return state


def _prepare_folder(file: Path) -> None:
    """Make the folder of a file that will be installed; remove the temporary files of killed writers."""
    try:
        file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        for name in (file.name, LAST_GOOD):
            for left in file.parent.glob(f".{name}.*.tmp"):
                left.unlink(missing_ok=True)
    except OSError as error:
        raise StateError(f"--state-dir: {file.parent} cannot be used: {error.strerror}") from error


def _serve_alone(start: _Start, stack: contextlib.ExitStack) -> None:
    freeze_heap()
    config = start.config
    service = Service(state=start.state)
    logs.count_drops(service.count_dropped_lines)
    sockets = activated_sockets(os.environ, stack)
    if not sockets:
        sockets += [stack.enter_context(contextlib.closing(bind_tcp(host, config.port))) for host in config.hosts]
        sockets += _unix_sockets(config, stack)
    _hold_pid_file(config, stack)
    stack.enter_context(service.recording(config))
    server = UvicornServer(_uvicorn_config(config, service), service, config.drain)
    reloader = Reloader(service, ReloadOutcomes(service, config, configure_logs), start.reread)
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(_run(service, server, sockets, start, reloader))


def _serve_by_workers(start: _Start, workers: int, stack: contextlib.ExitStack) -> None:
    if sys.platform != "linux":
        raise StateError("--workers: several need Linux, where the kernel shares clients out; give --workers 1")
    if not memory_can_be_shared():
        raise StateError("--workers: several need memfd_create(2), which this system refuses; give --workers 1")
    config = start.config
    shared = activated_sockets(os.environ, stack)
    # SO_REUSEPORT: a worker's socket cannot share an address that another user has bound, as a service manager has.
    addresses = Addresses(() if shared else config.hosts, config.port)
    shared = shared or _unix_sockets(config, stack)
    pid_file = _hold_pid_file(config, stack)

    def make_server(service: Service) -> UvicornServer:
        return UvicornServer(_uvicorn_config(config, service), service, config.drain, signals=False)

    parts = ServerParts(
        config=config,
        workers=workers,
        reread=start.reread,
        reconfigure=configure_logs,
        make_server=make_server,
        bind=addresses.bind,
        shared=shared,
        announce=lambda sockets: _announce(start.state, sockets),
        watch=start.watch,
        private=pid_file,
    )
    Supervisor(start.state, parts).run(start.early_sighups)


def _unix_sockets(config: Config, stack: contextlib.ExitStack) -> list[socket.socket]:
    if config.uds is None:
        return []
    return [stack.enter_context(contextlib.closing(bind_unix(config.uds, config.uds_mode, stack)))]


def _announce(state: State | None, sockets: list[socket.socket]) -> None:
    """Log that the server answers, and at which addresses; report READY to the service manager."""
    log = logs.get_logger()
    if state is None:
        log.warning("waiting for the first snapshot, not ready", pid=os.getpid())
    else:
        log.info("serving", **facts(state), pid=os.getpid())
        warn(state)
    for listener in sockets:
        log.info("listening", url=url(listener))
    status = f"serving snapshot {state.serial}" if state else "waiting for the first snapshot"
    notify(os.environ, "READY=1", f"STATUS={status}")


async def _run(
    service: Service, server: UvicornServer, sockets: list[socket.socket], start: _Start, reloader: Reloader
) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloader.request)
    if service.recorder is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, service.recorder.reopen)
    if start.early_sighups:
        reloader.request()
    beside = [asyncio.create_task(reloader.run())]
    if start.config.pull:
        puller = PullWatch(start.config, partial(setattr, service, "pulls"), reloader.request, lambda: service.serial)
        reloader.followers.append(puller.follow)
        beside.append(asyncio.create_task(puller.run()))
    if start.watch is not None:
        beside.append(asyncio.create_task(_watch(start.watch, reloader)))
    serving = asyncio.create_task(server.serve(sockets=sockets))
    try:
        await asyncio.wait((serving, asyncio.create_task(server.listening.wait())), return_when="FIRST_COMPLETED")
        if server.started:
            _announce(start.state, sockets)
        await serving
    finally:
        notify(os.environ, "STOPPING=1")
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


async def _watch(watch: FileWatch, reloader: Reloader) -> None:
    while True:
        await asyncio.sleep(TICK)
        if watch.changed():
            logs.get_logger().info("files have changed")
            reloader.request()


def _uvicorn_config(config: Config, service: Service) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(service),
        http=fast_lane(service) if config.lane == "fast" else guarded(service),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,  # the lanes log, if --access-log is set
        proxy_headers=False,  # request.client_address determines the client's address
        server_header=False,
        headers=[("server", "mirrorlistd")],
        backlog=config.backlog,
        timeout_keep_alive=config.keep_alive,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    )


def _hold_pid_file(config: Config, stack: contextlib.ExitStack) -> list[TextIO]:
    return [stack.enter_context(held_pid_file(config.pid_file))] if config.pid_file else []
