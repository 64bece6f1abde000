"""The counter where mirrors check in: who speaks, what is expected of them, and what a report changes in the store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from mirrorlist_admin.checkin import report_events
from mirrorlist_admin.checkin.acceptance import Known, accept_content, accept_notice
from mirrorlist_admin.checkin.judgement import ABSENT
from mirrorlist_admin.checkin.report_form import Refusal
from mirrorlist_admin.checkin.settling import start_of, versions
from mirrorlist_admin.checkin.tokens import digest_of, hour, is_token
from mirrorlist_admin.store import schema
from mirrorlist_admin.store.checkin_rows import CheckIn, ClaimKind
from mirrorlist_admin.store.rows import DueUnit

if TYPE_CHECKING:
    from random import Random

    from mirrorlist_admin.checkin.acceptance import Accepted, UnitName
    from mirrorlist_admin.checkin.report_form import Report
    from mirrorlist_admin.store import Store
    from mirrorlist_admin.store.checkin_rows import Token
    from mirrorlist_admin.store.rows import DeclaredMirror

_CHALLENGED: Final = 4096
"""Bytes of a unit that a challenge covers at most."""
_TRIES: Final = 4
"""Units that are drawn until one is found whose bytes are kept."""
_DELAY: Final = 2
"""Seconds after the report when a sample is fetched: surely later than the report, whatever the clocks round."""


def authenticate(store: Store, header: str, now: int) -> tuple[Token, DeclaredMirror]:
    """Return the token of an Authorization header, and the mirror that it speaks for; raise Refusal."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not is_token(token.strip()):
        raise Refusal(401, "no token: send Authorization: Bearer mlr_...")
    found = store.read(schema.TOKEN, "WHERE digest = ?", digest_of(token.strip()))
    if not found:
        raise Refusal(401, "the token is not known, or was revoked; ask the operators for a new one")
    row = found[0]
    if row.expires and row.expires <= now:
        raise Refusal(401, "the token has expired; ask the operators for a new one")
    mirrors = store.read(schema.DECLARED_MIRROR, "WHERE mirror = ?", row.mirror)
    if not mirrors:
        raise Refusal(403, f"the network has no mirror {row.mirror}, or does not know it yet; ask the operators")
    return row, mirrors[0]


def note_use(store: Store, token: Token, now: int) -> None:
    """Store when a token was last used, to the hour: not every request writes."""
    if token.used != hour(now):
        store.write(schema.TOKEN, [replace(token, used=hour(now))])


def waiting_task(store: Store, token: Token, now: int) -> dict[str, Any] | None:
    """Return a mirror's task if it can be given without writing anything: then no other writer is waited for."""
    row = _standing(store, token.mirror)
    expected = _expected(store, token.mirror)
    if token.used != hour(now) or not row.nonce or (row.nonce_category, row.nonce_unit) not in expected:
        return None
    return _task(row, expected)


def hand_out(store: Store, mirror: str, random: Random) -> dict[str, Any]:
    """Return what a mirror is to report, with a challenge. The same one is given until it is answered."""
    row = _standing(store, mirror)
    expected = _expected(store, mirror)
    if not row.nonce or (row.nonce_category, row.nonce_unit) not in expected:
        challenged = _challenged(store, row, expected, random)
        if challenged != row:
            store.write(schema.CHECK_IN, [challenged])
        row = challenged
    return _task(row, expected)


def _task(row: CheckIn, expected: list[UnitName]) -> dict[str, Any]:
    units: dict[str, list[str]] = {}
    for category, unit in expected:
        units.setdefault(category, []).append(unit)
    return {"mirror": row.mirror, "serial": row.serial, "units": units, "challenge": _shown(row)}


def receive(store: Store, declared: DeclaredMirror, report: Report, now: int, random: Random) -> dict[str, Any]:
    """Take a report, and return the answer with the next challenge; raise Refusal."""
    row = _standing(store, declared.mirror)
    expected = _expected(store, declared.mirror)
    if report.units is None:
        accepted = accept_notice(report, row, now)
        happened = report_events.maintenance(row, accepted.check_in, now)
        store.add_events([happened] if happened else [])
    else:
        known = _known(store, declared, row, expected, report)
        accepted = accept_content(report, known, now, random)
        if not accepted.check_in.nonce:
            accepted = replace(accepted, check_in=_challenged(store, accepted.check_in, expected, random))
        _store_claims(store, accepted, now)
    store.write(schema.CHECK_IN, [accepted.check_in])
    return {
        "mirror": declared.mirror,
        "serial": accepted.check_in.serial,
        "challenge": _shown(accepted.check_in),
        "message": accepted.message,
    }


