"""The store: what is written is read back, whole or not at all, also after a kill."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlist_admin.errors import AdminError
from mirrorlist_admin.store import Store, schema
from mirrorlist_admin.store.checkin_rows import ClaimKind
from mirrorlist_admin.store.rows import Arrival, Event, Subject
from mirrorlist_snapshot.freshness import observations_file
from mirrorlist_snapshot.freshness.observed import Freshness, Reachability

IN_FORCE: Final = (schema.URL_STATE, schema.UNIT_STATE, schema.MIRROR_STATE)
WHOLE: Final = st.integers(0, 2**62)
VALUES: Final = {
    "TEXT": st.text(st.characters(exclude_categories=["Cs"])),
    "INTEGER": WHOLE,
    "REAL": st.floats(0, 1e9),
    "BLOB": st.binary(),
}
ENUMS: Final = {Subject, Reachability, Freshness, ClaimKind}


def rows_of(table: Any) -> st.SearchStrategy[Any]:
    """Any row of a table."""
    return st.builds(
        table._row,
        **{
            column: st.sampled_from(list(table._enums[column])) if column in table._enums else VALUES[kind]
            for column, kind in table._types.items()
        },
    )


def arrival(number: int) -> Arrival:
    """Some row."""
    return Arrival(category="c", unit="u", sha256=str(number), mirror="m", seen=number)


def fail_after_writing(store: Store) -> None:
    """A transaction that writes, and fails."""
    with store.transaction():
        store.write(schema.ARRIVAL, [arrival(1)])
        raise ZeroDivisionError


@settings(max_examples=10)
@given(data=st.data())
def test_every_row_is_read_back_as_it_was_written(data: st.DataObject) -> None:
    """Each table gives back any row, of the type that was written, and a second row with its key replaces it."""
    with TemporaryDirectory() as folder, Store(Path(folder)) as store:
        tables: list[Any] = [*schema.OWN, *IN_FORCE]
        for table in tables:
            row = data.draw(rows_of(table))
            store.write(table, [row])
            assert store.read(table) == [row]
            if table.key:
                store.write(table, [row])
                assert store.read(table) == [row]
                store.remove(table, [table.key_of(row)])
                assert store.read(table) == []


def test_the_tables_in_force_are_those_of_the_compiler() -> None:
    """The rows in force have exactly the columns that the compiler's schema declares, in its order."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(observations_file.TABLES)
    for table in IN_FORCE:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table.name})")]
        assert columns == list(table.columns)


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    """What was written before an exception is not there afterwards; the next transaction works."""
    with Store(tmp_path) as store:
        with pytest.raises(ZeroDivisionError):
            fail_after_writing(store)
        with store.transaction():
            store.write(schema.ARRIVAL, [arrival(2)])
        assert store.read(schema.ARRIVAL) == [arrival(2)]


def test_a_reader_sees_the_last_whole_transaction(tmp_path: Path) -> None:
    """A second connection neither waits for an open transaction nor sees what it has written."""
    with Store(tmp_path) as writer, Store(tmp_path, read_only=True) as reader:
        with writer.transaction():
            writer.write(schema.ARRIVAL, [arrival(1)])
            writer.set_taken(5)
            assert (reader.read(schema.ARRIVAL), reader.taken()) == ([], 0)
        assert (reader.read(schema.ARRIVAL), reader.taken()) == ([arrival(1)], 5)
        with pytest.raises(AdminError, match="readonly"):
            reader.write(schema.ARRIVAL, [arrival(2)])


def test_events_keep_their_order(tmp_path: Path) -> None:
    """Events are read in the order in which they were added, whatever their times, and can be selected."""
    events = [
        Event(
            at=at,
            mirror=mirror,
            category="",
            subject=Subject.RUN,
            name="",
            before="",
            after="",
            cause="",
            evidence="",
            by="prober",
        )
        for at, mirror in ((7, "a"), (3, "b"), (3, "b"), (9, "a"))
    ]
    with Store(tmp_path) as store:
        store.add_events(events)
        assert store.read(schema.EVENT) == events
        assert store.read(schema.EVENT, "WHERE mirror = ? ORDER BY at DESC LIMIT 1", "a") == [events[3]]
        store.forget_before(schema.EVENT, "at", 7)
        assert store.read(schema.EVENT) == [events[0], events[3]]


@pytest.mark.process
def test_a_kill_leaves_whole_transactions(tmp_path: Path) -> None:
    """SIGKILL in the middle of writing leaves the file with some number of whole transactions of two rows."""
    program = """
import sys
from pathlib import Path
from mirrorlist_admin.store import Store, schema
from mirrorlist_admin.store.checkin_rows import ClaimKind
from mirrorlist_admin.store.rows import Arrival
store = Store(Path(sys.argv[1]))
for number in range(0, 10**9, 2):
    with store.transaction():
        for one in (number, number + 1):
            store.write(schema.ARRIVAL, [Arrival(category="c", unit="u", sha256=str(one), mirror="m", seen=one)])
    if number == 100:
        print("ready", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        os.kill(writer.pid, signal.SIGKILL)
    with Store(tmp_path) as store:
        seen = sorted(row.seen for row in store.read(schema.ARRIVAL))
    assert seen == list(range(len(seen)))
    assert len(seen) >= 100
    assert len(seen) % 2 == 0


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    """Another format, another version and a file that is missing are named in the error, and stay as they are."""
    with pytest.raises(AdminError, match="there is none yet"):
        Store(tmp_path, read_only=True)
    path = tmp_path / "observations.db"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(AdminError, match=r"observations\.db: file is not a database"):
        Store(tmp_path)
    assert path.read_bytes() == b"no database" * 1000
    path.unlink()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(AdminError, match="has version 99, this program reads 1"):
        Store(tmp_path)
    with pytest.raises(AdminError, match="unable to open"):
        Store(tmp_path / "nowhere")
