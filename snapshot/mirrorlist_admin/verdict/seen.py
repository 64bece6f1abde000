"""What is known of a unit on a mirror after an answer about it. Pure."""

from __future__ import annotations

from dataclasses import replace
from sys import intern
from typing import TYPE_CHECKING

from mirrorlist_admin.exchange import ABSENT, NOT_MODIFIED
from mirrorlist_admin.store.rows import UnitProbe
from mirrorlist_admin.units import NotThisUnitError, parse
from mirrorlist_admin.verdict.freshness import is_ahead

if TYPE_CHECKING:
    from mirrorlist_admin.exchange import Answer
    from mirrorlist_admin.network import Unit
    from mirrorlist_admin.store.rows import UnitVersion


def never_seen(mirror: str, category: str, unit: str) -> UnitProbe:
    """Return what is known of a unit that was never asked for: it is due."""
    return UnitProbe(
        mirror=mirror,
        category=category,
        unit=unit,
        asked=0,
        due=1,
        step=0,
        etag="",
        modified="",
        conditional=0,
        sha256="",
        size=0,
        stated=0,
        absent=0,
        ahead_since=0,
    )


def after_answer(probe: UnitProbe, kind: str, answer: Answer) -> tuple[UnitProbe, str]:
    """Return what is known after an answer that is no failure, and what is wrong with it: empty if nothing is."""
    if answer.status == NOT_MODIFIED:
        return replace(probe, asked=answer.at, conditional=probe.conditional + 1, absent=0), ""
    if answer.status in ABSENT:
        return _absent(probe, answer.at), f"{answer.status} for {probe.unit}"
    try:
        parsed = parse(kind, answer.head)
    except NotThisUnitError as error:
        return _absent(probe, answer.at), str(error)
    return replace(
        probe,
        asked=answer.at,
        etag=intern(answer.etag),  # a thousand mirrors have the same
        modified=intern(answer.modified),
        conditional=0,
        sha256=intern(answer.sha256),
        size=answer.size,
        stated=parsed.stated,
        absent=0,
    ), ""


def compared(probe: UnitProbe, versions: dict[str, UnitVersion], current: UnitVersion | None) -> UnitProbe:
    """Return what is known with `ahead_since`: since when the version is younger than all that the master has."""
    ahead = current is not None and probe.sha256 and probe.sha256 not in versions and is_ahead(current, probe)
    since = (probe.ahead_since or probe.asked) if ahead else 0
    return probe if since == probe.ahead_since else replace(probe, ahead_since=since)


def due_at_limits(probe: UnitProbe, unit: Unit, lag: int) -> UnitProbe:
    """Return an old version as due when it passes a limit: a mirror is not offered a moment longer than it may be."""
    left = [limit - lag + 1 for limit in (unit.fresh, unit.max_lag) if lag and limit >= lag]
    if not left or (probe.due and probe.due <= probe.asked + min(left)):
        return probe
    return replace(probe, due=probe.asked + min(left))


def _absent(probe: UnitProbe, at: int) -> UnitProbe:
    return replace(probe, asked=at, absent=min(probe.absent + 1, 9), etag="", modified="", conditional=0)
