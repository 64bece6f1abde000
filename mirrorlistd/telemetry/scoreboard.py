"""The page of memory that a server's processes share: who serves what, and what all of them have counted.

A row of integers for the parent and one for each worker, made before the first fork. Each integer has one writer at a
time and is aligned, so it is read whole. Workers count on plain integers of their own and publish these now and then:
the hot path knows nothing of it. A row belongs to a worker's place, not to its process: whoever takes a dead worker's
place counts on from what that one published last, so nothing is ever counted twice, forgotten, or seen going back.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.tiers import TIER_NAMES
from mirrorlistd.config import MAX_WORKERS
from mirrorlistd.render import FORMATS
from mirrorlistd.telemetry.counters import BUCKETS, COUNTRIES, LIMITS, OTHER, STATUSES, Counters, WorkerFacts
from mirrorlistd.usage.line import COUNTME

if TYPE_CHECKING:
    from collections.abc import Sequence

_KINDS: Final = tuple((name, status) for name in (*FORMATS, OTHER) for status in (*STATUSES, 0))
"""What answers are told apart by; `other` and 0 stand for what this table does not foresee."""
_NANO: Final = 1_000_000_000

# Columns of a worker's row. Those of the parent's are the integers of `_reloads`.
_PID, _STATE, _SERIAL, _STARTS, _COUNTS = range(5)
_DOWN, _UP, _DISMISSED = range(3)
# Within the counts.
_ANSWERS: Final = slice(0, len(_KINDS))
_TIERS: Final = slice(_ANSWERS.stop, _ANSWERS.stop + len(TIER_NAMES))
_BUCKETS: Final = slice(_TIERS.stop, _TIERS.stop + len(BUCKETS) + 1)
_LIMITS: Final = slice(_BUCKETS.stop, _BUCKETS.stop + len(LIMITS))
_COUNTME: Final = slice(_LIMITS.stop, _LIMITS.stop + len(COUNTME))
_COUNTRIES: Final = slice(_COUNTME.stop, _COUNTME.stop + len(COUNTRIES))
_OTHERS: Final = slice(_COUNTRIES.stop, _COUNTRIES.stop + 7)
_COLUMNS: Final = _COUNTS + _OTHERS.stop
_PARENT: Final = MAX_WORKERS
"""The parent's row, after the workers'."""


class Scoreboard:
    """The shared page. What has been forked off sees what others write."""

    __slots__ = ("_cells",)

    def __init__(self) -> None:
        # A place that nobody takes costs address space alone.
        page = mmap.mmap(-1, 8 * _COLUMNS * (MAX_WORKERS + 1))
        self._cells = memoryview(page).cast("Q")

    def scoreboard_slot(self, number: int) -> ScoreboardSlot:
        """Give the place of one worker, 0 to MAX_WORKERS - 1."""
        return ScoreboardSlot(self, number)

    def leave(self, number: int, *, for_good: bool = False) -> None:
        """Note that a worker is gone, said by the parent where it had no time to; one gone for good is not missed."""
        self._cells[number * _COLUMNS + _STATE] = _DISMISSED if for_good else _DOWN

    def write(self, number: int, column: int, values: Sequence[int]) -> None:
        """Set integers of a row, from a column on."""
        start = number * _COLUMNS + column
        for cell, value in enumerate(values, start):  # one aligned integer after the other, never half of one
            self._cells[cell] = value

    def read(self, number: int) -> list[int]:
        """Copy a row."""
        return self._cells[number * _COLUMNS : (number + 1) * _COLUMNS].tolist()

    def publish_reloads(self, counters: Counters) -> None:
        """Show what the parent knows: how loads went, for the whole server."""
        self.write(_PARENT, 0, _reloads(counters))

    def rows(self) -> list[tuple[int, list[int]]]:
        """Copy the row of every place that was ever taken."""
        numbers = [number for number in range(MAX_WORKERS) if self._cells[number * _COLUMNS + _PID]]
        return [(number, self.read(number)) for number in numbers]

    def totals(self) -> Counters:
        """Add up what all workers have published; loads as the parent counts them."""
        counters = _counters([sum(column) for column in zip(*(row for _, row in self.rows()), strict=True)])
        counters.reloads_ok, counters.reloads_failed, ok, at, success_at, latest, every, *_ = self.read(_PARENT)
        counters.last_reload_ok = bool(ok) or not (counters.reloads_ok or counters.reloads_failed)
        counters.last_reload_at = at / _NANO
        counters.last_success_at = success_at / _NANO
        counters.last_reload_seconds = latest / _NANO
        counters.reload_seconds = every / _NANO
        return counters

    def workers(self) -> list[WorkerFacts]:
        """Tell how every worker is that should be there."""
        return [
            WorkerFacts(
                number=number,
                pid=row[_PID],
                up=row[_STATE] == _UP,
                serial=row[_SERIAL],
                answers=sum(row[_COUNTS:][_BUCKETS]),
                starts=row[_STARTS],
            )
            for number, row in self.rows()
            if row[_STATE] != _DISMISSED
        ]


class ScoreboardSlot:
    """One worker's place at the board, and its only writer."""

    __slots__ = ("number", "scoreboard")

    def __init__(self, scoreboard: Scoreboard, number: int) -> None:
        """Use `Scoreboard.scoreboard_slot`."""
        self.scoreboard = scoreboard
        self.number = number

    def resume(self) -> Counters:
        """Give the counts from which whoever sits here goes on: zeros, or what the one before published last."""
        return _counters(self.scoreboard.read(self.number))

    def enter(self, pid: int, serial: int) -> None:
        """Say that this worker answers requests, and from which snapshot; again after each reload."""
        row = self.scoreboard.read(self.number)
        self.scoreboard.write(self.number, _PID, (pid, _UP, serial, row[_STARTS] + (row[_PID] != pid)))

    def leave(self) -> None:
        """Say that this worker stops."""
        self.scoreboard.leave(self.number)

    def publish(self, counters: Counters) -> None:
        """Show the counts so far."""
        self.scoreboard.write(self.number, _COUNTS, _flat(counters))


