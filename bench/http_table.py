"""What a request costs over HTTP, beside nginx and bare ASGI on the same bytes: `python bench/http_table.py`.

    python bench/http_table.py            five pairs of each comparison, at most 6 minutes
    python bench/http_table.py --quick    one pair, a minute: a first look
    python bench/http_table.py --json     the results as JSON on standard output

Everything is on loopback. README.md beside this file says how to read the table.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import reporting
from corpus import DESIGN, snapshot_file
from geography import database_file
from measuring import CONNECTIONS, BenchError, Machine, Run, Schedule, measure, memory, typical
from reporting import clear_terminal, say_on_terminal
from servers import (
    Requests,
    Server,
    bare,
    end_on_terminate,
    folder_for_servers,
    mirrorlistd,
    nginx,
    prepare,
    serve_has,
    started,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from measuring import Ratio
    from servers import Plan

NGINX, DEBIAN, BARE = "nginx", "nginx, Debian's default", "bare ASGI"
ASGI, FAST = "asgi lane", "fast lane"
WARM, COLD, CLOSE = "keep-alive", "keep-alive, new addresses", "new connections"
SCALE: Final = 0.1
"""70 mirrors, some 30 of them near a client: the lists of 20 that the targets speak of."""
RUN_SECONDS: Final = 1.0


class Comparison(NamedTuple):
    """One server beside another under one load."""

    mode: str
    ours: str
    theirs: str
    target: float | None = None
    """The ratio of processor times that the design wants at most."""

    @property
    def name(self) -> str:
        """What the table calls it."""
        return f"{self.mode}: {self.ours} / {self.theirs}"


COMPARISONS: Final = (
    Comparison(WARM, FAST, NGINX, 0.9),
    Comparison(WARM, FAST, BARE, 0.45),
    Comparison(WARM, ASGI, BARE, 1.25),
    Comparison(CLOSE, FAST, NGINX, 1.5),
    Comparison(COLD, FAST, NGINX),
    Comparison(WARM, ASGI, NGINX),
    Comparison(COLD, ASGI, BARE),
    Comparison(CLOSE, ASGI, NGINX),
    Comparison(WARM, BARE, NGINX),
    Comparison(CLOSE, BARE, NGINX),
    Comparison(WARM, DEBIAN, NGINX),
)


@dataclass(frozen=True, slots=True)
class Options:
    """How long to measure."""

    pairs: int = 5
    """That must count, of each comparison."""
    tries: int = 9
    """Pairs after which a comparison is given up."""
    seconds: float = 330.0
    """After this no more pairs are begun; starting and warming up come on top."""
    scale: float = SCALE


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one pair of each comparison, at most a minute")
    parser.add_argument("--pairs", type=int, metavar="N", help="pairs that must count (default: 5)")
    parser.add_argument("--seconds", type=float, metavar="N", help="begin no pair after this time (default: 330)")
    parser.add_argument("--scale", type=float, default=SCALE, metavar="PART", help="part of the design point's size")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--save-baseline", action="store_true", help="keep the results in bench/baseline.json")
    arguments = parser.parse_args()
    options = Options(1, 1, 50.0, arguments.scale) if arguments.quick else Options(scale=arguments.scale)
    options = Options(
        arguments.pairs or options.pairs,
        max(options.tries, 2 * (arguments.pairs or 0)),
        arguments.seconds or options.seconds,
        options.scale,
    )
    end_on_terminate()
    try:
        result = run(options)
    except BenchError as error:
        clear_terminal()
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        clear_terminal()
        return 130
    before = reporting.baseline("http")
    path = reporting.keep("http", result, as_baseline=arguments.save_baseline)
    drawing = draw(result)
    path.with_suffix(".svg").write_text(drawing, encoding="utf-8")
    if arguments.save_baseline:
        reporting.BASELINE.with_name("chart.svg").write_text(drawing, encoding="utf-8")
    print(json.dumps(result, indent=1) if arguments.json else text(result, before))
    reporting.say(f"\nalso in {path} and {path.with_suffix('.svg').name}")
    return 0


def run(options: Options) -> dict[str, Any]:
    """Start everything, measure in turns, and give plain data."""
    environment = reporting.environment()
    size = DESIGN.scaled(options.scale)
    say_on_terminal("corpus")
    snapshot = snapshot_file(size, say=say_on_terminal)
    database_file(say_on_terminal)
    queries = [query for query in size.queries() if not query.startswith(b"repo=old-")]  # few mirrors have archives
    with folder_for_servers() as folder, contextlib.ExitStack() as running:
        requests = prepare(folder, snapshot, queries)
        say_on_terminal("starting servers")
        target = f"/mirrorlist?{queries[0].decode()}"
        servers = {
            plan.name: running.enter_context(started(plan, folder, target))
            for plan in _plans(folder, snapshot, requests)
        }
        others = {plan.name: running.enter_context(started(plan, folder, target)) for plan in _lanes(snapshot)}
        todo = [c for c in COMPARISONS if c.ours in servers and c.theirs in servers]
        schedule = Schedule([c.name for c in todo], options.pairs, options.tries, Machine())
        runs = _measure(schedule, {c.name: c for c in todo}, servers, others, requests, options.seconds)
        used = {name: memory(server.process.pid) for name, server in servers.items()}
    clear_terminal()
    return {
        "environment": environment,
        "method": {
            "connections": CONNECTIONS,
            "distinct heads": requests.heads,
            "client addresses": requests.networks,
            "bytes of an answer": len(requests.body),
            "mirrors": size.mirrors,
            "seconds of a run": RUN_SECONDS,
            "pairs wanted": options.pairs,
            "calibration, best ms": round(schedule.machine.best * 1e3, 2),
        },
        "missing": [name for name in (ASGI, FAST) if name not in servers],
        "servers": _figures(schedule, todo, runs, used),
        "ratios": [_ratio(c, schedule.summary(c.name)) for c in todo],
    }


def _plans(folder: Path, snapshot: Path, requests: Requests) -> Iterator[Plan]:
    yield nginx(folder, requests.body)
    yield nginx(folder, requests.body, debian=True)
    yield bare(folder, requests.body)
    yield from _lanes(snapshot)


def _lanes(snapshot: Path) -> Iterator[Plan]:
    if serve_has("--lane"):
        yield mirrorlistd(snapshot, "--lane", "fast", name=FAST)
        yield mirrorlistd(snapshot, "--lane", "asgi", name=ASGI)
    else:
        yield mirrorlistd(snapshot, name=ASGI)


def _measure(  # noqa: PLR0913, PLR0917 - called once
    schedule: Schedule,
    comparisons: dict[str, Comparison],
    servers: dict[str, Server],
    others: dict[str, Server],
    requests: Requests,
    seconds: float,
) -> dict[str, int]:
    """Fill the schedule; give the number of runs of each server.

    Of `others` new addresses are asked: where these have emptied a server's memory, the next run would begin with
    learning all addresses again.
    """
    loads = {WARM: requests.keep_alive, COLD: requests.cold, CLOSE: requests.close}
    turns = dict.fromkeys(servers, 0)

    def once(name: str, mode: str) -> Run:
        turns[name] += 1
        server = others.get(name, servers[name]) if mode == COLD else servers[name]
        return measure(server.url, server.process.pid, loads[mode], RUN_SECONDS, turns[name])

    end = time.monotonic() + seconds
    for name in servers:
        say_on_terminal(f"warming up {name}")
        for mode in (WARM, COLD) if name in others else (WARM,):
            once(name, mode)
    while time.monotonic() < end and (due := schedule.next()) is not None:
        comparison = comparisons[due]
        left = f"{max(0, end - time.monotonic()):.0f} s left"
        say_on_terminal(f"pair {len(schedule.pairs[due]) + 1} of {due}; {left}")
        schedule.measure(
            due,
            lambda: once(comparison.ours, comparison.mode),  # noqa: B023 - called before the next turn
            lambda: once(comparison.theirs, comparison.mode),  # noqa: B023
        )
    return turns


def _figures(
    schedule: Schedule, todo: list[Comparison], turns: dict[str, int], used: dict[str, int]
) -> list[dict[str, Any]]:
    """Each server's typical run under each load, over all pairs that count."""
    runs: dict[tuple[str, str], list[Run]] = {}
    for comparison in todo:
        for pair in schedule.counted(comparison.name):
            runs.setdefault((comparison.mode, comparison.ours), []).extend(pair.ours)
            runs.setdefault((comparison.mode, comparison.theirs), []).extend(pair.theirs)
    rows = []
    for mode in (WARM, COLD, CLOSE):
        for name in turns:
            if (mode, name) in runs:
                row = typical(runs[mode, name])
                rows.append({"mode": mode, "name": name, **row._asdict(), "rss": used[name]})
    return rows


