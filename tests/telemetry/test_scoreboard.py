"""The shared page: what one process writes the others read, sums are exact, places keep what was counted there."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlist_snapshot.tiers import TIER_NAMES
from mirrorlistd.render import FORMATS
from mirrorlistd.telemetry.counters import BUCKETS, Counters
from mirrorlistd.telemetry.scoreboard import Scoreboard

ANSWERS = st.tuples(
    st.sampled_from((200, 302, 400, 403, 404, 500)),
    st.sampled_from((None, *TIER_NAMES)),
    st.sampled_from(tuple(FORMATS)),
    st.integers(0, 500_000).map(lambda microseconds: microseconds / 1e6),
)


def count(counters: Counters, answers: list[tuple[int, str | None, str, float]]) -> None:
    """Count these answers, by the fast lane where they are lists, and by a country."""
    for answer in answers:
        counters.observe(*answer)
        counters.observe_country({200: "DE", 404: "XX"}.get(answer[0]))
        counters.fast += answer[0] == 200


def counted(answers: list[tuple[int, str | None, str, float]], failures: int = 0) -> Counters:
    """Counters that have seen these answers."""
    counters = Counters()
    count(counters, answers)
    counters.address_failures, counters.geo_failures = failures, 2 * failures
    counters.connections = 3 * failures
    counters.refused["stalled"] = 4 * failures
    return counters


def facts(counters: Counters) -> tuple[object, ...]:
    """Everything counted but rows of zeros."""
    answers = {(name, status): n for name, rows in counters.answers.items() for status, n in rows.items() if n}
    others = counters.address_failures, counters.geo_failures, counters.connections, counters.refused, counters.fast
    return answers, counters.first_tiers, counters.countries, counters.buckets, round(counters.seconds, 6), others


@given(st.lists(st.lists(ANSWERS, max_size=20), max_size=4), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_totals_are_what_one_process_would_have_counted(
    shares: list[list[tuple[int, str | None, str, float]]], failures: int
) -> None:
    """However answers are shared out among workers, the sum of all rows is the same."""
    board = Scoreboard()
    for number, share in enumerate(shares):
        scoreboard_slot = board.scoreboard_slot(number)
        scoreboard_slot.enter(pid=1000 + number, serial=7)
        scoreboard_slot.publish(counted(share, failures))
    together = counted([answer for share in shares for answer in share], failures * len(shares))
    assert facts(board.totals()) == facts(together)
    assert [worker.answers for worker in board.workers()] == [len(share) for share in shares]


@given(st.lists(ANSWERS, max_size=20), st.lists(ANSWERS, max_size=20))
@settings(max_examples=30, deadline=None)
def test_a_successor_counts_on(
    first: list[tuple[int, str | None, str, float]], second: list[tuple[int, str | None, str, float]]
) -> None:
    """Who takes a place begins with the counts published there, so that a sum never goes back."""
    board = Scoreboard()
    board.scoreboard_slot(3).enter(pid=1, serial=1)
    board.scoreboard_slot(3).publish(counted(first))
    board.leave(3)
    resumed = board.scoreboard_slot(3).resume()
    assert facts(resumed) == facts(counted(first)) == facts(board.totals())
    count(resumed, second)
    board.scoreboard_slot(3).publish(resumed)
    assert facts(board.totals()) == facts(counted(first + second))


def test_what_no_table_foresees_is_counted() -> None:
    """A status or a format that the page has no cell for is in the sum under another name, not lost."""
    counters = Counters()
    counters.observe(418, None, "text", 0.1)
    counters.observe(200, None, "teapot", 0.1)
    board = Scoreboard()
    board.scoreboard_slot(0).enter(pid=1, serial=1)
    board.scoreboard_slot(0).publish(counters)
    assert board.totals().answers["text"][0] == 1
    assert board.totals().answers["other"][200] == 1


FORKED = """
import os
from mirrorlistd.telemetry.scoreboard import Scoreboard
from mirrorlistd.telemetry.counters import Counters
board = Scoreboard()
pid = os.fork()
if pid == 0:
    counters = Counters()
    counters.observe(200, "asn", "text", 0.5)
    board.scoreboard_slot(1).enter(pid=4711, serial=9)
    board.scoreboard_slot(1).publish(counters)
    os._exit(0)
os.waitpid(pid, 0)
print([(worker.number, worker.pid, worker.up, worker.serial, worker.answers) for worker in board.workers()])
print(board.totals().first_tiers["asn"])
"""


@pytest.mark.process
def test_other_processes_see_it() -> None:
    """The page is one, before and after a fork."""
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, check=True)
    assert done.stdout == "[(1, 4711, True, 9, 1)]\n1\n"


def test_who_is_there() -> None:
    """A dead worker is shown as down with its last serial; one dismissed is not shown, but stays in the sums."""
    board = Scoreboard()
    assert board.workers() == []
    for number in range(3):
        board.scoreboard_slot(number).enter(pid=100 + number, serial=1)
        board.scoreboard_slot(number).publish(counted([(200, None, "text", 0.5)]))
    board.leave(1)
    board.leave(2, for_good=True)
    assert [(worker.number, worker.up) for worker in board.workers()] == [(0, True), (1, False)]
    assert sum(board.totals().buckets) == 3


def test_starts_are_processes() -> None:
    """Each process that fills a slot counts once, however often it reports which snapshot it serves."""
    board = Scoreboard()
    for pid, serial in ((100, 1), (100, 2), (200, 2), (200, 3)):
        board.scoreboard_slot(0).enter(pid, serial)
    assert board.workers()[0].starts == 2


def test_reloads_are_the_parents() -> None:
    """Loads are counted once, by the parent; before the first there was none, and it did not fail."""
    board = Scoreboard()
    board.scoreboard_slot(0).enter(pid=1, serial=1)
    assert board.totals().last_reload_ok
    assert board.totals().last_reload_at == 0
    counters = Counters()
    counters.reloaded(ok=True, at=1_700_000_000.25, seconds=0.5)
    counters.reloaded(ok=False, at=1_700_000_060.5, seconds=0.25)
    board.publish_supervisor(counters)
    found = board.totals()
    assert (found.reloads, found.last_reload_ok) == ({"ok": 1, "failed": 1}, False)
    assert (found.last_reload_at, found.last_success_at) == pytest.approx((1_700_000_060.5, 1_700_000_000.25))
    assert (found.last_reload_seconds, found.reload_seconds) == (0.25, 0.75)


def test_every_cell_has_a_meaning() -> None:
    """Buckets, tiers and formats all have their cells: what a new one adds is not cut off."""
    board = Scoreboard()
    counters = Counters()
    for name in FORMATS:
        for tier in TIER_NAMES:
            for bound in (*BUCKETS, 1.0):
                counters.observe(200, tier, name, bound)
    board.scoreboard_slot(0).enter(pid=1, serial=(1 << 63) - 1)
    board.scoreboard_slot(0).publish(counters)
    assert facts(board.totals()) == facts(counters)
    assert board.workers()[0].serial == (1 << 63) - 1
