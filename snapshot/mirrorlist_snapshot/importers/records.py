"""Rows of a list in CSV, JSON or YAML, as dictionaries with their lines."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from mirrorlist_snapshot.importers.entries import refuse
from mirrorlist_snapshot.input_file import YAML_FILE
from mirrorlist_snapshot.source.syntax import UnreadableTextError, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirrorlist_snapshot.importers.entries import ImportedFile
    from mirrorlist_snapshot.source.lines import KeyPath, Lines
    from mirrorlist_snapshot.source.syntax import ParsedText

_DELIMITERS: Final = ",;\t|"
_MAX_FIELD: Final = 131_072
"""Characters in a field of a CSV file: the limit of Python's reader."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row, or one table of a list."""

    line: int | None
    data: dict[str, object]
    name: str = ""
    """The key under which the table stands, if it is not in a list."""

    def get(self, key: str) -> object:
        """Return the value of a key; of a key with dots that is none itself, the value further down; None if absent."""
        if key in self.data:
            return self.data[key]
        inner: object = self.data
        for part in key.split("."):
            inner = as_table(inner).get(part)
        return inner

    def text(self, key: str) -> str:
        """Return a value as text, empty if there is none; of a list, its items with blanks between them."""
        return as_text(self.get(key))


def as_text(value: object) -> str:
    """Return a plain value as text."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list():
            return " ".join(as_text(item) for item in cast("list[object]", value))
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value).strip()


def as_list(value: object) -> list[object]:
    """Return a list, a single value as a list of one, and nothing as an empty one."""
    if isinstance(value, list):
        return cast("list[object]", value)
    return [] if value is None else [value]


def as_table(value: object) -> dict[str, object]:
    """Return a table; anything else is an empty one."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def parsed(file: ImportedFile) -> ParsedText:
    """Return the data of a JSON or YAML file; raise SourceError if it is neither."""
    text = file.text
    if text.lstrip()[:1] not in {"{", "["}:
        return parsed_yaml(file, text)
    try:
        return read_text(".json", text)
    except UnreadableTextError as error:
        refuse(file, error.message, error.line)


def parsed_yaml(file: ImportedFile, text: str, above: int = 0) -> ParsedText:
    """Return the data of a text in YAML that stands in a file below so many lines; raise SourceError if it is none."""
    if len(file.data) > YAML_FILE.size:
        refuse(file, f"has {len(file.data)} bytes, more than the {YAML_FILE.size} that {YAML_FILE.purpose} may have")
    try:
        return read_text(".yaml", text)
    except UnreadableTextError as error:
        refuse(file, error.message, error.line and error.line + above)


def structured(file: ImportedFile) -> list[Record]:
    """Return the tables of a JSON or YAML file: a list or a table of them, at the top or one level below it."""
    document = parsed(file)
    lines = document.locate()
    found = _tables(document.data, (), lines)
    for key, inner in as_table(document.data).items() if found is None else ():
        found = found or _tables(inner, (key,), lines)
    if found is None:
        refuse(file, "has no list of mirrors in it: a list of tables, or a table of tables")
    return found


def _tables(data: object, path: KeyPath, lines: Lines) -> list[Record] | None:
    if isinstance(data, list):
        items = cast("list[object]", data)
        pairs: list[tuple[str | int, object]] = list(enumerate(items))
    elif isinstance(data, dict):
        pairs = list(cast("dict[str | int, object]", data).items())
    else:
        return None
    if not pairs or not all(isinstance(value, dict) for _, value in pairs):
        return None
    return [
        Record(lines.find((*path, key)), cast("dict[str, object]", value), key if isinstance(key, str) else "")
        for key, value in pairs
    ]


def rows(file: ImportedFile) -> Iterator[Record]:
    """Yield the rows of a CSV file. Without a heading, the columns are called `1`, `2` and so on."""
    text = file.text
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        refuse(file, "is empty")
    delimiter = max(_DELIMITERS, key=lambda one: (lines[0].count(one), -_DELIMITERS.index(one)))
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    heading: list[str] | None = None
    line = 1
    try:
        for row in reader:
            start, line = line, reader.line_num + 1
            if not any(cell.strip() for cell in row) or row[0].startswith("#"):
                continue
            if heading is None:
                heading = [cell.strip() for cell in row]
                if any(re.match(r"[a-z]+://", cell) for cell in heading):
                    heading = []
                else:
                    continue
            names = [*heading, *map(str, range(len(heading) + 1, len(row) + 1))]
            yield Record(start, dict(zip(names, (cell.strip() for cell in row), strict=False)))
    except csv.Error as error:
        refuse(file, f"is no CSV: {error}", reader.line_num)
