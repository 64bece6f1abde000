"""Durations as people write them: `90s`, `5m`, `12h`, `2d`, `1w`, or several parts as in `1d12h`. Pure."""

from __future__ import annotations

import re
from typing import Final

_SECONDS: Final = {"w": 7 * 86_400, "d": 86_400, "h": 3600, "m": 60, "s": 1}
_PARTS: Final = re.compile("".join(f"(?:([0-9]{{1,9}}){unit})?" for unit in _SECONDS))
_LONGEST: Final = 40
"""Characters of a wrong text that an error shows."""


def parse_duration(text: str, least: int, most: int) -> int:
    """Return the seconds of a duration, both bounds included; raise ValueError with what was found and is allowed.

    Spaces are allowed between the parts. A number without a unit is refused: it could be anything.
    """
    parts = _PARTS.fullmatch("".join(text.split()) if len(text) <= _LONGEST else "-")
    if parts is None or not any(parts.groups()):
        raise ValueError(f"{text[:_LONGEST]!a} is not a duration; write a number and one of w, d, h, m, s, as in 12h")
    seconds = sum(int(number or 0) * unit for number, unit in zip(parts.groups(), _SECONDS.values(), strict=True))
    if not least <= seconds <= most:
        raise ValueError(f"found {text[:_LONGEST]!a}; allowed are {in_units(least)} to {in_units(most)}")
    return seconds


def in_units(seconds: int) -> str:
    """Return the shortest text that `parse_duration` reads as these seconds: `1d12h`; `0s` for none."""
    parts: list[str] = []
    for unit, length in _SECONDS.items():
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def in_words(seconds: int) -> str:
    """Return a duration for people, in one unit, rounded down: `45 s`, `12 min`, `27 h`, `3 days`."""
    for limit, length, word in ((120, 1, "s"), (120 * 60, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{seconds // length} {word}"
    return f"{seconds // 86_400} days"
