"""Claims of `mirrorlistd.memo`: bounded, and otherwise a dictionary."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mirrorlistd.memo import Memo


@given(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 9), st.integers())))
def test_a_memo_never_exceeds_its_limit_and_never_lies(limit: int, pairs: list[tuple[int, int]]) -> None:
    """Whatever is remembered: at most `limit` entries, the latest always among them, each what was stored last."""
    memo: Memo[int, int] = Memo(limit)
    stored: dict[int, int] = {}
    for key, value in pairs:
        assert memo.remember(key, value) == value
        stored[key] = value
        assert memo[key] == value
        assert len(memo) <= limit
        assert memo.items() <= stored.items()


def test_a_memo_keeps_what_fits() -> None:
    """Nothing is forgotten before the limit is reached: a memo that always forgets would be useless."""
    memo: Memo[int, str] = Memo(3)
    for key in range(3):
        memo.remember(key, str(key))
    assert memo == {0: "0", 1: "1", 2: "2"}
    memo.remember(3, "3")
    assert memo == {3: "3"}


def test_what_is_false_is_remembered_too() -> None:
    """None, nothing and zero are values like any other."""
    memo: Memo[str, object] = Memo(2)
    assert memo.remember("empty", b"") == b""
    assert memo.remember("none", None) is None
    assert memo == {"empty": b"", "none": None}
