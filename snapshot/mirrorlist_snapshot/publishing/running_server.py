"""A running server, from outside: send it SIGHUP by its pid file, query /readyz for the serial that it serves.

A server holds a lock on its pid file while it runs. The number in the file may be that of a process that has died, and
another process may have it by now. So a process is signalled only if it holds the lock itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import re
import signal
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from mirrorlist_snapshot.errors import ServingError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

READYZ: Final = "http://127.0.0.1:8080/readyz"
"""The /readyz of a server with default settings."""
_PAUSE: Final = 0.1
"""Seconds between two queries; a reload takes some tenths of a second."""
_PATIENCE: Final = 5.0
"""Seconds for one answer."""
_WHOLE_PATIENCE: Final = 10.0
"""Seconds for a whole answer, each byte of which may take some of _PATIENCE."""
_LONGEST: Final = 1 << 20
"""Bytes of an answer."""


@dataclass(frozen=True, slots=True)
class ReadyzEndpoint:
    """A /readyz to query: an http URL, or `unix:` and the path of a socket."""

    url: str

    @classmethod
    def parse(cls, text: str) -> ReadyzEndpoint:
        """Parse an option's value; raise ValueError."""
        parts = urlsplit(text)
        good = bool(parts.path) if parts.scheme == "unix" else parts.scheme == "http" and bool(parts.hostname)
        if not good or (parts.scheme == "http" and parts.port == 0):
            raise ValueError(text)
        return cls(text)

    def ask(self) -> dict[str, Any]:
        """Return the facts of /readyz; raise ServingError if there is no answer, or not one of mirrorlistd."""
        connection, path = self._connection()
        overdue = threading.Event()
        timer = threading.Timer(_WHOLE_PATIENCE, _cut, (connection, overdue))
        timer.daemon = True
        timer.start()
        try:
            with contextlib.closing(connection):
                connection.request("GET", path, headers={"accept": "application/json"})
                with contextlib.closing(connection.getresponse()) as response:
                    facts = json.loads(response.read(_LONGEST))
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
            reason = str(error) or type(error).__name__
            if overdue.is_set():
                reason = f"no whole answer within {_WHOLE_PATIENCE:g} s"
            raise ServingError(f"cannot query {self.url}: {reason}") from error
        finally:
            timer.cancel()
        if not isinstance(facts, dict) or "ready" not in facts:
            raise ServingError(f"cannot query {self.url}: the answer is not mirrorlistd's")
        return facts  # pyright: ignore[reportUnknownVariableType] - JSON

    def _connection(self) -> tuple[http.client.HTTPConnection, str]:
        parts = urlsplit(self.url)
        if parts.scheme == "unix":
            return _UnixConnection(parts.path), "/readyz"
        path = parts.path if parts.path.strip("/") else "/readyz"
        return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_PATIENCE), path


