"""What the prober takes from reports: claims that count now, mirrors in maintenance, and what they say they can give.

The prober calls these between its fetches, with its own clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mirrorlist_admin.checkin import report_events
from mirrorlist_admin.checkin.judgement import ABSENT, DISTRUST, judge
from mirrorlist_admin.checkin.proof import answers
from mirrorlist_admin.store import schema
from mirrorlist_admin.store.checkin_rows import ClaimKind
from mirrorlist_admin.store.rows import DueUnit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mirrorlist_admin.checkin.acceptance import UnitName
    from mirrorlist_admin.checkin.judgement import Word
    from mirrorlist_admin.store import Store
    from mirrorlist_admin.store.checkin_rows import CheckIn, Claim
    from mirrorlist_admin.store.rows import UnitProbe

_FIRST_INTERVAL: Final = 86_400
"""Seconds: the usual interval of a mirror that has reported once."""


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
    units = {(claim.category, claim.unit) for open_claims in claims.values() for claim in open_claims}
    ages = versions(store, sorted(units))
    for mirror, open_claims in claims.items():
        words += _settle_mirror(store, rows[mirror], open_claims, ages, now, private=mirror in private)
    silent: set[str] = set()
    for row in store.read(schema.CHECK_IN):  # anew: some have changed
        after = row
        if 0 < row.down_until <= now:
            after = replace(after, down_until=0, reason="")
            store.add_events([report_events.maintenance_over(row)])
        if row.mirror in private and _expired(row, now):
            silent.add(row.mirror)
            after = replace(after, silent=1)
            store.add_events([] if row.silent else [report_events.silence(row, now)])
        if after != row:
            store.write(schema.CHECK_IN, [after])
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


def start_of(store: Store, category: str, unit: str, sha256: str) -> bytes | None:
    """Return the first bytes of a version of the master, None if they are not kept."""
    condition = "WHERE category = ? AND unit = ? AND sha256 = ?"
    kept = store.read(schema.UNIT_START, condition, category, unit, sha256)
    return kept[0].data if kept else None


def _expired(row: CheckIn, now: int) -> bool:
    """Whether a mirror has been silent for twice its usual interval."""
    return now > row.received + 2 * (row.interval or _FIRST_INTERVAL)


def _settle_mirror(  # noqa: PLR0913 - a mirror, and what is known of it
    store: Store,
    row: CheckIn,
    claims: list[Claim],
    ages: Mapping[UnitName, Mapping[str, int]],
    now: int,
    *,
    private: bool,
) -> tuple[Word, ...]:
    """Judge the claims of one mirror, store what follows, and return what counts."""
    before = row
    if row.pending:
        row, claims = _check_pending(store, row, claims, now)
    claimed = "WHERE mirror = ?1 AND (category, unit) IN (SELECT category, unit FROM claim WHERE mirror = ?1)"
    probes = store.read(schema.UNIT_PROBE, claimed, row.mirror)
    judged = judge(
        claims,
        {(probe.category, probe.unit): probe for probe in probes},
        ages,
        private=private,
        waiting=bool(row.waiting),
    )
    store.remove(schema.CLAIM, [(claim.mirror, claim.category, claim.unit) for claim in judged.done])
    news = _news(judged.words, probes)
    if judged.wrong is not None:
        row = _distrust(store, row, judged.wrong, now)
    elif news if private else row.waiting and not judged.waiting:
        store.add_events([report_events.counts(row, claims, news, now, private=private)])
    after = replace(row, waiting=int(judged.waiting))
    if after != before:
        store.write(schema.CHECK_IN, [after])
    return judged.words


def _check_pending(store: Store, row: CheckIn, claims: list[Claim], now: int) -> tuple[CheckIn, list[Claim]]:
    """Check a private mirror's answer as soon as the master was seen with that version; return which claims count."""
    asked = next((one for one in claims if (one.category, one.unit) == (row.nonce_category, row.nonce_unit)), None)
    start = start_of(store, asked.category, asked.unit, asked.sha256) if asked is not None else None
    if start is None:
        return row, [claim for claim in claims if claim.kind == ClaimKind.LOWERS]
    settled = replace(row, pending="", nonce="")
    if answers(row, start, row.pending):
        return settled, claims
    store.remove(schema.CLAIM, [(claim.mirror, claim.category, claim.unit) for claim in claims])
    store.add_events([report_events.wrong_proof(row, now)])
    return settled, []


def _news(words: Sequence[Word], probes: Sequence[UnitProbe]) -> int:
    """Return how many words say something else than what is known."""
    known = {(probe.category, probe.unit): probe.sha256 if probe.absent < ABSENT else "" for probe in probes}
    return sum(word.sha256 != known.get((word.category, word.unit), "") for word in words)


def _distrust(store: Store, row: CheckIn, wrong: Claim, now: int) -> CheckIn:
    """Let reports not raise for a day, and all units of the mirror be looked at."""
    expected = store.read(schema.EXPECTED_UNIT, "WHERE mirror = ?", row.mirror)
    due = (
        DueUnit(mirror=one.mirror, category=one.category, unit=one.unit, due=now, reason="sweep") for one in expected
    )
    store.write(schema.DUE, due)
    store.add_events([report_events.wrong_claim(wrong, len(expected), now)])
    return replace(row, distrusted_until=now + DISTRUST)
