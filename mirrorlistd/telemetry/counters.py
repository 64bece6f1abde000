"""What the server counts, and the facts that its metrics tell besides.

Counting is on the path of every request, so it is a few additions to plain integers: no locks, because one
thread (the event loop's) counts, and no labels to hash, because the rows exist beforehand. Labels are the server's own
words or known country codes, never a client's: what is counted is bounded whatever is asked. `exposition` writes it.
Times are Unix timestamps, not ages: an age would be wrong as soon as it is stored.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.countries import CONTINENT_OF
from mirrorlist_snapshot.tiers import NAME_OF, TIER_NAMES
from mirrorlistd.render import FORMATS, REDIRECT, TEXT
from mirrorlistd.usage.line import COUNTME

if TYPE_CHECKING:
    from collections.abc import Mapping

BUCKETS: Final = (
    *(5e-6, 1e-5, 1.5e-5, 2e-5, 3e-5, 5e-5, 1e-4, 2e-4, 5e-4),
    *(1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1),
)
"""Upper bounds, seconds: an answer takes tens of microseconds, a stalled event loop tens of milliseconds."""

STATUSES: Final = (200, 302, 400, 403, 404, 500)
"""Every status that an answer can have."""
_OF_TEXT: Final = (200, 400, 403, 404, 500)
ROWS: Final[Mapping[str, tuple[int, ...]]] = {
    name: {TEXT.name: _OF_TEXT, REDIRECT.name: (302,)}.get(name, (200,)) for name in FORMATS
}
"""Format -> statuses that have a row from the start, so that their first occurrence is a visible increase. Errors are
text."""
OTHER, UNKNOWN = "other", "unknown"
COUNTRIES: Final = (*sorted(CONTINENT_OF), OTHER, UNKNOWN)
"""What answers are counted by where countries are counted: ISO codes; a code that is none; nobody knows."""
LIMITS: Final = ("head_size", "head_time", "stalled")
"""Limits at which a connection is closed (see `guard`)."""

Plain = list[list[int]]
"""By tier code of the first mirror: plain lists per bucket of BUCKETS, until `settle` counts them everywhere."""


class Counters:
    """The server's running totals; everything is public, and only ever grows unless it says otherwise."""

    __slots__ = (
        "address_failures",
        "answers",
        "buckets",
        "connections",
        "countme",
        "countries",
        "fast",
        "first_tiers",
        "geo_failures",
        "last_reload_at",
        "last_reload_ok",
        "last_reload_seconds",
        "last_success_at",
        "plain",
        "plain_fast",
        "refused",
        "reload_seconds",
        "reloads_failed",
        "reloads_ok",
        "seconds",
        "statistics_failures",
        "statistics_lost",
    )

    def __init__(self) -> None:
        self.answers: dict[str, dict[int, int]] = {name: dict.fromkeys(row, 0) for name, row in ROWS.items()}
        """Format -> status -> answers. The names of formats are the server's own words, never a client's."""
        self.first_tiers: dict[str, int] = dict.fromkeys(TIER_NAMES, 0)
        """Tier of the first mirror -> lists."""
        self.buckets: list[int] = [0] * (len(BUCKETS) + 1)
        """Answers per bucket of BUCKETS, not cumulated; the last for all that took longer."""
        self.seconds: float = 0.0
        """Time spent on all answers."""
        self.fast: int = 0
        """Answers that the fast lane gave; the ASGI lane gave the others."""
        self.plain: Plain = [[0] * len(self.buckets) for _ in range(max(NAME_OF) + 1)]
        self.plain_fast: Plain = [[0] * len(self.buckets) for _ in range(max(NAME_OF) + 1)]
        """Those of the fast lane."""
        self.countries: dict[str, int] = {}
        """Country of the client, one of COUNTRIES -> answers; only where an operator wants to know."""
        self.connections: int = 0
        """Connections accepted."""
        self.refused: dict[str, int] = dict.fromkeys(LIMITS, 0)
        """Limit -> connections closed because they reached it."""
        self.address_failures: int = 0
        """Requests whose client address could not be told."""
        self.geo_failures: int = 0
        """Lookups that a geo database failed (not those for which it knows nothing)."""
        self.countme: list[int] = [0] * len(COUNTME)
        """Systems counted, by their age as they say it; only while statistics are written."""
        self.statistics_lost: int = 0
        """Lines of the statistics that could not be written in time."""
        self.statistics_failures: int = 0
        """Attempts to write the statistics that failed; the lines were kept for another one."""
        self.reloads_ok: int = 0
        self.reloads_failed: int = 0
        self.last_reload_ok: bool = True
        """Can turn back: whether the latest load, at start-up or on SIGHUP, was served."""
        self.last_reload_at: float = 0.0
        """Unix time of the latest attempt; 0 before the first."""
        self.last_success_at: float = 0.0
        """Unix time of the latest success; 0 before the first."""
        self.last_reload_seconds: float = 0.0
        """How long the latest attempt took."""
        self.reload_seconds: float = 0.0
        """How long all attempts took."""

    def observe(self, status: int, tier: str | None, format: str, seconds: float) -> None:  # noqa: A002 - as the label
        """Count one answer: status, tier of its first mirror (None without one), format, time taken."""
        try:
            self.answers[format][status] += 1
        except KeyError:
            rows = self.answers.setdefault(format, {})
            rows[status] = rows.get(status, 0) + 1
        if tier is not None:
            self.first_tiers[tier] += 1
        self.buckets[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds

    def observe_plain(self, tier: int, seconds: float) -> None:
        """Count one plain list (status 200, format text) by the code of its first tier."""
        self.plain[tier][bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds

    def settle(self) -> None:
        """Bring everything up to date with the plain lists; for whoever reads it."""
        for lists in (self.plain, self.plain_fast):
            for tier, row in enumerate(lists):
                if not (count := sum(row)):
                    continue
                self.answers[TEXT.name][200] += count
                self.first_tiers[NAME_OF[tier]] += count
                self.fast += count if lists is self.plain_fast else 0
                for bucket, answers in enumerate(row):
                    self.buckets[bucket] += answers
                    row[bucket] = 0

    def observe_country(self, country: str | None) -> None:
        """Count one answer by its client's country; None where nobody can tell."""
        name = UNKNOWN if country is None else country if country in CONTINENT_OF else OTHER
        self.countries[name] = self.countries.get(name, 0) + 1

    def reloaded(self, *, ok: bool, at: float, seconds: float) -> None:
        """Count one load of a state: whether it is being served now, the Unix time, and how long it took."""
        if ok:
            self.reloads_ok += 1
            self.last_success_at = at
        else:
            self.reloads_failed += 1
        self.last_reload_ok = ok
        self.last_reload_at = at
        self.last_reload_seconds = seconds
        self.reload_seconds += seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFacts:
    """How one of several workers is, dead or alive."""

    number: int
    pid: int
    """Of its latest process."""
    up: bool
    """It answers requests."""
    serial: int
    """Of the snapshot that it serves, or served last."""
    answers: int
    """Given by it and those before it in its place."""
    starts: int
    """How many processes have taken its place so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is being served, as far as metrics tell it."""

    version: str
    """Of mirrorlistd."""
    serial: int
    """Of the snapshot."""
    built: int
    """When the snapshot was compiled, Unix time."""
    mirrors: int
    active: int
    """Mirrors that are switched on."""
    repositories: int
    directories: int
    databases: Mapping[str, int]
    """Kind of geo database (`geo`, `asn`) -> when it was built, Unix time."""
    stale: bool
    """The snapshot is older than --max-age."""
    max_age: float
    """Seconds; 0: no snapshot is ever stale."""
    last_good: bool
    """The last good copy is served instead of the configured snapshot."""
    status: Mapping[str, int]
    """What the status file says -> mirrors."""
    status_failed: bool
    """The status file is not used, but what it said before."""
