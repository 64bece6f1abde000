"""A log that nobody reads stops no answer and no signal: single process, workers and their supervisor alike."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.processes import SECONDS, Response, eventually, exchange, stamped, write_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.process

PIPE_BYTES = 1 << 20
REQUESTS = 300


def full_pipe() -> tuple[int, int]:
    """A pipe without room, as large as a server could make it."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"." * 4_095 + b"\n")
    os.set_blocking(writer, True)
    os.set_blocking(reader, False)
    return reader, writer


def drain(reader: int) -> bytes:
    """All that is there to be read."""
    read = b""
    with contextlib.suppress(BlockingIOError):
        while data := os.read(reader, 1 << 16):
            read += data
    return read


class Unix(http.client.HTTPConnection):
    """A server on a unix socket, asked on a fresh connection each time."""

    def __init__(self, path: Path) -> None:
        super().__init__("x", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(str(self._path))

    def listens(self) -> bool:
        """Whether it can be connected."""
        with contextlib.closing(self), contextlib.suppress(OSError):
            self.connect()
            return True
        return False

    def get(self, target: str) -> Response:
        """Ask once."""
        with contextlib.closing(self):
            return exchange(self, target)


@contextlib.contextmanager
def serving(folder: Path, log: int, *flags: str) -> Iterator[tuple[subprocess.Popen[bytes], Unix]]:
    """A server on a unix socket, because its log cannot name a port."""
    path = folder / "http"
    snapshot = write_snapshot(folder / "mirrors.mls", stamped(1))
    command = [sys.executable, "-m", "mirrorlistd", "serve", "--snapshot", str(snapshot), "--port", "0", *flags]
    command += ["--uds", str(path)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
    try:
        server = Unix(path)
        eventually(server.listens, "the server listens")
        yield process, server
    finally:
        process.kill()
        process.wait(SECONDS)


def dropped(server: Unix, by: str = "") -> int:
    """Lines that those who answer have dropped, or the supervisor, as /metrics has it."""
    pattern = rf"^mirrorlistd_{by}log_lines_dropped_total (\S+)$"
    found = re.search(pattern, server.get("/metrics").text, re.MULTILINE)
    assert found
    return int(float(found[1]))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_log_that_nobody_reads_stops_nothing(tmp_path: Path, workers: str) -> None:
    """Requests are answered, reloads done, SIGTERM obeyed; the lines are counted, and logged once there is room."""
    reader, writer = full_pipe()
    with serving(tmp_path, writer, "--access-log", "--workers", workers) as (process, server):
        for _ in range(REQUESTS):
            assert server.get("/mirrorlist?repo=r").status == 200
        eventually(lambda: dropped(server) >= REQUESTS, "all lines of requests are counted")
        by = "" if workers == "1" else "supervisor_"
        before = dropped(server, by)
        write_snapshot(tmp_path / "mirrors.mls", stamped(2), serial=2)
        process.send_signal(signal.SIGHUP)
        eventually(lambda: server.get("/readyz").json["serial"] == 2, "the reload")
        eventually(lambda: dropped(server, by) > before, "the line of the reload is counted")
        drain(reader)
        for _ in range(20):  # each worker has some of them
            assert server.get("/mirrorlist?repo=r").status == 200
        events = [json.loads(line) for line in drain(reader).splitlines()]
        reports = [event["lines"] for event in events if event["event"] == "log lines were dropped"]
        assert 1 <= len(reports) <= int(workers)
        assert sum(reports) >= REQUESTS / 2
        process.terminate()
        assert process.wait(SECONDS) == 0
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_is_obeyed_although_nobody_reads_the_log(tmp_path: Path, workers: str) -> None:
    """With no room from the first line to the last."""
    reader, writer = full_pipe()
    with serving(tmp_path, writer, "--workers", workers) as (process, server):
        assert server.get("/mirrorlist?repo=r").status == 200
        process.terminate()
        assert process.wait(SECONDS) == 0
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_full_disk_under_the_log_stops_nothing(tmp_path: Path, workers: str) -> None:
    """Standard error that takes no byte: answers, counts, and an exit as asked."""
    with (
        open("/dev/full", "wb") as full,  # noqa: PTH123 - a device
        serving(tmp_path, full.fileno(), "--access-log", "--workers", workers) as (process, server),
    ):
        for _ in range(REQUESTS):
            assert server.get("/mirrorlist?repo=r").status == 200
        eventually(lambda: dropped(server) >= REQUESTS, "all lines are counted")
        process.terminate()
        assert process.wait(SECONDS) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_statistics_that_nobody_reads_stop_nothing(tmp_path: Path, workers: str) -> None:
    """A FIFO takes the file's place, or another process has locked it: answers, counts, and an exit as asked."""
    path = tmp_path / "statistics"
    for blocked in ("FIFO", "locked"):
        flags = ["--statistics", str(path), "--workers", workers]
        with contextlib.ExitStack() as stack:
            if blocked == "locked":
                fcntl.flock(stack.enter_context(path.open("wb")), fcntl.LOCK_EX)
            log = stack.enter_context((tmp_path / "log").open("wb"))
            process, server = stack.enter_context(serving(tmp_path, log.fileno(), *flags))
            if blocked == "FIFO":
                eventually(path.exists, "the file is there")
                path.unlink()
                os.mkfifo(path)
                process.send_signal(signal.SIGUSR1)
            for _ in range(REQUESTS):
                assert server.get("/mirrorlist?repo=r").status == 200
            process.terminate()
            assert process.wait(SECONDS) == 0
        path.unlink()
        text = "statistics cannot be written" if blocked == "FIFO" else "statistics lost at exit"
        assert text.encode() in (tmp_path / "log").read_bytes()
