"""The rows of check-in: tokens, where each mirror's reports stand, and what they claim. All times are seconds UTC."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A permission to report for one mirror."""

    digest: str
    """SHA-256 of the token, lower-case hexadecimal; the token itself is stored nowhere."""
    mirror: str
    created: int
    expires: int
    """0: never."""
    used: int
    """When it was last used, to the hour; 0: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckIn:
    """Where the reports of one mirror stand."""

    mirror: str
    serial: int
    """That of the last accepted report; the next one has a higher one."""
    received: int
    """When the last report of content was accepted; 0: never."""
    interval: int
    """Seconds that usually lie between two reports of content; 0 before the second."""
    nonce: str
    """What the next report of content answers; empty if nothing is asked."""
    nonce_category: str
    nonce_unit: str
    nonce_offset: int
    nonce_length: int
    """Bytes of the unit that the answer covers."""
    pending: str
    """A private mirror's answer over a version that the master was not seen with yet; empty if there is none."""
    waiting: int
    """1 while the last report of content is still to be judged."""
    distrusted_until: int
    """Reports do not count until then, as one was wrong."""
    silent: int
    """1 if a private mirror's word has expired."""
    down_until: int
    """The mirror wants no clients until then."""
    reason: str
    """Why, in the mirror's own words: one line for people."""
    syncing: int
    """Since when the mirror synchronises, as it says; 0 if it does not."""
    limit: int
    """Mbit/s that the mirror says it can give; 0 if it does not say."""
    sent: int
    """Bytes that its interface has sent since the host's start, as of the last report; 0 if it does not say."""
    traffic: int
    """Bytes a second that it sent between its last two reports; 0 if that is not known."""


class ClaimKind(StrEnum):
    """When a claim counts."""

    LOWERS = "lowers"
    """At once: the mirror has less than what was seen there."""
    RAISES = "raises"
    """When every sampled claim of the same report was found right; from a private mirror at once."""
    SAMPLED = "sampled"
    """It raises, and the prober looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What the last report of a mirror says of one unit, if that differs from what was seen there.

    It is removed when the prober has seen the unit there after the report.
    """

    mirror: str
    category: str
    unit: str
    sha256: str
    """Empty: the mirror says that it does not have the unit."""
    size: int
    received: int
    kind: ClaimKind
