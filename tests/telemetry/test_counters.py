"""The counters count, and Prometheus' own parser reads what is exposed."""

from __future__ import annotations

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from mirrorlist_snapshot.tiers import TIER_NAMES
from mirrorlistd.render import FORMATS
from mirrorlistd.telemetry.counters import BUCKETS, COUNTRIES, LIMITS, ROWS, Counters, Facts, WorkerFacts
from mirrorlistd.telemetry.prometheus import CONTENT_TYPE, exposition

FACTS = Facts(
    version="1.2.3",
    serial=7,
    built=1_700_000_000,
    mirrors=3,
    active=1,
    repositories=2,
    directories=9,
    databases={"geo": 1_600_000_000},
    stale=True,
    max_age=3600.0,
    last_good=False,
    status={"down": 2, "draining": 1},
    status_failed=False,
    seconds_ahead=0,
)


def samples(counters: Counters, facts: Facts | None = FACTS) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Parse an exposition: (name, labels in order of name) -> value; no sample twice."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for family in text_string_to_metric_families(exposition(counters, facts).decode()):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


def test_every_row_is_there_from_the_start() -> None:
    """Whatever can be answered is exposed as 0 before it happens, so that the first is an increase."""
    found = samples(Counters())
    assert set(ROWS) == set(FORMATS)
    for name, statuses in ROWS.items():
        for status in statuses:
            assert found["mirrorlistd_answers_total", (("format", name), ("status", str(status)))] == 0
    assert ("text", "500") in {(dict(labels).get("format"), dict(labels).get("status")) for _, labels in found}
    for limit in LIMITS:
        assert found["mirrorlistd_connections_refused_total", (("limit", limit),)] == 0
    for tier in TIER_NAMES:
        assert found["mirrorlistd_first_tier_total", (("tier", tier),)] == 0
    assert found["mirrorlistd_reloads_total", (("result", "failed"),)] == 0


def test_an_answer_is_counted_once_in_each_family() -> None:
    """One answer adds one to its status and format, to its tier and to the histogram."""
    counters = Counters()
    counters.observe(200, "asn", "text", 0.5)
    counters.observe(404, None, "text", 0.25)
    found = samples(counters)
    assert found["mirrorlistd_answers_total", (("format", "text"), ("status", "200"))] == 1
    assert found["mirrorlistd_answers_total", (("format", "text"), ("status", "404"))] == 1
    assert found["mirrorlistd_first_tier_total", (("tier", "asn"),)] == 1
    assert sum(value for (name, _), value in found.items() if name == "mirrorlistd_first_tier_total") == 1
    assert found["mirrorlistd_answer_seconds_count", ()] == 2
    assert found["mirrorlistd_answer_seconds_sum", ()] == 0.75


def test_an_unforeseen_status_or_format_is_counted() -> None:
    """A new status or format gets its row when it first occurs."""
    counters = Counters()
    counters.observe(503, None, "metalink", 0.0)
    counters.observe(503, None, "metalink", 0.0)
    found = samples(counters)
    assert found["mirrorlistd_answers_total", (("format", "metalink"), ("status", "503"))] == 2


@given(st.lists(st.floats(min_value=0, max_value=1) | st.sampled_from(BUCKETS), max_size=30))
def test_buckets_cumulate(times: list[float]) -> None:
    """Each bucket holds the answers that took at most its bound, the last one all of them."""
    counters = Counters()
    for seconds in times:
        counters.observe(200, None, "text", seconds)
    for (name, labels), value in samples(counters).items():
        if name == "mirrorlistd_answer_seconds_bucket":
            bound = float(dict(labels)["le"])
            assert value == sum(seconds <= bound for seconds in times)


def test_the_buckets_are_where_the_answers_are() -> None:
    """The bounds ascend from 5 microseconds to 100 milliseconds, and the exposition ends with +Inf."""
    assert list(BUCKETS) == sorted(set(BUCKETS))
    assert (BUCKETS[0], BUCKETS[-1]) == (5e-6, 0.1)
    bounds = [dict(labels)["le"] for name, labels in samples(Counters()) if name.endswith("_bucket")]
    assert [float(bound) for bound in bounds] == [*BUCKETS, math.inf]


