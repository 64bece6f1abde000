"""Backoff: pauses double from the first to the longest, start again after a success, and are spread by jitter."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from mirrorlistd.backoff import Backoff

SECONDS = st.floats(0.001, 1e6)


@given(SECONDS, SECONDS, st.integers(1, 200))
def test_pauses_double_up_to_the_longest(first: float, longest: float, failures: int) -> None:
    """The first pause is the first (or the longest, if that is less); each further one is twice as long."""
    backoff = Backoff(first, longest)
    pauses = [backoff.failed() for _ in range(failures)]
    assert pauses[0] == min(first, longest)
    for before, after in pairwise(pauses):
        assert after == min(longest, 2 * before)
    assert backoff.failures == failures


@given(st.integers(1, 50))
def test_a_success_forgets_the_failures(failures: int) -> None:
    """After a success the next failure costs the first pause again."""
    backoff = Backoff(1, 60)
    for _ in range(failures):
        backoff.failed()
    backoff.succeeded()
    assert backoff.failures == 0
    assert backoff.failed() == 1


@given(st.integers(0, 50), st.floats(5, 1e9))
def test_what_lasted_long_enough_is_tried_again_at_once_and_forgets_the_failures(failures: int, lasted: float) -> None:
    """A worker that ran for hours is replaced without a pause."""
    backoff = Backoff(0.5, 30, long_enough=5)
    for _ in range(failures):
        backoff.failed(4.9)
    assert backoff.failed(lasted) == 0
    assert backoff.failed(4.9) == 0.5


@given(st.integers(), st.floats(0, 1), st.integers(1, 30))
def test_jitter_only_shortens_a_pause_and_by_no_more_than_its_fraction(seed: int, jitter: float, failures: int) -> None:
    """With jitter a pause is never longer than without."""
    plain, spread = Backoff(1, 60), Backoff(1, 60, jitter=jitter, random=Random(seed))
    for _ in range(failures):
        pause = plain.failed()
        assert pause * (1 - jitter) * 0.999999 <= spread.failed() <= pause
