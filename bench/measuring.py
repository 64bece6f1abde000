"""How a figure comes about: one run of wrk, processor time from /proc, and pairs of runs that may be compared.

Machines change speed while one measures, by more than what is to be seen. So two servers are measured in adjacent runs,
A B B A, only the ratio of the two counts, and a pair counts only if a fixed piece of Python took about as long before
and after it as it ever did. The decisions here are pure functions; `tests/project/test_bench.py` holds them.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TOLERANCE: Final = 0.12
"""How much longer than its best the calibration may take: a pair in a slower minute is thrown away."""
CONNECTIONS: Final = 64
_SETTLE: Final = 20
"""Calibrations, two seconds or so, that a pair waits for a good moment."""
_TICK: Final = 1_000_000 / os.sysconf("SC_CLK_TCK")
"""Microseconds in a clock tick, the unit of processor times in /proc (proc_pid_stat(5))."""
_LUA: Final = Path(__file__).with_name("wrk.lua")


class BenchError(Exception):
    """Something that makes a measurement impossible; the message says what to do."""


class Load(NamedTuple):
    """What wrk is to send."""

    heads: Path
    networks: Path
    mode: str = "warm"
    """`warm`: 10,000 addresses again and again; `cold`: every request from a new address; `mix`: what a file says."""
    connections: int = CONNECTIONS
    stamps: str = ""
    """Two words, one of which each answer must have; empty: answers are not read."""


class Wrk(NamedTuple):
    """What wrk says of one run."""

    requests: int
    seconds: float
    p50: int
    """Latencies in microseconds."""
    p99: int
    p99_9: int
    longest: int
    failed: int
    """Connections, reads, writes, time-outs and statuses that were not right."""
    mixed: int
    """Answers with none or both of the stamps."""


def parse_wrk(output: str) -> Wrk:
    """Read what wrk.lua prints last; BenchError shows the output where it is not there."""
    try:
        line = next(line for line in reversed(output.splitlines()) if line.startswith("{"))
        said: dict[str, int] = json.loads(line)
        return Wrk(
            requests=said["requests"],
            seconds=said["microseconds"] / 1e6,
            p50=said["p50"],
            p99=said["p99"],
            p99_9=said["p99_9"],
            longest=said["longest"],
            failed=sum(said[kind] for kind in ("connect", "read", "write", "status", "timeout")),
            mixed=said["mixed"],
        )
    except (StopIteration, ValueError, KeyError) as error:
        raise BenchError(f"wrk said nothing that can be read ({error!r}):\n{output}") from error


def run_wrk(url: str, load: Load, seconds: float, turn: int = 0) -> Wrk:
    """Run wrk once; `turn` is the number of the run, so that cold addresses stay new."""
    words = [str(load.heads), str(load.networks), load.mode, str(turn * 13), *([load.stamps] if load.stamps else [])]
    command = ["wrk", "-t1", f"-c{load.connections}", f"-d{max(1, round(seconds))}s", "-s", str(_LUA), url, "--"]
    done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=seconds + 30, check=False)
    if done.returncode:
        raise BenchError(f"wrk ended with {done.returncode}: {done.stderr or done.stdout}")
    return parse_wrk(done.stdout)


def parse_stat(line: str) -> int:
    """Read user + system clock ticks out of /proc/PID/stat; the command's name may hold spaces and parentheses."""
    fields = line.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])  # utime and stime: fields 14 and 15, counted from 1, of proc_pid_stat(5)


def family(root: int) -> list[int]:
    """Give a process and all its descendants that are alive."""
    found = [root]
    for process in found:
        for task in Path(f"/proc/{process}/task").glob("*/children"):
            try:
                found.extend(int(child) for child in task.read_text().split())
            except OSError:  # it has just ended
                continue
    return found


def processor_microseconds(root: int) -> float:
    """User and system time of a process and its descendants so far."""
    return _TICK * sum(parse_stat(text) for process in family(root) if (text := _read(process, "stat")))


def memory(root: int, field: str = "Rss") -> int:
    """Bytes of a process and its descendants: `Rss`, or `Pss`, which counts shared pages once."""
    total = 0
    for process in family(root):
        for line in _read(process, "smaps_rollup").splitlines():
            if line.startswith(f"{field}:"):
                total += int(line.split()[1]) * 1024
    return total


def _read(process: int, name: str) -> str:
    try:
        return Path(f"/proc/{process}/{name}").read_text()
    except OSError:
        return ""


def spin(loops: int = 200_000) -> float:
    """Processor seconds that a fixed piece of Python takes now, the median of fifteen: how fast the machine is.

    Not seconds by the clock: who else waits for a processor does not change what a request costs, the processor's
    speed does. The median: one lucky moment must not become the best that all others are held against.
    """

    def once() -> float:
        started = time.thread_time()
        total = 0
        for number in range(loops):
            total += number & 7
        return time.thread_time() - started

    return median(once() for _ in range(15))


