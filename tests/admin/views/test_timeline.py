"""Timelines: what held at a moment follows from the events up to it; times are read strictly."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorlist_admin.store.rows import Event, Subject
from mirrorlist_admin.views.timeline import facts_at, parse_moment, spoken

STATES = st.sampled_from(("up", "suspect", "down", "fresh", "late", "stale", "missing", "counts", "wrong", "held back"))
EVENTS = st.lists(
    st.builds(
        Event,
        at=st.integers(0, 50),
        mirror=st.just("m"),
        category=st.sampled_from(("a", "b")),
        subject=st.sampled_from((Subject.URL, Subject.UNIT)),
        name=st.sampled_from(("x", "y")),
        before=st.just(""),
        after=STATES,
        cause=st.just("a rule"),
        evidence=st.just("something seen"),
        by=st.just("prober"),
    ),
    max_size=30,
)


@given(EVENTS, st.integers(0, 60))
def test_the_last_event_of_each_thing_decides(events: list[Event], at: int) -> None:
    """Of each URL and unit the last event up to the moment tells its state; good states are no facts."""
    events.sort(key=lambda event: event.at)
    held: dict[tuple[str, str, str], Event] = {}
    for event in events:
        if event.at <= at:
            held[event.subject, event.category, event.name] = event
    expected = sorted((e.at, e.after) for e in held.values() if e.after not in {"up", "fresh", "counts"})
    found = facts_at(events, at)
    assert sorted((fact.since, fact.state) for fact in found) == expected
    assert [fact.out for fact in found] == sorted((fact.out for fact in found), reverse=True), "what is out comes first"
    assert {fact.out for fact in found if fact.state in {"down", "stale", "missing"}} <= {True}
    assert {fact.out for fact in found if fact.state in {"suspect", "late", "wrong", "held back"}} <= {False}


def test_a_maintenance_is_out() -> None:
    """`down until ...` is a state in which the mirror is not offered."""
    event = Event(
        at=5,
        mirror="m",
        category="",
        subject=Subject.REPORT,
        name="maintenance",
        before="up",
        after="down until 2026-11-29 11:00:00 UTC",
        cause="the mirror says so",
        evidence="new disks",
        by="check-in",
    )
    assert [fact.out for fact in facts_at([event], 5)] == [True]
    assert spoken(event) == "maintenance: up -> down until 2026-11-29 11:00:00 UTC (the mirror says so; new disks)"


@pytest.mark.parametrize(
    "text",
    ["2026-11-29 03:12", "2026-11-29T03:12", "2026-11-29T03:12Z", " 2026-11-29 03:12:00 ", "2026-11-29 03:12:00Z"],
)
def test_a_moment_is_in_utc(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the zone of this host."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert parse_moment(text) == 1_795_921_920
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.text(max_size=25) | st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}\Z"))
def test_any_text_is_a_moment_or_refused(text: str) -> None:
    """Impossible dates and any other text raise ValueError, which says what to write."""
    try:
        assert isinstance(parse_moment(text), int)
    except ValueError as error:
        assert "is no time in UTC, such as '2026-11-29 03:12'" in str(error)
