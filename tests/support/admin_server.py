"""`mirrorlist-admin serve` as a user starts it."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.processes import SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class AdminServer:
    """A running server."""

    process: subprocess.Popen[str]
    url: str


@contextlib.contextmanager
def admin_server(state: Path, *flags: str) -> Iterator[AdminServer]:
    """Serve the store in a folder on a free port of loopback; at the end SIGTERM must end it with status 0."""
    command = [sys.executable, "-m", "mirrorlist_admin", "serve", "--state", str(state), "--port", "0", *flags]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            found = re.search(r"listening on (http://\S+)$", line.strip())
            assert found, line + process.stderr.read()
            yield AdminServer(process, found[1])
        finally:
            process.terminate()
            status = process.wait(SECONDS)
    assert status == 0
