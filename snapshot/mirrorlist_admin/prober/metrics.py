"""Metrics of the prober, on a port of their own if asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from mirrorlist_admin.errors import AdminError
from mirrorlist_admin.prober.reporting import states
from mirrorlist_snapshot.freshness.observed import Freshness, Reachability

if TYPE_CHECKING:
    from mirrorlist_admin.prober.cycle import RunDone
    from mirrorlist_admin.prober.known import Known


class Metrics:
    """What Prometheus is told."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._last = self._gauge("last_run_timestamp_seconds", "When the last run ended")
        self._counted = self._gauge("last_counted_run_timestamp_seconds", "When the last run ended that was not void")
        self._seconds = self._gauge("run_seconds", "How long the last run took")
        self._held = self._gauge("held", "Removals that the brake holds back")
        self._troubled = self._gauge("masters_troubled", "Categories whose master cannot be judged by")
        self._published = self._gauge("last_publication_timestamp_seconds", "When a snapshot was last published")
        self._kept = self._gauge("kept", "Units of mirrors that are offered out of date, as no mirror is better")
        self._requests = self._counter("requests", "Requests sent")
        self._runs = self._counter("runs", "Runs", "result")
        self._failures = self._counter("failures", "Steps that failed and are tried again", "step")
        self._states = Gauge("mirrorlist_probe_states", "What is in force", ["kind", "state"], registry=self.registry)
        for result in ("counted", "void"):
            self._runs.labels(result)
        for step in ("sources", "publish", "status", "run"):
            self._failures.labels(step)

    def listen(self, host: str, port: int) -> int:
        """Answer /metrics on a port (0: one that is free) and return it; raise AdminError."""
        try:
            server, _ = start_http_server(port, host, registry=self.registry)
        except OSError as error:
            raise AdminError(f"cannot listen on {host}:{port} for metrics: {error.strerror}") from error
        return int(server.server_port)

    def run(self, done: RunDone, known: Known, troubled: int) -> None:
        """Take a run."""
        row = done.row
        self._last.set(row.ended)
        if not row.void:
            self._counted.set(row.ended)
        self._seconds.set(row.ended - row.began)
        self._held.set(row.held)
        self._troubled.set(troubled)
        self._requests.inc(row.requests)
        self._runs.labels("void" if row.void else "counted").inc()
        found = states(known)
        kinds = {"mirror": ("up", "down"), "url": tuple(Reachability), "unit": tuple(Freshness)}
        for kind, values in kinds.items():
            for value in values:
                self._states.labels(kind, str(value)).set(found[kind, str(value)])

    def failed(self, step: str) -> None:
        """Take a step that failed."""
        self._failures.labels(step).inc()

    def keeps(self, units: int) -> None:
        """Take how many units of mirrors are offered although they are out of date."""
        self._kept.set(units)

    def published(self, at: float) -> None:
        """Take a publication."""
        self._published.set(at)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"mirrorlist_probe_{name}", text, registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"mirrorlist_probe_{name}", text, labels, registry=self.registry)
