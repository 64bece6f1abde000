"""A summary as a picture: requests per day, and the names with most requests. Only this module uses matplotlib."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final

from matplotlib import rc_context  # pyright: ignore[reportUnknownVariableType] - untyped in part
from matplotlib.figure import Figure

from mirrorlistd.usage.summary import TABLES

if TYPE_CHECKING:
    from pathlib import Path

    from mirrorlistd.usage.summary import Summary

Drawn = Any
"""matplotlib's figures and axes, whose own types leave too much open for a strict checker."""
_DATES: Final = {"svg": "Date", "pdf": "CreationDate"}
"""Format -> the metadata with the current time; PNG has none."""
_BARS: Final = 12
"""Names in a panel: more would be unreadable."""
_LONGEST_NAME: Final = 24
"""Characters of a name, before it pushes the bars out of the picture."""


def plot(summary: Summary, file: Path) -> None:
    """Draw a summary into a file of the format that its suffix names; raise OSError where it cannot be written."""
    kind = file.suffix.lower().removeprefix(".")
    figure: Drawn = Figure(figsize=(12, 8), layout="constrained")
    axes: dict[str, Drawn] = figure.subplot_mosaic([["days"] * len(TABLES), [*TABLES]])
    _draw_days(axes["days"], summary)
    for table in TABLES:
        _draw_names(axes[table], table, summary.totals(table))
    # Without a date and random ids: the same lines give the same picture.
    with rc_context({"svg.hashsalt": "mirrorlistd"}):
        figure.savefig(file, format=kind, metadata={_DATES[kind]: None} if kind in _DATES else None)


def _draw_days(axes: Drawn, summary: Summary) -> None:
    days = sorted(summary.days)
    axes.bar([date.fromisoformat(day) for day in days], [summary.days[day] for day in days])
    axes.set_title(f"{summary.requests:,} requests", parse_math=False)
    axes.set_ylabel("a day")


def _draw_names(axes: Drawn, table: str, totals: dict[str, int]) -> None:
    rows = list(totals.items())[:_BARS]
    places = range(len(rows))
    axes.barh(places, [times for _, times in rows])
    # A `$` in a name is not the beginning of a formula.
    axes.set_yticks(places, [name[:_LONGEST_NAME] for name, _ in rows], parse_math=False)
    axes.invert_yaxis()
    axes.set_title(f"by {table}" + (f", {_BARS} of {len(totals)}" if len(totals) > _BARS else ""))
