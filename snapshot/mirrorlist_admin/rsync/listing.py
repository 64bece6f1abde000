"""A listing of named files: `rsync --list-only --files-from=-`, without a shell, without a terminal, within limits.

The program gets an address, not a name: the daemon protocol has no virtual hosts, so nothing is lost, and nothing is
resolved a second time. Names go through standard input, so none is an option or a pattern.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from mirrorlist_admin.exchange import Failure, Listing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_AT_ONCE: Final = 4
"""Processes."""
_CONNECT: Final = 10
_SILENCE: Final = 20
_WHOLE: Final = 60.0
"""Seconds for a connection, between two bytes, and for all."""
_LONGEST: Final = 1 << 20
"""Bytes of output."""
_LINE: Final = re.compile(rb"-[rwxstST-]{9} +([0-9,]+) \d{4}/\d\d/\d\d \d\d:\d\d:\d\d (.*)")
"""`-rw-r--r--          3,128 2026/11/29 01:45:48 r0/repodata/repomd.xml`."""
_SOME_MISSING: Final = {23, 24}
"""Exit statuses: some files are not there; the others are listed."""
_SOCKET, _TIMEOUT, _CONNECT_TIMEOUT = 10, 30, 35
"""Exit statuses."""


class Lister:
    """Runs the program, a few at a time."""

    def __init__(self, clock: Callable[[], float], *, seconds: float = _WHOLE, most: int = _LONGEST) -> None:
        """A listing may take some `seconds`, and have `most` bytes."""
        self._clock = clock
        self._seconds = seconds
        self._most = most
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._program = shutil.which("rsync")

    @property
    def is_there(self) -> bool:
        """Whether the program is installed."""
        return self._program is not None

    async def list_names(self, url: str, address: str, names: Sequence[str]) -> Listing:
        """Return the sizes of the named files below a base URL, asked at an address."""
        if self._program is None:
            missing = Failure(cause="no rsync", evidence="the program rsync is not installed", certain=False)
            return Listing(at=int(self._clock()), failure=missing)
        parts = urlsplit(url)
        host = f"[{address}]" if ":" in address else address
        source = f"rsync://{host}:{parts.port or 873}{unquote(parts.path)}"
        command = [self._program, "--list-only", "--no-motd", "--from0", "--files-from=-", "--no-implied-dirs", "-8"]
        command += [f"--contimeout={_CONNECT}", f"--timeout={_SILENCE}", "--", source, "."]
        async with self._turns:
            status, output, errors = await self._run(command, "\0".join(names).encode())
        failure: Failure | None = None if status in {0, *_SOME_MISSING} else _failure(status, errors, address)
        if status in _SOME_MISSING and not output and b"link_stat" not in errors:
            failure = _failure(status, errors, address)  # not the files are missing, but the folder
        return Listing(at=int(self._clock()), sizes=_sizes(output), failure=failure)

    async def _run(self, command: list[str], words: bytes) -> tuple[int | None, bytes, bytes]:
        """Run a program; return its exit status (None: it took too long, or wrote too much) and what it wrote."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            start_new_session=True,  # no terminal to ask for a password, and a group that can be killed
        )
        try:
            async with asyncio.timeout(self._seconds):
                output, errors, _ = await asyncio.gather(
                    _read(process.stdout, self._most), _read(process.stderr, self._most), _feed(process.stdin, words)
                )
                if len(output) >= self._most:
                    return None, output, errors
                return await process.wait(), output, errors
        except TimeoutError:
            return None, b"", b""
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _read(stream: asyncio.StreamReader | None, most: int) -> bytes:
    """Read as many bytes, and one piece more."""
    found = b""
    while stream is not None and len(found) < most and (piece := await stream.read(1 << 16)):
        found += piece
    return found


async def _feed(stream: asyncio.StreamWriter | None, words: bytes) -> None:
    if stream is not None:
        with contextlib.suppress(ConnectionError):  # it has ended before it has read all
            stream.write(words)
            await stream.drain()
        stream.close()


def _sizes(output: bytes) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in output.splitlines():
        match = _LINE.fullmatch(line)
        if match is not None:
            found[match[2].decode("utf-8", "replace")] = int(match[1].replace(b",", b""))
    return found


def _failure(status: int | None, errors: bytes, address: str) -> Failure:
    lines = [line for line in errors.decode("utf-8", "replace").splitlines() if line.strip()]
    # The daemon's own word (`@ERROR: ...`), or the program's first line; its last line only tells its source file.
    said = next((line for line in lines if line.startswith("@ERROR")), lines[0] if lines else "")
    text = "".join(char if char.isprintable() else "?" for char in said)[:150]
    if status is None or status in {_TIMEOUT, _CONNECT_TIMEOUT}:
        return Failure(cause="timeout", evidence=f"rsync: no whole answer in time from {address}", host=True)
    if status == _SOCKET:
        unreachable = "Network is unreachable" in text
        return Failure(cause="refused", evidence=f"{text} ({address})", host=True, certain=not unreachable)
    if "max connections" in text:
        return Failure(cause="busy", evidence=f"{text} ({address})", certain=False)
    return Failure(cause="rsync", evidence=f"{text or f'exit status {status}'} ({address})")
