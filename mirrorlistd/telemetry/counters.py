"""The table of counters: what the server counts, and how each count is named and described in its metrics.

Counting is on the path of every request, so it is an addition to a plain attribute: no lock, because one thread (that
of the event loop) counts, and no label to hash, because the rows exist beforehand. Labels are the server's own words or
known country codes, never a client's, so the number of samples is bounded. Times are Unix timestamps instead of ages,
which would be wrong as soon as they are stored.
"""

# ruff: noqa: RUF009 - `row` and `working` make dataclass fields
from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.countries import CONTINENT_OF
from mirrorlist_snapshot.tiers import NAME_OF, TIER_NAMES
from mirrorlistd.render import FORMATS, REDIRECT, TEXT
from mirrorlistd.telemetry.counter_row import (
    OTHER,
    by_format_and_status,
    by_name,
    by_position,
    number,
    row,
    rows_of,
    working,
)
from mirrorlistd.usage.statistics_line import COUNTME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
"""Format -> statuses that have a sample from the start. Errors are text."""
UNKNOWN: Final = "unknown"
COUNTRIES: Final = (*sorted(CONTINENT_OF), OTHER, UNKNOWN)
"""Labels where countries are counted: ISO codes; `other` for another code; `unknown` for clients without one."""
LIMITS: Final = ("head_size", "head_time", "stalled")
"""Limits at which a connection is closed (see `lanes.connection`)."""

Plain = list[list[int]]
"""Counts by the tier code of the first mirror and, below it, by the bucket of BUCKETS."""


def _plain() -> Plain:
    return [[0] * (len(BUCKETS) + 1) for _ in range(max(NAME_OF) + 1)]


def _lanes(counters: Counters) -> Iterator[tuple[tuple[str, ...], float]]:
    yield ("fast",), counters.fast
    yield ("asgi",), max(0, sum(counters.buckets) - counters.fast)


