"""What was observed of mirrors, as frozen values: the state of each URL and of each unit on each mirror.

A *unit* is the smallest thing that can be fresh: an index file that stands for what it lists, such as
`repodata/repomd.xml`. What was never observed has no value here, and is offered as the sources declare it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirrorlist_snapshot.health import Freshness, Reachability

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Freshness",
    "MirrorObservation",
    "Observations",
    "Reachability",
    "UnitObservation",
    "UnitVersion",
    "UrlObservation",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlObservation:
    """The state in force of one base URL of a mirror over one address family."""

    mirror: str
    category: str
    url: str
    family: int
    """4 or 6."""
    state: Reachability
    since: int
    """When the state began, seconds since 1970 UTC; so are all times here."""
    checked: int
    """When the URL was last asked and something could be concluded."""
    reason: str
    """One line for people: `connection refused`, `503 Service Unavailable`; empty if the state is up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitObservation:
    """The state in force of one unit on one mirror."""

    mirror: str
    category: str
    unit: str
    """Path of the unit's file below the category's top."""
    state: Freshness
    since: int
    checked: int
    lag: int
    """Seconds since the mirror's version was superseded on the master; 0 if it has the current one."""
    version: str
    """SHA-256 of the mirror's version, lower-case hexadecimal; empty if it is missing."""
    reason: str
    """One line for people: `repomd.xml of 2026-11-28 03:00, superseded 27 h ago`; empty if the state is fresh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorObservation:
    """What holds for a mirror as a whole."""

    mirror: str
    weight: int
    """Percent of its bandwidth that counts: 100, or less for an hour after it has come back."""
    until: int
    """When `weight` ends by itself, or 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitVersion:
    """A version of a unit's file."""

    sha256: str
    size: int
    """Bytes."""
    timestamp: int
    """The time that the file itself states, else when it appeared on the master."""
    superseded: int
    """When the master was first seen with another version; 0 if this is the current one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """Everything that was observed and is in force at one moment."""

    taken: int
    """When the last run of the prober ended that was not void."""
    urls: tuple[UrlObservation, ...]
    units: tuple[UnitObservation, ...]
    mirrors: tuple[MirrorObservation, ...]
    covers: Mapping[tuple[str, str], tuple[str, ...]]
    """(category, unit) -> directories below the category's top for which the unit stands.

    Each stands for all below it, up to a directory for which another unit stands. A unit that stands for none, such as
    a stamp, decides nothing.
    """
    versions: Mapping[tuple[str, str], tuple[UnitVersion, ...]]
    """(category, unit) -> the versions that the master has or had, the current one first, then newest first."""
