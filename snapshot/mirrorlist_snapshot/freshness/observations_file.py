"""The tables of `observations.db` that hold what is in force: written by the prober, read by `compile --observations`.

The prober keeps further tables in the same file (events, what to ask next); they are its own, except `unit_version`,
which is read here as well. Rows change only if something changed, `checked` excepted, so the file does not grow with
every run.
"""

from __future__ import annotations

import re
import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from mirrorlist_snapshot.errors import ObservationsError
from mirrorlist_snapshot.format import MAX_TIME
from mirrorlist_snapshot.freshness.observed import (
    Freshness,
    MirrorObservation,
    Observations,
    Reachability,
    UnitObservation,
    UnitVersion,
    UrlObservation,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION: Final = 1
"""`PRAGMA user_version` of the file."""
TABLES: Final = """
CREATE TABLE IF NOT EXISTS run (taken INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS url_state (
  mirror TEXT NOT NULL, category TEXT NOT NULL, url TEXT NOT NULL, family INTEGER NOT NULL,
  state TEXT NOT NULL, since INTEGER NOT NULL, checked INTEGER NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (mirror, category, url, family)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unit_state (
  mirror TEXT NOT NULL, category TEXT NOT NULL, unit TEXT NOT NULL,
  state TEXT NOT NULL, since INTEGER NOT NULL, checked INTEGER NOT NULL,
  lag INTEGER NOT NULL, version TEXT NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (mirror, category, unit)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS mirror_state (
  mirror TEXT PRIMARY KEY, weight INTEGER NOT NULL, until INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unit_directory (
  category TEXT NOT NULL, unit TEXT NOT NULL, directory TEXT NOT NULL,
  PRIMARY KEY (category, unit, directory)
) WITHOUT ROWID;
"""
"""One row of `run`; the other tables are the fields of `observed`, one row a value."""
_VERSIONS: Final = "unit_version"
_TEXT: Final = "typeof({0}) = 'text'"
_WHOLE: Final = "typeof({0}) = 'integer' AND {0} >= 0"
_TIME: Final = f"{_WHOLE} AND {{0}} <= {MAX_TIME}"
_COLUMNS: Final = {
    "run": {"taken": _TIME},
    "url_state": {
        **dict.fromkeys(("mirror", "category", "url"), _TEXT),
        "family": "{0} IN (4, 6)",
        "state": f"{{0}} IN {tuple(map(str, Reachability))}",
        **dict.fromkeys(("since", "checked"), _TIME),
        "reason": _TEXT,
    },
    "unit_state": {
        **dict.fromkeys(("mirror", "category", "unit"), _TEXT),
        "state": f"{{0}} IN {tuple(map(str, Freshness))}",
        **dict.fromkeys(("since", "checked", "lag"), _TIME),
        **dict.fromkeys(("version", "reason"), _TEXT),
    },
    "mirror_state": {"mirror": _TEXT, "weight": f"{_WHOLE} AND {{0}} <= 100", "until": _TIME},
    "unit_directory": dict.fromkeys(("category", "unit", "directory"), _TEXT),
    _VERSIONS: {
        **dict.fromkeys(("category", "unit", "sha256"), _TEXT),
        "size": _WHOLE,
        **dict.fromkeys(("stated", "first_seen", "superseded"), _TIME),
    },
}
"""Table -> column -> the condition for its values; {0} is the column."""
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_UNCLEAN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]|(?:\A|/)\.{0,2}(?:/|\Z)")
"""A control character, or an empty, `.` or `..` segment."""


