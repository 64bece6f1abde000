"""Telling systemd how the service is, by the protocol of sd_notify(3): one datagram, nothing to depend on."""

from __future__ import annotations

import socket
from time import monotonic_ns
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def notify(environ: Mapping[str, str], *states: str) -> None:
    """Send states such as `READY=1` or `STATUS=serving` where a service manager listens; else do nothing.

    `RELOADING=1` is given the time stamp that `Type=notify-reload` asks for. A manager that cannot be reached is not
    worth failing for.
    """
    path = environ.get("NOTIFY_SOCKET")
    if not path:
        return
    lines = [*states, *([f"MONOTONIC_USEC={monotonic_ns() // 1000}"] if "RELOADING=1" in states else [])]
    address = "\0" + path[1:] if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as datagrams:
            datagrams.sendto("\n".join(lines).encode(), address)
    except OSError:
        return
