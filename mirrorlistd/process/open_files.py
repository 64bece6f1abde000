"""The limit of open files (RLIMIT_NOFILE): checked at the start, where it can still be one clear error."""

from __future__ import annotations

import resource
from typing import Final

from mirrorlistd.errors import StateError

_BASE: Final = 64
"""Files of one process: sockets, copies of input files, event loop, and a few connections."""
_PER_WORKER: Final = 4
"""Files of a supervisor for each worker: its sockets and its channel."""


def ensure_open_files(workers: int) -> None:
    """Raise the soft limit to what the server needs at least; raise StateError where the hard limit is below that.

    A server with too few could start and then fail at its first reload or under its first clients.
    """
    needed = _BASE + (_PER_WORKER * workers if workers > 1 else 0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise StateError(
            f"the limit of open files is {hard}, and the server needs {needed} at least: raise it (LimitNOFILE in "
            "systemd, ulimit -n in a shell)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
