"""Observations for tests: values of which only the given fields matter, and the prober's file with them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from mirrorlist_snapshot.freshness.observations_file import TABLES, VERSION
from mirrorlist_snapshot.freshness.observed import (
    Freshness,
    MirrorObservation,
    Observations,
    Reachability,
    UnitObservation,
    UrlObservation,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NOW = 1_790_000_000
Row = UrlObservation | UnitObservation | MirrorObservation
_TABLES = {UrlObservation: "url_state", UnitObservation: "unit_state", MirrorObservation: "mirror_state"}


def url(mirror: str, address: str, state: Reachability = Reachability.DOWN, **fields: Any) -> UrlObservation:
    """The state of a URL of category `c` over IPv4."""
    values: dict[str, Any] = {"category": "c", "family": 4, "since": NOW - 600, "checked": NOW, "reason": ""}
    return UrlObservation(mirror=mirror, url=address, state=state, **(values | fields))


def unit(mirror: str, path: str, state: Freshness = Freshness.STALE, **fields: Any) -> UnitObservation:
    """The state of a unit of category `c`."""
    values: dict[str, Any] = {
        "category": "c",
        "since": NOW - 600,
        "checked": NOW,
        "lag": 0,
        "version": "",
        "reason": "",
    }
    return UnitObservation(mirror=mirror, unit=path, state=state, **(values | fields))


def seen(
    *rows: Row,
    covers: Mapping[tuple[str, str], tuple[str, ...]] | None = None,
    **fields: Any,
) -> Observations:
    """Everything that was observed; by default a unit `D/f` stands for `D`."""
    units = tuple(row for row in rows if isinstance(row, UnitObservation))
    if covers is None:
        covers = {(row.category, row.unit): (row.unit.rpartition("/")[0],) for row in units}
    values: dict[str, Any] = {
        "taken": NOW,
        "urls": tuple(row for row in rows if isinstance(row, UrlObservation)),
        "units": units,
        "mirrors": tuple(row for row in rows if isinstance(row, MirrorObservation)),
        "covers": covers,
        "versions": {},
    }
    return Observations(**(values | fields))


def write(path: Path, observations: Observations) -> None:
    """Write observations into a file as the prober does, in WAL mode; the versions are left out."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(TABLES)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("INSERT INTO run VALUES (?)", (observations.taken,))
        rows: list[Row] = [*observations.urls, *observations.units, *observations.mirrors]
        for row in rows:
            values = astuple(row)
            places = ", ".join("?" * len(values))
            connection.execute(f"INSERT INTO {_TABLES[type(row)]} VALUES ({places})", values)  # noqa: S608 - our own
        for (category, path_of_unit), directories in observations.covers.items():
            for directory in directories:
                connection.execute("INSERT INTO unit_directory VALUES (?, ?, ?)", (category, path_of_unit, directory))
