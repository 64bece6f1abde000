"""Judge a report on arrival: may it be taken, what does it say that is new, and what shall be looked at. Pure.

A report that says what was seen already stores nothing. Claims that lower count at once. Of n claims of a public mirror
that raise, min(n, 5 + ceil(log2 n)) are handed to the prober; the others count when all of these were found right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mirrorlist_admin.checkin.proof import Proof, answers
from mirrorlist_admin.checkin.report_form import Refusal
from mirrorlist_admin.store.checkin_rows import Claim, ClaimKind
from mirrorlist_snapshot.report.text import plural

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from mirrorlist_admin.checkin.report_form import FileReport, Report
    from mirrorlist_admin.store.checkin_rows import CheckIn

UnitName = tuple[str, str]
"""Category and path of a unit."""
_SHORTEST_INTERVAL: Final = 600
_LONGEST_INTERVAL: Final = 7 * 86_400
"""Seconds between which the usual interval of a mirror's reports lies."""
_LONGEST_DOWN: Final = 31 * 86_400
"""Seconds; the client refuses 30 days, clocks may differ."""
FUTURE: Final = 86_400
"""Seconds by which a mirror's clock may be ahead of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of the mirror and its units when the report arrives."""

    check_in: CheckIn
    private: bool
    expected: frozenset[UnitName]
    seen: Mapping[UnitName, str]
    """SHA-256 of the version that the mirror was last seen with; empty if it was missing then."""
    ages: Mapping[UnitName, Mapping[str, int]]
    """SHA-256 of each version of the master -> when it appeared there."""
    start: bytes | None
    """The first bytes of the version that the report claims of the challenge's unit; None if they were not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What an accepted report changes."""

    check_in: CheckIn
    claims: tuple[Claim, ...]
    message: str
    """For the mirror's admin."""


def sample_size(claims: int) -> int:
    """Return how many of a number of claims are looked at: a lie in a fifth of 150 is found in 19 of 20 reports."""
    return min(claims, 5 + math.ceil(math.log2(claims))) if claims else 0


def accept_notice(report: Report, check_in: CheckIn, now: int) -> Accepted:
    """Take a report of maintenance or of a synchronisation that begins; raise Refusal."""
    _check_serial(report, check_in, now)
    changed = replace(check_in, serial=report.serial)
    if report.down_until is None:
        return Accepted(check_in=replace(changed, syncing=now), claims=(), message="a synchronisation has begun")
    if report.down_until > now + _LONGEST_DOWN:
        raise Refusal(400, "down_until is more than 30 days away; ask the operators to take the mirror off the list")
    until = report.down_until if report.down_until > now else 0
    reason = " ".join(report.reason.split()) if until else ""
    message = "the mirror is taken out of the lists" if until else "the mirror's maintenance is over"
    return Accepted(check_in=replace(changed, down_until=until, reason=reason), claims=(), message=message)


def accept_content(report: Report, known: Known, now: int, random: Random) -> Accepted:
    """Take a report of content; raise Refusal."""
    check_in = known.check_in
    _check_serial(report, check_in, now)
    said = {(category, unit): file for category, units in (report.units or {}).items() for unit, file in units.items()}
    proof = _proof(report, known, said)
    changed = {name for name in said.keys() & known.expected if _claimed(said[name]) != known.seen.get(name, "")}
    # Nobody looks at a private mirror: what has not changed is judged anew, too, as time passes.
    names = said.keys() & known.expected if known.private else changed
    claims = [
        _claim(check_in.mirror, name, said[name], now, _kind(_claimed(said[name]), name, known))
        for name in sorted(names)
    ]
    distrusted = now < check_in.distrusted_until
    if distrusted or (known.private and proof is Proof.LACKING):
        claims = [claim for claim in claims if claim.kind == ClaimKind.LOWERS]
    elif not known.private:
        raising = [claim for claim in claims if claim.kind == ClaimKind.RAISES]
        sampled = set(random.sample(raising, sample_size(len(raising))))
        claims = [replace(claim, kind=ClaimKind.SAMPLED) if claim in sampled else claim for claim in claims]
    after = _advanced(report, check_in, now, waiting=bool(claims))
    if known.private and proof is Proof.OPEN and report.proof is not None:
        after = replace(after, nonce=check_in.nonce, pending=report.proof.hmac)
    return Accepted(
        check_in=after,
        claims=tuple(claims),
        message=_message(
            [claim for claim in claims if (claim.category, claim.unit) in changed],
            known,
            proof=proof,
            distrusted=distrusted,
            unknown=len(said.keys() - known.expected),
        ),
    )


