"""Days of the prober's life in virtual time, held against what is true of a simulated network."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from mirrorlist_admin.prober.cycle import Cycle, Tools
from mirrorlist_admin.prober.in_force import NOT_OFFERED, is_away
from mirrorlist_admin.prober.known import Known
from mirrorlist_admin.prober.master import MasterReader
from mirrorlist_admin.prober.mirror_run import AskingRules
from mirrorlist_admin.prober.watcher import Watcher
from mirrorlist_admin.store import Store, schema
from support.simulated_mirrors import Mirror, SimulatedNetwork
from support.virtual_time import Clock, run_virtually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mirrorlist_admin.prober.cycle import RunDone

START = 1_700_000_000.0
EVERY = 300
H = 3600.0
MAX_LAG = 24 * H


class Life:
    """A prober over a simulated network."""

    def __init__(self, folder: Path, network: SimulatedNetwork, **rules: Any) -> None:
        self.network = network
        self.clock = network.clock
        self.folder = folder
        self.records = network.records(folder)
        self.rules = AskingRules(every=EVERY, **rules)
        self.runs: list[RunDone] = []
        self.restart()

    def restart(self) -> None:
        """Start the prober anew: what it knows is what it has written."""
        self.store = Store(self.folder)
        self.known = Known(self.store)
        watcher = Watcher(MasterReader(self.network), self.clock)
        tools = Tools(fetcher=self.network, watcher=watcher, clock=self.clock, rules=self.rules)
        self.cycle = Cycle(self.store, self.known, tools)

    def live(self, hours: float, after_each: Callable[[], None] = lambda: None, *, confirm: bool = False) -> None:
        """Run for some hours; call something after each run."""

        async def main() -> None:
            until = self.clock() + hours * H
            while (began := self.clock()) < until:
                self.runs.append(await self.cycle.run(self.records, confirm=confirm))
                after_each()
                await asyncio.sleep(max(1.0, began + EVERY - self.clock()))

        run_virtually(self.clock, main)

    def offered(self, name: str, unit: int = 0) -> bool:
        """Whether a mirror is in the lists of a unit's repository."""
        state = self.known.unit_states.get(name, {}).get(("c", f"r{unit}/repodata/repomd.xml"))
        return not is_away(self.known, name) and (state is None or state.state not in NOT_OFFERED)

    def events(self, mirror: str = "") -> list[str]:
        """What happened to a mirror: `suspect`, `down`, ..."""
        return [event.after for event in self.store.read(schema.EVENT) if event.mirror == mirror]


def chaos(folder: Path, count: int, units: int, seed: int) -> tuple[Life, list[str]]:
    """A day of losses, outages, slow and frozen mirrors, and a prober that is off line three times; what went wrong."""
    random = Random(seed)
    clock = Clock(START)
    mirrors = [
        Mirror(
            f"m{number}",
            delay=random.choice([60, 600, 3600, 4 * H]),
            mistakes=random.choice([0, 0.002, 0.01]),
            slow=random.choice([0.01, 0.1, 3.0]),
        )
        for number in range(count)
    ]
    for mirror in mirrors[:: max(1, count // 4)]:
        begin = START + random.uniform(2, 20) * H
        mirror.outages.append((begin, begin + random.uniform(0.2, 3) * H))
    for mirror in mirrors[1 :: max(1, count // 4)]:
        mirror.frozen.append((START + random.uniform(-30, 0) * H, START + 100 * H))
    published = [START - 300 * H, *sorted(START + random.uniform(-40, 24) * H for _ in range(10))]
    network = SimulatedNetwork(clock, mirrors, published, units, seed)
    for begin in (3.1, 9.3, 17.7):
        network.offline.append((START + begin * H, START + (begin + random.uniform(0.05, 1)) * H))
    network.half_offline.append((START + 13.2 * H, START + 13.8 * H))
    life = Life(folder, network)
    wrong: list[str] = []

    def check() -> None:
        now = clock()
        for mirror in mirrors:
            name = mirror.name
            up = mirror.serves(now) and all(not begin - H < now < end + H for begin, end in mirror.outages)
            lag = network.lag(mirror, now, START)
            if up and lag < MAX_LAG and network.lag(mirror, now - 2 * H, START) < MAX_LAG and not life.offered(name):
                wrong.append(f"{name} is dropped at {(now - START) / H:.2f} h: {life.events(name)[-3:]}")
            if up and not offline(now) and life.offered(name) and lag > MAX_LAG + 3 * EVERY:
                wrong.append(f"{name} is offered at {(now - START) / H:.2f} h with a lag of {lag / H:.1f} h")

    def offline(now: float) -> bool:
        return any(begin - H < now < end + H for begin, end in network.offline + network.half_offline)

    life.live(24, check)
    return life, wrong


@pytest.mark.slow
def test_a_day_of_chaos_drops_nobody_that_serves(tmp_path: Path) -> None:
    """Losses, outages, frozen mirrors, the prober off line: nobody is dropped that served, no stale one offered."""
    life, wrong = chaos(tmp_path, 12, 4, seed=1)
    assert wrong == []
    assert any(run.row.void for run in life.runs), "the prober was off line"
    assert sum(bool(run.row.void) for run in life.runs) < len(life.runs) / 4
    assert any(is_away(life.known, name) or "down" in life.events(name) for name in life.network.mirrors)
    most = max(mirror.asked for mirror in life.network.mirrors.values())
    assert most <= 24 * 300
