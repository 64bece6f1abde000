"""Durations: what people write is read exactly or refused, and what is written can be read again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorlist_snapshot.duration import in_units, in_words, parse_duration

YEAR = 366 * 86_400


@given(st.integers(0, YEAR))
def test_a_duration_in_units_is_read_back(seconds: int) -> None:
    """`in_units` writes the text that `parse_duration` reads as the same number of seconds."""
    assert parse_duration(in_units(seconds), 0, YEAR) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("12h", 43_200), ("1d12h", 129_600), (" 1d  12h ", 129_600), ("1w", 604_800), ("0s", 0)],
)
def test_durations_as_people_write_them(text: str, seconds: int) -> None:
    """Numbers with units, largest first, with or without spaces."""
    assert parse_duration(text, 0, YEAR) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "12", "h", "12 hours", "-1h", "1h1d", "1.5h", "1h 1h", "\uff11h", "1H", "h" * 50, "9" * 50 + "s", "1e3s"],
)
def test_what_is_not_a_duration_is_refused(text: str) -> None:
    """The error repeats at most the first 40 characters, and shows how to write a duration."""
    with pytest.raises(ValueError, match="is not a duration; write a number and one of w, d, h, m, s, as in 12h") as no:
        parse_duration(text, 0, YEAR)
    assert len(str(no.value)) < 200


@pytest.mark.parametrize("text", ["59s", "2d", "999999999w"])
def test_bounds_are_named(text: str) -> None:
    """A duration out of bounds is refused with both bounds."""
    with pytest.raises(ValueError, match=r"allowed are 1m to 1d$"):
        parse_duration(text, 60, 86_400)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (97_200, "27 h"), (172_800, "2 days")],
)
def test_words_for_people(seconds: int, words: str) -> None:
    """One unit, rounded down."""
    assert in_words(seconds) == words