def _check_serial(report: Report, check_in: CheckIn, now: int) -> None:
    if report.serial <= check_in.serial:
        raise Refusal(409, f"the serial {report.serial} is not above {check_in.serial}: an old report, or two at once")
    if report.time > now + FUTURE:
        raise Refusal(400, "the mirror's clock is more than a day ahead")


def _proof(report: Report, known: Known, said: Mapping[UnitName, object]) -> Proof:
    """Check the answer to the challenge; raise Refusal for a wrong one."""
    check_in = known.check_in
    asked = (check_in.nonce_category, check_in.nonce_unit)
    if report.proof is not None and report.proof.nonce != check_in.nonce:
        raise Refusal(409, "the nonce is not the one that was given, or was used already: ask again")
    if not check_in.nonce:
        return Proof.GOOD
    if said.get(asked) is None:
        return Proof.LACKING
    if report.proof is None:
        raise Refusal(422, f"the proof for {'/'.join(asked)} is missing")
    if known.start is None:
        return Proof.OPEN
    if not answers(check_in, known.start, report.proof.hmac):
        raise Refusal(422, f"the proof does not fit the reported version of {'/'.join(asked)}")
    return Proof.GOOD


def _claimed(file: FileReport | None) -> str:
    return "" if file is None else file.sha256


def _kind(claimed: str, name: UnitName, known: Known) -> ClaimKind:
    """Whether a claim says that the mirror has less than what was seen there."""
    ages = known.ages.get(name, {})
    seen = known.seen.get(name, "")
    lowers = not claimed or (claimed in ages and seen in ages and ages[claimed] < ages[seen])
    return ClaimKind.LOWERS if lowers else ClaimKind.RAISES


def _claim(mirror: str, name: UnitName, file: FileReport | None, now: int, kind: ClaimKind) -> Claim:
    return Claim(
        mirror=mirror,
        category=name[0],
        unit=name[1],
        sha256=_claimed(file),
        size=0 if file is None else file.size,
        received=now,
        kind=kind,
    )


def _advanced(report: Report, before: CheckIn, now: int, *, waiting: bool) -> CheckIn:
    """Return where the mirror's reports stand after this one."""
    gap = now - before.received
    interval = before.interval
    if before.received:
        bounded = max(_SHORTEST_INTERVAL, min(gap, _LONGEST_INTERVAL))
        interval = (3 * interval + bounded) // 4 if interval else bounded
    sent = report.sent or 0
    return replace(
        before,
        serial=report.serial,
        received=now,
        interval=interval,
        nonce="",
        pending="",
        waiting=int(waiting),
        silent=0,
        syncing=0,
        limit=report.limit or 0,
        sent=sent,
        traffic=(sent - before.sent) // gap if 0 < before.sent <= sent and gap > 0 else 0,
    )


def _message(claims: list[Claim], known: Known, *, proof: Proof, distrusted: bool, unknown: int) -> str:
    """Say to the mirror's admin what happens next."""
    count = {kind: sum(claim.kind == kind for claim in claims) for kind in ClaimKind}
    raised = count[ClaimKind.RAISES] + count[ClaimKind.SAMPLED]
    if distrusted:
        parts = ["a report was wrong; reports that raise do not count for a day, see the mirror's page"]
    elif known.private and proof is Proof.LACKING:
        parts = ["the proof could not be checked; what is newer than before does not count"]
    elif known.private and proof is Proof.OPEN:
        parts = [f"{plural(raised, 'changed unit')}, to count when this network has seen the new version itself"]
    elif count[ClaimKind.SAMPLED]:
        parts = [f"{plural(raised, 'changed unit')}; {count[ClaimKind.SAMPLED]} to be looked at within a minute"]
    else:
        parts = [plural(raised, "changed unit")] if raised else ["nothing is newer than what was seen"]
    if count[ClaimKind.LOWERS]:
        parts.append(f"older or missing: {plural(count[ClaimKind.LOWERS], 'unit')}")
    if unknown:
        parts.append(f"not expected of this mirror: {plural(unknown, 'reported file')}")
    return "; ".join(parts)
