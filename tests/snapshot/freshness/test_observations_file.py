"""The prober's file: read back as it was written, also while the prober writes, and refused if it is anything else."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from mirrorlist_snapshot.errors import ObservationsError
from mirrorlist_snapshot.freshness.observations_file import read_observations
from mirrorlist_snapshot.freshness.observed import Freshness, MirrorObservation, Reachability, UnitVersion
from support.observed import NOW, seen, unit, url, write

if TYPE_CHECKING:
    from collections.abc import Generator

SEEN = seen(
    url("a", "http://a/", Reachability.UP, family=6),
    url("a", "https://a/", reason="connection refused"),
    unit("a", "x/f", Freshness.STALE, lag=99, version="ab" * 32, reason="f of yesterday"),
    unit("b", "x/f", Freshness.FRESH),
    MirrorObservation(mirror="a", weight=10, until=NOW),
    covers={("c", "x/f"): ("w", "x"), ("c", "g"): ("",)},
)
VERSIONS = (
    "CREATE TABLE unit_version (category TEXT, unit TEXT, sha256 TEXT, size INTEGER, stated INTEGER,"
    " first_seen INTEGER, superseded INTEGER)"
)


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    """The prober's file."""
    write(tmp_path / "observations.db", SEEN)
    return tmp_path / "observations.db"


def execute(file: Path, *statements: str) -> None:
    """Change a file."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_what_is_written_is_read(file: Path) -> None:
    """Every table and column arrives."""
    found = read_observations(file)
    assert found == SEEN


def test_versions_are_read_where_the_prober_keeps_them(file: Path) -> None:
    """The current version first, then the newest; a version that states no time has the time of its appearance."""
    rows = [("a", 1, 0, 11, 20), ("b", 2, 15, 21, 30), ("c", 3, 0, 31, 0)]
    values = [f"('c', 'x/f', '{letter * 64}', {size}, {', '.join(map(str, rest))})" for letter, size, *rest in rows]
    insert = "INSERT INTO unit_version VALUES " + ", ".join(values)  # noqa: S608 - our own values
    execute(file, VERSIONS, insert)
    assert read_observations(file).versions == {
        ("c", "x/f"): (
            UnitVersion(sha256="c" * 64, size=3, timestamp=31, superseded=0),
            UnitVersion(sha256="b" * 64, size=2, timestamp=15, superseded=30),
            UnitVersion(sha256="a" * 64, size=1, timestamp=11, superseded=20),
        )
    }


def test_a_run_that_is_being_written_is_not_seen(file: Path) -> None:
    """The reader neither waits for the prober nor sees half of its transaction."""
    with closing(sqlite3.connect(file, isolation_level=None)) as prober:
        prober.execute("BEGIN IMMEDIATE")
        prober.execute("DELETE FROM url_state")
        assert read_observations(file) == SEEN
        prober.execute("COMMIT")
        assert read_observations(file).urls == ()


@contextmanager
def nobody() -> Generator[None]:
    """Be a user that may write nowhere, if the tests run as root."""
    if os.geteuid():
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_copy_is_read_in_a_folder_where_nothing_can_be_written() -> None:
    """SQLite wants an index beside a file with a log; a copy without a log is read without one."""
    with TemporaryDirectory() as name:
        file = Path(name, "copy.db")
        write(file, SEEN)
        Path(name).chmod(0o555)
        with nobody():
            assert read_observations(file) == SEEN
        assert [path.name for path in Path(name).iterdir()] == ["copy.db"]
        Path(name).chmod(0o755)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("PRAGMA user_version = 2", "has version 2, and this program reads 1; compile with the version that probes"),
        ("DROP TABLE unit_state", "cannot be read as the prober's file: no such table: unit_state; name the obs"),
        (
            "UPDATE unit_state SET state = 'old'",
            "the table unit_state has a row that no prober writes: ('a', 'c', 'x/f",
        ),
        ("UPDATE url_state SET state = 'UP'", "the table url_state has a row"),
        ("UPDATE url_state SET family = 5", "the table url_state has a row"),
        ("UPDATE url_state SET since = 'now'", "the table url_state has a row"),
        ("UPDATE url_state SET since = -1", "the table url_state has a row"),
        ("UPDATE url_state SET checked = 999999999999", "the table url_state has a row"),
        ("UPDATE url_state SET reason = x'ff'", "the table url_state has a row"),
        ("UPDATE mirror_state SET weight = 101", "the table mirror_state has a row"),
        ("UPDATE unit_directory SET directory = 'a/../b' WHERE directory = 'x'", "the table unit_directory has a row"),
        ("UPDATE unit_directory SET unit = '/f' WHERE unit = 'g'", "the table unit_directory has a row"),
    ],
)
def test_a_file_that_no_prober_wrote_is_refused(file: Path, statement: str, message: str) -> None:
    """The error names the file, the table and what to do."""
    execute(file, statement)
    with pytest.raises(ObservationsError) as refused:
        read_observations(file)
    assert str(refused.value).startswith(f"{file}: ")
    assert message in str(refused.value)


@pytest.mark.parametrize("kind", ["none", "folder", "text", "pipe", "empty"])
def test_something_else_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    """What is no file of SQLite gives an error that names it, and nothing is made or waited for."""
    path = tmp_path / "x #?.db"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind != "none":
        path.write_text("mirrors" * 1000 if kind == "text" else "", encoding="utf-8")
    before = set(tmp_path.iterdir())
    with pytest.raises(ObservationsError, match="x #"):
        read_observations(path)
    assert set(tmp_path.iterdir()) == before
