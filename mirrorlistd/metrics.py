"""What the server counts, and its exposition for Prometheus.

Counting is on the path of every request, so it is a few additions to plain integers: no locks, because one
thread (the event loop's) counts, and no labels to hash, because the rows exist beforehand. The exposition is
made only when asked for: prometheus-client knows the format, and a registry per call keeps everything local.
Times are Unix timestamps, not ages: an age would be wrong as soon as it is stored.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from mirrorlist_snapshot.tiers import TIER_NAMES
from mirrorlistd.usage.line import COUNTME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from prometheus_client.core import Metric

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
"""Of the bytes that `exposition` gives."""

BUCKETS: Final = (
    *(5e-6, 1e-5, 1.5e-5, 2e-5, 3e-5, 5e-5, 1e-4, 2e-4, 5e-4),
    *(1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1),
)
"""Upper bounds, seconds: an answer takes tens of microseconds, a stalled event loop tens of milliseconds."""

STATUSES: Final = (200, 400, 403, 404, 500)
"""Statuses that have a row from the start, so that their first occurrence is a visible increase."""
FORMATS: Final = ("text", "json")
"""Formats that have rows from the start."""


class Counters:
    """The server's running totals; everything is public, and only ever grows unless it says otherwise."""

    __slots__ = (
        "address_failures",
        "answers",
        "buckets",
        "countme",
        "first_tiers",
        "geo_failures",
        "last_reload_at",
        "last_reload_ok",
        "last_reload_seconds",
        "last_success_at",
        "reloads_failed",
        "reloads_ok",
        "seconds",
        "statistics_failures",
        "statistics_lost",
    )

    def __init__(self) -> None:
        self.answers: dict[str, dict[int, int]] = {name: dict.fromkeys(STATUSES, 0) for name in FORMATS}
        """Format -> status -> answers. The names of formats are the server's own words, never a client's."""
        self.first_tiers: dict[str, int] = dict.fromkeys(TIER_NAMES, 0)
        """Tier of the first mirror -> lists."""
        self.buckets: list[int] = [0] * (len(BUCKETS) + 1)
        """Answers per bucket of BUCKETS, not cumulated; the last for all that took longer."""
        self.seconds: float = 0.0
        """Time spent on all answers."""
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

    def observe(self, status: int, tier: str | None, format: str, seconds: float) -> None:  # noqa: A002 - as the label
        """Count one answer: status, tier of its first mirror (None without one), format, time taken."""
        try:
            self.answers[format][status] += 1
        except KeyError:
            rows = self.answers.setdefault(format, dict.fromkeys(STATUSES, 0))
            rows[status] = rows.get(status, 0) + 1
        if tier is not None:
            self.first_tiers[tier] += 1
        self.buckets[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds

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
    repositories: int
    databases: Mapping[str, int]
    """Kind of geo database (`geo`, `asn`) -> when it was built, Unix time."""


def exposition(counters: Counters, facts: Facts | None, workers: Sequence[WorkerFacts] = ()) -> bytes:
    """Write all metrics in Prometheus' text format; before the first state there are no facts.

    Of several workers it is chance which one is asked, so what is true of its process alone is left out.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Totals(counters))
    if facts is not None:
        registry.register(_Served(facts))
    if workers:
        registry.register(_Workers(workers))
    else:
        ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Totals(Collector):
    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        counters = self._counters
        answers = CounterMetricFamily(
            "mirrorlistd_answers", "Answers given, by HTTP status and format.", labels=("status", "format")
        )
        for name, rows in counters.answers.items():
            for status, count in rows.items():
                answers.add_metric((str(status), name), count)
        yield answers
        tiers = CounterMetricFamily(
            "mirrorlistd_first_tier", "Lists given, by the tier of their first mirror.", labels=("tier",)
        )
        for tier, count in counters.first_tiers.items():
            tiers.add_metric((tier,), count)
        yield tiers
        bounds = [*map(str, BUCKETS), "+Inf"]
        yield HistogramMetricFamily(
            "mirrorlistd_answer_seconds",
            "Time to make an answer, from the request line to the bytes, without the network.",
            buckets=list(zip(bounds, accumulate(counters.buckets), strict=True)),
            sum_value=counters.seconds,
        )
        yield CounterMetricFamily(
            "mirrorlistd_client_address_failures",
            "Requests whose client address could not be told: their location is unknown.",
            value=counters.address_failures,
        )
        yield CounterMetricFamily(
            "mirrorlistd_geo_lookup_failures",
            "Lookups that a geo database failed.",
            value=counters.geo_failures,
        )
        yield from self._statistics()
        yield from self._reloads()

    def _statistics(self) -> Iterator[Metric]:
        counters = self._counters
        countme = CounterMetricFamily(
            "mirrorlistd_countme", "Systems counted, by age as they say it (needs --statistics).", labels=("bucket",)
        )
        for bucket, count in zip(COUNTME, counters.countme, strict=True):
            countme.add_metric((bucket,), count)
        yield countme
        yield CounterMetricFamily(
            "mirrorlistd_statistics_lost_lines",
            "Lines of the statistics lost: the file could not be written for long.",
            value=counters.statistics_lost,
        )
        yield CounterMetricFamily(
            "mirrorlistd_statistics_write_failures",
            "Attempts to write the statistics that failed.",
            value=counters.statistics_failures,
        )

    def _reloads(self) -> Iterator[Metric]:
        counters = self._counters
        reloads = CounterMetricFamily(
            "mirrorlistd_reloads",
            "Loads of a state, at start-up and on SIGHUP, by result.",
            labels=("result",),
        )
        reloads.add_metric(("ok",), counters.reloads_ok)
        reloads.add_metric(("failed",), counters.reloads_failed)
        yield reloads
        for name, text, value in (
            (
                "successful",
                "Whether the latest load is being served (1) or failed (0).",
                counters.last_reload_ok,
            ),
            ("timestamp_seconds", "When the latest load was tried, Unix time.", counters.last_reload_at),
            ("success_timestamp_seconds", "When a load last succeeded, Unix time.", counters.last_success_at),
            ("duration_seconds", "How long the latest load took.", counters.last_reload_seconds),
        ):
            yield GaugeMetricFamily(f"mirrorlistd_last_reload_{name}", text, value=value)


class _Served(Collector):
    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def collect(self) -> Iterator[Metric]:
        facts = self._facts
        build = GaugeMetricFamily("mirrorlistd_build_info", "Always 1; the label says which.", labels=("version",))
        build.add_metric((facts.version,), 1)
        yield build
        for name, text, value in (
            ("serial", "Serial of the snapshot being served.", facts.serial),
            ("built_timestamp_seconds", "When it was compiled, Unix time.", facts.built),
            ("mirrors", "Mirrors in it.", facts.mirrors),
            ("repositories", "Repositories in it.", facts.repositories),
        ):
            yield GaugeMetricFamily(f"mirrorlistd_snapshot_{name}", text, value=value)
        databases = GaugeMetricFamily(
            "mirrorlistd_geo_database_built_timestamp_seconds",
            "When each geo database was built, Unix time.",
            labels=("kind",),
        )
        for kind, built in facts.databases.items():
            databases.add_metric((kind,), built)
        yield databases


class _Workers(Collector):
    def __init__(self, workers: Sequence[WorkerFacts]) -> None:
        self._workers = workers

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("mirrorlistd_worker_up", "Whether the worker answers requests.", labels=("worker",))
        serial = GaugeMetricFamily(
            "mirrorlistd_worker_serial", "Serial of the snapshot that the worker serves.", labels=("worker",)
        )
        answers = CounterMetricFamily("mirrorlistd_worker_answers", "Answers given by the worker.", labels=("worker",))
        for worker in self._workers:
            label = (str(worker.number),)
            up.add_metric(label, worker.up)
            serial.add_metric(label, worker.serial)
            answers.add_metric(label, worker.answers)
        yield from (up, serial, answers)
