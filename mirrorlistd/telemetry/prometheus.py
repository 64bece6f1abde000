"""What has been counted and what is served, in Prometheus' text format: one collector for each subject.

Made only when asked for: prometheus-client knows the format, and a registry per call keeps everything local.
`docs/operating.md` and `deploy/` refer to these names: the alerts and the dashboard are tested against them.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from mirrorlistd.telemetry.counters import BUCKETS
from mirrorlistd.usage.line import COUNTME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from prometheus_client.core import Metric

    from mirrorlistd.pull.watching import Pulls
    from mirrorlistd.telemetry.counters import Counters, Facts, WorkerFacts

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
"""Of the bytes that `exposition` gives."""


def exposition(
    counters: Counters, facts: Facts | None, workers: Sequence[WorkerFacts] = (), pulls: Pulls | None = None
) -> bytes:
    """Write all metrics; before the first state there are no facts, and without --pull no pulls.

    Of several workers it is chance which one is asked, so what is true of its process alone is left out.
    """
    registry = CollectorRegistry(auto_describe=False)
    for subject in (_Answers, _Connections, _Statistics, _Reloads):
        registry.register(subject(counters))
    if facts is not None:
        registry.register(_Served(facts))
    if pulls is not None:
        registry.register(_Pulls(pulls))
    if workers:
        registry.register(_Workers(workers))
    else:
        ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Answers(Collector):
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
        yield _by(
            "mirrorlistd_first_tier",
            "Lists given, by the tier of their first mirror.",
            "tier",
            counters.first_tiers,
        )
        lanes = {"fast": counters.fast, "asgi": max(0, sum(counters.buckets) - counters.fast)}
        yield _by("mirrorlistd_lane_answers", "Answers given, by the lane that gave them.", "lane", lanes)
        if counters.countries:
            yield _by(
                "mirrorlistd_country_answers",
                "Answers given, by the client's country.",
                "country",
                counters.countries,
            )
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


class _Connections(Collector):
    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        counters = self._counters
        yield CounterMetricFamily("mirrorlistd_connections", "Connections accepted.", value=counters.connections)
        yield _by(
            "mirrorlistd_connections_refused",
            "Connections closed at a limit: head of a request too large, too slow; client reads nothing.",
            "limit",
            counters.refused,
        )


class _Statistics(Collector):
    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        counters = self._counters
        yield _by(
            "mirrorlistd_countme",
            "Systems counted, by age as they say it (needs --statistics).",
            "bucket",
            dict(zip(COUNTME, counters.countme, strict=True)),
        )
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


class _Reloads(Collector):
    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        counters = self._counters
        results = {"ok": counters.reloads_ok, "failed": counters.reloads_failed}
        yield _by("mirrorlistd_reloads", "Loads of a state, at start-up and on SIGHUP, by result.", "result", results)
        yield SummaryMetricFamily(
            "mirrorlistd_reload_seconds",
            "How long these loads took.",
            count_value=sum(results.values()),
            sum_value=counters.reload_seconds,
        )
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
            ("active_mirrors", "Mirrors in it that are switched on.", facts.active),
            ("repositories", "Repositories in it.", facts.repositories),
            ("directories", "Directories in it, or places where what mirrors carry changes.", facts.directories),
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
        yield from self._guards()

    def _guards(self) -> Iterator[Metric]:
        facts = self._facts
        for name, text, value in (
            ("snapshot_max_age_seconds", "Age from which it counts as stale (--max-age); 0: never.", facts.max_age),
            ("snapshot_stale", "Whether it is older than --max-age; it is served all the same.", facts.stale),
            ("snapshot_last_good", "Whether the last good copy is served, as the snapshot is bad.", facts.last_good),
            ("status_failed", "Whether the status file is bad: what it said before goes on.", facts.status_failed),
        ):
            yield GaugeMetricFamily(f"mirrorlistd_{name}", text, value=value)
        said = GaugeMetricFamily("mirrorlistd_status_mirrors", "Mirrors in the status file.", labels=("status",))
        for status, count in facts.status.items():
            said.add_metric((status,), count)
        yield said


class _Pulls(Collector):
    def __init__(self, pulls: Pulls) -> None:
        self._pulls = pulls

    def collect(self) -> Iterator[Metric]:
        pulls, last = self._pulls, self._pulls.last
        results = {"ok": pulls.good, "failed": pulls.failed}
        yield _by("mirrorlistd_pulls", "Attempts to pull the snapshot, by result.", "result", results)
        for name, text, value in (
            (
                "last_pull_successful",
                "Whether the latest attempt to pull found the store good (1).",
                last and last.good,
            ),
            ("last_pull_timestamp_seconds", "When it ended, Unix time; 0 before the first.", last and last.at),
            ("last_pull_success_timestamp_seconds", "When the store was last good, Unix time.", pulls.succeeded_at),
            ("last_pull_duration_seconds", "How long the latest attempt took.", last and last.seconds),
            ("pull_failures_in_a_row", "Failed attempts to pull since the last good one.", last and last.failures),
        ):
            yield GaugeMetricFamily(f"mirrorlistd_{name}", text, value=float(value or 0))


class _Workers(Collector):
    def __init__(self, workers: Sequence[WorkerFacts]) -> None:
        self._workers = workers

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("mirrorlistd_worker_up", "Whether the worker answers requests.", labels=("worker",))
        serial = GaugeMetricFamily(
            "mirrorlistd_worker_serial", "Serial of the snapshot that the worker serves.", labels=("worker",)
        )
        answers = CounterMetricFamily("mirrorlistd_worker_answers", "Answers given by the worker.", labels=("worker",))
        starts = CounterMetricFamily(
            "mirrorlistd_worker_starts", "Processes that have taken the worker's place.", labels=("worker",)
        )
        for worker in self._workers:
            label = (str(worker.number),)
            up.add_metric(label, worker.up)
            serial.add_metric(label, worker.serial)
            answers.add_metric(label, worker.answers)
            starts.add_metric(label, worker.starts)
        yield from (up, serial, answers, starts)


def _by(name: str, text: str, label: str, counts: Mapping[str, int]) -> CounterMetricFamily:
    """One counter for each value of a label."""
    family = CounterMetricFamily(name, text, labels=(label,))
    for value, count in counts.items():
        family.add_metric((value,), count)
    return family
