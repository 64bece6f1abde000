"""What requests cost as real clients send them, beside nginx on the same bytes: `python bench/mix_table.py`.

    python bench/mix_table.py                 a dozen rounds, some four minutes
    python bench/mix_table.py --rounds 3      a first look, a minute
    python bench/mix_table.py --json          the results as JSON on standard output

In-process: `answer()` of the real mix beside one client and one repository. Over HTTP: rounds of one short run of each
load; a ratio is taken within a round, and the figure is the median of the rounds with its range. README.md beside this
file says how to read the table; `real_mix.py`, what is asked.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from itertools import islice
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import answers_in_mix
import real_mix
import reporting
from corpus import DESIGN, snapshot_file
from geography import database_file
from measuring import CONNECTIONS, BenchError, Load, Run, measure, memory, typical
from mirrorlist_snapshot.format import decode
from mirrorlistd.answering.answer import answer
from mirrorlistd.answering.decider import Decider
from mirrorlistd.answering.plan import AnswerSettings
from mirrorlistd.geo.locate import Geo
from mirrorlistd.request.client_address import parse_address
from mirrorlistd.selection.index import Index
from reporting import clear_terminal, say_on_terminal
from servers import Server, end_on_terminate, folder_for_servers, mirrorlistd, nginx, started

if TYPE_CHECKING:
    from pathlib import Path

    from corpus import Size

ROUNDS: Final = 12
REQUESTS: Final = 300_000
"""Of the files that wrk reads; more clients than a server remembers."""
NGINX, DESIGN_POINT, TENTH = "nginx", "design point", "1/10"
STATISTICS = "design point, statistics to a file"
REGISTRIES: Final = "design point, built-in geo data"
LIST, NEW, METALINK, REDIRECT, JSON = "list", "list, new connections", "metalink", "redirect", "format=json"
_MORE: Final = {METALINK: "&format=metalink", REDIRECT: "&format=redirect", JSON: "&format=json"}


class Comparison(NamedTuple):
    """Two (server, load): the ratio of their processor times in one round."""

    ours: tuple[str, str]
    theirs: tuple[str, str]
    target: float | None = None

    @property
    def name(self) -> str:
        """What the table calls it."""
        return f"{': '.join(self.ours)} / {': '.join(self.theirs)}"


COMPARISONS: Final = (
    Comparison((DESIGN_POINT, LIST), (NGINX, LIST), 1.5),
    Comparison((DESIGN_POINT, NEW), (NGINX, NEW), 1.6),
    Comparison((DESIGN_POINT, LIST), (TENTH, LIST), 1.15),
    Comparison((DESIGN_POINT, METALINK), (DESIGN_POINT, LIST), 2),
    Comparison((DESIGN_POINT, REDIRECT), (DESIGN_POINT, LIST), 2),
    Comparison((DESIGN_POINT, JSON), (DESIGN_POINT, LIST)),
    Comparison((STATISTICS, LIST), (DESIGN_POINT, LIST)),
    Comparison((REGISTRIES, LIST), (NGINX, LIST)),
    Comparison((TENTH, LIST), (NGINX, LIST)),
    Comparison((TENTH, NEW), (NGINX, NEW)),
)
ANSWER_TARGETS: Final = {
    "real mix / one client": 1.8,
    "real mix, p99 / mean of one client": 5,
    "real mix, p99.9 / mean of one client": 20,
}


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help=f"runs of each load ({ROUNDS})")
    parser.add_argument("--scale", type=float, default=1.0, metavar="PART", help="part of the design point's size")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--save-baseline", action="store_true", help="keep the results in bench/baseline.json")
    arguments = parser.parse_args()
    end_on_terminate()
    try:
        result = run(DESIGN.scaled(arguments.scale), arguments.rounds)
    except (BenchError, ValueError) as error:
        clear_terminal()
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        clear_terminal()
        return 130
    kept = reporting.baseline("mix")
    path = reporting.keep("mix", result, as_baseline=arguments.save_baseline)
    print(json.dumps(result, indent=1) if arguments.json else text(result, kept))
    reporting.say(f"\nalso in {path}")
    return 0


def run(size: Size, rounds: int) -> dict[str, Any]:
    """Do all of it; plain data."""
    environment = reporting.environment()
    tenth = size.scaled(0.1)
    for network in (size, tenth):
        snapshot_file(network, say=say_on_terminal)
    database_file(say_on_terminal)
    say_on_terminal("answer(), in-process")
    answers = {
        name: answers_in_mix.figures(network, registries=registries)
        for name, network, registries in (
            (DESIGN_POINT, size, False),
            (REGISTRIES, size, True),
            (TENTH, tenth, False),
        )
    }
    with folder_for_servers() as folder, contextlib.ExitStack() as running:
        say_on_terminal("requests")
        loads = _loads(folder, size, tenth)
        say_on_terminal("starting servers")
        servers = _servers(folder, running, size, tenth)
        runs = _measure(servers, loads, rounds)
        used = {name: memory(server.process.pid) for name, server in servers.items()}
    clear_terminal()
    return {
        "environment": environment | {"load after": reporting.load_average()},
        "method": {"connections": CONNECTIONS, "rounds": rounds, "requests of a file": REQUESTS, "size": str(size)},
        "answer": answers,
        "servers": [
            {"server": server, "load": load, **typical(found)._asdict(), "rss": used[server]}
            for (server, load), found in runs.items()
        ],
        "ratios": [ratio(comparison, runs) for comparison in COMPARISONS],
    }


def _loads(folder: Path, size: Size, tenth: Size) -> dict[tuple[str, str], Load]:
    """Write the files of every load."""

    def load(name: str, network: Size, **how: str | bool) -> Load:
        files = real_mix.write(folder, name, network, REQUESTS, **how)
        return Load(files.heads, files.turns, "mix")

    lists, close = load("list", size), load("close", size, extra="Connection: close")
    return {
        (NGINX, LIST): lists,
        (DESIGN_POINT, LIST): lists,
        (TENTH, LIST): load("tenth", tenth),
        (STATISTICS, LIST): lists,
        (REGISTRIES, LIST): load("registries", size, registries=True),
        (NGINX, NEW): close,
        (DESIGN_POINT, NEW): close,
        (TENTH, NEW): load("tenth-close", tenth, extra="Connection: close"),
        **{(DESIGN_POINT, kind): load(kind, size, more=more) for kind, more in _MORE.items()},
    }


def _servers(folder: Path, running: contextlib.ExitStack, size: Size, tenth: Size) -> dict[str, Server]:
    """Start one server of each kind; nginx sends a typical answer of the design point."""
    large = snapshot_file(size)
    lane = ("--lane", "fast")
    statistics = ("--statistics", str(folder / "statistics.log"))
    plans = (
        nginx(folder, typical_body(size)),
        mirrorlistd(large, *lane, name=DESIGN_POINT),
        mirrorlistd(snapshot_file(tenth), *lane, name=TENTH),
        mirrorlistd(large, *lane, *statistics, name=STATISTICS),
        mirrorlistd(large, *lane, name=REGISTRIES, registries=True),
    )
    targets = {TENTH: tenth.queries()[0].decode()}
    return {
        plan.name: running.enter_context(
            started(plan, folder, f"/mirrorlist?{targets.get(plan.name, size.queries()[0].decode())}")
        )
        for plan in plans
    }


def typical_body(size: Size) -> bytes:
    """Return the answer of median length to the mix."""
    decider = Decider(
        Index(decode(snapshot_file(size).read_bytes())), Geo.open(database_file(), None), AnswerSettings()
    )
    random = Random(0)
    bodies = [
        answer(decider, request.query, parse_address(request.address), random).body
        for request in islice(real_mix.requests(size), 1_001)
    ]
    return sorted(bodies, key=len)[len(bodies) // 2]


def _measure(
    servers: dict[str, Server], loads: dict[tuple[str, str], Load], rounds: int
) -> dict[tuple[str, str], list[Run]]:
    """Run every load once in each round, each round in the other direction; the first round is not counted."""
    runs: dict[tuple[str, str], list[Run]] = {key: [] for key in loads}
    for turn in range(rounds + 1):
        for key in list(loads)[:: -1 if turn % 2 else 1]:
            say_on_terminal(f"round {turn} of {rounds}: {': '.join(key)}")
            server = servers[key[0]]
            runs[key].append(measure(server.url, server.process.pid, loads[key], 1, turn))
    return {key: found[1:] for key, found in runs.items()}


def ratio(comparison: Comparison, runs: dict[tuple[str, str], list[Run]]) -> dict[str, Any]:
    """Compare two loads round by round: the median, the range, and the difference in microseconds."""
    pairs = list(zip(runs[comparison.ours], runs[comparison.theirs], strict=True))
    ratios = [ours.microseconds / theirs.microseconds for ours, theirs in pairs]
    return {
        "name": comparison.name,
        "target": comparison.target,
        "median": median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
        "more": median(ours.microseconds - theirs.microseconds for ours, theirs in pairs),
    }


def text(result: dict[str, Any], before: dict[str, Any]) -> str:
    """Write the tables for people; `before` is the kept baseline, for a look beside."""
    kept = {row["name"]: row["median"] for row in before.get("ratios", ())}
    ratios = [
        (
            row["name"],
            f"{row['median']:.2f}",
            f"{row['lowest']:.2f}-{row['highest']:.2f}",
            *_verdict(row["median"], row["target"]),
            f"{kept[row['name']]:.2f}" if row["name"] in kept else "",
            f"{row['more']:+.1f}",
        )
        for row in result["ratios"]
    ]
    servers = [
        (
            f"{row['server']}: {row['load']}",
            f"{row['microseconds']:.1f}",
            f"{row['per_second']:,.0f}",
            *(f"{row[key] / 1000:.2f}" for key in ("p50", "p99", "p99_9")),
            f"{row['rss'] / 1e6:.0f}",
            str(row["failed"]),
        )
        for row in result["servers"]
    ]
    names = list(result["answer"])
    answers = [
        (name, *(f"{result['answer'][network][name]:.2f}" for network in names), f"{target:g}" if target else "")
        for name in result["answer"][names[0]]
        for target in (ANSWER_TARGETS.get(name),)
    ]
    head = ("processor time of a request", "µs", "requests/s", "p50 ms", "p99 ms", "p99.9 ms", "RSS MB", "failed")
    return "\n\n".join(
        (
            reporting.facts(result["environment"]),
            reporting.table(("real mix over HTTP", "median", "range", "target", "", "baseline", "µs more"), ratios),
            reporting.table(("answer(), processor time, µs", *names, "target"), answers),
            reporting.table(head, servers),
        )
    )


def _verdict(value: float, target: float | None) -> tuple[str, str]:
    return ("", "") if target is None else (f"{target:g}", "met" if value <= target else "missed")


if __name__ == "__main__":
    sys.exit(main())