class Machine:
    """How fast the machine is, and the best that was seen of it."""

    def __init__(self, spin: Callable[[], float] = spin) -> None:
        self._spin = spin
        self.best = float("inf")
        """Seconds of the shortest calibration."""

    def calibrate(self) -> float:
        """Take a calibration."""
        took = self._spin()
        self.best = min(self.best, took)
        return took

    def settle(self, attempts: int, tolerance: float = TOLERANCE) -> bool:
        """Wait, for so many calibrations at most, until the machine is as fast as it was: a pair less to throw away."""
        return any(self.calibrate() <= self.best * (1 + tolerance) for _ in range(attempts))


class Run(NamedTuple):
    """One server under one load, once."""

    microseconds: float
    """Processor time per request: user and system, of all processes of the server."""
    per_second: float
    p50: float
    """Latencies in microseconds."""
    p99: float
    p99_9: float
    failed: int


def measure(url: str, root: int, load: Load, seconds: float, turn: int = 0) -> Run:
    """Load a server whose first process is `root`; BenchError where it answers nothing."""
    before = processor_microseconds(root)
    said = run_wrk(url, load, seconds, turn)
    after = processor_microseconds(root)
    if not said.requests:
        raise BenchError(f"{url} answered no request")
    return Run(
        (after - before) / said.requests, said.requests / said.seconds, said.p50, said.p99, said.p99_9, said.failed
    )


@dataclass(frozen=True, slots=True)
class Pair:
    """A B B A: two servers, two runs each, and how fast the machine was before and after."""

    ours: tuple[Run, Run]
    theirs: tuple[Run, Run]
    spins: tuple[float, float]
    """Seconds of the calibration before and after."""

    @property
    def ratio(self) -> float:
        """Processor time of ours over theirs."""
        return sum(run.microseconds for run in self.ours) / sum(run.microseconds for run in self.theirs)


def measure_pair(ours: Callable[[], Run], theirs: Callable[[], Run], calibrate: Callable[[], float]) -> Pair:
    """Measure two servers in adjacent runs, in an order in which a steady drift cancels out."""
    before = calibrate()
    first, second, third, fourth = ours(), theirs(), theirs(), ours()
    return Pair((first, fourth), (second, third), (before, calibrate()))


def accepted(pairs: Sequence[Pair], best: float, tolerance: float = TOLERANCE) -> list[Pair]:
    """Give the pairs that count: the machine was about as fast as it ever was (`best`, seconds), before and after."""
    return [pair for pair in pairs if max(pair.spins) <= best * (1 + tolerance)]


class Ratio(NamedTuple):
    """What the pairs of two servers come to."""

    median: float
    lowest: float
    highest: float
    counted: int
    """Pairs that count."""
    tried: int
    steady: bool
    """False: no pair counted, so these are the figures of all, to be taken as a hint."""


def summarize(pairs: Sequence[Pair], best: float, wanted: int) -> Ratio:
    """Take the first `wanted` pairs that count."""
    good = accepted(pairs, best)[:wanted]
    ratios = [pair.ratio for pair in good or pairs]
    return Ratio(median(ratios), min(ratios), max(ratios), len(good), len(pairs), bool(good))


def typical(runs: Sequence[Run]) -> Run:
    """Take the median of each figure, and all failures together."""
    return Run(
        microseconds=median(run.microseconds for run in runs),
        per_second=median(run.per_second for run in runs),
        p50=median(run.p50 for run in runs),
        p99=median(run.p99 for run in runs),
        p99_9=median(run.p99_9 for run in runs),
        failed=sum(run.failed for run in runs),
    )


class Schedule:
    """Which comparison is measured next: in turns, until each has enough pairs that count, or time is up.

    Turns spread what the machine does to all of them. A comparison is given up after `tries` pairs.
    """

    def __init__(self, names: Sequence[str], wanted: int, tries: int, machine: Machine) -> None:
        self.machine = machine
        """Its best can become better, and a pair that counted count no more."""
        self.pairs: dict[str, list[Pair]] = {name: [] for name in names}
        self._wanted = wanted
        self._tries = tries

    def next(self) -> str | None:
        """Give the name of the comparison with the fewest pairs that still needs one, or None."""
        best = self.machine.best
        open_ones = [
            name
            for name, pairs in self.pairs.items()
            if len(pairs) < self._tries and len(accepted(pairs, best)) < self._wanted
        ]
        return min(open_ones, key=lambda name: len(self.pairs[name]), default=None)

    def measure(self, name: str, ours: Callable[[], Run], theirs: Callable[[], Run]) -> None:
        """Measure one more pair of a comparison, in a good moment if one comes soon."""
        self.machine.settle(_SETTLE)
        self.pairs[name].append(measure_pair(ours, theirs, self.machine.calibrate))

    def summary(self, name: str) -> Ratio | None:
        """Give the outcome of a comparison, None where nothing was measured."""
        return summarize(self.pairs[name], self.machine.best, self._wanted) if self.pairs[name] else None

    def counted(self, name: str) -> list[Pair]:
        """Give the pairs behind the summary."""
        return accepted(self.pairs[name], self.machine.best)[: self._wanted] or self.pairs[name]