def test_reloads() -> None:
    """A failed load is visible beside the success before it; a later success takes the mark away."""
    counters = Counters()
    counters.reloaded(ok=True, at=100.0, seconds=0.5)
    counters.reloaded(ok=False, at=200.0, seconds=0.25)
    found = samples(counters)
    assert found["mirrorlistd_reloads_total", (("result", "ok"),)] == 1
    assert found["mirrorlistd_reloads_total", (("result", "failed"),)] == 1
    assert found["mirrorlistd_last_reload_successful", ()] == 0
    assert found["mirrorlistd_last_reload_timestamp_seconds", ()] == 200
    assert found["mirrorlistd_last_reload_success_timestamp_seconds", ()] == 100
    assert found["mirrorlistd_last_reload_duration_seconds", ()] == 0.25
    assert (found["mirrorlistd_reload_seconds_count", ()], found["mirrorlistd_reload_seconds_sum", ()]) == (2, 0.75)
    counters.reloaded(ok=True, at=300.0, seconds=0.5)
    assert samples(counters)["mirrorlistd_last_reload_successful", ()] == 1


def test_failures() -> None:
    """Clients without an address and failed lookups are counted."""
    counters = Counters()
    counters.address_failures += 2
    counters.geo_failures += 3
    found = samples(counters)
    assert found["mirrorlistd_client_address_failures_total", ()] == 2
    assert found["mirrorlistd_geo_lookup_failures_total", ()] == 3


def test_lanes() -> None:
    """Both lanes' answers add up to all of them."""
    counters = Counters()
    for _ in range(3):
        counters.observe(200, "country", "text", 0.1)
    counters.fast = 2
    found = samples(counters)
    assert found["mirrorlistd_lane_answers_total", (("lane", "fast"),)] == 2
    assert found["mirrorlistd_lane_answers_total", (("lane", "asgi"),)] == 1


@given(st.lists(st.none() | st.text(max_size=3) | st.sampled_from(COUNTRIES), max_size=300))
def test_countries_are_known_ones(asked: list[str | None]) -> None:
    """Whatever a geo database holds, labels are ISO countries, `other` and `unknown`; none is lost."""
    counters = Counters()
    assert not any(name.startswith("mirrorlistd_country_") for name, _ in samples(counters))
    for country in asked:
        counters.observe_country(country)
    rows = {labels[0][1]: n for (name, labels), n in samples(counters).items() if "_country_answers_" in name}
    assert set(rows) <= set(COUNTRIES)
    assert sum(rows.values()) == len(asked)
    assert rows.get("unknown", 0) >= asked.count(None)


def test_workers() -> None:
    """Each worker has its own rows, dead or alive; the one process' own are left out then."""
    rows = [WorkerFacts(number=n, pid=1, up=n == 0, serial=5, answers=9, starts=n + 1) for n in range(2)]
    text = exposition(Counters(), FACTS, rows).decode()
    assert 'mirrorlistd_worker_up{worker="0"} 1.0\nmirrorlistd_worker_up{worker="1"} 0.0\n' in text
    assert 'mirrorlistd_worker_starts_total{worker="1"} 2.0\n' in text
    assert "process_open_fds" not in text


def test_facts() -> None:
    """What is being served is exposed with times as Unix timestamps."""
    found = samples(Counters())
    assert found["mirrorlistd_build_info", (("version", "1.2.3"),)] == 1
    assert found["mirrorlistd_snapshot_serial", ()] == 7
    assert found["mirrorlistd_snapshot_built_timestamp_seconds", ()] == 1_700_000_000
    assert found["mirrorlistd_snapshot_mirrors", ()] == 3
    assert found["mirrorlistd_snapshot_active_mirrors", ()] == 1
    assert found["mirrorlistd_snapshot_repositories", ()] == 2
    assert found["mirrorlistd_snapshot_directories", ()] == 9
    assert found["mirrorlistd_geo_database_built_timestamp_seconds", (("kind", "geo"),)] == 1_600_000_000


def test_before_the_first_state() -> None:
    """Without facts there is no serial, rather than a false one; everything else is exposed."""
    names = {name for name, _ in samples(Counters(), None)}
    assert not any(name.startswith("mirrorlistd_snapshot_") for name in names)
    assert "mirrorlistd_answers_total" in names


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_the_process_is_exposed() -> None:
    """Memory, processor time and file descriptors of the process come along."""
    assert samples(Counters())["process_open_fds", ()] > 0


def test_every_family_says_what_it_is() -> None:
    """Each metric has a HELP text and a type."""
    for family in text_string_to_metric_families(exposition(Counters(), FACTS).decode()):
        assert family.documentation
        assert family.type in {"counter", "gauge", "histogram", "summary"}


def test_counters_are_apart() -> None:
    """Two servers in one process do not share counts."""
    one, other = Counters(), Counters()
    one.observe(200, "country", "json", 0.1)
    assert samples(other)["mirrorlistd_answer_seconds_count", ()] == 0
    assert other.answers == Counters().answers


def test_the_content_type_is_prometheus() -> None:
    """The content type is the text format's."""
    assert CONTENT_TYPE.startswith("text/plain; version=")
