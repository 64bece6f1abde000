"""How old a version is: the time since it was superseded, and never a guess."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorlist_admin.network import Unit
from mirrorlist_admin.store.rows import UnitProbe, UnitVersion
from mirrorlist_admin.verdict.freshness import AHEAD_FOR, judge
from mirrorlist_admin.verdict.master import Reading, after_reading
from mirrorlist_admin.verdict.seen import compared, never_seen
from mirrorlist_snapshot.freshness.observed import Freshness

H = 3600
UNIT = Unit("c", "os/repodata/repomd.xml", "repomd", ("os",), 12 * H, 24 * H)
NOW = 1_000 * H


def version(sha256: str, first: int, superseded: int = 0, stated: int | None = None) -> UnitVersion:
    """A version; times in hours."""
    return UnitVersion(
        category="c",
        unit=UNIT.path,
        sha256=sha256,
        size=1,
        stated=(first if stated is None else stated) * H,
        first_seen=first * H,
        superseded=superseded * H,
    )


OLD, CURRENT = version("old", 900, 990), version("current", 990)
VERSIONS = {"old": OLD, "current": CURRENT}


def seen(sha256: str, stated: int = 0, absent: int = 0) -> UnitProbe:
    """A unit that a mirror was seen with; times in hours."""
    probe = replace(never_seen("m", "c", UNIT.path), sha256=sha256, asked=NOW, stated=stated * H)
    return compared(replace(probe, absent=absent), VERSIONS, CURRENT)


def state(probe: UnitProbe, unit: Unit = UNIT) -> tuple[Freshness, int] | None:
    """The state and the lag in hours."""
    found = judge(probe, VERSIONS, CURRENT, unit)
    return None if found is None else (found.state, found.lag // H)


def test_the_lag_counts_since_the_version_was_superseded() -> None:
    """The current version is fresh however old it is; an old one is as late as the new one has been there."""
    assert state(seen("current")) == (Freshness.FRESH, 0)
    assert state(replace(seen("current"), asked=NOW + 10_000 * H)) == (Freshness.FRESH, 0)
    assert state(seen("old")) == (Freshness.FRESH, 10)
    assert state(replace(seen("old"), asked=NOW + 4 * H)) == (Freshness.LATE, 14)
    assert state(replace(seen("old"), asked=NOW + 15 * H)) == (Freshness.STALE, 25)


def test_an_unknown_version_is_ahead_or_at_least_as_old_as_what_is_known() -> None:
    """Younger than the master's: nothing is concluded for six hours. Older: at least as old as the oldest known one."""
    assert state(seen("new", stated=995)) is None
    ahead = replace(seen("new", stated=995), ahead_since=NOW - AHEAD_FOR)
    assert state(ahead) == (Freshness.STALE, 0)
    assert state(seen("ancient", stated=500)) == (Freshness.STALE, 100)
    assert state(seen("between", stated=950)) == (Freshness.FRESH, 10)
    assert state(seen("timeless")) == (Freshness.STALE, 100)


def test_other_bytes_of_the_same_time_are_not_the_masters() -> None:
    """Same time and other bytes: damaged or forged, and stale at once."""
    found = judge(seen("forged", stated=990), VERSIONS, CURRENT, UNIT)
    assert found is not None
    assert found.state is Freshness.STALE
    assert "differs from the master's" in found.reason


def test_absence_needs_two_answers() -> None:
    """One answer without the unit changes nothing; two make it missing."""
    assert state(seen("current", absent=1)) is None
    assert state(seen("current", absent=2)) == (Freshness.MISSING, 0)
    assert state(seen("")) is None


def test_a_stamp_of_the_mirrors_own_counts_by_its_time() -> None:
    """A stamp that each mirror writes itself is as old as the time in it."""
    stamp = replace(UNIT, path="last-modified", kind="stamp")
    assert state(seen("own", stated=995), stamp) == (Freshness.FRESH, 5)
    assert state(seen("own", stated=970), stamp) == (Freshness.STALE, 30)


@given(lag=st.integers(0, 60 * H), fresh=st.integers(0, 30 * H), more=st.integers(0, 30 * H))
def test_the_limits_are_the_units_own(lag: int, fresh: int, more: int) -> None:
    """Fresh up to `fresh`, late up to `max_lag`, stale beyond, for any limits."""
    unit = replace(UNIT, fresh=fresh, max_lag=fresh + more)
    found = judge(replace(seen("old"), asked=OLD.superseded + lag), VERSIONS, CURRENT, unit)
    assert found is not None
    expected = Freshness.FRESH if lag <= fresh else Freshness.LATE if lag <= fresh + more else Freshness.STALE
    assert (found.state, found.lag) == (expected, lag)


def reading(sha256: str, stated: int, modified: int = 0) -> Reading:
    """What was read from the master; times in hours."""
    return Reading(sha256, 1, stated * H, modified * H, "", "", b"")


def test_a_new_version_supersedes_the_old_one_when_it_appeared() -> None:
    """A version appeared at its own time, but after the last look at the one before."""
    first = after_reading(UNIT.key, None, {}, reading("a", 900), NOW)
    assert [(one.first_seen, one.superseded) for one in first.versions] == [(900 * H, 0)]
    known = {one.sha256: one for one in first.versions}
    same = after_reading(UNIT.key, first.watched, known, reading("a", 900), NOW + H)
    assert (same.versions, same.is_new, same.backwards) == ([], False, "")
    later = after_reading(UNIT.key, same.watched, known, reading("b", 950), NOW + 2 * H)
    assert {one.sha256: (one.first_seen, one.superseded) for one in later.versions} == {
        "a": (900 * H, NOW + H),
        "b": (NOW + H, 0),
    }


@pytest.mark.parametrize(("again", "backwards"), [(reading("c", 800), "older time"), (reading("old", 0), "earlier")])
def test_a_master_that_goes_backwards_is_noticed(again: Reading, backwards: str) -> None:
    """An older time, or a version that was there before, is no progress."""
    watched = after_reading(UNIT.key, None, {}, reading("current", 990), NOW).watched
    assert backwards in after_reading(UNIT.key, watched, VERSIONS, again, NOW).backwards
