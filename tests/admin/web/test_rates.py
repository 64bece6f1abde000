"""Rates of requests: bursts, the long run, forgetting; against a slow model."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mirrorlist_admin.web.rates import Rate


@given(
    burst=st.integers(1, 8),
    seconds=st.integers(1, 100),
    gaps=st.lists(st.integers(0, 200).map(lambda tenths: tenths / 8), max_size=60),
)
def test_no_more_than_twice_the_burst_passes_in_any_window(burst: int, seconds: int, gaps: list[float]) -> None:
    """In any span of the window a key gets at most a burst and what has dripped meanwhile."""
    rate, now, passed = Rate(burst, seconds), 0.0, list[float]()
    for gap in gaps:
        now += gap
        wait = rate.take("key", now)
        if wait:
            assert rate.wait("key", now + wait) == 0, "after the stated wait a request passes"
        else:
            passed.append(now)
    for start in passed:
        assert sum(start <= at < start + seconds for at in passed) <= 2 * burst
    if gaps:
        assert passed


def test_a_burst_passes_and_the_next_one_waits() -> None:
    """Three at once, then one each 20 seconds."""
    rate = Rate(3, 60)
    assert [rate.take("a", 0) for _ in range(4)] == [0, 0, 0, 20]
    assert rate.take("b", 0) == 0
    assert rate.take("a", 19.5) == 1
    assert rate.take("a", 20) == 0
    assert rate.take("a", 20) > 0


def test_a_flood_of_keys_takes_bounded_memory_and_keeps_the_busy_ones() -> None:
    """The key that was quiet for longest is forgotten first."""
    rate = Rate(1, 60, keys=10)
    rate.take("busy", 0)
    for number in range(9):
        rate.take(f"k{number}", 1)
    assert rate.wait("busy", 2) > 0
    rate.take("one more", 3)
    assert rate.wait("busy", 3) == 0
    assert rate.wait("k8", 3) > 0
    assert len(rate._free_at) == 10
