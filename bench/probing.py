"""One connection that asks every millisecond: what a client sees of an event loop that is held up.

The probe is a process of its own, so that nothing else of the measurement delays it:

    python bench/probing.py PORT TARGET SECONDS  ->  one line per answer: when it was asked, how long it took (seconds)
"""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PERIOD: Final = 0.001
_SECONDS: Final = 30


class Sample(NamedTuple):
    """One answer."""

    asked: float
    """time.monotonic(), which all processes share."""
    took: float
    """Seconds until the whole answer was there."""


def probe(port: int, target: str, seconds: float) -> list[Sample]:
    """Ask again and again on one connection, never more often than once in PERIOD; OSError where it breaks."""
    request = f"GET {target} HTTP/1.1\r\nHost: probe\r\nX-Forwarded-For: 193.0.6.139\r\n\r\n".encode()
    samples: list[Sample] = []
    gc.disable()
    with socket.create_connection(("127.0.0.1", port), timeout=_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = time.monotonic() + seconds
        while (asked := time.monotonic()) < end:
            connection.sendall(request)
            _read_answer(connection)
            now = time.monotonic()
            samples.append(Sample(asked, now - asked))
            time.sleep(max(0.0, asked + PERIOD - now))
    return samples


def _read_answer(connection: socket.socket) -> None:
    received = b""
    while b"\r\n\r\n" not in received:
        received += _receive(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise OSError(f"answered {head[:40]!r}")
    length = next(
        int(line.partition(b":")[2]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    )
    while len(body) < length:
        body += _receive(connection)


def _receive(connection: socket.socket) -> bytes:
    if not (data := connection.recv(65_536)):
        raise OSError("the connection was closed")
    return data


def start(port: int, target: str, seconds: float) -> subprocess.Popen[str]:
    """Start a probe beside whatever else happens."""
    command = [sys.executable, str(Path(__file__)), str(port), target, str(seconds)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> list[Sample]:
    """Wait for a probe's samples; subprocess.CalledProcessError where it met a failure."""
    output, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return [Sample(*map(float, line.split())) for line in output.splitlines()]


def longest_in(samples: Iterable[Sample], windows: Sequence[tuple[float, float]]) -> list[float]:
    """Give the longest time an answer took in each window (begin, end), among those under way in it; seconds."""
    every = list(samples)
    return [
        max(
            (sample.took for sample in every if sample.asked <= end and sample.asked + sample.took >= begin),
            default=0.0,
        )
        for begin, end in windows
    ]


def main() -> None:
    """Be a probe."""
    port, target, seconds = sys.argv[1:]
    for sample in probe(int(port), target, float(seconds)):
        print(f"{sample.asked:.6f} {sample.took:.6f}")


if __name__ == "__main__":
    main()