def _cut(connection: http.client.HTTPConnection, overdue: threading.Event) -> None:
    """End a connection, from another thread: reading it fails then, because it is overdue."""
    overdue.set()
    connected = connection.sock
    if connected is not None:
        with contextlib.suppress(OSError):
            connected.shutdown(socket.SHUT_RDWR)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_PATIENCE)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket file."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def send_sighup(pid_file: Path) -> int:
    """Send SIGHUP to the server that holds a pid file, and return its process id; raise ServingError if none does."""
    try:
        descriptor = os.open(pid_file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe must not block
        with open(descriptor, "rb"):  # noqa: PTH123 - a descriptor is not a path
            pid = _locked_number(descriptor, pid_file)
            with _signalling(pid, pid_file) as send:
                # The number of a process is not reused while the process lives. So a process that holds the lock now,
                # under this number, is the one that will be signalled.
                _check_holder(pid, os.fstat(descriptor), pid_file)
                if _locked_number(descriptor, pid_file) != pid or not os.path.samestat(
                    os.fstat(descriptor), pid_file.stat()
                ):
                    raise ServingError(f"{pid_file}: the server was replaced in the meantime; try again")
                send(signal.SIGHUP)
    except ProcessLookupError:
        raise ServingError(f"{pid_file}: the server has just stopped") from None
    except PermissionError as error:
        raise ServingError(f"{pid_file}: not allowed: {error.strerror}; be the server's user, or root") from error
    except OSError as error:
        raise ServingError(f"{pid_file}: cannot be read: {error.strerror}; is the server running?") from error
    return pid


def _locked_number(descriptor: int, pid_file: Path) -> int:
    """Return the number in a pid file that is locked."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(descriptor, 32, 0).strip()
        if text.isdigit():
            return int(text)
        raise ServingError(f"{pid_file}: is no pid file, or the server is just starting") from None
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    raise ServingError(f"{pid_file}: no running server holds it; no process was signalled")


def _check_holder(pid: int, status: os.stat_result, pid_file: Path) -> None:
    """Raise ServingError unless the process itself holds the lock: the number in the file may be wrong."""
    try:
        holds = _has_locked(pid, status)
    except PermissionError:  # another user's process, or one that hides its files
        locks = Path("/proc/locks").read_text(encoding="ascii").splitlines()
        lock = re.compile(rf"\d+: FLOCK +\w+ +WRITE {pid} \w+:\w+:{status.st_ino} ")
        holds = any(map(lock.match, locks))
    if not holds:
        raise ServingError(f"{pid_file}: process {pid}, which it names, does not hold it; no process was signalled")


def _has_locked(pid: int, status: os.stat_result) -> bool:
    """Whether an open file of the process is this one, and has an exclusive lock (see flock(2))."""
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found = os.path.samestat(descriptor.stat(), status)
            facts = Path(f"/proc/{pid}/fdinfo/{descriptor.name}").read_text(encoding="ascii") if found else ""
        except FileNotFoundError:  # closed in the meantime
            continue
        if re.search(r"^lock:.*\bFLOCK\s.*\bWRITE\b", facts, re.MULTILINE):
            return True
    return False


@contextlib.contextmanager
def _signalling(pid: int, pid_file: Path) -> Generator[Callable[[int], None]]:
    """Give a function that signals this process, and no later one with the same number."""
    if pid <= 1:  # 0 and less mean groups of processes
        raise ServingError(f"{pid_file}: holds {pid}, which is no server")
    descriptor = os.pidfd_open(pid)
    try:
        yield lambda number: signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)


def reload_until_served(
    pid_file: Path, readyz: ReadyzEndpoint, serial: int, patience: float, say: Callable[[str], None]
) -> dict[str, Any]:
    """Make the server reload, and return the facts of /readyz once it serves a serial.

    `say` gets messages about the progress. Raise ServingError if the server reports a failed reload, or does not serve
    the serial after `patience` seconds.
    """
    before: dict[str, Any] | None = None
    with contextlib.suppress(ServingError):  # it may be restarting
        before = readyz.ask()
    pid = send_sighup(pid_file)
    say(f"sent SIGHUP to process {pid}")
    until = time.monotonic() + patience
    while True:
        try:
            facts = readyz.ask()
            trouble = f"{readyz.url} reports serial {facts.get('serial')}"
        except ServingError as error:
            facts, trouble = {}, str(error)
        if facts and _serves(facts, serial):
            return facts
        if reason := _refused(facts, before):
            raise ServingError(f"the server does not serve serial {serial}: {reason}")
        if time.monotonic() >= until:
            raise ServingError(f"the server does not serve serial {serial} after {patience:g} s: {trouble}")
        say(f"waiting for serial {serial}: {trouble}")
        time.sleep(_PAUSE)


def _serves(facts: dict[str, Any], serial: int) -> bool:
    """Whether the server and, if it reports several, each of its workers serve the serial."""
    workers: dict[str, Any] = facts.get("workers") or {}
    return facts.get("serial") == serial and workers.get("serials", [serial]) == [serial]


def _refused(facts: dict[str, Any], before: dict[str, Any] | None) -> str | None:
    """Return why a reload that ended since `before` kept the old state; None if there was no such reload."""
    last: dict[str, Any] = facts.get("last_reload") or {}
    if last.get("result") != "failed" or (before or {}).get("last_reload") == last or before is None:
        return None
    return str(facts.get("reload_error") or "its reload failed; its log says why")
