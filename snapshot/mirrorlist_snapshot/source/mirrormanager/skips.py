"""Rows that an import leaves out: counted by reason, with a few examples each."""

from __future__ import annotations

from typing import Final

from mirrorlist_snapshot.errors import Complaint
from mirrorlist_snapshot.source.rules import shown

EXAMPLES: Final = 3
"""Rows shown for each reason; the others are counted."""


class SkippedRows:
    """The rows of one file that could not be used: (table, reason) -> rows."""

    def __init__(self, file: str) -> None:
        """Start counting for `file`, named as the user wrote it."""
        self.file = file
        self._found: dict[tuple[str, str], list[str]] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self._lines: dict[tuple[str, str], int | None] = {}

    def add(self, table: str, reason: str, row: str, line: int | None = None) -> None:
        """Count a row of a table; `reason` is equal for equal mistakes, `row` identifies this row."""
        key = table, reason
        self._counts[key] = self._counts.get(key, 0) + 1
        self._lines.setdefault(key, line)
        examples = self._found.setdefault(key, [])
        if len(examples) < EXAMPLES:
            examples.append(shown(row))

    @property
    def counts(self) -> dict[str, int]:
        """Table -> number of rows left out."""
        found: dict[str, int] = {}
        for (table, _), count in sorted(self._counts.items()):
            found[table] = found.get(table, 0) + count
        return found

    def complaints(self) -> tuple[Complaint, ...]:
        """Return one warning for each reason, by table: number of rows, reason, and examples."""
        return tuple(
            Complaint(file=self.file, line=self._lines[key], key=key[0], message=self._message(key), warning=True)
            for key in sorted(self._counts)
        )

    def _message(self, key: tuple[str, str]) -> str:
        count, examples = self._counts[key], self._found[key]
        more = f", and {count - len(examples):,} more" if count > len(examples) else ""
        rows = "1 row" if count == 1 else f"{count:,} rows"
        return f"{rows} skipped: {key[1]}: {', '.join(examples)}{more}"
