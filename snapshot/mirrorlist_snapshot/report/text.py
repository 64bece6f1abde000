"""Times, numbers and tables as text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60))


def moment(seconds: int) -> str:
    """Return a time, given in seconds since 1970 UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def ago(seconds: int) -> str:
    """Return an age in its largest whole unit; a negative age, from clocks that differ, is in the future."""
    for unit, size in _UNITS:
        if abs(seconds) >= size:
            words = plural(abs(seconds) // size, unit)
            break
    else:
        words = plural(abs(seconds), "second")
    return f"{words} ago" if seconds >= 0 else f"{words} in the future"


def count(number: int) -> str:
    """Return a number with separated thousands."""
    return f"{number:,}"


def plural(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Return aligned, indented columns; columns that are empty in every row are left out."""
    used = [column for column in range(len(headings)) if any(row[column] for row in rows)]
    widths = {column: max(len(line[column]) for line in (headings, *rows)) for column in used}
    for line in (headings, *rows):
        yield "  " + "  ".join(line[column].ljust(widths[column]) for column in used).rstrip()
