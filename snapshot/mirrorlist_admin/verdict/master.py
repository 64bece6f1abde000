"""What follows from reading a unit on the master: its versions, and whether the master went backwards. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mirrorlist_admin.store.rows import UnitVersion, WatchedUnit
from mirrorlist_admin.units import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Reading:
    """A unit as the master has it."""

    sha256: str
    size: int
    stated: int
    modified: int
    """When the file was last modified; 0 if that is not known."""
    etag: str
    last_modified: str
    start: bytes
    """Its first bytes; empty if it is unchanged."""


@dataclass(frozen=True, slots=True)
class Change:
    """What follows."""

    watched: WatchedUnit
    versions: list[UnitVersion]
    """New and changed ones."""
    is_new: bool
    """Whether the master has another version than before."""
    backwards: str
    """How the master went backwards; empty if it did not."""


def after_reading(
    key: tuple[str, str],
    before: WatchedUnit | None,
    versions: Mapping[str, UnitVersion],
    reading: Reading,
    now: int,
) -> Change:
    """Compare what was read with what is known.

    A new version is as old as the file's own times say, but not older than the last look at the old version.
    """
    watched = WatchedUnit(
        category=key[0],
        unit=key[1],
        kind=kind_of(key[1]),
        current=reading.sha256,
        checked=now,
        etag=reading.etag,
        modified=reading.last_modified,
    )
    current = versions.get(before.current) if before is not None and before.current else None
    if current is not None and current.sha256 == reading.sha256:
        return Change(watched, [], is_new=False, backwards="")
    since = before.checked if before is not None and current is not None else 0
    own = max(reading.stated, reading.modified) or now
    first_seen = min(now, max(own, since))
    version = UnitVersion(
        category=key[0],
        unit=key[1],
        sha256=reading.sha256,
        size=reading.size,
        stated=reading.stated,
        first_seen=first_seen,
        superseded=0,
    )
    if current is None:
        return Change(watched, [version], is_new=True, backwards="")
    backwards = ""
    if reading.stated and current.stated and reading.stated < current.stated:
        backwards = f"{key[1]} states an older time than before"
    elif reading.sha256 in versions:
        backwards = f"{key[1]} is an earlier version again"
    return Change(watched, [replace(current, superseded=first_seen), version], is_new=True, backwards=backwards)


def gone(before: WatchedUnit, now: int) -> WatchedUnit:
    """Return a unit that the master does not have any more."""
    return replace(before, current="", checked=now, etag="", modified="")
