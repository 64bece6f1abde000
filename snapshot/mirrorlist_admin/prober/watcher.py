"""The masters: which units they have, in which version, and since when."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirrorlist_admin.prober.master import Unreadable
from mirrorlist_admin.store.rows import UnitStart
from mirrorlist_admin.verdict.master import Reading, after_reading, gone

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirrorlist_admin.network import Network
    from mirrorlist_admin.prober.known import Known, UnitKey
    from mirrorlist_admin.prober.master import MasterReader


@dataclass(slots=True)
class MastersSeen:
    """What reading the masters came to."""

    answered: dict[str, bool] = field(default_factory=dict[str, bool])
    """Master URL -> whether it answered; local folders are not here."""
    troubles: dict[str, str] = field(default_factory=dict[str, str])
    """Category -> what is wrong with its master, one line for people."""
    backwards: set[str] = field(default_factory=set[str])
    """Categories whose master went backwards: nothing of them is judged."""
    unreadable: set[UnitKey] = field(default_factory=set["UnitKey"])
    news: list[UnitKey] = field(default_factory=list["UnitKey"])
    """Units of which the master has a version that it did not have before."""
    requests: int = 0

    def doubts(self, key: UnitKey) -> bool:
        """Whether a unit is not judged in this run."""
        return key[0] in self.backwards or key in self.unreadable


class Watcher:
    """Reads masters, and writes what is new."""

    def __init__(self, reader: MasterReader, clock: Callable[[], float]) -> None:
        self._reader = reader
        self._clock = clock

    async def read(
        self, network: Network, known: Known, *, only: set[UnitKey] | None = None, accept: bool = False
    ) -> MastersSeen:
        """Read every unit that the sources name or that is known, or `only` some; write what is new.

        `accept` takes the masters as they are, although they went backwards.
        """
        reading = _MastersReading(self._reader, known, self._clock, accept=accept)
        await asyncio.gather(
            *(
                reading.read(category, master, _wanted(network, known, category, only))
                for category, master in network.masters.items()
            )
        )
        return reading.seen


def _wanted(network: Network, known: Known, category: str, only: set[UnitKey] | None) -> list[tuple[str, ...]]:
    """Return what to read: for each place the unit that is known, else all candidates."""
    found: dict[tuple[str, ...], None] = {}
    for place in network.places:
        if place.category == category:
            path = next((path for path in place.candidates if (category, path) in known.units), None)
            found[(path,) if path is not None else place.candidates] = None
    stamp = network.stamps.get(category)
    if stamp is not None:
        found[stamp.path,] = None
    if only is None:
        return list(found)
    return [one for one in found if len(one) == 1 and (category, one[0]) in only]


class _MastersReading:
    """One reading of all masters."""

    def __init__(self, reader: MasterReader, known: Known, clock: Callable[[], float], *, accept: bool) -> None:
        self.seen = MastersSeen()
        self._reader = reader
        self._known = known
        self._clock = clock
        self._accept = accept

    async def read(self, category: str, master: str, wanted: list[tuple[str, ...]]) -> None:
        """Read one master."""
        backwards: list[str] = []
        for candidates in wanted:
            for path in candidates:
                key = category, path
                before = self._known.units.get(key)
                found = await self._reader.read(master, path, before, self._known.current(key))
                self.seen.requests += found.requests
                if found.answered is not None:
                    self.seen.answered[master] = self.seen.answered.get(master, False) or found.answered
                if isinstance(found.reading, Unreadable):
                    self.seen.unreadable.add(key)
                    self.seen.troubles.setdefault(category, found.reading.reason)
                    break
                if went := self._take(key, found.reading):
                    backwards.append(went)
                if found.reading is not None:
                    break
        if backwards:
            more = f", and {len(backwards) - 1} more" if len(backwards) > 1 else ""
            self.seen.troubles[category] = f"the master went backwards: {backwards[0]}{more}"
            self.seen.backwards.add(category)

    def _take(self, key: UnitKey, reading: Reading | None) -> str:
        """Take what was read, None for nothing; return how the master went backwards, empty if it did not."""
        before, now = self._known.units.get(key), int(self._clock())
        if reading is None:
            if before is None or not before.current:
                return ""
            if self._accept:
                self._known.watch(gone(before, now), [], None)
                return ""
            return f"{key[1]} is gone"
        change = after_reading(key, before, self._known.versions[key], reading, now)
        if change.backwards and not self._accept:
            return change.backwards
        start = None
        if change.is_new:
            self.seen.news.append(key)
            start = UnitStart(category=key[0], unit=key[1], sha256=reading.sha256, kept=now, data=reading.start)
        self._known.watch(change.watched, change.versions, start)
        return ""
