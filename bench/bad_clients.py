"""What bad clients cost the others: `python bench/bad_clients.py`, a minute.

Each kind does its worst for some seconds while 64 good connections ask without a pause: the memory that the server
takes more, and the others' p99 beside what it was before. README.md beside this file says how to read it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import select
import socket
import sys
import threading
import time
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import reporting
from corpus import DESIGN, snapshot_file
from geography import database_file
from http_table import SCALE
from measuring import BenchError, memory, run_wrk
from reporting import clear_terminal, say_on_terminal
from servers import end_on_terminate, folder_for_servers, mirrorlistd, prepare, started

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from servers import Requests, Server

SECONDS: Final = 4
"""Of one run of wrk."""
ROUNDS: Final = 3
MOST_MEGABYTES: Final = 32.0
MOST_SLOWER: Final = 2.0
_REQUEST: Final = b"GET /mirrorlist?%b HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 193.0.6.139\r\n\r\n"
_SMALL: Final = 4_096
"""Bytes of a receive buffer: a client that does not read should be felt soon."""


class Crowd:
    """Connections of one kind of bad client, and what each does every tenth of a second."""

    def __init__(self, port: int, count: int, tick: Callable[[list[socket.socket]], None]) -> None:
        """Connect; the crowd is idle until it is entered."""
        self._sockets = [_connect(port) for _ in range(count)]
        self._tick = tick
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for one in self._sockets:
            one.close()

    def _run(self) -> None:
        while not self._over.wait(0.1):
            self._tick(self._sockets)


def _connect(port: int) -> socket.socket:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
    one.connect(("127.0.0.1", port))
    one.settimeout(0)
    return one


def _idle(_: list[socket.socket]) -> None:
    """Say nothing."""


def _drip(sockets: list[socket.socket]) -> None:
    """Send a head byte by byte, a tenth of the connections at a time."""
    for one in sockets[:: max(1, len(sockets) // 50)]:
        with contextlib.suppress(OSError):
            one.send(b"G")


def _pipeline(request: bytes) -> Callable[[list[socket.socket]], None]:
    """Ask and ask, and read nothing."""

    def tick(sockets: list[socket.socket]) -> None:
        for one in sockets:
            with contextlib.suppress(OSError):
                while select.select([], [one], [], 0)[1] and one.send(request * 100):
                    pass

    return tick


def _sip(request: bytes) -> Callable[[list[socket.socket]], None]:
    """Ask for more than is read: ten bytes at a time."""
    ask = _pipeline(request)

    def tick(sockets: list[socket.socket]) -> None:
        ask(sockets)
        for one in sockets:
            with contextlib.suppress(OSError):
                one.recv(10)

    return tick


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--save-baseline", action="store_true", help="keep the results in bench/baseline.json")
    arguments = parser.parse_args()
    end_on_terminate()
    try:
        result = run()
    except (BenchError, OSError) as error:
        clear_terminal()
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        clear_terminal()
        return 130
    path = reporting.keep("bad_clients", result, as_baseline=arguments.save_baseline)
    print(json.dumps(result, indent=1) if arguments.json else text(result))
    reporting.say(f"\nalso in {path}")
    return 0


def run() -> dict[str, Any]:
    """Let each kind do its worst; plain data."""
    environment = reporting.environment()
    size = DESIGN.scaled(SCALE)
    snapshot = snapshot_file(size, say=say_on_terminal)
    database_file(say_on_terminal)
    queries = [query for query in size.queries() if not query.startswith(b"repo=old-")]
    request = _REQUEST % queries[0]
    kinds: list[tuple[str, int, Callable[[list[socket.socket]], None]]] = [
        ("1,000 idle connections", 1_000, _idle),
        ("500 slow heads (slow-loris)", 500, _drip),
        ("a pipeliner that reads nothing", 1, _pipeline(request)),
        ("a slow reader", 1, _sip(request)),
    ]
    rows: list[dict[str, Any]] = []
    with folder_for_servers() as folder:
        requests = prepare(folder, snapshot, queries)
        with started(mirrorlistd(snapshot), folder, f"/mirrorlist?{queries[0].decode()}") as server:
            run_wrk(server.url, requests.keep_alive, SECONDS)  # memos fill
            for name, count, tick in kinds:
                say_on_terminal(name)
                rows.append({"kind": name, **_beside(server, requests, count, tick)})
    clear_terminal()
    return {"environment": environment, "kinds": rows}


@contextlib.contextmanager
def _largest_memory(server: Server) -> Generator[list[int]]:
    """Look at the server's memory now and then; the list holds what was seen, the first before anything happened."""
    seen = [memory(server.process.pid)]
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.2):
            seen.append(memory(server.process.pid))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _beside(
    server: Server, requests: Requests, count: int, tick: Callable[[list[socket.socket]], None]
) -> dict[str, float]:
    """Run the good clients without and with a crowd in turns: medians."""
    quiet, beside, more, failed = [], [], [], 0
    for _ in range(ROUNDS):
        quiet.append(run_wrk(server.url, requests.keep_alive, SECONDS).p99)
        with _largest_memory(server) as seen, Crowd(server.port, count, tick):
            time.sleep(0.5)
            said = run_wrk(server.url, requests.keep_alive, SECONDS)
        beside.append(said.p99)
        failed += said.failed
        more.append(max(seen) - seen[0])
    return {
        "megabytes": max(more) / 1e6,
        "p99 without, ms": median(quiet) / 1e3,
        "p99 beside, ms": median(beside) / 1e3,
        "p99 ratio": median(beside) / median(quiet),
        "failed": failed,
    }


def text(result: dict[str, Any]) -> str:
    """Write the figures for people."""

    def verdict(value: float, most: float) -> str:
        return "met" if value <= most else "missed"

    rows = [
        (
            row["kind"],
            f"{row['megabytes']:.1f}",
            verdict(row["megabytes"], MOST_MEGABYTES),
            f"{row['p99 without, ms']:.2f}",
            f"{row['p99 beside, ms']:.2f}",
            f"{row['p99 ratio']:.2f}",
            verdict(row["p99 ratio"], MOST_SLOWER),
            str(row["failed"]),
        )
        for row in result["kinds"]
    ]
    head = ("beside good clients", "MB more", "< 32", "p99 without, ms", "p99 beside", "ratio", "<= 2", "failed")
    return f"{reporting.facts(result['environment'])}\n\n{reporting.table(head, rows)}"


if __name__ == "__main__":
    sys.exit(main())
