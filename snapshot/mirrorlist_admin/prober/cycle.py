"""One run: the master, the mirrors, the master again where mirrors have something new, and what follows."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

from mirrorlist_admin.exchange import Request
from mirrorlist_admin.network import Network
from mirrorlist_admin.prober.asking import Asking
from mirrorlist_admin.prober.conclusion import Conclusion, Seen, conclude
from mirrorlist_admin.prober.mirror_run import Asked, MirrorRun
from mirrorlist_admin.prober.reports import take_reports
from mirrorlist_admin.store import schema
from mirrorlist_admin.store.rows import Event, Run, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mirrorlist_admin.network import Unit
    from mirrorlist_admin.prober.known import Known, UnitKey
    from mirrorlist_admin.prober.mirror_run import AskingRules, Fetcher, Lister
    from mirrorlist_admin.prober.watcher import MastersSeen, Watcher
    from mirrorlist_admin.store import Store
    from mirrorlist_admin.store.table import Table
    from mirrorlist_snapshot.records import NetworkRecords

Row = TypeVar("Row")

_FLUSH_EVERY: Final = 2.0
"""Seconds between two writes of what was seen: more is not lost if the prober is killed."""
_LONGEST_GRACE: Final = 3 * 3600
"""Seconds after a change of the master after which even the slowest mirror is asked for it out of turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDone:
    """The result of a run."""

    network: Network
    runs: Sequence[MirrorRun]
    conclusion: Conclusion
    row: Run
    troubled: int
    """Categories whose master is in trouble."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a run works with."""

    fetcher: Fetcher
    watcher: Watcher
    clock: Callable[[], float]
    rules: AskingRules
    lister: Lister | None = None
    references: Sequence[str] = ()
    """URLs of hosts that show whether the prober is on the network."""
    progress: Callable[[int, int, int], None] = lambda _done, _all, _requests: None
    """Is told the mirrors that are done, all mirrors, and the requests sent."""


