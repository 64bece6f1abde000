"""One mirror in one run: what is asked of it, in which order, and what was seen. Nothing is concluded here.

It works on copies of the rows: a run that turns out to be void leaves the prober's knowledge as it was.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote, urlsplit

from mirrorlist_admin import plan
from mirrorlist_admin.exchange import ABSENT, IPV4, IPV6, NOT_MODIFIED, Failure, Purpose, Request
from mirrorlist_admin.store.rows import Arrival
from mirrorlist_admin.verdict.reach import DEFAULT_DOWN_RULE, DownRule, after_failure, after_good_answer, new_url
from mirrorlist_admin.verdict.seen import after_answer, compared, never_seen
from mirrorlist_snapshot.freshness.observed import Reachability

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mirrorlist_admin.exchange import Answer, HostAddresses
    from mirrorlist_admin.network import AskedMirror, MirrorContent, Unit
    from mirrorlist_admin.prober.known import Known, UnitKey, UrlKey
    from mirrorlist_admin.store.rows import MirrorProbe, UnitProbe, UrlProbe

_LARGEST_STAMP: Final = 1 << 18
_LARGEST_UNKNOWN: Final = 64 << 20
_TOP_ANSWERS: Final = ("status 401", "status 403", "status 405")
"""Answers to the top of a tree that say that a server is there and shows no listing."""


class Fetcher(Protocol):
    """What asks: `fetch.Client`, or a simulated network."""

    async def lookup(self, host: str, *, again: bool = False) -> HostAddresses:
        """Return the addresses of a host that may be asked; those of this run, unless `again`."""
        ...

    async def get(self, request: Request) -> Answer:
        """Send a request."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AskingRules:
    """What the operator may set."""

    down: DownRule = DEFAULT_DOWN_RULE
    every: int = 300
    """Seconds between two runs; the pauses between questions for a changed unit are multiples of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What all mirrors of a run have in common."""

    fetcher: Fetcher
    clock: Callable[[], float]
    rules: AskingRules
    busiest: Mapping[str, Unit]
    """The unit of each category that changes most."""
    due: Mapping[str, Mapping[UnitKey, int]]
    """Mirror -> the units that others ask for, with times."""


@dataclass(slots=True)
class MirrorRun:
    """What a run saw of one mirror."""

    mirror: AskedMirror
    probe: MirrorProbe
    urls: dict[UrlKey, UrlProbe]
    """What is known of its URLs after the run."""
    units: dict[UnitKey, UnitProbe] = field(default_factory=dict["UnitKey", "UnitProbe"])
    """The units that it gave an answer about."""
    failed: set[UrlKey] = field(default_factory=set["UrlKey"])
    """URLs whose last answer in this run was a failure."""
    stumbled: set[UrlKey] = field(default_factory=set["UrlKey"])
    """URLs that failed at least once in this run: if many do, it is the prober's own network."""
    asked: set[UrlKey] = field(default_factory=set["UrlKey"])
    arrivals: list[Arrival] = field(default_factory=list[Arrival])
    unsure: list[Failure] = field(default_factory=list[Failure])
    """Failures from which nothing is concluded."""
    odd: dict[UrlKey, str] = field(default_factory=dict["UrlKey", str])
    """What was noticed and is no state: one line for people."""
    requests: int = 0


