"""How old the version of a unit is that a mirror has. Pure.

The *lag* is the time since the mirror's version was superseded on the master, not the age of the version: a quiet tree
is never old. A version that the master was never seen with is younger than all (then the mirror is *ahead*: the master
is read again, and nothing is concluded), or it is at least as old as the oldest version known.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from mirrorlist_admin.units import STAMP
from mirrorlist_snapshot.duration import in_words
from mirrorlist_snapshot.freshness.observed import Freshness

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirrorlist_admin.network import Unit
    from mirrorlist_admin.store.rows import UnitProbe, UnitVersion

ABSENCES: Final = 2
"""Answers in a row without the unit that make it missing."""
AHEAD_FOR: Final = 6 * 3600
"""Seconds for which a version may be younger than all of the master's; then it is one that the master never had."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The state that a unit has by what was seen."""

    state: Freshness
    lag: int
    """Seconds."""
    reason: str
    """One line for people; empty if it is fresh."""


CURRENT: Final = Judgement(Freshness.FRESH, 0, "")
"""The state of a unit in the master's version."""


def is_ahead(current: UnitVersion, probe: UnitProbe) -> bool:
    """Whether an unknown version states a later time than the master's current one."""
    return bool(probe.stated and current.stated and probe.stated > current.stated)


def judge(probe: UnitProbe, versions: Mapping[str, UnitVersion], current: UnitVersion, unit: Unit) -> Judgement | None:
    """Judge a unit by the last answer about it; None if nothing can be concluded.

    `versions` are those that the master has or had, by SHA-256; `current` is the one that it has.
    """
    name, fresh, max_lag = probe.unit.rpartition("/")[2] or probe.unit, unit.fresh, unit.max_lag
    if probe.absent >= ABSENCES:
        return Judgement(Freshness.MISSING, 0, f"{name} is not there")
    if probe.absent or not probe.sha256:
        return None
    known = versions.get(probe.sha256)
    if known is not None:
        lag = max(0, probe.asked - known.superseded) if known.superseded else 0
        return _by_lag(lag, known.stated or known.first_seen, name, fresh, max_lag)
    if unit.kind == STAMP and probe.stated:  # a stamp that each mirror writes for itself
        lag = max(0, probe.asked - probe.stated)
        return _by_lag(lag, probe.stated, name, fresh, max_lag)
    if is_ahead(current, probe):
        if not probe.ahead_since or probe.asked - probe.ahead_since < AHEAD_FOR:
            return None
        return Judgement(Freshness.STALE, 0, f"{name} of {_time(probe.stated)}, which the master never had")
    if probe.stated and any(version.stated == probe.stated for version in versions.values()):
        return Judgement(
            Freshness.STALE, 0, f"{name} differs from the master's of the same time, {_time(probe.stated)}"
        )
    younger = [version for version in versions.values() if not probe.stated or version.stated > probe.stated]
    oldest = min((version.first_seen for version in younger), default=current.first_seen)
    return _by_lag(max(0, probe.asked - oldest), probe.stated, name, fresh, max_lag)


def _by_lag(lag: int, time: int, name: str, fresh: int, max_lag: int) -> Judgement:
    if lag <= fresh:
        return Judgement(Freshness.FRESH, lag, "") if lag else CURRENT
    version = f"{name} of {_time(time)}" if time else name
    state = Freshness.LATE if lag <= max_lag else Freshness.STALE
    return Judgement(state, lag, f"{version}, superseded {in_words(lag)} ago")


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
