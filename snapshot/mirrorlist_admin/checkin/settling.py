"""What the prober takes from reports: claims that count now, mirrors in maintenance, and what they say they can give.

The prober calls these between its fetches, with its own clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mirrorlist_admin.checkin.judgement import DISTRUST, judge
from mirrorlist_admin.store import schema
from mirrorlist_admin.store.rows import DueUnit, Event, Subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlist_admin.checkin.acceptance import UnitName
    from mirrorlist_admin.checkin.judgement import Judged, Word
    from mirrorlist_admin.store import Store
    from mirrorlist_admin.store.checkin_rows import CheckIn, Claim

BY: Final = "check-in"
"""Whose events these are."""
_FIRST_INTERVAL: Final = 86_400
"""Seconds: the usual interval of a mirror that has reported once."""
_SHOWN: Final = 12
"""Characters of a hash that people are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What counts as seen, by reports, since the last call."""

    words: tuple[Word, ...]
    silent: frozenset[str]
    """Private mirrors whose word has expired: nothing new is concluded about them."""


def settle(store: Store, now: int) -> Settled:
    """Judge all open claims: what counts is returned, once; wrong reports have their consequences.

    Call it inside a transaction, and store in the same one what follows from the words: so no word is lost.
    """
    words: list[Word] = []
    private = {row.mirror for row in store.read(schema.DECLARED_MIRROR, "WHERE private = 1")}
    rows = {row.mirror: row for row in store.read(schema.CHECK_IN)}
    claims: dict[str, list[Claim]] = {}
    for claim in store.read(schema.CLAIM):
        claims.setdefault(claim.mirror, []).append(claim)
    for mirror, open_claims in claims.items():
        row = rows[mirror]
        probes = store.read(schema.UNIT_PROBE, "WHERE mirror = ?", mirror)
        judged = judge(
            open_claims,
            {(probe.category, probe.unit): probe for probe in probes},
            versions(store, [(claim.category, claim.unit) for claim in open_claims]),
            private=mirror in private,
            waiting=bool(row.waiting),
        )
        words += judged.words
        rows[mirror] = _write(store, row, judged, now)
    silent = {mirror for mirror in rows.keys() & private if _expired(rows[mirror], now)}
    _note_silence(store, [rows[mirror] for mirror in sorted(silent)], now)
    return Settled(words=tuple(words), silent=frozenset(silent))


def reported_down(store: Store, now: int) -> dict[str, tuple[int, str]]:
    """Return the mirrors that want no clients now: name -> until when, and the reason for people."""
    rows = store.read(schema.CHECK_IN, "WHERE down_until > ? ORDER BY mirror", now)
    return {row.mirror: (row.down_until, row.reason or "maintenance") for row in rows}


def reported_limits(store: Store, now: int) -> dict[str, int]:
    """Return what mirrors say that they can give, in Mbit/s, if that is less than what the sources state."""
    declared = {row.mirror: row.bandwidth for row in store.read(schema.DECLARED_MIRROR)}
    rows = store.read(schema.CHECK_IN, 'WHERE "limit" > 0 ORDER BY mirror')
    return {row.mirror: row.limit for row in rows if row.limit < declared.get(row.mirror, 0) and not _expired(row, now)}


def versions(store: Store, units: Sequence[UnitName]) -> dict[UnitName, dict[str, int]]:
    """Return for units the master's versions, and when each appeared there."""
    found: dict[UnitName, dict[str, int]] = {}
    for category, unit in units:
        rows = store.read(schema.UNIT_VERSION, "WHERE category = ? AND unit = ?", category, unit)
        found[category, unit] = {row.sha256: row.first_seen for row in rows}
    return found


def _expired(row: CheckIn, now: int) -> bool:
    """Whether a mirror has been silent for twice its usual interval."""
    return now > row.received + 2 * (row.interval or _FIRST_INTERVAL)


def _write(store: Store, row: CheckIn, judged: Judged, now: int) -> CheckIn:
    """Store what follows for one mirror; return where its reports stand."""
    store.remove(schema.CLAIM, [(claim.mirror, claim.category, claim.unit) for claim in judged.done])
    changed = replace(row, waiting=int(judged.waiting))
    if judged.wrong is not None:
        changed = replace(changed, distrusted_until=now + DISTRUST)
        expected = store.read(schema.EXPECTED_UNIT, "WHERE mirror = ?", row.mirror)
        due = (DueUnit(mirror=u.mirror, category=u.category, unit=u.unit, due=now, reason="sweep") for u in expected)
        store.write(schema.DUE, due)
        store.add_events([_wrong(judged.wrong, len(expected), now)])
    elif row.waiting and not judged.waiting:
        count = len({(word.category, word.unit) for word in judged.words})
        store.add_events(
            [
                event(
                    row.mirror,
                    now,
                    before="reported",
                    after="counts",
                    cause="every sample was right" if judged.done else "nothing had to be looked at",
                    evidence=f"{len(judged.done)} units seen, {count} more by the mirror's word",
                )
            ]
        )
    if changed != row:
        store.write(schema.CHECK_IN, [changed])
    return changed


def _wrong(claim: Claim, units: int, now: int) -> Event:
    return Event(
        at=now,
        mirror=claim.mirror,
        category=claim.category,
        subject=Subject.REPORT,
        name=claim.unit,
        before="reported",
        after="wrong",
        cause=f"a report was wrong: reports do not count for a day, all {units} units are looked at",
        evidence=f"version {claim.sha256[:_SHOWN]} was reported; the mirror does not have it",
        by=BY,
    )


def event(mirror: str, at: int, *, before: str, after: str, cause: str, evidence: str) -> Event:  # noqa: PLR0913 - a row
    """Make an event about the reports of a mirror."""
    return Event(
        at=at,
        mirror=mirror,
        category="",
        subject=Subject.REPORT,
        name="report",
        before=before,
        after=after,
        cause=cause,
        evidence=evidence,
        by=BY,
    )


def _note_silence(store: Store, silent: Sequence[CheckIn], now: int) -> None:
    """Say once of each mirror that its word has expired."""
    fresh = [row for row in silent if not row.silent]
    store.write(schema.CHECK_IN, [replace(row, silent=1) for row in fresh])
    store.add_events(
        [
            event(
                row.mirror,
                now,
                before="reports",
                after="silent",
                cause="no report for twice the usual interval: what was concluded last stays",
                evidence=f"the last report came {(now - row.received) // 3600} h ago",
            )
            for row in fresh
        ]
    )