class Asking:
    """Asks one mirror."""

    def __init__(self, mirror: AskedMirror, known: Known, about: Asked) -> None:
        now = int(about.clock())
        self._known = known
        self._fetcher = about.fetcher
        self._clock = about.clock
        self._rules = about.rules
        self._busiest = about.busiest
        self._due = about.due.get(mirror.name, {})
        self._contents = {content.category: content for content in mirror.contents}
        self._left = plan.allowance(known.mirror(mirror.name, now), now)
        self._began = now
        self._quiet = False
        self._probes = known.probes.get(mirror.name, {})
        self._unresolved: set[UrlKey] = set()
        self._wave_failed: set[UrlKey] = set()
        self._doubted: dict[str, bool] = {}
        """Category -> whether all of its units are in doubt, or only those that are not current."""
        self.seen = MirrorRun(mirror, known.mirror(mirror.name, now), dict(known.urls.get(mirror.name, {})))

    async def run(self) -> MirrorRun:
        """Ask, follow up what puts other things in doubt, and try suspects again."""
        seen = self.seen
        if seen.probe.quiet_until > self._began:
            return seen
        await self._find_urls()
        await self._ask_alive([probe for probe in seen.urls.values() if self._resolved(probe)], counts=True)
        units = [unit for content in self._contents.values() for unit in content.units if unit.key not in seen.units]
        due, samples = plan.unit_asks(units, self._unit, self._due, int(self._clock()))
        for content in self._contents.values():
            await self._ask_units(content, [unit for unit in (*due, *samples) if unit.category == content.category])
            await self._follow_doubts(content)
        await self._ask_negative()
        first_failure = self._clock()
        for pause in self._rules.down.retries:
            if not self._needs_retry():
                break
            await asyncio.sleep(max(0.0, first_failure + pause - self._clock()))
            await self._retry()
        at = int(self._clock())
        seen.probe = replace(seen.probe, allowance=max(0.0, self._left), allowance_at=at)
        return seen

    # Names and URLs

    async def _find_urls(self) -> None:
        """Resolve the hosts, and find the families of each URL."""
        urls = self.seen.urls
        expected: set[UrlKey] = set()
        for content in self._contents.values():
            for url in content.urls:
                found = await self._fetcher.lookup(urlsplit(url).hostname or "")
                keys = {(content.category, url, family) for family in (IPV4, IPV6)}
                if found.failure is None:
                    keys = {key for key in keys if found.of(key[2])}
                elif found.failure.certain:
                    keys = {key for key in keys if key in urls} or {(content.category, url, IPV4)}
                else:
                    self.seen.unsure.append(found.failure)
                    keys = {key for key in keys if key in urls}
                    self._unresolved |= keys
                for key in keys - urls.keys():
                    urls[key] = new_url(self.seen.mirror.name, *key)
                if found.failure is not None and found.failure.certain:
                    for key in keys:
                        self._fail(key, found.failure, int(self._clock()))
                    self._unresolved |= keys
                expected |= keys
        for key in urls.keys() - expected:
            del urls[key]

    def _resolved(self, probe: UrlProbe) -> bool:
        return (probe.category, probe.url, probe.family) not in self._unresolved

    # Questions

    async def _ask_alive(self, probes: list[UrlProbe], *, counts: bool) -> None:
        """Ask URLs whether they answer."""
        self._wave_failed = set()
        by_key = {(probe.category, probe.url, probe.family): probe for probe in probes}
        for probe, unit in plan.alive_asks(tuple(self._contents.values()), by_key, self._busiest):
            key = probe.category, probe.url, probe.family
            if key not in self._wave_failed:
                await self._ask(Purpose.ALIVE, key, unit, counts=counts)

    async def _ask_units(self, content: MirrorContent, units: list[Unit]) -> None:
        """Ask for units by the URLs that answer, in turns."""
        if not units:
            return
        probes = [probe for probe in plan.good_urls(content, self.seen.urls) if self._resolved(probe)]
        keys = [(one.category, one.url, one.family) for one in probes if not one.failures]
        for number, unit in enumerate(units):
            keys = [key for key in keys if key not in self._wave_failed]
            if not keys or self._quiet:
                return
            await self._ask(Purpose.UNIT, keys[(self._began // self._rules.every + number) % len(keys)], unit)

    async def _follow_doubts(self, content: MirrorContent) -> None:
        """Ask for the units of a category in which something has changed, newest first."""
        if (everything := self._doubted.pop(content.category, None)) is None:
            return
        units: list[tuple[int, Unit]] = []
        for unit in content.units:
            current = self._known.current(unit.key)
            probe = self._unit(unit.key)
            if unit.key in self.seen.units or current is None:
                continue
            if everything or probe is None or probe.sha256 != current.sha256:
                units.append((-current.first_seen, unit))
        await self._ask_units(content, [unit for _, unit in sorted(units, key=lambda one: one[0])])
        self._doubted.pop(content.category, None)

    async def _ask_negative(self) -> None:
        """Ask each URL for a name that does not exist, if that was long ago."""
        for key, probe in list(self.seen.urls.items()):
            overdue = self._began - probe.negative >= plan.WEEK or probe.cause == _EVERYTHING.cause
            if overdue and key in self.seen.asked and (not probe.failures or probe.cause == _EVERYTHING.cause):
                await self._ask(Purpose.NEGATIVE, key, None)

    def _needs_retry(self) -> bool:
        return not self._quiet and (
            any(self._is_suspect(key) for key in self.seen.failed)
            or any(probe.absent == 1 for probe in self.seen.units.values())
        )

    def _is_suspect(self, key: UrlKey) -> bool:
        probe = self.seen.urls.get(key)
        return probe is not None and probe.failures > 0 and probe.state is not Reachability.DOWN

    async def _retry(self) -> None:
        """Try suspects and absent units again."""
        suspects = [self.seen.urls[key] for key in self.seen.failed if self._is_suspect(key)]
        self._wave_failed = set()
        for probe in suspects:
            key = probe.category, probe.url, probe.family
            if key in self._unresolved:
                await self._resolve_again(key)
            if key not in self._wave_failed and key not in self._unresolved:
                if probe.cause == _EVERYTHING.cause:
                    await self._ask(Purpose.NEGATIVE, key, None)
                else:
                    await self._ask(Purpose.ALIVE, key, self._telling(probe.category), counts=True)
        for content in self._contents.values():
            absent = [unit for unit in content.units if (one := self.seen.units.get(unit.key)) and one.absent == 1]
            await self._ask_units(content, absent)

    async def _resolve_again(self, key: UrlKey) -> None:
        found = await self._fetcher.lookup(urlsplit(key[1]).hostname or "", again=True)
        if found.failure is None:
            self._unresolved.discard(key)
        elif found.failure.certain and key not in self._wave_failed:
            self._fail(key, found.failure, int(self._clock()))

    def _telling(self, category: str) -> Unit | None:
        content = self._contents[category]
        return content.stamp or self._busiest.get(category) or next(iter(content.units), None)

    async def _ask(self, purpose: Purpose, key: UrlKey, unit: Unit | None, *, counts: bool = False) -> None:
        """Ask one thing, and take what came of it."""
        if self._quiet or self._left < 1:
            return
        _, url, family = key
        probe = self._unit(unit.key) if unit is not None else None
        etag, modified = plan.conditional(unit, probe)
        path = unit.path if unit is not None else ""
        if purpose is Purpose.NEGATIVE:
            path = f".{secrets.token_hex(8)}-does-not-exist"
        answer = await self._fetcher.get(
            Request(
                url=url + quote(path, safe="/~+@:=,!$&'()*"),
                family=family,
                head_only=unit is None,
                etag=etag,
                modified=modified,
                most=self._most(unit),
            )
        )
        self._left -= answer.requests
        self.seen.requests += answer.requests
        failure = answer.failure
        if failure is not None and failure.wait:
            self._quiet = True
            self.seen.probe = replace(self.seen.probe, quiet_until=answer.at + failure.wait)
        if purpose is Purpose.NEGATIVE:
            self._take_negative(key, answer)
            return
        if failure is not None and unit is None and failure.cause in _TOP_ANSWERS:
            failure = None
        if failure is not None:
            if failure.certain:
                self._fail(key, failure, answer.at)
            else:
                self.seen.unsure.append(failure)
            return
        self._take(purpose, key, unit, answer, counts=counts)

    def _most(self, unit: Unit | None) -> int:
        if unit is None:
            return 0
        current = self._known.current(unit.key)
        return max(_LARGEST_STAMP, 4 * current.size) if current else _LARGEST_UNKNOWN

    # Answers

    def _take(self, purpose: Purpose, key: UrlKey, unit: Unit | None, answer: Answer, *, counts: bool) -> None:
        """Take an answer that is no failure."""
        wrong = ""
        if unit is not None:
            wrong = self._take_unit(unit, answer)
        if wrong and purpose is Purpose.ALIVE and answer.status not in ABSENT:
            # Not even the file that is asked for to see whether anybody is there: a parked domain, a login page.
            self._fail(key, Failure(cause="wrong content", evidence=wrong), answer.at)
            return
        probe = self.seen.urls[key]
        if probe.cause == _EVERYTHING.cause:
            return  # only the negative probe can clear that
        self.seen.urls[key] = after_good_answer(probe, answer.at, counts=counts)
        self.seen.asked.add(key)
        self.seen.failed.discard(key)

    def _take_unit(self, unit: Unit, answer: Answer) -> str:
        """Take what an answer says about a unit; return what is wrong with it."""
        before = self._unit(unit.key) or never_seen(self.seen.mirror.name, *unit.key)
        if answer.status == NOT_MODIFIED and not before.sha256:
            return ""
        after, wrong = after_answer(before, unit.kind, answer)
        versions, current = self._known.versions[unit.key], self._known.current(unit.key)
        after = compared(after, versions, current)
        at = answer.at
        if current is not None and after.sha256 == current.sha256 and not after.absent:
            after = replace(after, due=0, step=0)
            if before.sha256 != after.sha256:
                self._arrived(unit, current.sha256, at)
                self._learn_lag(before, at - current.first_seen)
        elif before.sha256 != after.sha256:
            after = replace(after, step=1, due=plan.next_due(1, at, self._rules.every))
        elif before.due <= at:  # and not a sample that came before its turn
            after = replace(after, step=after.step + 1, due=plan.next_due(after.step + 1, at, self._rules.every))
        self.seen.units[unit.key] = after
        moved = before.sha256 and (before.sha256 != after.sha256)
        worse = before.sha256 and after.absent > before.absent
        if moved or worse:
            self._doubted[unit.category] = self._doubted.get(unit.category, False) or bool(worse)
        return wrong

    def _arrived(self, unit: Unit, sha256: str, at: int) -> None:
        self.seen.arrivals.append(
            Arrival(category=unit.category, unit=unit.path, sha256=sha256, mirror=self.seen.mirror.name, seen=at)
        )

    def _learn_lag(self, before: UnitProbe, lag: int) -> None:
        """Learn how long the mirror needs after a change of the master, from changes that were watched."""
        if before.sha256 and before.asked:
            usual = self.seen.probe.usual_lag
            self.seen.probe = replace(
                self.seen.probe, usual_lag=(3 * usual + max(0, lag)) // 4 if usual else max(0, lag)
            )

    def _take_negative(self, key: UrlKey, answer: Answer) -> None:
        probe = self.seen.urls[key]
        if answer.status == 200:  # noqa: PLR2004 - OK
            self._fail(key, _EVERYTHING, answer.at)
            self.seen.odd[key] = _EVERYTHING.evidence
        elif answer.status:
            probe = replace(probe, negative=answer.at)
            self.seen.urls[key] = (
                after_good_answer(probe, answer.at, counts=True) if probe.cause == _EVERYTHING.cause else probe
            )
            if probe.cause == _EVERYTHING.cause:
                self.seen.failed.discard(key)

    def _fail(self, key: UrlKey, failure: Failure, at: int) -> None:
        """Take a failure: of the host, and then of all its URLs of the family, or of one URL."""
        host = plan.host_of(key[1])
        for other in list(self.seen.urls):
            same_host = failure.host and plan.host_of(other[1]) == host and other[2] == key[2]
            if (other == key or same_host) and other not in self._wave_failed:
                self._wave_failed.add(other)
                self.seen.urls[other] = after_failure(self.seen.urls[other], failure, at, self._rules.down)
                self.seen.failed.add(other)
                self.seen.stumbled.add(other)
                self.seen.asked.add(other)

    def _unit(self, key: UnitKey) -> UnitProbe | None:
        """Return what is known of a unit, with what this run saw."""
        return self.seen.units.get(key) or self._probes.get(key)


_EVERYTHING: Final = Failure(
    cause="answers everything",
    evidence="answers 200 for a name that does not exist: nothing that it says can be believed",
)
