"""What a mirror waits for when all mirrors check in at once: `python bench/checkins.py`, some two minutes.

A thousand mirrors with 150 index files each ask for their task and report, every one from an address of its own, while
another process writes to the same file as a prober does. First all begin within one minute, then all within a second:
their cron jobs are set to the same time. README.md beside this file has the figures.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import hashlib
import hmac
import http.client
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from statistics import quantiles
from typing import TYPE_CHECKING, Any, Final

from mirrorlist_admin.checkin.tokens import new_token
from mirrorlist_admin.store import Store, schema
from mirrorlist_admin.store.rows import (
    DeclaredMirror,
    ExpectedUnit,
    UnitProbe,
    UnitStart,
    UnitVersion,
    WatchedUnit,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

MIRRORS, UNITS = 1000, 150
CHANGED: Final = 20
"""Index files that are new at each mirror since the prober's last look."""
CLIENTS: Final = 64
"""Requests in progress at most."""
OLD, NEW = "0" * 64, hashlib.sha256(b"new").hexdigest()
WRITES, WRITE_PAUSE = 5000, 2.0
"""Rows of one transaction of the other writer, and seconds between two."""
TARGET: Final = 1.0
"""Seconds, 99 of 100 requests."""


def main() -> int:
    """Measure and report; status 1 if the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirrors", type=int, default=MIRRORS)
    parser.add_argument("--units", type=int, default=UNITS)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokens = fill(folder, arguments.mirrors, arguments.units)
        with server(folder) as (process, port), other_writer(folder):
            results = [
                measure(port, tokens, seconds, process.pid, round_) for round_, seconds in enumerate((60.0, 1.0))
            ]
    if arguments.json:
        print(json.dumps(results, indent=2))
    else:
        for result in results:
            print(
                f"{result['requests']} requests of {len(tokens)} mirrors that begin within {result['within']:g} s: "
                f"median {1000 * result['p50']:.0f} ms, p99 {1000 * result['p99']:.0f} ms, "
                f"longest {1000 * result['longest']:.0f} ms; {1000 * result['cpu']:.2f} ms of processor time a request"
            )
    return int(results[0]["p99"] > TARGET)


def fill(folder: Path, mirrors: int, units: int) -> list[str]:
    """Write a store in which every mirror was seen with the old version; return a token for each."""
    names = [f"m{number}.example" for number in range(mirrors)]
    paths = [f"{number}/repodata/repomd.xml" for number in range(units)]
    now = int(time.time())
    made = [new_token(name, now, 0) for name in names]
    with Store(folder) as store, store.transaction():
        store.write(schema.TOKEN, [row for _, row in made])
        store.write(schema.UNIT, [
            WatchedUnit(category="c", unit=path, kind="repomd", current=NEW, checked=now, etag="", modified="")
            for path in paths
        ])  # fmt: skip
        store.write(schema.UNIT_VERSION, [
            UnitVersion(category="c", unit=path, sha256=sha256, size=3, stated=0, first_seen=born, superseded=0)
            for path in paths for sha256, born in ((OLD, now - 9000), (NEW, now - 60))
        ])  # fmt: skip
        store.write(schema.UNIT_START, [
            UnitStart(category="c", unit=path, sha256=NEW, kept=now, data=b"new") for path in paths
        ])  # fmt: skip
        for name in names:
            store.write(schema.DECLARED_MIRROR, [
                DeclaredMirror(mirror=name, country="DE", bandwidth=1000, private=0, active=1)
            ])  # fmt: skip
            store.write(schema.EXPECTED_UNIT, [ExpectedUnit(mirror=name, category="c", unit=path) for path in paths])
            store.write(schema.UNIT_PROBE, [probe(name, path, number, now) for number, path in enumerate(paths)])
    return [token for token, _ in made]


def probe(mirror: str, path: str, number: int, now: int) -> UnitProbe:
    """What the prober has seen: the first units are old, the others are current."""
    return UnitProbe(
        mirror=mirror,
        category="c",
        unit=path,
        asked=now - 300,
        due=0,
        step=0,
        etag="",
        modified="",
        conditional=0,
        sha256=OLD if number < CHANGED else NEW,
        size=3,
        stated=0,
        absent=0,
        ahead_since=0,
    )


@contextlib.contextmanager
def server(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run `mirrorlist-admin serve` on a free port."""
    command = [sys.executable, "-m", "mirrorlist_admin", "serve", "--state", str(folder), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            found = re.search(r":(\d+)$", process.stderr.readline().strip() if process.stderr else "")
            if found is None:
                raise SystemExit("the server did not start")
            yield process, int(found[1])
        finally:
            process.terminate()


@contextlib.contextmanager
def other_writer(folder: Path) -> Iterator[None]:
    """Write to the same file in transactions of some thousand rows, as the prober does."""
    done = threading.Event()

    def write() -> None:
        with Store(folder) as store:
            rows = store.read(schema.UNIT_PROBE, "LIMIT ?", WRITES)
            while not done.wait(WRITE_PAUSE):
                with store.transaction():
                    store.write(schema.UNIT_PROBE, rows)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def measure(port: int, tokens: list[str], within: float, pid: int, number: int) -> dict[str, Any]:
    """Let every mirror check in once, beginning at a random moment of some seconds; return what they waited."""
    begins = sorted(Random(number).uniform(0, within) for _ in tokens)
    before, start = cpu_seconds(pid), time.monotonic() + 0.5
    with ThreadPoolExecutor(CLIENTS) as pool:
        waits = list(pool.map(lambda one: check_in(port, one[0], one[1], start + one[2]), zip(range(len(tokens)), tokens, begins, strict=True)))  # fmt: skip  # noqa: E501
    took = [wait for pair in waits for wait in pair]
    cuts = quantiles(took, n=100)
    return {
        "within": within,
        "requests": len(took),
        "p50": cuts[49],
        "p99": cuts[98],
        "longest": max(took),
        "cpu": (cpu_seconds(pid) - before) / len(took),
    }


def check_in(port: int, number: int, token: str, at: float) -> tuple[float, float]:
    """Check in as one mirror; return the seconds of both requests. What the client waits for its turn counts, too."""
    time.sleep(max(0.0, at - time.monotonic()))
    source = f"127.1.{number // 250}.{number % 250 + 1}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60, source_address=(source, 0))
    headers = {"Authorization": f"Bearer {token}"}
    with contextlib.closing(connection):
        began = time.monotonic()
        task = exchange(connection, "GET", None, headers, 200)
        got = time.monotonic()
        nonce = task["challenge"]["nonce"]
        part = b"new"[task["challenge"]["offset"] :]
        file = {"sha256": NEW, "size": 3, "time": 1}
        report = {
            "form": 1,
            "serial": task["serial"] + 1,
            "time": int(time.time()),
            "units": {"c": dict.fromkeys(task["units"]["c"], file)},
            "proof": {"nonce": nonce, "hmac": hmac.new(nonce.encode(), part, hashlib.sha256).hexdigest()},
        }
        body = gzip.compress(json.dumps(report).encode())
        sent = time.monotonic()
        headers |= {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        exchange(connection, "POST", body, headers, 202)
        return got - began, time.monotonic() - sent


def exchange(
    connection: http.client.HTTPConnection, method: str, body: bytes | None, headers: dict[str, str], status: int
) -> dict[str, Any]:
    """Send a request and return the JSON of its answer."""
    connection.request(method, "/checkin", body, headers)
    answer = connection.getresponse()
    data = answer.read()
    if answer.status != status:
        raise SystemExit(f"{method} /checkin: {answer.status} {data[:200]!r}")
    return dict(json.loads(data))


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


if __name__ == "__main__":
    sys.exit(main())
