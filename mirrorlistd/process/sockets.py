"""Bind the sockets to listen on; an address that is taken is one clear error."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from typing import TYPE_CHECKING

from mirrorlistd.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Addresses:
    """TCP addresses for which each worker binds a socket of its own; the kernel distributes clients among them."""

    def __init__(self, hosts: Sequence[str], port: int) -> None:
        """Check that the addresses are free; `port` 0 becomes the port of the first socket bound for each host."""
        self._hosts = hosts
        self._ports: dict[str, int] = {}
        if port:
            for host in hosts:
                # A shared address could also be shared with another server that was forgotten: check that it is free.
                bind_tcp(host, port).close()
                self._ports[host] = port

    def bind(self) -> list[socket.socket]:
        """Bind one more socket of each address."""
        sockets: list[socket.socket] = []
        try:
            for host in self._hosts:
                sockets.append(bind_tcp(host, self._ports.get(host, 0), shared=True))
                self._ports[host] = sockets[-1].getsockname()[1]
        except BaseException:
            for one in sockets:
                one.close()
            raise
        return sockets


def bind_tcp(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Bind a TCP socket; several may be bound to one address if all of them are `shared`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.ExitStack() as opened:
        try:
            listener = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # `::` and `0.0.0.0` side by side
            listener.bind((host, port))
        except OSError as error:  # also at the socket itself: no IPv6 in the kernel, no descriptor left
            raise StateError(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
        opened.pop_all()
    return listener


def bind_unix(path: Path, mode: int, stack: contextlib.ExitStack) -> socket.socket:
    """Bind a Unix socket with this mode, whatever the umask; the stack removes its file.

    The umask is the process's: call this before there are threads.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale_socket(path)
        umask = os.umask(0o777)  # until the mode is set, only root may connect
        try:
            listener.bind(str(path))
        finally:
            os.umask(umask)
        path.chmod(mode)
    except OSError as error:
        listener.close()
        raise StateError(f"cannot listen on {path}: {error.strerror or error}") from error
    stack.callback(path.unlink, missing_ok=True)
    return listener


def _remove_stale_socket(path: Path) -> None:
    """Remove the socket of a crashed server; leave a socket on which a process listens, and other files."""
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


def url(listener: socket.socket) -> str:
    """Return the URL of a socket; `unix:` and the path for a Unix socket."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"unix:{name}"
    host = f"[{name[0]}]" if listener.family == socket.AF_INET6 else name[0]
    return f"http://{host}:{name[1]}/"
