"""`process_*`: with several workers the same families as with one, for the server and for each worker."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mirrorlistd.telemetry.process_usage import ProcessUsage, whole
from support.processes import Server, eventually, stamped, write_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.process, pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Two workers."""
    snapshot = write_snapshot(tmp_path / "mirrors.mls", stamped(1))
    with Server("--snapshot", str(snapshot), "--workers", "2") as running:
        yield running


def samples(server: Server) -> dict[tuple[str, ...], float]:
    """Name and labels -> value."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(server.get("/metrics").text)
        for sample in family.samples
    }


def test_several_workers_have_the_families_of_a_single_process(server: Server, tmp_path: Path) -> None:
    """Names and kinds that alerts and dashboard ask for; sums over all processes, and a sample for each worker."""
    found = samples(server)
    with Server("--snapshot", str(tmp_path / "mirrors.mls"), "--workers", "1") as single:
        alone = {name for name, *_ in samples(single) if name.startswith("process_")}
    assert alone == {name for name, *_ in found if name.startswith("process_")}
    for name in alone - {"process_virtual_memory_bytes", "process_start_time_seconds"}:
        by_worker = name.replace("process_", "mirrorlistd_worker_")
        assert {tuple(labels) for one, *labels in found if one == by_worker} == {("0",), ("1",)}
    resident = [found["mirrorlistd_worker_resident_memory_bytes", number] for number in "01"]
    assert found["process_resident_memory_bytes",] > sum(resident) > 2 * 10_000_000
    assert 0 < found["process_open_fds",] < found["process_max_fds",]
    assert time.time() - 60 < found["process_start_time_seconds",] < time.time()


def test_processor_time_of_ended_workers_stays_counted(server: Server) -> None:
    """The sum never decreases, so that a rate never jumps: a supervisor knows what its ended children have used."""
    pids = server.get("/readyz").json["workers"]["pids"]
    before = samples(server)["process_cpu_seconds_total",]
    os.kill(pids[0], signal.SIGKILL)
    server.wait_for_log("worker ended, another one follows")
    assert samples(server)["process_cpu_seconds_total",] >= before
    eventually(lambda: len([key for key in samples(server) if key[0] == "mirrorlistd_worker_open_fds"]) == 2, "both")
    assert samples(server)["process_cpu_seconds_total",] >= before


def test_the_fullest_process_is_the_one_that_is_shown() -> None:
    """A limit is reached by one process, not by the sum of all: the alert compares the two."""
    one = ProcessUsage.read(os.getpid())
    assert one is not None
    assert abs(one.started_at - Path("/proc/self").stat().st_ctime) < 86_400
    made = [
        ProcessUsage(
            cpu=1, reaped=4, resident=1, virtual=1, open_files=opened, max_files=limit, started_at=float(opened)
        )
        for opened, limit in ((10, 1000), (90, 100), (500, 1000))
    ]
    total = whole(made[1:], made[0])
    assert (total.open_files, total.max_files, total.cpu, total.resident, total.started_at) == (90, 100, 7, 3, 10.0)


def test_a_process_that_is_gone_or_hidden_has_no_usage() -> None:
    """Nothing is raised for it."""
    assert ProcessUsage.read(1 << 22) is None
    assert ProcessUsage.read(os.getpid()) is not None


def test_the_age_of_the_built_in_geo_data_is_shown(server: Server) -> None:
    """When the package with the registries' data was made, in /metrics and in /readyz."""
    built = samples(server)["mirrorlistd_geo_database_built_timestamp_seconds", "country"]
    assert 1_700_000_000 < built < time.time()
    assert server.get("/readyz").json["geo"] == {"country": built}
