"""One row of the table is all that a counter takes: slot, shared cells and Prometheus family follow from it."""

# ruff: noqa: RUF009 - `row` makes dataclass fields
from __future__ import annotations

import os
from dataclasses import dataclass, fields
from random import Random
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mirrorlistd.telemetry.counter_row import Row, by_name, by_position, number, row, rows_of
from mirrorlistd.telemetry.counters import Counters
from mirrorlistd.telemetry.prometheus import exposition
from mirrorlistd.telemetry.scoreboard import Scoreboard


@dataclass(slots=True, eq=False)
class More(Counters):
    """The server's table with new rows of every shape."""

    novel: int = row("mirrorlistd_novel", "Something new.")
    novel_seconds: float = row("mirrorlistd_novel_seconds", "How long it took.", shape=number(0.0))
    novel_kinds: dict[str, int] = row(
        "mirrorlistd_novel_kinds", "By kind.", labels=("kind",), shape=by_name(("a", "b"))
    )
    novel_sizes: list[int] = row("mirrorlistd_novel_sizes", "By size.", labels=("size",), shape=by_position(("s", "l")))
    novel_at: float = row("mirrorlistd_novel_at", "When it was.", "gauge", shape=number(0.0), supervisor=True)


def samples(counters: Counters) -> dict[tuple[str, str], float]:
    """Name and the value of the last label -> value, as Prometheus' own parser reads them."""
    return {
        (sample.name, "".join(list(sample.labels.values())[-1:])): sample.value
        for family in text_string_to_metric_families(exposition(counters, None).decode())
        for sample in family.samples
    }


def counted(number: int) -> More:
    """Counters of one worker."""
    counters = More()
    counters.novel += number
    counters.novel_seconds += number / 4
    counters.novel_kinds["b"] += number
    counters.novel_sizes[1] += number
    return counters


def novel(number: float, at: float) -> dict[tuple[str, str], float]:
    """What is exposed of the new rows."""
    return {
        ("mirrorlistd_novel_total", ""): number,
        ("mirrorlistd_novel_seconds_total", ""): number / 4,
        ("mirrorlistd_novel_kinds_total", "a"): 0,
        ("mirrorlistd_novel_kinds_total", "b"): number,
        ("mirrorlistd_novel_sizes_total", "s"): 0,
        ("mirrorlistd_novel_sizes_total", "l"): number,
        ("mirrorlistd_novel_at", ""): at,
    }


@pytest.mark.process
def test_a_new_row_is_exposed_by_one_process_and_added_up_over_workers() -> None:
    """A row is all that is added: nothing has to be said to the scoreboard or to Prometheus."""
    alone = counted(3)
    alone.novel_at = 17.5
    assert novel(3, 17.5).items() <= samples(alone).items()
    board = Scoreboard(More)
    for worker in range(2):
        if (pid := os.fork()) == 0:
            board.scoreboard_slot(worker).enter(pid=1 + worker, serial=1)
            board.scoreboard_slot(worker).publish(counted(3 + worker))
            os._exit(0)
        os.waitpid(pid, 0)
    board.publish_supervisor(alone)
    assert novel(7, 17.5).items() <= samples(board.totals()).items()
    resumed: Any = board.scoreboard_slot(1).resume()
    assert (resumed.novel, resumed.novel_seconds, resumed.novel_sizes) == (4, 1.0, [0, 4])


def test_a_counter_without_a_row_is_an_error() -> None:
    """A field that is declared otherwise cannot be counted: no process starts with it."""

    @dataclass(slots=True, eq=False)
    class Wrong(Counters):
        forgotten: int = 0

    with pytest.raises(TypeError, match=r"Wrong\.forgotten has no row"):
        rows_of(Wrong)
    for use in (Scoreboard, lambda table: exposition(table(), None)):
        with pytest.raises(TypeError, match="has no row"):
            use(Wrong)
    with pytest.raises(AttributeError):
        Counters().forgotten = 1  # type: ignore[attr-defined]


def arbitrary(shape: Any, random: Random) -> Any:
    """A value of a shape with another number in each cell."""
    return shape.unpack([random.randrange(1, 1 << 30) for _ in range(shape.size)])


def changed(value: Any) -> list[Any]:
    """A value as plain data, without zeros that stand for nothing."""
    return sorted(((key, inner) for key, inner in value.items()), key=str) if isinstance(value, dict) else [value]


def test_no_row_is_lost_among_workers() -> None:
    """Every row of the server's own table, with any value in each of its cells, is what others read."""
    random = Random(4)
    counters = Counters()
    for name, one in rows_of(Counters).items():
        setattr(counters, name, arbitrary(one.shape, random))
    board = Scoreboard()
    board.scoreboard_slot(0).enter(pid=1, serial=1)
    board.scoreboard_slot(0).publish(counters)
    board.publish_supervisor(counters)
    totals = board.totals()
    for name in rows_of(Counters):
        assert changed(getattr(totals, name)) == changed(getattr(counters, name)), name


def test_every_field_is_shared_and_exposed_or_added_to_one_that_is() -> None:
    """Two fields are folded into rows; each other one has cells, and a family of its own or a part of another's."""
    rows: dict[str, Row] = dict(rows_of(Counters))
    assert {one.name for one in fields(Counters)} - set(rows) == {"plain", "plain_fast"}
    assert [name for name, one in rows.items() if one.family is None] == ["seconds"]
    families = [one.family for one in rows.values()]
    assert len(set(families)) == len(families)
    counters = Counters()
    counters.plain[2][0] = counters.plain_fast[2][1] = 1
    counters.fold()
    assert (sum(counters.buckets), counters.answers["text"][200], counters.fast) == (2, 2, 1)
