"""Sockets that a service manager has opened and hands over, by the protocol of sd_listen_fds(3): nothing to depend on.

They outlive us: while one server stops and the next one starts, clients wait in the queue of a socket that stays open.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final

from mirrorlistd.errors import StateError

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Mapping

FIRST: Final = 3
"""SD_LISTEN_FDS_START: the first descriptor after the standard ones."""
_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)


def handed_over(environ: Mapping[str, str], stack: contextlib.ExitStack) -> list[socket.socket]:
    """Take the listening sockets that were handed to this process; none where LISTEN_PID names another one, or nobody.

    The stack closes them. Raises StateError where something else than a listening stream socket was handed over.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = environ.get("LISTEN_FDS", "")
    if not (count.isascii() and count.isdecimal() and len(count) < 5):  # noqa: PLR2004 - digits; no process has more files
        raise StateError(f"LISTEN_FDS: expected the number of sockets handed over, found {count!a}")
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    sockets: list[socket.socket] = []
    for place in range(int(count)):
        what = f"socket {place} handed over" + (f" ({names[place]!a})" if place < len(names) and names[place] else "")
        sockets.append(stack.enter_context(_listening(FIRST + place, what)))
    return sockets


def _listening(descriptor: int, what: str) -> socket.socket:
    wanted = "expected a stream socket that listens (ListenStream= with Accept=no)"
    try:
        one = socket.socket(fileno=descriptor)
    except OSError as error:
        raise StateError(f"{what}: {wanted}, found no socket: {error.strerror}") from None
    one.set_inheritable(False)
    listens = one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if one.family not in _FAMILIES or one.type != socket.SOCK_STREAM or not listens:
        found = f"{'a listening' if listens else 'no listening'} socket of family {one.family!r} and type {one.type!r}"
        one.close()
        raise StateError(f"{what}: {wanted}, found {found}")
    return one
