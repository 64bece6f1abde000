"""`explain MIRROR`: what is known of a mirror, why, and what has happened to it."""

from __future__ import annotations

import argparse
import difflib
import time
from typing import TYPE_CHECKING, Any, Final

from mirrorlist_admin.cli.shared import add_json, add_state
from mirrorlist_admin.errors import AdminError
from mirrorlist_admin.store import Store, schema
from mirrorlist_admin.views.mirrors import mirror_statuses, report_json
from mirrorlist_admin.views.timeline import event_json, events_of, fact_json, facts_at, parse_moment, spoken
from mirrorlist_snapshot.console import show, show_json, whole
from mirrorlist_snapshot.duration import in_words
from mirrorlist_snapshot.report.text import ago, moment, table

if TYPE_CHECKING:
    from mirrorlist_admin.store.checkin_rows import CheckIn
    from mirrorlist_admin.views.mirrors import MirrorStatus
    from mirrorlist_snapshot.freshness.observed import UnitObservation, UrlObservation

EXAMPLES: Final = """\
Without --at: its state now, its URLs, the repositories that are not fresh, its reports, and the last events. With --at:
what held at that moment, and the events up to it. Times are UTC.

exit status: 0 shown, 1 no such mirror, or the folder cannot be read, or the output cannot be written, 2 wrong usage

examples:
  mirrorlist-admin explain ftp.example.de --state /var/lib/mirrorlist-admin
  mirrorlist-admin explain ftp.example.de --at '2026-11-29 03:12' --state /var/lib/mirrorlist-admin
"""
_ALL: Final = 100_000


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the verb."""
    parser.add_argument("mirror", metavar="MIRROR", help="a mirror of the sources, by its name there")
    parser.add_argument("--at", metavar="TIME", type=_at, help="a moment in UTC: '2026-11-29 03:12'")
    parser.add_argument(
        "--events", metavar="N", type=whole(0, _ALL, "a number"), default=20, help="show so many events (default: 20)"
    )
    add_state(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Explain one mirror."""
    now, name = int(time.time()), options.mirror
    with Store(options.state, read_only=True) as store:
        found = mirror_statuses(store, now, private=True, only=name)
        if not found:
            near = difflib.get_close_matches(name, [row.mirror for row in store.read(schema.DECLARED_MIRROR)], n=3)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise AdminError(f"there is no mirror {name!r}{hint}")
        urls = store.read(schema.URL_STATE, "WHERE mirror = ? ORDER BY category, url, family", name)
        units = store.read(schema.UNIT_STATE, "WHERE mirror = ? AND state <> 'fresh' ORDER BY lag DESC", name)
        reports = store.read(schema.CHECK_IN, "WHERE mirror = ?", name)
        events = events_of(store, name, before=options.at, most=_ALL)
    facts = facts_at(events, options.at) if options.at is not None else []
    events = events[: options.events]
    if options.json:
        show_json(
            found[0].as_json()
            | {
                "now": now,
                "urls": [_plain(url) for url in urls],
                "not_fresh": [_plain(unit) for unit in units],
                "report": report_json(reports[0]) | {"traffic": reports[0].traffic} if reports else None,
                "at": {"time": options.at, "facts": [fact_json(fact) for fact in facts]}
                if options.at is not None
                else None,
                "events": [event_json(event) for event in events],
            }
        )
        return 0
    lines: list[str] = []
    if options.at is None:
        lines += _now(found[0], urls, units, now)
        lines += [_reported(report, now) for report in reports if report.received]
    else:
        lines.append(f"{name} at {moment(options.at)}:")
        lines += [
            f"  {fact.what}: {fact.state} since {moment(fact.since)}"
            + "".join(f"; {part}" for part in (fact.cause, fact.evidence) if part)
            for fact in facts
        ] or ["  nothing was known against it"]
    lines += ["events, the newest first:" if events else "no events"]
    lines += [f"  {moment(event.at)}  {spoken(event)}" for event in events]
    show("\n".join(lines) + "\n")
    return 0


def _at(text: str) -> int:
    try:
        return parse_moment(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _plain(row: UrlObservation | UnitObservation) -> dict[str, Any]:
    return {name: getattr(row, name) for name in type(row).__slots__}


def _reported(report: CheckIn, now: int) -> str:
    """Say what the mirror reports about itself."""
    parts = [f"last report {ago(now - report.received)}, usually every {in_words(report.interval)}"]
    if not report.interval:
        parts = [f"last report {ago(now - report.received)}"]
    if report.limit:
        parts.append(f"it can give {report.limit} Mbit/s by its own word")
    if report.traffic:
        parts.append(f"it sent {report.traffic * 8 / 1e6:.1f} Mbit/s between its last two reports")
    if report.syncing:
        parts.append(f"it has been synchronising for {in_words(now - report.syncing)}")
    if report.distrusted_until > now:
        parts.append(f"a report was wrong: reports do not raise until {moment(report.distrusted_until)}")
    return "; ".join(parts)


def _now(one: MirrorStatus, urls: list[UrlObservation], units: list[UnitObservation], now: int) -> list[str]:
    """Say what is known now."""
    private = " (private)" if one.private else ""
    checked = f"checked {ago(now - one.checked)}" if one.checked else "never checked"
    lines = [f"{one.mirror}{private}: {one.state}{f': {one.why}' if one.why else ''}; {checked}"]
    rows = [(url.url, f"IPv{url.family}", url.state.value, moment(url.since), url.reason) for url in urls]
    lines += table(("url", "over", "state", "since", "why"), rows) if rows else []
    rows = [(unit.unit, in_words(unit.lag), unit.state.value, moment(unit.since), unit.reason) for unit in units]
    lines += table(("index file", "lag", "state", "since", "why"), rows) if rows else []
    return lines
