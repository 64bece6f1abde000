"""The timeline of a mirror: what happened to it, and what held at any moment, with the reason."""

from __future__ import annotations

import re
import time
from calendar import timegm
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from mirrorlist_admin.store import schema
from mirrorlist_snapshot.freshness.observed import Freshness, Reachability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlist_admin.store import Store
    from mirrorlist_admin.store.rows import Event, Subject

_MOMENT: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?Z?")
_OUT: Final = {Reachability.DOWN.value, Freshness.STALE.value, Freshness.MISSING.value}
"""States in which what they are said of is not offered."""
_GOOD: Final = {Reachability.UP.value, Freshness.FRESH.value, "", "100%", "counts", "reports"}
"""States that need no explanation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that held of a mirror at a moment and is not as it should be."""

    since: int
    what: str
    """A URL, an index file, or what else an event is about."""
    state: str
    out: bool
    """Whether it was not offered because of this."""
    cause: str
    evidence: str


def events_of(store: Store, mirror: str, *, before: int | None = None, most: int) -> list[Event]:
    """Return the last events of a mirror up to a moment, the newest first."""
    condition = "WHERE mirror = ? AND at <= ? ORDER BY at DESC, rowid DESC LIMIT ?"
    return store.read(schema.EVENT, condition, mirror, before if before is not None else 1 << 62, most)


def network_events(store: Store, *, most: int) -> list[Event]:
    """Return the last events that concern no single mirror (void runs, the master, publications), the newest first."""
    return store.read(schema.EVENT, "WHERE mirror = '' ORDER BY at DESC, rowid DESC LIMIT ?", most)


def facts_at(events: Sequence[Event], at: int) -> list[Fact]:
    """Return what held at a moment, the latest first: of each thing the last event decides. Pure."""
    held: dict[tuple[Subject, str, str], Event] = {}
    for event in sorted(events, key=lambda event: event.at):  # stable: events of one second stay in order
        if event.at <= at:
            held[event.subject, event.category, event.name] = event
    found = [_fact(event) for event in held.values() if event.after not in _GOOD]
    return sorted(found, key=lambda fact: (not fact.out, -fact.since))


def parse_moment(text: str) -> int:
    """Read a time in UTC: `2026-11-29 03:12`, also with `T`, seconds or `Z`; raise ValueError that says so."""
    found = _MOMENT.fullmatch(text.strip())
    wrong = f"{text[:40]!a} is no time in UTC, such as '2026-11-29 03:12'"
    if found is None:
        raise ValueError(wrong)
    try:
        return timegm(time.strptime(" ".join(part or "00" for part in found.groups()), "%Y %m %d %H %M %S"))
    except ValueError:
        raise ValueError(wrong) from None


def _fact(event: Event) -> Fact:
    return Fact(
        since=event.at,
        what=event.name or event.subject.value,
        state=event.after,
        out=event.after in _OUT or event.after.startswith("down"),
        cause=event.cause,
        evidence=event.evidence,
    )


def event_json(event: Event) -> dict[str, Any]:
    """Return plain values."""
    return asdict(event)


def fact_json(fact: Fact) -> dict[str, Any]:
    """Return plain values."""
    return asdict(fact)


def spoken(event: Event) -> str:
    """Return what an event says, in one line for people."""
    change = f"{event.before} -> {event.after}" if event.before and event.after else event.after or event.before
    what = event.name or event.subject.value
    text = f"{what}: {change}" if change else what
    details = "; ".join(part for part in (event.cause, event.evidence) if part)
    return f"{text} ({details})" if details else text
