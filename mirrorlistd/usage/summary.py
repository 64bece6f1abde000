"""Access lines -> sums per day, country, architecture and repository, and systems per week. Pure.

Names are the words of the lines: printable ASCII, so that no file can steer a terminal or break a table. The sums stay
small for any input: a full table counts further names together.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from mirrorlistd.usage.statistics_line import NOWHERE, Access, LineError, read, token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

COUNTRY, ARCH, REPOSITORY = "country", "architecture", "repository"
TABLES: Final = (COUNTRY, ARCH, REPOSITORY)
"""By what requests are summed, within each day."""
OTHERS: Final = "(others)"
"""Stands for all names that were found after the table was full."""
MOST_ROWS: Final = 200_000
"""Rows of a table: 400 repositories on each day of a year are fewer."""
_MOST_ENDS: Final = 50_000
"""Distinct ends of lines that are counted before they are parsed."""
_HEAD: Final = re.compile(rb"IP: [^\s;]+")


class Systems(NamedTuple):
    """A key of Fedora's count: each system that takes part is counted once a week for each repository."""

    week: str
    """Its Monday."""
    repository: str
    architecture: str
    country: str
    bucket: str
    """Age of the system, one of COUNTME."""


class Summary:
    """The sums so far."""

    def __init__(self, since: str = "0001-01-01", until: str = "9999-12-31") -> None:
        """Count only lines of these days, both included, as 2026-11-24."""
        self._since, self._until = since, until
        self.requests = 0
        self.bad = 0
        """Bad lines; they are in no sum."""
        self.days: dict[str, int] = {}
        self.tables: dict[str, dict[tuple[str, str], int]] = {name: {} for name in TABLES}
        """For each of TABLES: day and name -> requests."""
        self.systems: dict[Systems, int] = {}

    def add(self, access: Access, times: int = 1) -> None:
        """Count an access so many times."""
        day = access.day
        if not self._since <= day <= self._until:
            return
        country, arch, repo = token(access.country, NOWHERE), token(access.arch), token(access.repo)
        self.requests += times
        self.days[day] = self.days.get(day, 0) + times
        for table, name in ((COUNTRY, country), (ARCH, arch), (REPOSITORY, repo)):
            rows = self.tables[table]
            key = (day, name) if len(rows) < MOST_ROWS or (day, name) in rows else (day, OTHERS)
            rows[key] = rows.get(key, 0) + times
        if access.countme:
            counted = Systems(_monday(day), repo, arch, country, access.countme)
            if len(self.systems) >= MOST_ROWS and counted not in self.systems:
                counted = counted._replace(repository=OTHERS, architecture=OTHERS, country=OTHERS)
            self.systems[counted] = self.systems.get(counted, 0) + times

    def add_lines(self, lines: Iterable[bytes], complain: Callable[[int, str], None]) -> None:
        """Count lines, each with its end; `complain` gets the number and the fault of each bad line.

        Millions of lines differ in little more than the address, so the bytes after the address are counted first and
        parsed once.
        """
        ends: dict[bytes, int] = {}
        for number, line in enumerate(lines, 1):
            head, _, rest = line.partition(b"; ")
            if rest in ends and _HEAD.fullmatch(head):
                ends[rest] += 1
                continue
            try:
                read(line)
            except LineError as error:
                self.bad += 1
                complain(number, str(error))
                continue
            if len(ends) >= _MOST_ENDS:
                self._add_ends(ends)
                ends.clear()
            ends[rest] = 1
        self._add_ends(ends)

    def _add_ends(self, ends: dict[bytes, int]) -> None:
        for rest, times in ends.items():
            self.add(read(b"IP: -; " + rest), times)

    def totals(self, table: str) -> dict[str, int]:
        """Return the names of one of TABLES with their requests on all days, the most frequent first."""
        sums: dict[str, int] = {}
        for (_, name), times in self.tables[table].items():
            sums[name] = sums.get(name, 0) + times
        return ranked(sums)

    def on_days(self, table: str) -> dict[str, dict[str, int]]:
        """Return the same for each day, in the order of the days."""
        found: dict[str, dict[str, int]] = {day: {} for day in sorted(self.days)}
        for (day, name), times in self.tables[table].items():
            found[day][name] = times
        return {day: ranked(names) for day, names in found.items()}

    def weeks(self) -> dict[str, dict[str, int]]:
        """Return week -> age of systems -> the number of systems, all repositories together."""
        found: dict[str, dict[str, int]] = {}
        for counted, times in sorted(self.systems.items()):
            buckets = found.setdefault(counted.week, {})
            buckets[counted.bucket] = buckets.get(counted.bucket, 0) + times
        return found


def ranked(sums: dict[str, int]) -> dict[str, int]:
    """Sort by number, the largest first, and then by name."""
    return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))


def _monday(day: str) -> str:
    when = date.fromisoformat(day)
    return (when - timedelta(when.weekday())).isoformat() if when.toordinal() > when.weekday() else day
