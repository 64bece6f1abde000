"""The file `observations.db`: opened, checked, and written in transactions that others see whole or not at all."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mirrorlist_admin.errors import AdminError
from mirrorlist_admin.store import schema
from mirrorlist_snapshot.freshness.observations_file import TABLES, VERSION

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path
    from typing import Self

    from mirrorlist_admin.store.rows import Event
    from mirrorlist_admin.store.table import Table, Value

Row = TypeVar("Row")

FILE_NAME: Final = "observations.db"
"""In the folder `--state`."""
_PATIENCE: Final = 30.0
"""Seconds that a writer waits for another one: prober, check-in and a person's command write to the same file."""


class Store:
    """The open file. Every method raises AdminError, with the file's name, if SQLite fails.

    A connection belongs to the thread that opened it. Readers see the last whole transaction and never wait (WAL).
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        """Open the file in `folder`; make it if it is not there, unless `read_only`."""
        self.path = folder / FILE_NAME
        if read_only and not self.path.is_file():
            raise AdminError(f"{self.path}: there is none yet; `mirrorlist-admin probe` makes it")
        with self._errors():
            mode = "ro" if read_only else "rwc"
            self._connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode={mode}", uri=True, timeout=_PATIENCE, isolation_level=None
            )
        try:
            with self._errors():
                self._prepare(read_only=read_only)
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Generator[None]:
        """Write everything that is done inside, or, after an exception, nothing of it. Not nested."""
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            with self._errors():
                self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # SQLite has rolled back by itself, for instance on a full disk
                self._connection.execute("ROLLBACK")
            raise

    def read(self, table: Table[Row], condition: str = "", *values: Value) -> list[Row]:
        """Return the rows of a table of `schema`; for the condition see `Table.read`."""
        with self._errors():
            return list(table.read(self._connection, condition, *values))

    def query(self, statement: str, *values: Value) -> list[tuple[Any, ...]]:
        """Return what a SELECT gives: for sums over tables that are too large to be read row by row."""
        with self._errors():
            return self._connection.execute(statement, values).fetchall()

    def write(self, table: Table[Row], rows: Iterable[Row]) -> None:
        """Add rows, or replace those with the same keys."""
        with self._errors():
            table.write(self._connection, rows)

    def remove(self, table: Table[Row], keys: Iterable[tuple[Value, ...]]) -> None:
        """Remove the rows with these keys."""
        with self._errors():
            table.remove(self._connection, keys)

    def add_events(self, events: Iterable[Event]) -> None:
        """Add events; they are never changed."""
        self.write(schema.EVENT, events)

    def taken(self) -> int:
        """Return when the last run ended that counts, 0 if none has."""
        with self._errors():
            found = self._connection.execute("SELECT max(taken) FROM run").fetchone()
        return int(found[0] or 0)

    def set_taken(self, at: int) -> None:
        """State when the last run ended that counts."""
        with self._errors():
            self._connection.execute("DELETE FROM run")
            self._connection.execute("INSERT INTO run (taken) VALUES (?)", (at,))

    def replace_directories(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Replace the rows (category, unit, directory) of what each unit stands for."""
        with self._errors():
            self._connection.execute("DELETE FROM unit_directory")
            self._connection.executemany("INSERT INTO unit_directory VALUES (?, ?, ?)", rows)

    def replace_all(self, table: Table[Row], rows: Iterable[Row]) -> None:
        """Replace every row of a table."""
        with self._errors():
            self._connection.execute(f"DELETE FROM {table.name}")  # noqa: S608 - our own names
        self.write(table, rows)

    def forget_before(self, table: Table[Row], column: str, at: int) -> None:
        """Remove rows whose time in `column`, a field of the row, is before `at`."""
        if column not in table.columns:
            raise ValueError(f"{table.name} has no {column}")
        with self._errors():
            self._connection.execute(f'DELETE FROM {table.name} WHERE "{column}" < ?', (at,))  # noqa: S608 - our own names

    def _prepare(self, *, read_only: bool) -> None:
        found = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if found not in {0, VERSION}:
            raise AdminError(
                f"{self.path}: has version {found}, this program reads {VERSION}; use the program that wrote it, "
                "or move the file away: probing starts anew"
            )
        if read_only:
            return
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(
            "PRAGMA synchronous = NORMAL"
        )  # WAL: a power failure loses the last runs, nothing else
        self._connection.execute("BEGIN IMMEDIATE")
        for statement in TABLES.split(";"):
            self._connection.execute(statement)
        for table in schema.OWN:
            for statement in table.schema():
                self._connection.execute(statement)
        self._connection.execute(f"PRAGMA user_version = {VERSION}")
        self._connection.execute("COMMIT")

    @contextlib.contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise AdminError(f"{self.path}: {error}") from error
