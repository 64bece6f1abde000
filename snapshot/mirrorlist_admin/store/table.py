"""A table of SQLite as a table of frozen values: the fields of the value are the columns."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_type_hints

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

Row = TypeVar("Row")
Value = str | int | float
_TYPES = {int: "INTEGER", float: "REAL", bytes: "BLOB"}


class Table(Generic[Row]):
    """A table whose rows are values of one dataclass, with fields of type str, int, float, bytes or StrEnum."""

    def __init__(self, row: type[Row], name: str, *key: str, indexes: tuple[str, ...] = ()) -> None:
        """`key` names the fields that tell rows apart; without any, rows are only ever added, in order."""
        if not is_dataclass(row):
            raise TypeError(f"{row!r} is no dataclass")
        hints = get_type_hints(row)
        self.name = name
        self.key = key
        self.columns = tuple(field.name for field in fields(row))
        self._row: Any = row
        self._enums = {column: hints[column] for column in self.columns if issubclass(hints[column], StrEnum)}
        self._types = {column: _TYPES.get(hints[column], "TEXT") for column in self.columns}
        self._indexes = indexes
        names = ", ".join(map(_quoted, self.columns))
        places = ", ".join("?" * len(self.columns))
        self._select = f"SELECT {names} FROM {name}"  # noqa: S608 - names of our own tables and fields
        self._insert = f"INSERT OR REPLACE INTO {name} ({names}) VALUES ({places})"  # noqa: S608 - as above

    def schema(self) -> list[str]:
        """Return the statements that make the table."""
        columns = ", ".join(f"{_quoted(column)} {kind} NOT NULL" for column, kind in self._types.items())
        if self.key:
            columns += f", PRIMARY KEY ({', '.join(map(_quoted, self.key))})"
        made = f"CREATE TABLE IF NOT EXISTS {self.name} ({columns}){' WITHOUT ROWID' if self.key else ''}"
        indexes = [
            f"CREATE INDEX IF NOT EXISTS {self.name}_{column} ON {self.name} ({_quoted(column)})"
            for column in self._indexes
        ]
        return [made, *indexes]

    def read(self, connection: sqlite3.Connection, condition: str = "", *values: Value) -> Iterator[Row]:
        """Read the rows for which an SQL condition holds (`WHERE`, `ORDER BY`, `LIMIT`), by default all, by key."""
        order = ", ".join(map(_quoted, self.key)) or "rowid"
        shared: dict[str, str] = {}  # equal texts are one object: names and hashes repeat in thousands of rows
        for found in connection.execute(f"{self._select} {condition or f'ORDER BY {order}'}", values):
            row = {
                name: shared.setdefault(value, value) if isinstance(value, str) else value
                for name, value in zip(self.columns, found, strict=True)
            }
            for column, enum in self._enums.items():
                row[column] = enum(row[column])
            yield self._row(**row)

    def write(self, connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
        """Add rows; a row with the key of an older one replaces it."""
        columns = self.columns
        connection.executemany(self._insert, (tuple(getattr(row, column) for column in columns) for row in rows))

    def remove(self, connection: sqlite3.Connection, keys: Iterable[tuple[Value, ...]]) -> None:
        """Remove the rows with these keys."""
        condition = " AND ".join(f"{_quoted(column)} = ?" for column in self.key)
        connection.executemany(f"DELETE FROM {self.name} WHERE {condition}", keys)  # noqa: S608 - as above

    def key_of(self, row: Row) -> tuple[Value, ...]:
        """Return the key of a row."""
        return tuple(getattr(row, column) for column in self.key)


def _quoted(name: str) -> str:
    return f'"{name}"'
