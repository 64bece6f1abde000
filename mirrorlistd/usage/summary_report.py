"""A summary for people and for programs: text, JSON, CSV. Pure."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, Final

from mirrorlistd.usage.statistics_line import COUNTME
from mirrorlistd.usage.summary import ARCH, COUNTRY, REPOSITORY, TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mirrorlistd.usage.summary import Summary

_PLURALS: Final = {COUNTRY: "countries", ARCH: "architectures", REPOSITORY: "repositories"}
_AGES: Final = ("first week", "first month", "first half year", "older")
"""Of systems, in the order of COUNTME."""


def as_text(summary: Summary, top: int) -> str:
    """Return tables, each with at most `top` names (0: all) and the rest in one row."""
    days = sorted(summary.days)
    span = f" from {days[0]} to {days[-1]}" if days else ""
    bad = f"; bad lines left out: {summary.bad:,}" if summary.bad else ""
    blocks = [f"{summary.requests:,} requests{span}{bad}\n"]
    if days:
        blocks += [_table("day", ((day, summary.days[day]) for day in days), summary.requests)]
        for table in TABLES:
            blocks.append(_table(table, _top(summary.totals(table), top), summary.requests))
    if weeks := summary.weeks():
        rows = [f"{'systems counted, week of':<28}" + "".join(f"{age:>16}" for age in _AGES)]
        rows += [f"{week:<28}" + "".join(f"{ages.get(age, 0):>16,}" for age in COUNTME) for week, ages in weeks.items()]
        blocks.append("\n".join(rows) + "\n")
    return "\n".join(blocks)


def _top(sums: dict[str, int], top: int) -> Iterator[tuple[str, int]]:
    shown = list(sums.items())[: top or None]
    yield from shown
    if len(shown) < len(sums):
        yield f"{len(sums) - len(shown)} more", sum(sums.values()) - sum(times for _, times in shown)


def _table(heading: str, rows: Iterable[tuple[str, int]], total: int) -> str:
    lines = [f"{heading:<28}{'requests':>16}{'share':>9}"]
    lines += [f"{name:<28}{times:>16,}{times / total:>9.1%}" for name, times in rows]
    return "\n".join(lines) + "\n"


def as_json(summary: Summary) -> str:
    """Return all sums as JSON: totals, days, systems."""
    by_day = {table: summary.on_days(table) for table in TABLES}
    facts: dict[str, Any] = {
        "requests": summary.requests,
        "bad_lines": summary.bad,
        **{_PLURALS[table]: summary.totals(table) for table in TABLES},
        "days": [
            {"day": day, "requests": summary.days[day], **{_PLURALS[table]: by_day[table][day] for table in TABLES}}
            for day in sorted(summary.days)
        ],
        "systems": [counted._asdict() | {"count": times} for counted, times in sorted(summary.systems.items())],
    }
    return json.dumps(facts, indent=2) + "\n"


def as_csv(summary: Summary) -> str:
    """Return a row for each sum, over the columns that are empty; the day of a `countme` row is the week's Monday."""
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\n").writerow
    write(("sum", "day", "repository", "architecture", "country", "countme", "count"))
    for day in sorted(summary.days):
        write(("day", day, "", "", "", "", summary.days[day]))
    for table in TABLES:
        for day, names in summary.on_days(table).items():
            for name, times in names.items():
                cells = [name if table == column else "" for column in (REPOSITORY, ARCH, COUNTRY)]
                write((table, day, *cells, "", times))
    for counted, times in sorted(summary.systems.items()):
        write(("countme", *counted, times))
    return out.getvalue()