def read_observations(path: Path) -> Observations:
    """Read what is in force in the prober's file, as it is at one moment; the prober may go on writing meanwhile.

    Raise ObservationsError, whose message names the file, for anything but a file of this version's prober.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ObservationsError(f"{path}: is not a regular file; name the prober's observations.db")
        with closing(_connection(path)) as connection:
            return _Reader(path, connection).observations()
    except OSError as error:
        raise ObservationsError(f"{path}: cannot be read: {error.strerror or error}") from error
    except sqlite3.Error as error:
        raise ObservationsError(
            f"{path}: cannot be read as the prober's file: {error}; name the observations.db in the folder of"
            " `mirrorlist-admin probe --state`"
        ) from error


def _connection(path: Path) -> sqlite3.Connection:
    """Open the file for reading, and begin a transaction, so that all tables are of one moment."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(address, uri=True, timeout=10, isolation_level=None)
    try:
        connection.execute("BEGIN")
        connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        # A copy in a folder where nothing can be written: SQLite wants to make a file beside it. No log, no writer.
        if path.with_name(f"{path.name}-wal").exists():
            raise
        connection = sqlite3.connect(f"{address}&immutable=1", uri=True, isolation_level=None)
    return connection


class _Reader:
    """Reads each table as values; wrong values raise ObservationsError."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    def observations(self) -> Observations:
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version != VERSION:
            raise ObservationsError(
                f"{self._path}: has version {version}, and this program reads {VERSION};"
                " compile with the version that probes"
            )
        return Observations(
            taken=max((taken for (taken,) in self._rows("run")), default=0),
            urls=tuple(
                UrlObservation(
                    mirror=mirror,
                    category=category,
                    url=url,
                    family=family,
                    state=Reachability(state),
                    since=since,
                    checked=checked,
                    reason=reason,
                )
                for mirror, category, url, family, state, since, checked, reason in self._rows("url_state")
            ),
            units=tuple(
                UnitObservation(
                    mirror=mirror,
                    category=category,
                    unit=unit,
                    state=Freshness(state),
                    since=since,
                    checked=checked,
                    lag=lag,
                    version=version,
                    reason=reason,
                )
                for mirror, category, unit, state, since, checked, lag, version, reason in self._rows("unit_state")
            ),
            mirrors=tuple(
                MirrorObservation(mirror=mirror, weight=weight, until=until)
                for mirror, weight, until in self._rows("mirror_state")
            ),
            covers=self._covers(),
            versions=self._versions(),
        )

    def _covers(self) -> dict[tuple[str, str], tuple[str, ...]]:
        found: dict[tuple[str, str], list[str]] = {}
        for category, unit, directory in self._rows("unit_directory"):
            if _UNCLEAN.search(unit) or (directory and _UNCLEAN.search(directory)):
                self._refuse("unit_directory", (category, unit, directory))
            found.setdefault((category, unit), []).append(directory)
        return {key: tuple(sorted(directories)) for key, directories in found.items()}

    def _versions(self) -> dict[tuple[str, str], tuple[UnitVersion, ...]]:
        found: dict[tuple[str, str], list[UnitVersion]] = {}
        if not self._connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (_VERSIONS,)).fetchone():
            return {}
        for category, unit, sha256, size, stated, first_seen, superseded in self._rows(_VERSIONS):
            if not _SHA256.fullmatch(sha256):
                self._refuse(_VERSIONS, (category, unit, sha256))
            version = UnitVersion(sha256=sha256, size=size, timestamp=stated or first_seen, superseded=superseded)
            found.setdefault((category, unit), []).append(version)
        return {key: tuple(sorted(versions, key=_newest_first)) for key, versions in found.items()}

    def _rows(self, table: str) -> Iterator[Any]:
        """Yield the rows of a table, each a tuple of the columns in their order; every value is checked before."""
        columns = _COLUMNS[table]
        selected = f"SELECT {', '.join(columns)} FROM {table}"  # noqa: S608 - our own names
        condition = " AND ".join(f"({rule.format(column)})" for column, rule in columns.items())
        wrong = self._connection.execute(f"{selected} WHERE NOT ({condition}) LIMIT 1").fetchone()
        if wrong is not None:
            self._refuse(table, wrong)
        yield from self._connection.execute(selected)

    def _refuse(self, table: str, row: tuple[object, ...]) -> None:
        shown = ascii(row)[:200]
        raise ObservationsError(
            f"{self._path}: the table {table} has a row that no prober writes: {shown}; restore the file, or move it"
            " away: probing starts anew"
        )


def _newest_first(version: UnitVersion) -> tuple[bool, int, int, str]:
    return version.superseded > 0, -version.superseded, -version.timestamp, version.sha256