def _ratio(comparison: Comparison, ratio: Ratio | None) -> dict[str, Any]:
    return {"name": comparison.name, "target": comparison.target, **(ratio._asdict() if ratio else {})}


def text(result: dict[str, Any], before: dict[str, Any]) -> str:
    """Write the tables for people; `before` is the kept baseline, for a look beside."""
    parts = [reporting.facts(result["environment"]), reporting.facts({k: str(v) for k, v in result["method"].items()})]
    parts += [f"{name}: left out, this mirrorlistd has no --lane" for name in result["missing"]]
    head = ("processor time of a request", "µs", "requests/s", "p50 ms", "p99 ms", "p99.9 ms", "RSS MB", "failed")
    rows = [
        (
            f"{row['mode']}: {row['name']}",
            f"{row['microseconds']:.1f}",
            f"{row['per_second']:,.0f}",
            *(f"{row[key] / 1000:.2f}" for key in ("p50", "p99", "p99_9")),
            f"{row['rss'] / 1e6:.0f}",
            str(row["failed"]),
        )
        for row in result["servers"]
    ]
    parts.append(reporting.table(head, rows))
    wanted = result["method"]["pairs wanted"]
    kept = {ratio["name"]: ratio.get("median") for ratio in before.get("ratios", ())}
    parts.append(
        reporting.table(
            ("ratio of processor times", "median", "range", "target", "", "baseline", "pairs"),
            [_ratio_row(ratio, kept.get(ratio["name"]), wanted) for ratio in result["ratios"]],
        )
    )
    return "\n\n".join(parts)