@dataclass(slots=True, eq=False)
class Counters:
    """The running totals of one process, or of the whole server.

    A field is a row of the table; to count something new, add a field here and an addition where it happens. Its slot,
    its cells on the scoreboard and its Prometheus family follow from the row.
    """

    answers: dict[str, dict[int, int]] = row(
        "mirrorlistd_answers",
        "Answers given, by HTTP status and format.",
        labels=("status", "format"),
        shape=by_format_and_status(ROWS, STATUSES),
    )
    first_tiers: dict[str, int] = row(
        "mirrorlistd_first_tier",
        "Lists given, by the tier of their first mirror.",
        labels=("tier",),
        shape=by_name(tuple(TIER_NAMES)),
        private=True,
    )
    fast: int = row(
        "mirrorlistd_lane_answers", "Answers given, by the lane that gave them.", labels=("lane",), samples=_lanes
    )
    """Answers that the fast lane gave; the ASGI lane gave the others."""
    fast_lane_errors: int = row(
        "mirrorlistd_fast_lane_errors", "Exceptions in the fast lane, whose requests went to the ASGI lane."
    )
    countries: dict[str, int] = row(
        "mirrorlistd_country_answers",
        "Answers given, by the client's country.",
        labels=("country",),
        shape=by_name(COUNTRIES, sparse=True),
    )
    """Only with --count-countries."""
    buckets: list[int] = row(
        "mirrorlistd_answer_seconds",
        "Time to make an answer, from the request line to the bytes, without the network.",
        "histogram",
        shape=by_position((*map(str, BUCKETS), "+Inf")),
        bounds=BUCKETS,
        beside=lambda counters: counters.seconds,
    )
    """Answers per bucket of BUCKETS, not cumulated; the last for all that took longer."""
    seconds: float = row(None, shape=number(0.0))
    """Time spent on all answers."""
    address_failures: int = row(
        "mirrorlistd_client_address_failures",
        "Requests whose client address could not be read: their location is unknown.",
    )
    geo_failures: int = row("mirrorlistd_geo_lookup_failures", "Lookups that a geo database failed.")
    """An address that a database does not know is no failure."""
    connections: int = row("mirrorlistd_connections", "Connections accepted.")
    refused: dict[str, int] = row(
        "mirrorlistd_connections_refused",
        "Connections closed at a limit: head of a request too large, too slow; client reads nothing.",
        labels=("limit",),
        shape=by_name(LIMITS),
    )
    countme: list[int] = row(
        "mirrorlistd_countme",
        "Systems counted, by the age that they report (needs --statistics).",
        labels=("bucket",),
        shape=by_position(tuple(COUNTME)),
    )
    statistics_lost: int = row(
        "mirrorlistd_statistics_lost_lines", "Lines of the statistics lost: the file could not be written for long."
    )
    statistics_failures: int = row(
        "mirrorlistd_statistics_write_failures", "Attempts to write the statistics that failed."
    )
    """The lines were kept for another attempt."""
    log_lines_dropped: int = row(
        "mirrorlistd_log_lines_dropped", "Log lines dropped because standard error had no room for them."
    )
    supervisor_log_lines_dropped: int = row(
        "mirrorlistd_supervisor_log_lines_dropped", "The same of the supervisor of workers.", supervisor=True
    )
    reloads: dict[str, int] = row(
        "mirrorlistd_reloads",
        "Loads of a state, at start-up and on SIGHUP, by result.",
        labels=("result",),
        shape=by_name(("ok", "failed")),
        supervisor=True,
    )
    reload_seconds: float = row(
        "mirrorlistd_reload_seconds",
        "How long these loads took.",
        "summary",
        shape=number(0.0),
        supervisor=True,
        beside=lambda counters: sum(counters.reloads.values()),
    )
    last_reload_ok: bool = row(
        "mirrorlistd_last_reload_successful",
        "Whether the latest load is being served (1) or failed (0).",
        "gauge",
        shape=number(start=True),
        supervisor=True,
    )
    last_reload_at: float = row(
        "mirrorlistd_last_reload_timestamp_seconds",
        "When the latest load was tried, Unix time; 0 before the first.",
        "gauge",
        shape=number(0.0),
        supervisor=True,
    )
    last_success_at: float = row(
        "mirrorlistd_last_reload_success_timestamp_seconds",
        "When a load last succeeded, Unix time; 0 before the first.",
        "gauge",
        shape=number(0.0),
        supervisor=True,
    )
    last_reload_seconds: float = row(
        "mirrorlistd_last_reload_duration_seconds",
        "How long the latest load took.",
        "gauge",
        shape=number(0.0),
        supervisor=True,
    )
    plain: Plain = working(_plain)
    """Plain lists that the ASGI lane gave since the last `fold`."""
    plain_fast: Plain = working(_plain)
    """Plain lists that the fast lane gave since the last `fold`."""

    def observe(self, status: int, tier: str | None, format: str, seconds: float) -> None:  # noqa: A002 - as the label
        """Count one answer: status, tier of its first mirror (None without one), format, time taken."""
        try:
            self.answers[format][status] += 1
        except KeyError:
            statuses = self.answers.setdefault(format, {})
            statuses[status] = statuses.get(status, 0) + 1
        if tier is not None:
            self.first_tiers[tier] += 1
        self.buckets[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds

    def observe_plain(self, tier: int, seconds: float) -> None:
        """Count one plain list (status 200, format text) by the code of its first tier."""
        self.plain[tier][bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds

    def fold(self) -> None:
        """Add the plain lists to the rows; call it before reading any of them."""
        for lists in (self.plain, self.plain_fast):
            for tier, found in enumerate(lists):
                if not (count := sum(found)):
                    continue
                self.answers[TEXT.name][200] += count
                self.first_tiers[NAME_OF[tier]] += count
                self.fast += count if lists is self.plain_fast else 0
                for bucket, answers in enumerate(found):
                    self.buckets[bucket] += answers
                    found[bucket] = 0

    def observe_country(self, country: str | None) -> None:
        """Count one answer by its client's country; None where that is unknown."""
        name = UNKNOWN if country is None else country if country in CONTINENT_OF else OTHER
        self.countries[name] = self.countries.get(name, 0) + 1

    def reloaded(self, *, ok: bool, at: float, seconds: float) -> None:
        """Count one load of a state: whether it is being served now, the Unix time, and how long it took."""
        if ok:
            self.last_success_at = at
        self.reloads["ok" if ok else "failed"] += 1
        self.last_reload_ok = ok
        self.last_reload_at = at
        self.last_reload_seconds = seconds
        self.reload_seconds += seconds


rows_of(Counters)  # a field without a row is an error now, instead of at the first request for metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFacts:
    """The state of one worker slot, whether its process lives or not."""

    number: int
    pid: int
    """Of its latest process."""
    up: bool
    """Whether it answers requests."""
    serial: int
    """Of the snapshot that it serves, or served last."""
    answers: int
    """Given by all processes of this slot."""
    starts: int
    """number of processes that have filled this slot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is being served, as far as the metrics show it."""

    version: str
    """Of mirrorlistd."""
    serial: int
    """Of the snapshot."""
    built: int
    """When the snapshot was compiled, Unix time."""
    mirrors: int
    """For strangers without the private ones, as are `active` and `status`."""
    active: int
    """Mirrors that are switched on."""
    repositories: int
    directories: int | None
    """None where it is not to be shown: mirrors that are private make more of them."""
    databases: Mapping[str, int]
    """Kind of geo database (`geo`, `asn`) -> when it was built, Unix time."""
    stale: bool
    """The snapshot is older than --max-age."""
    seconds_ahead: int
    """How far in the future the snapshot was built; 0 where it was not."""
    max_age: float
    """Seconds; 0: no snapshot is ever stale."""
    last_good: bool
    """The last good copy is served instead of the configured snapshot."""
    status: Mapping[str, int]
    """Status in the status file -> mirrors."""
    status_failed: bool
    """The status file does not apply as it is."""
