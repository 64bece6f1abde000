"""Up, suspect, down: by failures and their times, and back only after good runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from mirrorlist_admin.exchange import Failure
from mirrorlist_admin.verdict.reach import (
    DEFAULT_DOWN_RULE,
    after_failure,
    after_good_answer,
    may_return,
    new_url,
    returned,
)
from mirrorlist_snapshot.freshness.observed import Reachability

if TYPE_CHECKING:
    from mirrorlist_admin.store.rows import UrlProbe

UP, SUSPECT, DOWN = Reachability.UP, Reachability.SUSPECT, Reachability.DOWN
REFUSED = Failure(cause="refused", evidence="connection refused")


def fail(probe: UrlProbe, *times: int) -> UrlProbe:
    """Fail at some times."""
    for at in times:
        probe = after_failure(probe, REFUSED, at, DEFAULT_DOWN_RULE)
    return probe


def fresh() -> UrlProbe:
    """A URL that was never asked."""
    return new_url("m", "c", "http://m.example/", 4)


def test_three_failures_over_a_minute_make_it_down() -> None:
    """One failure makes a URL suspect; the third makes it down, if a minute lies between the first and the last."""
    assert [fail(fresh(), *times).state for times in ([1000], [1000, 1020], [1000, 1020, 1060])] == [
        SUSPECT,
        SUSPECT,
        DOWN,
    ]
    assert fail(fresh(), 1000, 1001, 1002, 1003).state is SUSPECT
    assert fail(fresh(), 1000, 1300).state is SUSPECT
    assert after_good_answer(fail(fresh(), 1000, 1020), 1060, counts=True).state is UP


def test_a_clock_that_was_set_back_does_not_keep_a_dead_one_up() -> None:
    """The first failure was tomorrow: the minute counts from now on."""
    assert fail(fresh(), 100_000, 1000, 1020).state is SUSPECT
    assert fail(fresh(), 100_000, 1000, 1020, 1060).state is DOWN


def test_it_comes_back_after_two_good_runs() -> None:
    """An answer that counts is one of a run; two in a row are needed, and a failure between them starts anew."""
    down = fail(fresh(), 1000, 1020, 1060)
    once = after_good_answer(down, 1300, counts=True)
    assert not may_return(once, 1300)
    assert not may_return(after_good_answer(once, 1301, counts=False), 1301)
    twice = after_good_answer(once, 1600, counts=True)
    assert may_return(twice, 1600)
    assert once.answering_since == twice.answering_since == 1300
    assert not may_return(after_good_answer(fail(once, 1600), 1900, counts=True), 1900)
    back = returned(twice, 1600)
    assert (back.state, back.answering_since, back.good) == (UP, 0, 0)


def outage(probe: UrlProbe, at: int) -> UrlProbe:
    """Down at `at`, good since."""
    probe = fail(probe, at, at + 20, at + 60)
    return after_good_answer(after_good_answer(probe, at + 300, counts=True), at + 600, counts=True)


def test_flapping_doubles_the_stay_outside() -> None:
    """From the fourth change in a day on, each stay outside doubles: 10 min, 20 min, at most 6 h; a day forgives."""
    probe, at, stays = fresh(), 1_000_000, []
    for _ in range(10):
        probe = outage(probe, at)
        stays.append(probe.outside_until - (at + 60) if probe.outside_until > at else 0)
        assert may_return(probe, max(at + 600, probe.outside_until))
        probe = returned(probe, max(at + 600, probe.outside_until))
        at += 700
    assert stays == [0, 0, 600, 1200, 2400, 4800, 9600, 19200, 21600, 21600]
    assert outage(probe, at + 86_400).outside_until < at + 86_400


@given(st.lists(st.tuples(st.integers(1, 400), st.booleans(), st.booleans()), max_size=60))
def test_it_is_never_down_for_less(steps: list[tuple[int, bool, bool]]) -> None:
    """Whatever happens: down only after three failures in a row over a minute, up only after two good ones in a row."""
    probe, now, failures, good = fresh(), 1_000_000, list[int](), 0
    for pause, is_good, counts in steps:
        now += pause
        before = probe.state
        if is_good:
            failures, good = [], good + counts
            probe = after_good_answer(probe, now, counts=counts)
            if may_return(probe, now):
                assert good >= 2
                probe = returned(probe, now)
        else:
            failures, good = [*failures, now], 0
            probe = fail(probe, now)
        if probe.state is DOWN and before is not DOWN:
            assert len(failures) >= 3
            assert failures[-1] - failures[0] >= 59
            good = 0
        assert probe.failures == len(failures)
