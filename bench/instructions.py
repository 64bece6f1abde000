"""User-space instructions a request, counted by valgrind's callgrind: `python bench/instructions.py`, four minutes.

    python bench/instructions.py                    count, beside the kept figures of the same interpreter
    python bench/instructions.py --save-baseline    keep them in baseline.json

The figure is almost the same on every machine, however busy. The kernel's work is not in it: most of what nginx costs.
Each server runs under callgrind once; between two loads the counts are written and begin anew. Each load is counted
after as many requests of the same kind.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import socket
import subprocess
import sys
import time
from dataclasses import replace
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, Final

import real_mix
import reporting
from corpus import DESIGN, snapshot_file
from measuring import BenchError, family
from mix_table import typical_body
from reporting import clear_terminal, say_on_terminal
from servers import end_on_terminate, folder_for_servers, mirrorlistd, nginx, started

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from servers import Plan

COUNTED: Final = 3_000
"""Requests of each load that are counted, after as many that are not."""
FEW: Final = 1_000
"""The same of loads that run slowly under valgrind."""
GROWTH: Final = 1.03
"""More than this over the kept figure is a loss of speed: `tests/project/test_instructions.py`."""
OURS, NGINX = "fast lane", "nginx"
MIX, HOT, METALINK, REDIRECT = "real mix", "hot", "real mix, metalinks", "real mix, redirects"
TARGETS: Final = {f"{OURS}: {MIX}": 55_000, f"{OURS}: {HOT}": 23_000}
_HOT_QUERIES: Final = 32
_HOT_CLIENTS: Final = 16
_CONNECTIONS: Final = 8
_SECONDS: Final = 300
"""How long a server may take to start under valgrind."""
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: (\d+)")
_TOTALS: Final = re.compile(r"^totals: (\d+)", re.MULTILINE)


def main() -> int:
    """Count and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--save-baseline", action="store_true", help="keep the results in bench/baseline.json")
    arguments = parser.parse_args()
    end_on_terminate()
    try:
        counted = count()
    except BenchError as error:
        clear_terminal()
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        clear_terminal()
        return 130
    kept = kept_for(interpreter())
    result: dict[str, Any] = {**reporting.baseline("instructions"), interpreter(): counted}
    reporting.keep("instructions", result, as_baseline=arguments.save_baseline)
    print(f"{interpreter()}\n\n{text(counted, kept)}")
    return 0


def interpreter() -> str:
    """Name what the figures depend on besides our code; they are compared for equal ones only."""
    return reporting.environment()["python"]


def kept_for(name: str) -> dict[str, float]:
    """Return the kept figures of an interpreter; empty where there are none."""
    return dict(reporting.baseline("instructions").get(name, {}))


def text(counted: dict[str, float], kept: dict[str, float]) -> str:
    """Write the figures for people."""
    rows = []
    for name, value in counted.items():
        target = TARGETS.get(name)
        verdict = "" if target is None else "met" if value <= target else "missed"
        beside = f"{kept[name]:,.0f}" if name in kept else ""
        rows.append((name, f"{value:,.0f}", f"{target:,}" if target else "", verdict, beside))
    return reporting.table(("user-space instructions a request", "counted", "target", "", "baseline"), rows)


def count() -> dict[str, float]:
    """Return `server: load` -> instructions a request, at the design point."""
    snapshot = snapshot_file(DESIGN, say=say_on_terminal)
    mixed = real_mix.requests(DESIGN)
    kinds: list[tuple[str, Iterator[bytes], int]] = [
        (MIX, _wires(mixed, ""), COUNTED),
        (HOT, _hot(), COUNTED),
        (METALINK, _wires(mixed, "&format=metalink"), FEW),
        (REDIRECT, _wires(mixed, "&format=redirect"), FEW),
    ]
    loads = [(kind, list(islice(wires, number)), list(islice(wires, number))) for kind, wires, number in kinds]
    figures: dict[str, float] = {}
    with folder_for_servers() as folder:
        lean = nginx(folder, typical_body(DESIGN))
        # As one process: a worker that is another user could not write its counts.
        lean = replace(lean, command=[*lean.command, "-g", "master_process off;"])
        for name, plan, those in ((NGINX, lean, loads[:1]), (OURS, mirrorlistd(snapshot, "--lane", "fast"), loads)):
            with _Counted(plan, folder) as server:
                for kind, warm, requests in those:
                    say_on_terminal(f"{name}: {kind}")
                    server.ask(warm)
                    figures[f"{name}: {kind}"] = server.ask(requests)
    clear_terminal()
    return figures


def _wires(requests: Iterator[real_mix.Request], more: str) -> Iterator[bytes]:
    return (_wire(request, more) for request in requests)


def _wire(request: real_mix.Request, more: str = "") -> bytes:
    text = real_mix.head(request, more=more).replace("|", "\r\n")
    return f"{text}\r\nX-Forwarded-For: {request.address}\r\n\r\n".encode()


def _hot() -> Iterator[bytes]:
    """Yield a few queries of a few clients again and again."""
    some = list(islice(real_mix.requests(DESIGN), _HOT_QUERIES))
    clients = cycle([f"193.0.{number}.139" for number in range(_HOT_CLIENTS)])
    return (_wire(request._replace(address=address)) for request, address in zip(cycle(some), clients, strict=False))


class _Counted(contextlib.AbstractContextManager["_Counted"]):
    """A server under callgrind."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._out = folder / f"callgrind-{plan.port}"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={self._out}.%p", *plan.command]
        environ = {**plan.environ, "PYTHONHASHSEED": "0"}
        self._stack = contextlib.ExitStack()
        under = replace(plan, name=f"{plan.name} under valgrind", command=command, environ=environ)
        target = f"/mirrorlist?{DESIGN.queries()[0].decode()}"
        self._server = self._stack.enter_context(started(under, folder, target, seconds=_SECONDS))
        self._dumps = 0

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def ask(self, requests: Sequence[bytes]) -> float:
        """Ask one after the other on kept-alive connections; return instructions a request since the last call."""
        with contextlib.ExitStack() as stack:
            connections = [
                stack.enter_context(socket.create_connection(("127.0.0.1", self._server.port), _SECONDS))
                for _ in range(_CONNECTIONS)
            ]
            for connection, request in zip(cycle(connections), requests, strict=False):
                connection.sendall(request)
                _read(connection)
        return self._dump() / len(requests)

    def _dump(self) -> int:
        """Have all processes of the server write their counts and begin anew; return the sum."""
        before = set(self._out.parent.glob(f"{self._out.name}.*"))
        ours = map(str, family(self._server.process.pid))
        done = subprocess.run(["callgrind_control", "--dump", *ours], capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"callgrind_control: {done.stderr or done.stdout}")
        written = set(self._out.parent.glob(f"{self._out.name}.*")) - before
        total = sum(_totals(path) for path in written)
        if not total:
            raise BenchError(f"callgrind counted nothing: {done.stdout}")
        return total


def _totals(path: Path) -> int:
    for _ in range(100):
        if found := _TOTALS.findall(path.read_text(encoding="utf-8")):
            return sum(map(int, found))
        time.sleep(0.1)  # it is being written
    raise BenchError(f"{path.name} has no totals")


def _read(connection: socket.socket) -> None:
    """Read one answer to its end."""
    data = b""
    while b"\r\n\r\n" not in data or len(data) < data.index(b"\r\n\r\n") + 4 + int(_LENGTH.findall(data)[0]):
        more = connection.recv(1 << 16)
        if not more:
            raise BenchError("a server closed its connection")
        data += more


if __name__ == "__main__":
    sys.exit(main())
