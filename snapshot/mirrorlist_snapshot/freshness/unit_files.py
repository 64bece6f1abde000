"""What metalinks state of the files of units: every version that an offered mirror has. Pure.

A client that reads a metalink rejects a mirror whose file has none of the stated hashes. Declared details win; versions
that they lack are added as alternates, so that a mirror that is late, or ahead of the details, can be used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.model import FileDetails, FileVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mirrorlist_snapshot.freshness.observed import UnitObservation, UnitVersion

MAX_ALTERNATES: Final = 32
"""Per file, as for details that are read from a tree."""


def with_versions(
    files: Mapping[tuple[str, str], FileDetails],
    offered: Iterable[UnitObservation],
    versions: Mapping[tuple[str, str], tuple[UnitVersion, ...]],
) -> Mapping[tuple[str, str], FileDetails]:
    """Return the details with those of units added: the master's current version, and those of the offered mirrors."""
    held: dict[tuple[str, str], set[str]] = {}
    for row in offered:
        held.setdefault((row.category, row.unit), set()).add(row.version)
    added = {
        key: details
        for key, hashes in held.items()
        if (details := _details(files.get(key), hashes, versions.get(key, ()))) is not None
    }
    return {**files, **added} if added else files


def _details(known: FileDetails | None, held: set[str], versions: tuple[UnitVersion, ...]) -> FileDetails | None:
    """Return a file's details with the versions that mirrors hold; None if nothing is to be added."""
    wanted = [_version(one) for one in versions if one.sha256 in held or not one.superseded]
    if known is None:
        if not wanted or versions[0].superseded:  # without the current version, none could be called so
            return None
        return FileDetails(current=wanted[0], alternates=tuple(wanted[1 : MAX_ALTERNATES + 1]))
    stated = {known.current.sha256, *(version.sha256 for version in known.alternates)}
    missing = [version for version in wanted if version.sha256 not in stated]
    room = max(0, MAX_ALTERNATES - len(known.alternates))
    if not missing[:room]:
        return None
    return FileDetails(current=known.current, alternates=(*missing[:room], *known.alternates))


def _version(version: UnitVersion) -> FileVersion:
    return FileVersion(timestamp=version.timestamp, size=version.size, sha256=version.sha256)
