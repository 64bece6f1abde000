"""Bandwidths as mirror lists write them -> Mbit/s."""

from __future__ import annotations

import re
from typing import Final

_FACTORS: Final = {"k": 0.001, "m": 1, "g": 1000, "t": 1_000_000}
_RATE: Final = re.compile(r"([0-9]+(?:[.,][0-9]+)?)\s*([kmgt])?(?:i?b(?:it)?s?)?\s*(?:/\s*s(?:ec)?|ps)?")
_LINES: Final = {"t1": 2, "e1": 2, "t2": 6, "t3": 45, "e3": 34, "ds3": 45, "oc3": 155, "oc12": 622, "oc48": 2488}
"""Names of leased lines (ITU-T G.702, ANSI T1.105), rounded to whole Mbit/s."""
MOST: Final = 1_000_000
"""Mbit/s: what a source may state."""


def megabits(text: str) -> int | None:
    """Return the Mbit/s that a text such as `10 Gbit/s`, `1G`, `100Mbps`, `2 x 10G`, `T3` or `1000` states; else None.

    A number without a unit is Mbit/s. The result is at least 1 and at most what a source may state.
    """
    plain = text.strip().lower()
    if plain in _LINES:
        return _LINES[plain]
    times = re.match(r"([0-9]{1,3})\s*[x*]\s*", plain)
    rate = _RATE.fullmatch(plain[times.end() :] if times else plain)
    if rate is None or len(rate[1]) > len("1000000.00"):
        return None
    value = float(rate[1].replace(",", ".")) * _FACTORS[rate[2] or "m"] * (int(times[1]) if times else 1)
    return min(max(1, round(value)), MOST) if value else None