def _known(store: Store, declared: DeclaredMirror, row: CheckIn, expected: list[UnitName], report: Report) -> Known:
    probes = store.query("SELECT category, unit, sha256, absent FROM unit_probe WHERE mirror = ?", declared.mirror)
    seen = {
        (str(category), str(unit)): str(sha256) if absent < ABSENT else "" for category, unit, sha256, absent in probes
    }
    said = {(category, unit): file for category, units in (report.units or {}).items() for unit, file in units.items()}
    new = [name for name in expected if (file := said.get(name)) is not None and file.sha256 != seen.get(name)]
    file = said.get((row.nonce_category, row.nonce_unit))
    start = None
    if row.nonce and file is not None:
        start = start_of(store, row.nonce_category, row.nonce_unit, file.sha256)
    return Known(
        check_in=row,
        private=bool(declared.private),
        expected=frozenset(expected),
        seen=seen,
        ages=versions(store, new),
        start=start,
    )


def _store_claims(store: Store, accepted: Accepted, now: int) -> None:
    """Replace the claims of the mirror's last report, and ask the prober for the samples."""
    mirror = accepted.check_in.mirror
    old = store.read(schema.CLAIM, "WHERE mirror = ?", mirror)
    store.remove(schema.CLAIM, [(claim.mirror, claim.category, claim.unit) for claim in old])
    store.write(schema.CLAIM, accepted.claims)
    sampled = [claim for claim in accepted.claims if claim.kind == ClaimKind.SAMPLED]
    due = (
        DueUnit(mirror=mirror, category=claim.category, unit=claim.unit, due=now + _DELAY, reason="report")
        for claim in sampled
    )
    store.write(schema.DUE, due)


def _standing(store: Store, mirror: str) -> CheckIn:
    found = store.read(schema.CHECK_IN, "WHERE mirror = ?", mirror)
    return found[0] if found else first_check_in(mirror)


def first_check_in(mirror: str) -> CheckIn:
    """Return the row of a mirror that has never reported."""
    return CheckIn(
        mirror=mirror,
        serial=0,
        received=0,
        interval=0,
        nonce="",
        nonce_category="",
        nonce_unit="",
        nonce_offset=0,
        nonce_length=0,
        pending="",
        waiting=0,
        distrusted_until=0,
        silent=0,
        down_until=0,
        reason="",
        syncing=0,
        limit=0,
        sent=0,
        traffic=0,
    )


def _expected(store: Store, mirror: str) -> list[UnitName]:
    # A list: a challenge is drawn from it.
    return store.query("SELECT category, unit FROM expected_unit WHERE mirror = ? ORDER BY category, unit", mirror)


def _challenged(store: Store, row: CheckIn, expected: list[UnitName], random: Random) -> CheckIn:
    """Return a row with a new challenge over bytes of one of the units, or with none if no bytes are kept."""
    for category, unit in random.sample(expected, min(_TRIES, len(expected))):
        watched = store.read(schema.UNIT, "WHERE category = ? AND unit = ?", category, unit)
        start = start_of(store, category, unit, watched[0].current) if watched else None
        if start:
            size = len(start)
            offset = random.randrange(max(1, size - _CHALLENGED + 1))
            return replace(
                row,
                nonce=random.randbytes(16).hex(),
                nonce_category=category,
                nonce_unit=unit,
                nonce_offset=offset,
                nonce_length=min(_CHALLENGED, size - offset),
            )
    return replace(row, nonce="")


def _shown(row: CheckIn) -> dict[str, Any] | None:
    if not row.nonce:
        return None
    return {
        "nonce": row.nonce,
        "category": row.nonce_category,
        "unit": row.nonce_unit,
        "offset": row.nonce_offset,
        "length": row.nonce_length,
    }
