"""The picture of a propagation: curves and ticks as numbers for a template. Pure.

The drawing has no size of its own: curves are in thousandths of the plot, ticks in percent, so that text keeps its size
at any width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.duration import in_units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlist_admin.views.propagation import Spread, Step

_HOUR: Final = 3600
_SHORTEST: Final = _HOUR
_LONGEST: Final = 72 * _HOUR
"""Seconds that the picture covers at least and at most."""
_STEPS: Final = (600, 1200, 1800, _HOUR, 2 * _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR, 24 * _HOUR)
_MOST_TICKS: Final = 6
_FULL: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A mark at the lower edge."""

    percent: float
    """Where, from the left."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What the template draws."""

    mirrors: str
    capacity: str
    before: str
    """Paths (SVG) in a square of 1000: the newest version's mirrors and capacity, the mirrors of the one before."""
    ticks: tuple[Tick, ...]
    text: str
    """The picture in words, for those who cannot see it."""


def draw(spreads: Sequence[Spread], mirrors: int, now: int) -> Chart | None:
    """Return the picture of the newest version, with the one before it; None if there is none."""
    if not spreads:
        return None
    newest = spreads[0]
    age = now - newest.published
    last = max(step.after for spread in spreads[:2] for step in spread.curve)
    span = min(max(_SHORTEST, last * 11 // 10, min(age, 2 * last)), _LONGEST)
    end = min(age, span) if not newest.superseded else span
    share = round(100 * newest.curve[-1].mirrors)
    return Chart(
        mirrors=_path([(step.after, step.mirrors) for step in newest.curve], span, end),
        capacity=_path([(step.after, step.capacity) for step in newest.curve], span, end),
        before=_path(_mirrors(spreads[1].curve), span, span) if len(spreads) > 1 else "",
        ticks=_ticks(span),
        text=f"{share} percent of {mirrors} mirrors have the newest version",
    )


def _mirrors(curve: Sequence[Step]) -> list[tuple[int, float]]:
    return [(step.after, step.mirrors) for step in curve]


def _path(points: Sequence[tuple[int, float]], span: int, end: int) -> str:
    """Draw a level from each point to the next one, up to `end`."""
    parts: list[str] = []
    for after, share in points:
        if after > end:
            break
        x, y = _FULL * after // span, _FULL - round(_FULL * share)
        parts.append(f"H{x}V{y}" if parts else f"M{x},{y}")
    return "".join([*parts, f"H{_FULL * end // span}"])


def _ticks(span: int) -> tuple[Tick, ...]:
    step = next((step for step in _STEPS if span // step < _MOST_TICKS), _STEPS[-1])
    return tuple(Tick(percent=100 * at / span, text=in_units(at) if at else "0") for at in range(0, span, step))
