"""The rows of the prober's own tables, as frozen values. All times are seconds since 1970 UTC; 0 stands for never.

The tables of what is in force are in `mirrorlist_snapshot.freshness`. The tables here hold what the prober has seen,
before the brake: from these two follows what is held back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mirrorlist_snapshot.freshness.observed import Reachability  # noqa: TC001 - `Table` looks at the types of fields


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedUnit:
    """A unit that the prober compares: what it is, and when the master was last read."""

    category: str
    unit: str
    """Path of the unit's file below the category's top."""
    kind: str
    """The name of a parser of `units`: `repomd`, `release`, `stamp`, ..."""
    current: str
    """SHA-256 of the master's version, lower-case hexadecimal; empty if the master does not have the unit."""
    checked: int
    """When the master was last asked for it and answered."""
    etag: str
    modified: str
    """Validators of the master's last answer, for the next conditional request; empty if it is a local folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitVersion:
    """A version of a unit that the master has or had."""

    category: str
    unit: str
    sha256: str
    size: int
    """Bytes."""
    stated: int
    """The time that the file itself states; 0 if it states none."""
    first_seen: int
    """When it appeared on the master, as near as can be told: not before its own times, not after it was seen."""
    superseded: int
    """When the master was first seen with another version; 0 if this is the current one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlProbe:
    """What was seen of one base URL of a mirror over one address family, before the brake."""

    mirror: str
    category: str
    url: str
    family: int
    state: Reachability
    """What the prober believes, before the brake."""
    since: int
    asked: int
    """When it was last asked and answered, or failed by its own fault."""
    good: int
    """Good answers in a row, counted up to 2."""
    failures: int
    """Failures in a row."""
    first_failure: int
    """When these began."""
    answering_since: int
    """When it began to answer again after it was down; 0 if it is up, or does not answer."""
    cause: str
    """The class of the last failure: `refused`, `timeout`, `status 503`; empty after a good answer."""
    evidence: str
    """One line for people: `connection refused by 192.0.2.1`."""
    changes: int
    """Changes between up and down since `changes_since`."""
    changes_since: int
    outside_until: int
    """It stays down until then although it answers, as it has changed too often."""
    negative: int
    """When a name that does not exist was last asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitProbe:
    """What was seen of one unit on one mirror, before the brake."""

    mirror: str
    category: str
    unit: str
    asked: int
    """When the mirror last gave an answer about it."""
    due: int
    """When it is to be asked next out of turn; 0 if it only waits for its turn."""
    step: int
    """How often it was asked in vain since the master changed: the pause doubles."""
    etag: str
    modified: str
    conditional: int
    """Conditional requests since the last unconditional one."""
    sha256: str
    """SHA-256 of the version that the mirror has; empty if it was never seen or is missing."""
    size: int
    stated: int
    """The time that the mirror's file itself states; 0 if it states none."""
    absent: int
    """Answers of 404, or with something else than the unit, in a row."""
    ahead_since: int
    """Since when the mirror has a version that is younger than any of the master's; 0 if it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorProbe:
    """What holds for requests to a mirror, and for the mirror as a whole."""

    mirror: str
    allowance: float
    """Requests that may be sent at `allowance_at`: a bucket that drips full."""
    allowance_at: int
    quiet_until: int
    """The mirror asked not to be asked before then (Retry-After)."""
    usual_lag: int
    """Seconds that the mirror usually needs after a change of the master: a moving average."""
    back_since: int
    """When the mirror came back after it was down; 0 if it has had its whole weight for an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """When a mirror was first seen with a version of a unit."""

    category: str
    unit: str
    sha256: str
    mirror: str
    seen: int


class Subject(StrEnum):
    """What an event or a held removal is about."""

    URL = "url"
    UNIT = "unit"
    MIRROR = "mirror"
    MASTER = "master"
    RUN = "run"
    REPORT = "report"
    PUBLICATION = "publication"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened and explains a state. Events are only ever added."""

    at: int
    mirror: str
    """Empty if it concerns no single mirror."""
    category: str
    subject: Subject
    name: str
    """What has changed: a URL with its family (`https://m.example/ v6`), a unit, a serial."""
    before: str
    after: str
    cause: str
    """The rule, one line for people: `third failure in 80 s`."""
    evidence: str
    """What was seen, one line for people: `connection refused by 192.0.2.1`."""
    by: str
    """`prober`, `check-in`, or a person's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRemoval:
    """A removal that the brake holds back until a later run confirms it."""

    mirror: str
    category: str
    subject: Subject
    name: str
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of the prober that has ended."""

    began: int
    ended: int
    void: str
    """Why nothing was concluded from it; empty if it counts."""
    requests: int
    mirrors: int
    changes: int
    """Changes of what is in force."""
    held: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSnapshot:
    """A snapshot that the prober published."""

    at: int
    serial: int
    digest: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DueUnit:
    """A unit that somebody asks to be fetched from a mirror soon; the prober removes the row when it is judged."""

    mirror: str
    category: str
    unit: str
    due: int
    reason: str
    """`report`: a sample of a report; `sweep`: the report was wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitStart:
    """The first bytes of a version on the master, over which a report answers a nonce."""

    category: str
    unit: str
    sha256: str
    kept: int
    """When it was stored; versions that were superseded days ago are forgotten."""
    data: bytes
    """At most `UNIT_START_BYTES`."""


UNIT_START_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredMirror:
    """A mirror of the sources at the last run."""

    mirror: str
    country: str
    """Empty if none is known."""
    bandwidth: int
    """Mbit/s."""
    private: int
    """1 or 0."""
    active: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredUrl:
    """A base URL of a mirror in the sources at the last run."""

    mirror: str
    category: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedUnit:
    """A unit that a mirror is expected to have, by the sources at the last run."""

    mirror: str
    category: str
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryUnit:
    """The unit of a repository and architecture in the sources at the last run."""

    repository: str
    arch: str
    category: str
    directory: str
    unit: str
    fresh: int
    max_lag: int
