"""Rows of a table in a dump of PostgreSQL: `COPY`, and `INSERT` with VALUES or SELECT of constants.

Only what dumps and exports contain is read: no expression is evaluated.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.importers.entries import not_taken
from mirrorlist_snapshot.importers.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirrorlist_snapshot.importers.entries import ImportedFile, NotTaken

_COPY: Final = r'^COPY\s+(?:"?\w+"?\.)?"?{table}"?\s*\(([^)]*)\)\s*FROM\s+stdin;[ \t]*\r?\n'
_INSERT: Final = r'^INSERT\s+INTO\s+(?:"?\w+"?\.)?"?{table}"?\s*\(([^)]*)\)\s*(VALUES|SELECT)\b'
_TOKEN: Final = re.compile(
    r"\s+|--[^\n]*"
    r"|E?'((?:[^'\\]|''|\\.)*)'"  # text
    r"|\$(\w*)\$(.*?)\$\2\$"  # text between dollar quotes
    r"|([(),;])"
    r"|([-+.\w:]+)",  # a number, true, null, or a type after ::
    re.DOTALL,
)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}


def rows_of(file: ImportedFile, table: str) -> Iterator[Record | NotTaken]:
    """Yield the rows of a table, columns in lower case, NULL left out, in the order of the text."""
    text = file.text
    name = re.escape(table)
    pattern = re.compile(f"{_COPY.format(table=name)}|{_INSERT.format(table=name)}", re.IGNORECASE | re.MULTILINE)
    line, counted = 1, 0
    for match in pattern.finditer(text):
        columns = [column.strip().strip('"').lower() for column in (match[1] or match[2]).split(",")]
        line += text.count("\n", counted, match.start())
        counted = match.start()
        if match[1]:
            yield from _copied(file, text, match.end(), line + match[0].count("\n"), columns)
        else:
            yield from _inserted(file, text, match.end(), line, columns)


def _copied(file: ImportedFile, text: str, start: int, line: int, columns: list[str]) -> Iterator[Record | NotTaken]:
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        plain = text[start:end].rstrip("\r")
        start = end + 1
        if plain == r"\.":
            return
        cells = plain.split("\t")
        if len(cells) == len(columns):
            pairs = zip(columns, cells, strict=True)
            yield Record(line, {column: _unescaped(cell) for column, cell in pairs if cell != r"\N"})
        else:
            reason = f"the row has {len(cells)} columns, the table {len(columns)}"
            yield not_taken(file, line, "", reason, entry=True)
            if not plain:
                return  # the dump ends without its mark
        line += 1


def _inserted(file: ImportedFile, text: str, start: int, line: int, columns: list[str]) -> Iterator[Record | NotTaken]:
    values: list[str | None] = []
    while (match := _TOKEN.match(text, start)) is not None:
        start = match.end()
        if match[4] in {")", ";"}:
            if len(values) == len(columns):
                pairs = zip(columns, values, strict=True)
                yield Record(line, {column: value for column, value in pairs if value is not None})
            elif values:
                reason = f"the row has {len(values)} values, the table {len(columns)} columns"
                yield not_taken(file, line, "", reason, entry=True)
            values = []
            if match[4] == ";":
                return
        elif match[1] is not None:
            values.append(_unescaped(match[1].replace("''", "'")))
        elif match[3] is not None:
            values.append(match[3])
        elif match[5] is not None and not match[5].startswith("::"):
            values.append(None if match[5].lower() == "null" else match[5])
    yield not_taken(file, line, "", "the statement does not end, or has an expression in it", entry=True)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text)