class Cycle:
    """Runs, one after the other, over one store."""

    def __init__(self, store: Store, known: Known, tools: Tools) -> None:
        self._store = store
        self._known = known
        self._tools = tools
        self._clock = tools.clock
        self._watcher = tools.watcher

    async def run(self, records: NetworkRecords, *, confirm: bool = False, only: set[str] | None = None) -> RunDone:
        """Ask the mirrors, or `only` some, and conclude."""
        began = int(self._clock())
        network = Network(records, self._known.units.keys())
        with_new_units = len(self._known.units)
        masters = await self._watcher.read(network, self._known, accept=confirm)
        if len(self._known.units) != with_new_units:
            network = Network(records, self._known.units.keys())
        self._expect_news(network, masters.news, began)
        mirrors = [mirror for name, mirror in network.mirrors.items() if only is None or name in only]
        about = Asked(
            fetcher=self._tools.fetcher,
            lister=self._tools.lister,
            clock=self._clock,
            rules=self._tools.rules,
            busiest=self._busiest(network),
            due=self._due(),
        )
        askings = [Asking(mirror, self._known, about) for mirror in mirrors]
        references, runs = await asyncio.gather(self._ask_references(), self._ask_all(askings))
        await self._read_again(network, runs, masters)
        now = int(self._clock())
        with self._store.transaction():
            seen = Seen(network=network, runs=runs, masters=masters, references=references)
            conclusion = conclude(seen, self._known, now, confirm=confirm)
            if only is None:
                private = {mirror.name for mirror in records.mirrors if mirror.private}
                self._known.forget_others(network.mirrors.keys() | private)
                self._declare(network)
            reported, changes = take_reports(self._store, network, self._known, masters, now)
            conclusion.changes += changes
            conclusion.events += reported.events
            self._settle_due(runs)
            events = conclusion.events
            if conclusion.void or masters.troubles:
                events = self._without_repeats(events)
            self._known.add_events(events)
            row = Run(
                began=began,
                ended=now,
                void=conclusion.void,
                requests=masters.requests + len(self._tools.references) + sum(run.requests for run in runs),
                mirrors=len(runs),
                changes=conclusion.changes,
                held=conclusion.held,
            )
            self._store.write(schema.RUN, [row])
            if not conclusion.void:
                self._store.set_taken(now)
        return RunDone(network=network, runs=runs, conclusion=conclusion, row=row, troubled=len(masters.troubles))

    def _expect_news(self, network: Network, news: Sequence[UnitKey], now: int) -> None:
        """Ask every mirror for what is new on the master, after the time that it usually needs."""
        if not news:
            return
        fresh = set(news)
        for mirror in network.mirrors.values():
            grace = min(_LONGEST_GRACE, self._known.mirror(mirror.name, now).usual_lag)
            for content in mirror.contents:
                for unit in content.units:
                    probe = self._known.probes.get(mirror.name, {}).get(unit.key)
                    current = self._known.current(unit.key)
                    if unit.key in fresh and probe is not None and current is not None:
                        due = max(now, current.first_seen + grace)
                        self._known.put_probe(replace(probe, due=due, step=0), unit.key)
        self._known.flush()

    def _busiest(self, network: Network) -> dict[str, Unit]:
        """Return the unit of each category that has changed most often."""
        changes = Counter({key: len(versions) for key, versions in self._known.versions.items()})
        found: dict[str, Unit] = {}
        for key, unit in sorted(network.units.items(), key=lambda one: (-changes[one[0]], one[0])):
            if self._known.current(key) is not None:
                found.setdefault(unit.category, unit)
        return found

    def _due(self) -> dict[str, dict[UnitKey, int]]:
        found: dict[str, dict[UnitKey, int]] = {}
        for row in self._store.read(schema.DUE):
            found.setdefault(row.mirror, {})[row.category, row.unit] = row.due
        return found

    def _settle_due(self, runs: Sequence[MirrorRun]) -> None:
        """Remove what others asked for and has been asked."""
        asked = {(run.mirror.name, *key): probe.asked for run in runs for key, probe in run.units.items()}
        done = [
            schema.DUE.key_of(row)
            for row in self._store.read(schema.DUE)
            if asked.get((row.mirror, row.category, row.unit), 0) >= row.due
        ]
        self._store.remove(schema.DUE, done)

    async def _ask_all(self, askings: list[Asking]) -> list[MirrorRun]:
        """Ask all mirrors at once; write what is seen now and then."""
        done: list[MirrorRun] = []
        waiting = {asyncio.ensure_future(asking.run()) for asking in askings}
        try:
            while waiting:
                ended, waiting = await asyncio.wait(waiting, timeout=_FLUSH_EVERY)
                for task in ended:
                    run = task.result()
                    done.append(run)
                    for key, probe in run.units.items():
                        self._known.put_probe(probe, key)
                    self._known.put_arrivals(run.arrivals)
                    run.arrivals = []
                self._known.flush()
                self._tools.progress(len(done), len(askings), sum(asking.seen.requests for asking in askings))
        finally:
            for task in waiting:
                task.cancel()
        return done

    async def _ask_references(self) -> list[bool]:
        """Ask whether the reference hosts answer."""

        async def ask(url: str) -> bool:
            answers = [
                await self._tools.fetcher.get(Request(url=url, family=family, head_only=True)) for family in (4, 6)
            ]
            return any(answer.status for answer in answers)

        return list(await asyncio.gather(*map(ask, self._tools.references)))

    async def _read_again(self, network: Network, runs: Sequence[MirrorRun], masters: MastersSeen) -> None:
        """Read the master again for units of which a mirror has a version that is not known: it may be ahead."""
        unknown = {
            key
            for run in runs
            for key, probe in run.units.items()
            if probe.sha256 and not probe.absent and probe.sha256 not in self._known.versions[key]
        }
        if not unknown:
            return
        again = await self._watcher.read(network, self._known, only=unknown)
        masters.requests += again.requests
        masters.troubles |= again.troubles
        masters.backwards |= again.backwards
        masters.unreadable |= again.unreadable
        self._expect_news(network, again.news, int(self._clock()))

    def _declare(self, network: Network) -> None:
        """Write what the sources say, for programs that do not read them."""
        self._store.replace_directories(
            (unit.category, unit.path, directory)
            for unit in (*network.units.values(), *network.stamps.values())
            for directory in unit.directories
        )
        self._replace(schema.DECLARED_MIRROR, network.declared_mirrors())
        self._replace(schema.DECLARED_URL, network.declared_urls())
        self._replace(schema.EXPECTED_UNIT, network.expected_units())
        self._replace(schema.REPOSITORY_UNIT, network.repository_units())

    def _replace(self, table: Table[Row], rows: Iterable[Row]) -> None:
        wanted = sorted(rows, key=table.key_of)
        if wanted != self._store.read(table):
            self._store.replace_all(table, wanted)

    def _without_repeats(self, events: Sequence[Event]) -> list[Event]:
        """Leave out events about runs and masters that say the same as the last of their kind: one for an incident."""
        found: list[Event] = []
        for event in events:
            if event.subject in {Subject.RUN, Subject.MASTER}:
                last = self._store.read(
                    schema.EVENT,
                    "WHERE subject = ? AND category = ? ORDER BY rowid DESC LIMIT 1",
                    event.subject,
                    event.category,
                )
                if last and (last[0].after, last[0].evidence) == (event.after, event.evidence):
                    continue
            found.append(event)
        return found
