"""`mirrorlist-snapshot` as a user runs it: a process with a user's environment, its output and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import mirrorlist_snapshot

SOURCE = """\
[categories.c]
kind = "open"
[repositories.r]
category = "c"
[mirrors.m]
country = "NL"
categories.c = "https://m.example/"
"""
COMMAND = [sys.executable, "-m", "mirrorlist_snapshot"]
SECONDS = 30
"""A limit for a command that takes a fraction of a second."""


def environment(changes: dict[str, str]) -> dict[str, str]:
    """The environment of a user: nothing that changes outputs but what the test sets."""
    kept = {key: value for key, value in os.environ.items() if key not in {"SOURCE_DATE_EPOCH", "NO_COLOR"}}
    root = str(Path(mirrorlist_snapshot.__file__).parents[1])
    return kept | {"PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1"} | changes


def run(folder: Path, *arguments: str, code: int = 0, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder; the environment has the changes, the exit code must be `code`."""
    result = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(changes),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert result.returncode == code, result
    assert "Traceback" not in result.stderr
    return result


def json_of(result: subprocess.CompletedProcess[str]) -> Any:
    """Standard output as JSON."""
    return json.loads(result.stdout)
