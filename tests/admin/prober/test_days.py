"""Days of the prober's life in virtual time, held against what is true of a simulated network."""

from __future__ import annotations

import asyncio
import itertools
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

    def set_clock(self, seconds: float) -> None:
        """Set the clock forward, or back."""
        self.clock.start += seconds

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


def plain(folder: Path, count: int, units: int = 1, *, hours: float = 1, **changes: Any) -> Life:
    """Mirrors that all have what the master published two days ago, after some good hours."""
    mirrors = [Mirror(f"m{number}", delay=60, **changes) for number in range(count)]
    life = Life(folder, SimulatedNetwork(Clock(START), mirrors, [START - 90 * H, START - 48 * H], units))
    life.live(hours)
    return life


def away(life: Life) -> int:
    """The number of mirrors that are not offered."""
    return sum(not life.offered(name) for name in life.network.mirrors)


@pytest.mark.slow
def test_a_mirror_is_asked_little(tmp_path: Path) -> None:
    """A hundred and fifty units: a full sweep, later the news of the master; at most 300 requests in any hour."""
    life = plain(tmp_path, 1, 150, hours=0.1)
    mirror, asked = life.network.mirrors["m0"], list[int]()
    life.network.published.append(START + 2 * H)

    def count() -> None:
        asked.append(mirror.asked)

    life.live(6, count)
    each = [after - before for before, after in itertools.pairwise(asked)]
    hours = [sum(each[start : start + 12]) for start in range(len(each) - 12)]
    assert max(hours) <= 300
    resting = [number for number in each[6:20] if number]
    assert max(resting) <= 12
    probes = life.known.probes["m0"]
    current = life.known.current(("c", "r0/repodata/repomd.xml"))
    assert current is not None
    assert len(probes) == 150
    assert {probe.sha256 for probe in probes.values()} == {current.sha256}, "the news arrived everywhere"


@pytest.mark.slow
def test_many_that_die_at_once_go_in_two_runs(tmp_path: Path) -> None:
    """Ten of thirty: three, the rest when the next run finds the same; and each is told why."""
    life = plain(tmp_path, 30, hours=0.5)
    dead = [f"m{number}" for number in range(10)]
    for name in dead:
        life.network.mirrors[name].outages.append((life.clock(), life.clock() + 100 * H))
    gone = list[int]()
    life.live(0.4, lambda: gone.append(away(life)))
    assert gone[:2] == [3, 10]
    assert sum("held back" in life.events(name) for name in dead) == 7
    assert all(life.events(name)[-1] == "down" for name in dead)


@pytest.mark.slow
def test_most_that_die_at_once_wait_for_a_person(tmp_path: Path) -> None:
    """Half of thirty: no run counts, and one event says so; a person's word makes them go."""
    life = plain(tmp_path, 30, hours=0.5)
    for number in range(15):
        life.network.mirrors[f"m{number}"].outages.append((life.clock(), life.clock() + 100 * H))
    life.live(2)
    assert away(life) == 0
    assert {bool(run.row.void) for run in life.runs[-20:]} == {True}
    assert [event for event in life.events() if event == "void"] == ["void"], "one incident, one event"
    life.live(0.01, confirm=True)
    assert away(life) == 15


@pytest.mark.slow
@pytest.mark.parametrize("defect", ["404", "html", "other bytes"])
def test_a_mirror_with_the_wrong_content_is_not_offered(tmp_path: Path, defect: str) -> None:
    """Files gone, a web page instead, other bytes of the same time: out within minutes, with the reason, and back."""
    life = plain(tmp_path, 4, 3, hours=0.5)
    life.network.mirrors["m1"].defect = defect
    life.live(0.5)
    assert [name for name in life.network.mirrors if not life.offered(name)] == ["m1"]
    life.network.mirrors["m1"].defect = ""
    life.live(0.5)
    assert away(life) == 0


@pytest.mark.slow
def test_retry_after_is_obeyed(tmp_path: Path) -> None:
    """A mirror that is busy and says so is not asked for as long as it wants, and is down after three such answers."""
    life = plain(tmp_path, 4, hours=0.5)
    mirror = life.network.mirrors["m1"]
    mirror.defect, before = "503", mirror.asked
    life.live(2)
    assert mirror.asked - before <= 2 * 6 + 1, "one question in ten minutes"
    assert not life.offered("m1")


@pytest.mark.slow
def test_a_master_that_goes_backwards_is_not_believed(tmp_path: Path) -> None:
    """The master has an older version than before: nobody is judged by it, until a person says that it is meant."""
    life = plain(tmp_path, 3, hours=0.5)
    life.network.master_behind = True
    life.network.mirrors["m1"].delay = 1000 * H  # it follows the master, and has the first version again
    life.live(30)
    assert away(life) == 0
    assert "not judged" in life.events()
    assert life.runs[-1].troubled == 1
    life.live(0.01, confirm=True)
    assert life.runs[-1].troubled == 0
    life.live(0.1)
    assert life.known.unit_states["m1"]["c", "r0/repodata/repomd.xml"].lag == 0


@pytest.mark.slow
@pytest.mark.parametrize("jump", [86_400, -86_400])
def test_a_clock_that_jumps_loses_nothing(tmp_path: Path, jump: int) -> None:
    """Set forward or back by a day: no mirror changes state, all are asked on, a dead one goes and returns."""
    life = plain(tmp_path, 5, 2, hours=1)
    life.set_clock(jump)
    before = {name: mirror.asked for name, mirror in life.network.mirrors.items()}
    life.live(1)
    assert away(life) == 0
    assert all(mirror.asked >= before[name] + 12 for name, mirror in life.network.mirrors.items())
    life.network.mirrors["m0"].outages.append((life.clock(), life.clock() + H))
    life.live(0.5)
    assert away(life) == 1
    life.set_clock(-jump)
    life.network.mirrors["m0"].outages.clear()
    life.live(1)
    assert away(life) == 0


@pytest.mark.slow
def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    """What the prober knows is what it has written: after a restart it asks the same, and says the same."""
    life = plain(tmp_path, 5, 3, hours=1)
    life.network.mirrors["m1"].outages.append((life.clock(), life.clock() + 100 * H))
    life.live(0.5)
    known = life.known
    life.restart()
    for table in ("units", "urls", "probes", "mirrors", "url_states", "unit_states", "mirror_states", "held"):
        assert getattr(life.known, table) == getattr(known, table), table
    assert {key: one for key, one in life.known.versions.items() if one} == dict(known.versions)
    life.live(0.5)
    assert [name for name in life.network.mirrors if not life.offered(name)] == ["m1"]


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(2, 8))
def test_more_days_of_chaos(tmp_path: Path, seed: int) -> None:
    """The same day with more mirrors, and with other accidents."""
    life, wrong = chaos(tmp_path, 100, 5, seed)
    assert wrong == []
    assert max(mirror.asked for mirror in life.network.mirrors.values()) <= 24 * 300
