"""What does not show in a table of requests per second: `python bench/memory_and_reload.py`, some two minutes.

At the design point: time from exec to the first answer, memory, what a reload does to answers meanwhile, fifty
reloads under full load, and how the cost of an answer grows with the network of mirrors. README.md beside this file
says how to read it.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import growth
import probing
import reporting
from corpus import DESIGN, snapshot_file
from geography import database_file
from measuring import BenchError, Load, memory, run_wrk
from reporting import clear_terminal, say_on_terminal
from servers import Requests, Server, end_on_terminate, folder_for_servers, mirrorlistd, prepare, serve_has, started

if TYPE_CHECKING:
    from pathlib import Path

    from corpus import Size

STAMPS: Final = ("s1x", "s2x")
TARGETS: Final = {
    "exec to first answer, seconds": 0.5,
    "one worker, RSS MB": 70,
    "four workers, PSS MB": 120,
    "reload, longest answer, ms (median of reloads)": 3,
    "reload under load, failed or mixed answers": 0,
    "reload under load, p99.9 to that without": 2,
    "whole request, 70 mirrors and 1,500 directories to design point": 1.2,
}
PAUSE: Final = 0.25
"""Seconds between a reload's end and the next."""
_RELOAD_SECONDS: Final = 30
"""After this a reload has failed."""


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, metavar="PART", help="part of the design point's size")
    parser.add_argument("--reloads", type=int, default=50, metavar="N", help="reloads under load (default: 50)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--save-baseline", action="store_true", help="keep the results in bench/baseline.json")
    arguments = parser.parse_args()
    end_on_terminate()
    try:
        result = run(DESIGN.scaled(arguments.scale), arguments.reloads)
    except (BenchError, ValueError) as error:
        clear_terminal()
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        clear_terminal()
        return 130
    kept = reporting.baseline("memory_and_reload").get("figures", {})
    path = reporting.keep("memory_and_reload", result, as_baseline=arguments.save_baseline)
    print(json.dumps(result, indent=1) if arguments.json else text(result, kept))
    reporting.say(f"\nalso in {path}")
    return 0


def run(size: Size, reloads: int) -> dict[str, Any]:
    """Do all of it, one after the other; plain data."""
    environment = reporting.environment()
    one, two = (
        snapshot_file(size, serial=number, stamp=stamp, say=say_on_terminal) for number, stamp in enumerate(STAMPS, 1)
    )
    database_file(say_on_terminal)
    figures: dict[str, float] = {}
    with folder_for_servers() as folder:
        served = folder / "served.mls"
        served.write_bytes(one.read_bytes())
        target = f"/mirrorlist?{size.queries()[0].decode()}"
        say_on_terminal("choosing clients")
        requests = prepare(folder, one, size.queries()[:32])
        say_on_terminal("starting")
        figures |= _starting(folder, served, target, requests.keep_alive)
        with started(mirrorlistd(served), folder, target) as server:
            say_on_terminal("reloads beside a probe")
            figures |= _stalls(server, served, (one, two), target)
            say_on_terminal("reloads under load")
            figures |= _under_load(server, served, (one, two), requests, reloads)
        say_on_terminal("growth of answer()")
        figures |= growth.of_answer(size)
        say_on_terminal("growth of a whole request")
        figures |= growth.of_request(folder, size)
    clear_terminal()
    return {"environment": environment, "size": str(size), "figures": figures}


def _starting(folder: Path, served: Path, target: str, load: Load) -> dict[str, float]:
    """Time to the first answer, memory then and with memos filled."""
    times = []
    for _ in range(5):
        with started(mirrorlistd(served), folder, target) as server:
            times.append(server.seconds)
            fresh = memory(server.process.pid)
    with started(mirrorlistd(served), folder, target) as server:
        run_wrk(server.url, load._replace(mode="cold"), 3)
        used = memory(server.process.pid)
    figures = {
        "exec to first answer, seconds": median(times),
        "one worker, RSS MB": fresh / 1e6,
        "one worker after 3 s of new addresses, RSS MB": used / 1e6,
    }
    if serve_has("--workers"):
        with started(mirrorlistd(served, "--workers", "4"), folder, target) as server:
            time.sleep(1)  # the first answer is the first worker's
            figures["four workers, PSS MB"] = memory(server.process.pid, "Pss") / 1e6
            run_wrk(server.url, load, 3)
            figures["four workers after 3 s of load, PSS MB"] = memory(server.process.pid, "Pss") / 1e6
    return figures


