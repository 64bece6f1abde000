"""The scoreboard: a page of memory that a server's processes share, with what each serves and has counted.

It has one row of integers for the supervisor and one for each worker slot, made before the first fork. Each integer has
one writer at a time and is aligned, so it is read whole. Workers count on plain integers of their own and publish them
now and then: the hot path does not know the scoreboard. A row belongs to a worker slot, not to a process: the process
that fills a dead worker's slot goes on from what was published there, so nothing is counted twice or decreases.
"""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from mirrorlistd.config import MAX_WORKERS
from mirrorlistd.telemetry.counter_row import rows_of
from mirrorlistd.telemetry.counters import Counters, WorkerFacts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mirrorlistd.telemetry.counter_row import Row

# Columns of a worker's row before the cells of its counts.
_PID, _STATE, _SERIAL, _STARTS, _COUNTS = range(5)
_DOWN, _UP, _REMOVED = range(3)
_SUPERVISOR: Final = MAX_WORKERS
"""The supervisor's row, after the workers'."""


class _Cells(NamedTuple):
    """Where the values of some rows of the table of counters are in a row of integers."""

    slices: Mapping[str, tuple[Row, slice]]
    size: int

    @classmethod
    def of(cls, table: type[Counters], *, supervisor: bool) -> _Cells:
        slices: dict[str, tuple[Row, slice]] = {}
        size = 0
        for name, row in rows_of(table).items():
            if row.supervisor == supervisor:
                slices[name] = row, slice(size, size + row.shape.size)
                size += row.shape.size
        return cls(slices, size)

    def pack(self, counters: Counters) -> list[int]:
        return [cell for name, (row, _) in self.slices.items() for cell in row.shape.pack(getattr(counters, name))]

    def unpack(self, cells: Sequence[int], counters: Counters) -> None:
        for name, (row, where) in self.slices.items():
            setattr(counters, name, row.shape.unpack(cells[where]))


class Scoreboard:
    """The shared page. Every process that is forked later sees what the others write."""

    __slots__ = ("_cells", "_columns", "_of_supervisor", "_of_worker", "_table", "supervisor")

    def __init__(self, table: type[Counters] = Counters) -> None:
        """Lay the page out for a table of counters. A slot that is never filled costs address space alone."""
        self.supervisor = os.getpid()
        """Process id of the supervisor, which makes the scoreboard."""
        self._table = table
        self._of_worker = _Cells.of(table, supervisor=False)
        self._of_supervisor = _Cells.of(table, supervisor=True)
        self._columns = max(_COUNTS + self._of_worker.size, self._of_supervisor.size)
        page = mmap.mmap(-1, 8 * self._columns * (MAX_WORKERS + 1))
        self._cells = memoryview(page).cast("Q")
        self.publish_supervisor(table())

    def scoreboard_slot(self, number: int) -> ScoreboardSlot:
        """Give the row of one worker slot, 0 to MAX_WORKERS - 1."""
        return ScoreboardSlot(self, number)

    def leave(self, number: int, *, for_good: bool = False) -> None:
        """Note, in the supervisor, that a worker has ended; `for_good`: its slot is removed and no longer shown."""
        self._cells[number * self._columns + _STATE] = _REMOVED if for_good else _DOWN

    def write(self, number: int, column: int, values: Sequence[int]) -> None:
        """Set integers of a row, from a column on."""
        start = number * self._columns + column
        for cell, value in enumerate(values, start):  # one aligned integer after the other, never half of one
            self._cells[cell] = value

    def read(self, number: int) -> list[int]:
        """Copy a row."""
        return self._cells[number * self._columns : (number + 1) * self._columns].tolist()

    def publish_supervisor(self, counters: Counters) -> None:
        """Write what the supervisor counts for the whole server."""
        self.write(_SUPERVISOR, 0, self._of_supervisor.pack(counters))

    def publish(self, number: int, counters: Counters) -> None:
        """Write what a worker has counted."""
        self.write(number, _COUNTS, self._of_worker.pack(counters))

    def counters(self, rows: Sequence[Sequence[int]]) -> Counters:
        """Add up the counts of workers' rows; without a row they are what a new process begins with."""
        counters = self._table()
        if rows:
            self._of_worker.unpack([sum(column) for column in zip(*rows, strict=True)][_COUNTS:], counters)
        return counters

    def rows(self) -> list[tuple[int, list[int]]]:
        """Copy the row of every worker slot that was ever filled."""
        numbers = [number for number in range(MAX_WORKERS) if self._cells[number * self._columns + _PID]]
        return [(number, self.read(number)) for number in numbers]

    def totals(self) -> Counters:
        """Add up what all workers have published, and take the supervisor's counts."""
        counters = self.counters([row for _, row in self.rows()])
        self._of_supervisor.unpack(self.read(_SUPERVISOR), counters)
        return counters

    def workers(self) -> list[WorkerFacts]:
        """Give the state of every worker slot but those removed."""
        _, answers = self._of_worker.slices["buckets"]
        return [
            WorkerFacts(
                number=number,
                pid=row[_PID],
                up=row[_STATE] == _UP,
                serial=row[_SERIAL],
                answers=sum(row[_COUNTS:][answers]),
                starts=row[_STARTS],
            )
            for number, row in self.rows()
            if row[_STATE] != _REMOVED
        ]


class ScoreboardSlot:
    """The scoreboard's row of one worker slot, written by the worker in it."""

    __slots__ = ("number", "scoreboard")

    def __init__(self, scoreboard: Scoreboard, number: int) -> None:
        """Use `Scoreboard.scoreboard_slot`."""
        self.scoreboard = scoreboard
        self.number = number

    def resume(self) -> Counters:
        """Give the counts from which a new process goes on: what the one before it published last, or zeros."""
        return self.scoreboard.counters([self.scoreboard.read(self.number)])

    def enter(self, pid: int, serial: int) -> None:
        """Note that this worker answers requests, and from which snapshot; again after each reload."""
        row = self.scoreboard.read(self.number)
        self.scoreboard.write(self.number, _PID, (pid, _UP, serial, row[_STARTS] + (row[_PID] != pid)))

    def leave(self) -> None:
        """Note that this worker stops."""
        self.scoreboard.leave(self.number)

    def publish(self, counters: Counters) -> None:
        """Write the counts so far."""
        self.scoreboard.publish(self.number, counters)
