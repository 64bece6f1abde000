"""Running other people's programs: found or skipped, in a bare environment, never longer than a limit.

A client sees PATH, a home of its own and nothing else: no proxy, no PIP_* or UV_* of the user who runs the tests.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS: Final = 60
"""The longest that any program may run; most take less than half a second."""

_PATH: Final = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


class ProgramError(AssertionError):
    """A program failed; the message is all that it wrote."""


def find(name: str) -> str | None:
    """Where a program is; those of this interpreter's environment come first."""
    return shutil.which(name, path=_PATH)


def need(*names: str) -> None:
    """Skip the test if a program is missing; on a CI machine fail it, so that nothing goes untested unnoticed."""
    missing = [name for name in names if find(name) is None]
    if os.geteuid() != 0:
        missing.append("root's rights")
    if not missing:
        return
    reason = f"not here: {', '.join(missing)}; tests/debian/install installs all of them"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def run(
    *command: str | Path,
    home: Path,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    check: bool = True,
    seconds: float = SECONDS,
) -> str:
    """Run a program in `folder` (default: `home`) and give what it wrote, both streams together.

    Raises ProgramError where it fails (unless `check` is false) or takes too long; then everything that it started
    has been ended, too.
    """
    home.mkdir(parents=True, exist_ok=True)
    program = find(str(command[0])) or str(command[0])
    with subprocess.Popen(
        [program, *map(str, command[1:])],
        cwd=folder or home,
        env={"PATH": _PATH, "HOME": str(home), "TMPDIR": str(home), "LANG": "C.UTF-8", "TZ": "UTC", **(environ or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            written, _ = process.communicate(stdin, seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            written, _ = process.communicate()
            raise ProgramError(_told(command, f"no end after {seconds} s", written)) from None
    if check and process.returncode != 0:
        raise ProgramError(_told(command, f"exit status {process.returncode}", written))
    return written.decode(errors="replace")


def _told(command: tuple[str | Path, ...], what: str, written: bytes) -> str:
    return f"{' '.join(map(str, command))}\n{what}; it wrote:\n{written.decode(errors='replace')}"
