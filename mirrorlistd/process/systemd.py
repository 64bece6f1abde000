"""What systemd offers a service: sockets that it has opened (sd_listen_fds(3)) and a place to report to (sd_notify(3)).

Sockets outlive the server: while one stops and the next one starts, clients wait in the queue of a socket that stays
open. Both protocols need no library.
"""

from __future__ import annotations

import os
import socket
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from mirrorlistd.errors import StateError

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Mapping

FIRST_DESCRIPTOR: Final = 3
"""SD_LISTEN_FDS_START: the first descriptor after the standard ones."""
_LONGEST_STATE: Final = 900
"""Characters of one state that are sent; a message has three states at most."""
_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)


def notify(environ: Mapping[str, str], *states: str) -> None:
    """Send states such as `READY=1` or `STATUS=serving` to the service manager, if there is one.

    `RELOADING=1` gets the time stamp that `Type=notify-reload` asks for. A manager that cannot be reached is ignored.
    Long states are cut: systemd ignores a whole message of more than 4,096 bytes, and would wait for its READY=1.
    """
    path = environ.get("NOTIFY_SOCKET")
    if not path:
        return
    lines = [*states, *([f"MONOTONIC_USEC={monotonic_ns() // 1000}"] if "RELOADING=1" in states else [])]
    address = "\0" + path[1:] if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as datagrams:
            datagrams.sendto("\n".join(line[:_LONGEST_STATE] for line in lines).encode(), address)
    except OSError:
        return


def activated_sockets(environ: Mapping[str, str], stack: contextlib.ExitStack) -> list[socket.socket]:
    """Return the listening sockets that systemd has opened for this process; none where LISTEN_PID is not its number.

    The stack closes them. Raise StateError where one of them is not a listening stream socket.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = environ.get("LISTEN_FDS", "")
    if not (count.isascii() and count.isdecimal() and len(count) < 5):  # noqa: PLR2004 - digits; no process has more files
        raise StateError(f"LISTEN_FDS: expected the number of sockets handed over, found {count!a}")
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    sockets: list[socket.socket] = []
    for number in range(int(count)):
        name = f" ({names[number]!a})" if number < len(names) and names[number] else ""
        sockets.append(stack.enter_context(_listener(FIRST_DESCRIPTOR + number, f"socket {number} handed over{name}")))
    return sockets


def _listener(descriptor: int, name: str) -> socket.socket:
    expected = "expected a stream socket that listens (ListenStream= with Accept=no)"
    try:
        listener = socket.socket(fileno=descriptor)
    except OSError as error:
        raise StateError(f"{name}: {expected}, found no socket: {error.strerror}") from None
    listener.set_inheritable(False)
    listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if listener.family not in _FAMILIES or listener.type != socket.SOCK_STREAM or not listens:
        state = "a listening" if listens else "no listening"
        found = f"{state} socket of family {listener.family!r} and type {listener.type!r}"
        listener.close()
        raise StateError(f"{name}: {expected}, found {found}")
    return listener
