"""Claims of `mirrorlistd.memo`: bounded, never wrong, and what is asked for again stays."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mirrorlistd.memo import Memo


@given(st.integers(2, 9), st.lists(st.tuples(st.integers(0, 20), st.integers(), st.booleans())))
def test_a_memo_never_exceeds_its_limit_and_never_lies(limit: int, steps: list[tuple[int, int, bool]]) -> None:
    """Whatever is stored and looked up: at most `limit` entries, the latest among them, each what was stored last."""
    memo: Memo[int, int] = Memo(limit)
    stored: dict[int, int] = {}
    for key, value, look in steps:
        if look:
            assert memo.get(key) in {None, stored.get(key)}
        else:
            assert memo.remember(key, value) == value
            stored[key] = value
            assert memo.recent(key) == memo.get(key) == value
        assert len(memo) <= limit
        assert dict(memo.entries()).items() <= stored.items()


def test_a_memo_keeps_what_fits() -> None:
    """Half of the limit is never forgotten, whatever else is asked."""
    memo: Memo[int, str] = Memo(100)
    for key in range(1_000):
        memo.remember(key, str(key))
        assert all(memo.get(old) == str(old) for old in range(max(0, key - 20), key))


def test_what_is_asked_for_again_is_carried_over() -> None:
    """A few keys that many ask for stay, however many others come once; those are forgotten."""
    memo: Memo[int, str] = Memo(64)
    memo.remember(-1, "known")
    for key in range(10_000):
        memo.remember(key, "once")
        if key % 16 == 0:
            assert memo.get(-1) == "known"
    assert memo.get(5_000) is None


def test_a_memo_is_freed_in_parts() -> None:
    """`free` drops so many entries; none is left in the end, and none is found."""
    memo: Memo[int, int] = Memo(10)
    for key in range(12):
        memo.remember(key, key)
    before = len(memo)
    assert memo.free(3) == len(memo) == before - 3
    memo.clear()
    assert len(memo) == 0
    assert memo.entries() == []
    assert memo.get(11) is None
