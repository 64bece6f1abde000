"""One mirror in one run: what is asked of it, in which order, and what was seen. Nothing is concluded here.

It works on copies of the rows: a run that turns out to be void leaves the prober's knowledge as it was.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from mirrorlist_admin import plan
from mirrorlist_admin.exchange import IPV4, IPV6, LONGEST_WAIT, Purpose, Request
from mirrorlist_admin.prober.master import SAFE
from mirrorlist_admin.prober.taking import EVERYTHING, Taking
from mirrorlist_admin.verdict.reach import new_url
from mirrorlist_snapshot.freshness.observed import Reachability

if TYPE_CHECKING:
    from mirrorlist_admin.network import AskedMirror, MirrorContent, Unit
    from mirrorlist_admin.prober.known import Known, UrlKey
    from mirrorlist_admin.prober.mirror_run import Asked, MirrorRun
    from mirrorlist_admin.store.rows import UrlProbe

_LARGEST_STAMP: Final = 1 << 18
_LARGEST_UNKNOWN: Final = 64 << 20
_TOP_ANSWERS: Final = ("status 401", "status 403", "status 405")
"""Answers to the top of a tree that say that a server is there and shows no listing."""


class Asking:
    """Asks one mirror."""

    def __init__(self, mirror: AskedMirror, known: Known, about: Asked) -> None:
        now = int(about.clock())
        self._known = known
        self._fetcher = about.fetcher
        self._lister = about.lister
        self._clock = about.clock
        self._rules = about.rules
        self._busiest = about.busiest
        self._due = about.due.get(mirror.name, {})
        self._contents = {content.category: content for content in mirror.contents}
        self._left = plan.allowance(known.mirror(mirror.name, now), now)
        self._began = now
        self._quiet = False
        self._unresolved: set[UrlKey] = set()
        self._taking = Taking(mirror, known, about.rules, now)
        self.seen = self._taking.seen

    async def run(self) -> MirrorRun:
        """Ask, follow up what puts other things in doubt, and try suspects again."""
        seen = self.seen
        if 0 < seen.probe.quiet_until - self._began <= LONGEST_WAIT:  # more: the clock was set back
            return seen
        await self._find_urls()
        by_http = [probe for probe in seen.urls.values() if self._resolved(probe) and not plan.is_rsync(probe.url)]
        await self._ask_alive(by_http, counts=True)
        units = [unit for content in self._contents.values() for unit in content.units if unit.key not in seen.units]
        due, samples = plan.unit_asks(units, self._taking.unit, self._due, int(self._clock()))
        for content in self._contents.values():
            await self._ask_units(content, [unit for unit in (*due, *samples) if unit.category == content.category])
            await self._follow_doubts(content)
        await self._ask_rsync([probe for probe in seen.urls.values() if self._resolved(probe)])
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
                        self._taking.fail(key, found.failure, int(self._clock()))
                    self._unresolved |= keys
                expected |= keys
        for key in urls.keys() - expected:
            del urls[key]

    def _resolved(self, probe: UrlProbe) -> bool:
        return (probe.category, probe.url, probe.family) not in self._unresolved

    # Questions

    async def _ask_alive(self, probes: list[UrlProbe], *, counts: bool) -> None:
        """Ask URLs whether they answer."""
        self._taking.wave_failed = set()
        by_key = {(probe.category, probe.url, probe.family): probe for probe in probes}
        for probe, unit in plan.alive_asks(tuple(self._contents.values()), by_key, self._busiest):
            key = probe.category, probe.url, probe.family
            if key not in self._taking.wave_failed:
                await self._ask(Purpose.ALIVE, key, unit, counts=counts)

    async def _ask_units(self, content: MirrorContent, units: list[Unit]) -> None:
        """Ask for units by the URLs that answer, in turns."""
        if not units:
            return
        probes = [probe for probe in plan.good_urls(content, self.seen.urls) if self._resolved(probe)]
        keys = [(one.category, one.url, one.family) for one in probes if not one.failures]
        for number, unit in enumerate(units):
            keys = [key for key in keys if key not in self._taking.wave_failed]
            if not keys or self._quiet:
                return
            await self._ask(Purpose.UNIT, keys[(self._began // self._rules.every + number) % len(keys)], unit)

    async def _follow_doubts(self, content: MirrorContent) -> None:
        """Ask for the units of a category in which something has changed, newest first."""
        if (everything := self._taking.doubted.pop(content.category, None)) is None:
            return
        units: list[tuple[int, Unit]] = []
        for unit in content.units:
            current = self._known.current(unit.key)
            probe = self._taking.unit(unit.key)
            if unit.key in self.seen.units or current is None:
                continue
            if everything or probe is None or probe.sha256 != current.sha256:
                units.append((-current.first_seen, unit))
        await self._ask_units(content, [unit for _, unit in sorted(units, key=lambda one: one[0])])
        self._taking.doubted.pop(content.category, None)

    async def _ask_negative(self) -> None:
        """Ask each URL for a name that does not exist, if that was long ago."""
        for key, probe in list(self.seen.urls.items()):
            overdue = self._began - probe.negative >= plan.WEEK or probe.cause == EVERYTHING.cause
            if (
                overdue
                and not plan.is_rsync(key[1])
                and key in self.seen.asked
                and (not probe.failures or probe.cause == EVERYTHING.cause)
            ):
                await self._ask(Purpose.NEGATIVE, key, None)

    async def _ask_rsync(self, probes: list[UrlProbe], *, again: bool = False) -> None:
        """Ask URLs of rsync for a listing of the units, rarely; what the listing contradicts is due."""
        for probe in probes:
            key = probe.category, probe.url, probe.family
            if not plan.is_rsync(probe.url) or not (again or plan.rsync_is_due(probe, self._began)):
                continue
            if self._lister is None or not self._lister.is_there or self._quiet or self._left < 1:
                return
            addresses = (await self._fetcher.lookup(urlsplit(probe.url).hostname or "")).of(probe.family)
            units = self._contents[probe.category].units
            if addresses:
                self._left -= 1
                self.seen.requests += 1
                listing = await self._lister.list_names(probe.url, addresses[0], [unit.path for unit in units])
                self._taking.take_listing(key, units, listing)

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
        self._taking.wave_failed = set()
        for probe in suspects:
            key = probe.category, probe.url, probe.family
            if key in self._unresolved:
                await self._resolve_again(key)
            if plan.is_rsync(probe.url):
                await self._ask_rsync([probe], again=True)
            elif key not in self._taking.wave_failed and key not in self._unresolved:
                if probe.cause == EVERYTHING.cause:
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
        elif found.failure.certain and key not in self._taking.wave_failed:
            self._taking.fail(key, found.failure, int(self._clock()))

    def _telling(self, category: str) -> Unit | None:
        content = self._contents[category]
        return content.stamp or self._busiest.get(category) or next(iter(content.units), None)

    async def _ask(self, purpose: Purpose, key: UrlKey, unit: Unit | None, *, counts: bool = False) -> None:
        """Ask one thing, and take what came of it."""
        if self._quiet or self._left < 1:
            return
        _, url, family = key
        probe = self._taking.unit(unit.key) if unit is not None else None
        etag, modified = plan.conditional(unit, probe)
        path = unit.path if unit is not None else ""
        if purpose is Purpose.NEGATIVE:
            path = f".{secrets.token_hex(8)}-does-not-exist"
        answer = await self._fetcher.get(
            Request(
                url=url + quote(path, safe=SAFE),
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
            self._taking.take_negative(key, answer)
            return
        if failure is not None and unit is None and failure.cause in _TOP_ANSWERS:
            failure = None
        if failure is not None:
            if failure.certain:
                self._taking.fail(key, failure, answer.at)
            else:
                self.seen.unsure.append(failure)
            return
        self._taking.take(purpose, key, unit, answer, counts=counts)

    def _most(self, unit: Unit | None) -> int:
        if unit is None:
            return 0
        current = self._known.current(unit.key)
        return max(_LARGEST_STAMP, 4 * current.size) if current else _LARGEST_UNKNOWN
