"""The metrics in Prometheus' text format: the table of counters, and gauges of what is served.

They are made for each request: prometheus-client writes the format, and a registry per call keeps everything local.
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

from mirrorlistd.telemetry.counter_row import rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from prometheus_client.core import Metric

    from mirrorlistd.pull.puller_process import Pulls
    from mirrorlistd.telemetry.counter_row import Row
    from mirrorlistd.telemetry.counters import Counters, Facts, WorkerFacts
    from mirrorlistd.telemetry.process_usage import ServerUsage

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
"""Of the bytes that `exposition` returns."""


def exposition(  # noqa: PLR0913 - the subjects of metrics
    counters: Counters,
    facts: Facts | None,
    workers: Sequence[WorkerFacts] = (),
    pulls: Pulls | None = None,
    *,
    usage: ServerUsage | None = None,
    insider: bool = True,
) -> bytes:
    """Return all metrics, for strangers without those that depend on private mirrors.

    There are no facts before the first State, no workers and no `usage` of theirs in a single process, and no pulls
    without --pull.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Counted(counters, insider=insider))
    if facts is not None:
        registry.register(_Served(facts))
    if pulls is not None:
        registry.register(_Pulls(pulls))
    if workers:
        registry.register(_Workers(workers))
    if usage is not None:
        registry.register(_Processes(usage))
    elif not workers:
        ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Counted(Collector):
    """One family for each row of the table of counters."""

    def __init__(self, counters: Counters, *, insider: bool) -> None:
        self._counters = counters
        self._insider = insider

    def collect(self) -> Iterator[Metric]:
        counters = self._counters
        for name, row in rows_of(type(counters)).items():
            if row.family is None or (row.private and not self._insider):
                continue
            samples = [*(row.samples(counters) if row.samples else row.shape.samples(getattr(counters, name)))]
            if samples:  # a label that is not counted by has none
                yield _family(row, row.family, samples, row.beside(counters) if row.beside else 0.0)


def _family(row: Row, name: str, samples: Sequence[tuple[tuple[str, ...], float]], beside: float) -> Metric:
    """Give the family of a row; `beside` is the sum of a histogram, or the count of a summary."""
    counts = [count for _, count in samples]
    if row.kind == "histogram":
        bounds = [*map(str, row.bounds), "+Inf"]
        buckets = list(zip(bounds, accumulate(counts), strict=True))
        return HistogramMetricFamily(name, row.help, buckets=buckets, sum_value=beside)
    if row.kind == "summary":
        return SummaryMetricFamily(name, row.help, count_value=int(beside), sum_value=counts[0])
    family = (CounterMetricFamily if row.kind == "counter" else GaugeMetricFamily)(name, row.help, labels=row.labels)
    for labels, count in samples:
        family.add_metric(labels, count)
    return family


class _Served(Collector):
    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def collect(self) -> Iterator[Metric]:
        facts = self._facts
        build = GaugeMetricFamily("mirrorlistd_build_info", "Always 1; the label is the version.", labels=("version",))
        build.add_metric((facts.version,), 1)
        yield build
        for name, text, value in (
            ("serial", "Serial of the snapshot being served.", facts.serial),
            ("built_timestamp_seconds", "When it was compiled, Unix time.", facts.built),
            ("mirrors", "Mirrors in it.", facts.mirrors),
            ("active_mirrors", "Mirrors in it that are switched on.", facts.active),
            ("repositories", "Repositories in it.", facts.repositories),
            (
                "directories",
                "Directories in it: paths where other mirrors carry the content than above.",
                facts.directories,
            ),
        ):
            if value is not None:
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
            (
                "snapshot_seconds_ahead",
                "How far in the future it was built; 0: not.",
                facts.seconds_ahead,
            ),
            ("snapshot_last_good", "Whether the last good copy is served, as the snapshot is bad.", facts.last_good),
            ("status_failed", "Whether the status file does not apply as it is.", facts.status_failed),
        ):
            yield GaugeMetricFamily(f"mirrorlistd_{name}", text, value=value)
        statuses = GaugeMetricFamily("mirrorlistd_status_mirrors", "Mirrors in the status file.", labels=("status",))
        for status, count in facts.status.items():
            statuses.add_metric((status,), count)
        yield statuses


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
            "mirrorlistd_worker_starts", "Processes that have filled the worker slot.", labels=("worker",)
        )
        for worker in self._workers:
            label = (str(worker.number),)
            up.add_metric(label, worker.up)
            serial.add_metric(label, worker.serial)
            answers.add_metric(label, worker.answers)
            starts.add_metric(label, worker.starts)
        yield from (up, serial, answers, starts)


class _Processes(Collector):
    """What several processes use: `process_*` for the server, as `ProcessCollector` has it of one, and each worker."""

    def __init__(self, usage: ServerUsage) -> None:
        self._usage = usage

    def collect(self) -> Iterator[Metric]:
        server = self._usage.server
        for make, name, attribute, text in _USAGE:
            if server is not None:
                yield make(f"process_{name}", f"{text} of all processes.", value=getattr(server, attribute))
            if attribute not in _NOT_BY_WORKER:
                family = make(f"mirrorlistd_worker_{name}", f"{text} of the worker.", labels=("worker",))
                for number, usage in self._usage.workers.items():
                    family.add_metric((str(number),), getattr(usage, attribute))
                yield family


_USAGE: Final = (
    (CounterMetricFamily, "cpu_seconds", "cpu", "Processor time"),
    (GaugeMetricFamily, "resident_memory_bytes", "resident", "Memory, shared pages counted each time,"),
    (GaugeMetricFamily, "virtual_memory_bytes", "virtual", "Address space"),
    (GaugeMetricFamily, "open_fds", "open_files", "Open files (of the process that is nearest to its limit)"),
    (GaugeMetricFamily, "max_fds", "max_files", "Limit of open files (of the process that is nearest to it)"),
    (GaugeMetricFamily, "start_time_seconds", "started_at", "Start, Unix time,"),
)
"""Family, name as ProcessCollector has it, attribute of ProcessUsage, help."""
_NOT_BY_WORKER: Final = ("virtual", "started_at")


def _by(name: str, text: str, label: str, counts: Mapping[str, int]) -> CounterMetricFamily:
    """One counter for each value of a label."""
    family = CounterMetricFamily(name, text, labels=(label,))
    for value, count in counts.items():
        family.add_metric((value,), count)
    return family