def _flat(counters: Counters) -> list[int]:
    answers = dict.fromkeys(_KINDS, 0)
    for name, rows in counters.answers.items():
        for status, count in rows.items():
            answers[name if name in FORMATS else OTHER, status if status in STATUSES else 0] += count
    countries = (counters.countries.get(name, 0) for name in COUNTRIES)
    return [
        *answers.values(),
        *counters.first_tiers.values(),
        *counters.buckets,
        *counters.refused.values(),
        *counters.countme,
        *countries,
        round(counters.seconds * _NANO),
        counters.address_failures,
        counters.geo_failures,
        counters.fast,
        counters.connections,
        counters.statistics_lost,
        counters.statistics_failures,
    ]


def _counters(row: Sequence[int]) -> Counters:
    """Read a whole row, or the sum of several; none at all are zeros."""
    counters = Counters()
    if not row:
        return counters
    counts = row[_COUNTS:]
    for (name, status), count in zip(_KINDS, counts[_ANSWERS], strict=True):
        if count:
            counters.answers.setdefault(name, {})[status] = count
    counters.first_tiers = dict(zip(TIER_NAMES, counts[_TIERS], strict=True))
    counters.buckets = [*counts[_BUCKETS]]
    counters.refused = dict(zip(LIMITS, counts[_LIMITS], strict=True))
    counters.countme = [*counts[_COUNTME]]
    counters.countries = {name: n for name, n in zip(COUNTRIES, counts[_COUNTRIES], strict=True) if n}
    nanoseconds, counters.address_failures, counters.geo_failures, *others = counts[_OTHERS]
    counters.fast, counters.connections, counters.statistics_lost, counters.statistics_failures = others
    counters.seconds = nanoseconds / _NANO
    return counters


def _reloads(counters: Counters) -> list[int]:
    times = (counters.last_reload_at, counters.last_success_at, counters.last_reload_seconds, counters.reload_seconds)
    return [
        counters.reloads_ok,
        counters.reloads_failed,
        int(counters.last_reload_ok),
        *(round(time * _NANO) for time in times),
    ]
