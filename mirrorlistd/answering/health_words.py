"""What was observed of a mirror, in words: why it is left out of a list, and what is old about it. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mirrorlist_snapshot.health import Freshness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlist_snapshot.health import MirrorHealth, OldUnit


def instant(seconds: int) -> str:
    """Return a time, in seconds since 1970 UTC, for people: `2026-11-29 03:12 UTC`."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def left_out(health: MirrorHealth | None, category: str, path: str) -> str | None:
    """Return why a mirror that is no carrier of a path of a category is left out; None if that was not observed."""
    if health is None:
        return None
    old = _nearest(health, category, path)
    if old and not old.offered:
        return f"left out: {_old(old)}"
    return _down(health, category)


def left_out_url(health: MirrorHealth | None, category: str, protocols: Sequence[str]) -> str | None:
    """Return why a mirror has none of some protocols for a category; None if that was not observed."""
    return None if health is None else _down(health, category, protocols)


def remark(health: MirrorHealth | None, category: str, path: str) -> str | None:
    """Return what is to be known about a mirror that is offered for a path; None if it has the current version."""
    old = None if health is None else _nearest(health, category, path)
    if old is None or not old.offered:
        return None
    return _old(old) + ("" if old.state is Freshness.LATE else "; offered, as no mirror has a newer version")


def _down(health: MirrorHealth, category: str, protocols: Sequence[str] = ()) -> str | None:
    for one in health.down:
        protocol = one.url.partition("://")[0]
        if one.category == category and one.family == 0 and (not protocols or protocol in protocols):
            return f"left out: {protocol} down since {instant(one.since)}{_reason(one.reason)}"
    return None


def _old(old: OldUnit) -> str:
    return f"{old.state} since {instant(old.since)}{_reason(old.reason or old.unit.path)}"


def _reason(text: str) -> str:
    return f" ({text})" if text else ""


def _nearest(health: MirrorHealth, category: str, path: str) -> OldUnit | None:
    """Return the old unit whose directory is the path or its nearest ancestor; of several, one that is left out."""
    above = path
    while True:
        found = [one for one in health.old if one.unit.category == category and above in one.unit.directories]
        if found:
            return min(found, key=lambda one: one.offered)
        if not above:
            return None
        above = above.rpartition("/")[0]