def _put(served: Path, snapshot: Path) -> None:
    fresh = served.with_suffix(".new")
    fresh.write_bytes(snapshot.read_bytes())
    fresh.replace(served)


def _reload(server: Server, served: Path, snapshot: Path) -> tuple[float, float]:
    """Reload and wait until it is done: when it began and ended. BenchError where it failed."""
    before = _reloads_told(server)
    _put(served, snapshot)
    began = time.monotonic()
    server.process.send_signal(signal.SIGHUP)
    while _reloads_told(server) == before:
        if time.monotonic() - began > _RELOAD_SECONDS or server.process.poll() is not None:
            raise BenchError(f"no reload: {server.log.read_text()[-2000:]}")
        time.sleep(0.005)
    return began, time.monotonic()


def _reloads_told(server: Server) -> int:
    log = server.log.read_text()
    if "reload failed" in log:
        raise BenchError(f"a reload failed: {log[-2000:]}")
    return log.count('"event":"reloaded"')


def _stalls(
    server: Server, served: Path, snapshots: tuple[Path, Path], target: str, reloads: int = 20
) -> dict[str, float]:
    """How long the longest answer takes around each reload, and in as long a time without one."""
    seconds = 6 + reloads * 1.0
    watching = probing.start(server.port, target, seconds)
    end = time.monotonic() + seconds - 1
    time.sleep(2)
    windows: list[tuple[float, float]] = []
    for number in range(reloads):
        if time.monotonic() > end:
            break
        windows.append(_reload(server, served, snapshots[(number + 1) % 2]))
        time.sleep(PAUSE)
    samples = probing.finish(watching)
    # What the loop frees and fills again comes after the swap: part of the reload, too.
    during = [(begin, end + 0.1) for begin, end in windows]
    quiet = [(end + 0.1, after) for (_, end), (after, _) in pairwise(windows)]
    with_reload, without = (probing.longest_in(samples, those) for those in (during, quiet))
    return {
        "reload, seconds (median)": median(end - begin for begin, end in windows),
        "reload, longest answer, ms (median of reloads)": 1e3 * median(with_reload),
        "reload, longest answer, ms (longest of reloads)": 1e3 * max(with_reload),
        "no reload, longest answer, ms (median of pauses)": 1e3 * median(without),
        "no reload, longest answer, ms (longest of pauses)": 1e3 * max(without),
    }


def _under_load(
    server: Server, served: Path, snapshots: tuple[Path, Path], requests: Requests, reloads: int
) -> dict[str, float]:
    """Reload while 64 connections ask without a pause; every answer is looked at."""
    load = requests.keep_alive._replace(stamps=",".join(STAMPS))
    run_wrk(server.url, load, 3)  # memos fill
    quiet = run_wrk(server.url, load, 10)
    p99_9, asked, failed, mixed, done = [], 0, 0, 0, 0
    while done < reloads:
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(run_wrk, server.url, load, 10)
            while not running.done() and done < reloads:
                _reload(server, served, snapshots[done % 2])
                done += 1
                time.sleep(PAUSE)
            said = running.result()
        p99_9.append(said.p99_9)
        asked, failed, mixed = asked + said.requests, failed + said.failed, mixed + said.mixed
    return {
        "reload under load, reloads": done,
        "reload under load, answers": asked,
        "reload under load, failed or mixed answers": failed + mixed,
        "reload under load, p99.9 ms": median(p99_9) / 1e3,
        "no reload under load, p99.9 ms": quiet.p99_9 / 1e3,
        "reload under load, p99.9 to that without": median(p99_9) / quiet.p99_9,
        "one worker after all these reloads, RSS MB": memory(server.process.pid) / 1e6,
    }


def text(result: dict[str, Any], kept: dict[str, float]) -> str:
    """Write the figures for people."""
    rows = []
    for name, value in result["figures"].items():
        target = TARGETS.get(name)
        verdict = "" if target is None else "met" if value <= target else "missed"
        beside = ("" if target is None else f"{target:g}", verdict, f"{kept[name]:,.2f}" if name in kept else "")
        rows.append((name, f"{value:,.2f}", *beside))
    head = (result["size"], "measured", "target", "", "baseline")
    return f"{reporting.facts(result['environment'])}\n\n{reporting.table(head, rows)}"


if __name__ == "__main__":
    sys.exit(main())