def _ratio_row(ratio: dict[str, Any], kept: float | None, wanted: int) -> tuple[str, ...]:
    target = ratio["target"]
    beside = (f"{target:.2f}" if target else "", f"{kept:.2f}" if kept else "")
    if "median" not in ratio:
        return (ratio["name"], "not measured", "", beside[0], "", beside[1], "0")
    verdict = "" if target is None else "met" if ratio["median"] <= target else "missed"
    if target is not None and ratio["counted"] < wanted:
        verdict = "too few pairs"  # no verdict on less than the method asks for
    pairs = f"{ratio['counted']} of {ratio['tried']}" + ("" if ratio["steady"] else " (unsteady)")
    spread = f"{ratio['lowest']:.2f}-{ratio['highest']:.2f}"
    return (ratio["name"], f"{ratio['median']:.2f}", spread, beside[0], verdict, beside[1], pairs)


def draw(result: dict[str, Any]) -> str:
    """Draw the processor times."""
    groups: dict[str, dict[str, float]] = {}
    for row in result["servers"]:
        groups.setdefault(row["mode"], {})[row["name"]] = row["microseconds"]
    environment = result["environment"]
    note = f"{environment['processor']}, {environment['python'].partition(',')[0]}, {environment['when']}"
    return reporting.chart("Processor time of a request, microseconds (less is better)", groups, note)


if __name__ == "__main__":
    sys.exit(main())
