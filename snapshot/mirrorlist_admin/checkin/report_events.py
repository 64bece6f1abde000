"""The events that reports leave in a mirror's timeline. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirrorlist_admin.store.checkin_rows import ClaimKind
from mirrorlist_admin.store.rows import Event, Subject
from mirrorlist_snapshot.duration import in_words
from mirrorlist_snapshot.report.text import moment, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlist_admin.store.checkin_rows import CheckIn, Claim

BY: Final = "check-in"
"""Whose events these are."""
_SHOWN: Final = 12
"""Characters of a hash that people are shown."""


def counts(row: CheckIn, claims: Sequence[Claim], news: int, now: int, *, private: bool) -> Event:
    """A report counts: `news` index files are other ones than before, by its word."""
    if private:
        cause = "nobody else can look: its word counts"
    elif any(claim.kind != ClaimKind.LOWERS for claim in claims):
        cause = "all samples were right"
    else:
        cause = "a report may always lower"
    return _event(row.mirror, now, ("reported", "counts"), (cause, f"{plural(news, 'index file')} by its word"))


def wrong_claim(claim: Claim, units: int, now: int) -> Event:
    """The prober has seen something else than a report claimed."""
    cause = f"a report was wrong: reports do not raise for a day, all {units} index files are looked at"
    evidence = f"{claim.unit}: version {claim.sha256[:_SHOWN]} was reported, and the mirror does not have it"
    return _event(claim.mirror, now, ("reported", "wrong"), (cause, evidence))


def wrong_proof(row: CheckIn, now: int) -> Event:
    """The answer over a version that the network did not know at first was wrong."""
    evidence = f"the answer over bytes of {row.nonce_unit} was not that of the reported version"
    return _event(row.mirror, now, ("reported", "wrong"), ("a report proved nothing: it does not count", evidence))


def silence(row: CheckIn, now: int) -> Event:
    """The word of a private mirror has expired."""
    cause = "no report for twice the usual interval: what was concluded last stays"
    return _event(
        row.mirror, now, ("reports", "silent"), (cause, f"the last one came {in_words(now - row.received)} ago")
    )


def maintenance(before: CheckIn, after: CheckIn, now: int) -> Event | None:
    """A maintenance begins, changes or ends; None if nothing of that."""
    was = before.down_until if before.down_until > now else 0
    if was == after.down_until:
        return None
    states = tuple(f"down until {moment(until)}" if until else "up" for until in (was, after.down_until))
    return _event(after.mirror, now, (states[0], states[1]), ("the mirror says so", after.reason), "maintenance")


def maintenance_over(row: CheckIn) -> Event:
    """A maintenance has ended at its time."""
    states = (f"down until {moment(row.down_until)}", "up")
    return _event(row.mirror, row.down_until, states, ("its time is over", ""), "maintenance")


def _event(mirror: str, at: int, states: tuple[str, str], why: tuple[str, str], name: str = "report") -> Event:
    return Event(
        at=at,
        mirror=mirror,
        category="",
        subject=Subject.REPORT,
        name=name,
        before=states[0],
        after=states[1],
        cause=why[0],
        evidence=why[1],
        by=BY,
    )
