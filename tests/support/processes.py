"""Real servers for tests: a process on a loopback port that the system chose, and requests over real sockets."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from prometheus_client.parser import text_string_to_metric_families

from mirrorlist_snapshot.format import encode
from support.worlds import compiled

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping, Sequence

SECONDS = 30
"""The longest wait for an event that must happen; the wait ends with the event, and slow machines have time."""


@dataclass(frozen=True)
class Response:
    """One response: status, headers with small letters, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Server:
    """`mirrorlistd serve` as a user starts it: flags, environment, signals; its log lines are collected."""

    def __init__(
        self,
        *flags: str,
        environ: Mapping[str, str] | None = None,
        wait: bool = True,
        before: Sequence[str] = (),
        pass_fds: Sequence[int] = (),
    ) -> None:
        """`before` is a command that becomes the server, such as systemd-socket-activate.

        One process, unless the flags name another number of workers.
        """
        bare = {key: value for key, value in os.environ.items() if not key.startswith("MIRRORLISTD_")}
        self.process = subprocess.Popen(
            [*before, sys.executable, "-m", "mirrorlistd", "serve", "--port", "0", "--workers", "1", *flags],
            pass_fds=pass_fds,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=bare | dict(environ or {}),
            text=True,
        )
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if wait:
            self.wait_for_log("listening")

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def events(self) -> list[dict[str, Any]]:
        """The log so far, parsed; lines that are not JSON fail the test."""
        return [json.loads(line) for line in list(self.lines)]

    def wait_for_log(self, event: str, *, count: int = 1) -> dict[str, Any]:
        """Wait until the log has `count` lines of an event; return the last of them."""
        deadline = time.monotonic() + SECONDS
        with self._news:
            while True:
                found = [line for line in self.lines if f'"event":"{event}"' in line]
                if len(found) >= count:
                    return dict(json.loads(found[count - 1]))
                assert self.process.poll() is None, f"server ended: {self.lines}"
                assert self._news.wait(deadline - time.monotonic()), f"no {event!r} in {self.lines}"

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        match = re.search(r":(\d+)/$", self.wait_for_log("listening")["url"])
        assert match, self.lines
        return int(match[1])

    def connect(self) -> http.client.HTTPConnection:
        """Open a connection; the caller closes it."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)

    def get(self, target: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Response:
        """Send one request on a new connection."""
        with contextlib.closing(self.connect()) as connection:
            return exchange(connection, target, headers, method)

    def send_sighup(self) -> None:
        """Ask for a reload."""
        self.process.send_signal(signal.SIGHUP)

    def stop(self) -> int:
        """Send SIGTERM; return the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(SECONDS)
        finally:
            if self.process.poll() is None:
                self.process.kill()
            self._reader.join(SECONDS)
            assert self.process.stdout is not None
            self.process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def exchange(
    connection: http.client.HTTPConnection,
    target: str,
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
) -> Response:
    """Send one request on a given connection."""
    connection.request(method, target, headers=dict(headers or {}))
    response = connection.getresponse()
    return Response(response.status, {key.lower(): value for key, value in response.getheaders()}, response.read())


def eventually(check: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + SECONDS
    while not check():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.01)


def listens(port: int) -> bool:
    """Whether a program listens on a port of 127.0.0.1. A probe may connect to itself, which does not count."""
    with contextlib.closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0 and probe.getsockname() != probe.getpeername()


def write_snapshot(path: Path, source: Mapping[str, Any], *, serial: int = 1) -> Path:
    """Compile a source document and put the snapshot in place by rename, as the admin side does."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(encode(compiled(source, serial=serial, built=int(time.time()))))
    fresh.replace(path)
    return path


def stamped(serial: int, mirrors: int = 8) -> dict[str, Any]:
    """A source whose URLs all carry the serial, so that an answer mixed from two snapshots is seen."""
    return {
        "categories": {"c": {}},
        "repositories": {"r": {"category": "c"}},
        "mirrors": {
            f"m{number}.example": {"country": "DE", "categories": {"c": f"https://m{number}.example/s{serial}/"}}
            for number in range(mirrors)
        },
    }


@dataclass(frozen=True)
class At:
    """A running server on loopback, as one client sees it."""

    port: int
    source: str = "127.0.0.1"
    """The client's own address."""
    tls: ssl.SSLContext | None = None

    def connect(self) -> http.client.HTTPConnection:
        """Open a connection; the caller closes it."""
        if self.tls is not None:
            return http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=SECONDS, source_address=(self.source, 0), context=self.tls
            )
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS, source_address=(self.source, 0))

    def get(self, target: str, headers: Mapping[str, str] | None = None) -> Response:
        """Send one request on a new connection."""
        with contextlib.closing(self.connect()) as connection:
            return exchange(connection, target, headers)


@contextlib.contextmanager
def load(
    server: Server | At, target: str, connections: int, check: Callable[[Response], None], *, keep: bool = True
) -> Iterator[list[int]]:
    """Send requests on many connections without a pause until the block ends; any failure fails the block.

    Without `keep` each request has a connection of its own. Yields a list whose length is the number of answers so far.
    Bounded by SECONDS * 4 whatever happens.
    """
    done = threading.Event()
    answers: list[int] = []
    failures: list[BaseException] = []
    give_up = time.monotonic() + SECONDS * 4

    def ask() -> None:
        try:
            with contextlib.closing(server.connect()) as connection:
                while not done.is_set() and time.monotonic() < give_up:
                    response = exchange(connection, target)
                    if not keep:
                        connection.close()
                    check(response)
                    answers.append(response.status)
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            failures.append(error)
            done.set()

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(connections)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        done.set()
        for thread in threads:
            thread.join(SECONDS)
    assert not failures, failures[0]


def wait_for_more(count: int, *answers: list[int]) -> None:
    """Wait until each of several loads has `count` more answers, or has failed."""
    wanted = [len(one) + count for one in answers]
    eventually(
        lambda: all(len(now) >= least for now, least in zip(answers, wanted, strict=True)), f"{count} more answers"
    )


def total(server: Server, name: str, **labels: str) -> float:
    """The sum of all samples of a metric with these labels."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(server.get("/metrics").text)
        for sample in family.samples
        if sample.name == name and all(sample.labels.get(key) == value for key, value in labels.items())
    )


def serial_of(response: Response) -> int:
    """The one snapshot that a whole list is from."""
    assert response.status == 200, response
    serials = set(re.findall(r"/s(\d+)/", response.text))
    assert len(serials) == 1, response.text
    assert response.text.count("\n") == 9, response.text  # a comment and eight mirrors
    return int(serials.pop())


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for is dead."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def puller_of(server: Server) -> int:
    """Process id of the child that pulls."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    found = [int(pid) for pid in children if b"--until-eof" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return found[0] if found else 0
