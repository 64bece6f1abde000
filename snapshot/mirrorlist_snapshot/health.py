"""Health: what was last observed of a mirror, as a snapshot tells it to people. Frozen values.

It explains what is left out of lists and why; lists themselves are made from carrier sets and URLs alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ROWS: Final = 1_000_000
"""URLs, old units and lags of all mirrors together."""
MAX_UNITS: Final = 200_000
"""Units, and directories for which they stand."""


class Reachability(StrEnum):
    """Whether a URL answers."""

    UP = "up"
    SUSPECT = "suspect"
    """It failed once or twice; it is still offered."""
    DOWN = "down"
    """It is not offered."""


class Freshness(StrEnum):
    """How old the version of a unit is that a mirror has."""

    FRESH = "fresh"
    LATE = "late"
    """Older than `fresh`, not older than `max_lag`: still offered."""
    STALE = "stale"
    """Not offered."""
    MISSING = "missing"
    """Not there: two answers of 404. Not offered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DownUrl:
    """A base URL that does not answer."""

    category: str
    url: str
    family: int
    """0: over every address family that was asked, so it is not offered; 4 or 6: over this one alone."""
    since: int
    """Seconds since 1970 UTC; so are all times here."""
    reason: str
    """One line for people, possibly empty: `connection refused`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """An index file that stands for what it lists."""

    category: str
    path: str
    """Of the file, below the category's top."""
    directories: tuple[str, ...]
    """What it stands for, each with all below it up to a directory with another unit; sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OldUnit:
    """A unit of which a mirror lacks the current version."""

    unit: Unit
    state: Freshness
    """Not fresh."""
    offered: bool
    """Always if late; a stale or missing one only if no mirror has a newer version."""
    since: int
    lag: int
    """Seconds since the mirror's version was superseded on the master."""
    reason: str
    """One line for people, possibly empty: `repomd.xml of 2026-11-28 03:00, superseded 27 h ago`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorHealth:
    """What was observed of one mirror."""

    checked: int
    """When it was last asked and something could be concluded."""
    families: tuple[int, ...] = ()
    """The address families over which it answers, 4 before 6."""
    weight: int = 100
    """Percent of its bandwidth that counts; the bandwidth in the snapshot is reduced already."""
    until: int = 0
    """When `weight` ends by itself, or 0."""
    lags: Mapping[str, int] = field(default_factory=dict[str, int])
    """Repository -> the worst lag of its directories, in seconds, 0 if it is current; only what was seen."""
    down: tuple[DownUrl, ...] = ()
    old: tuple[OldUnit, ...] = ()
