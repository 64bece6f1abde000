"""The versions of a file that a snapshot states: the one just found, and those of the previous snapshot. Pure.

Mirrors lag behind. A client that knows only the newest hashes of a file rejects every mirror that does not have it yet.
A replaced version therefore stays an *alternate* for some days. The time of replacement is not recorded anywhere; it is
taken to be the timestamp of the version that replaced it. So equal inputs always give equal alternates, and a new
version with an old timestamp (composed weeks before its release) shortens the time of the version that it replaces.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.model import FileDetails

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mirrorlist_snapshot.model import FileVersion, Snapshot
    from mirrorlist_snapshot.records import NetworkRecords

MAX_ALTERNATES: Final = 32
"""Per file: a week of four updates a day, and at most some 20 kB of metalink; the oldest are dropped first."""
HASHES: Final = ("md5", "sha1", "sha256", "sha512")
"""The fields of FileVersion that identify contents."""


@dataclass(frozen=True, slots=True)
class PreviousFiles:
    """The file details of the previous snapshot, looked up by name of the category."""

    snapshot: Snapshot | None
    """None if there is no previous one."""
    _numbers: dict[str, int]

    @classmethod
    def of(cls, snapshot: Snapshot | None) -> PreviousFiles:
        """Index the categories of a snapshot by name."""
        categories = () if snapshot is None else snapshot.categories
        return cls(snapshot, {category.name: number for number, category in enumerate(categories)})

    def find(self, category: str, path: str) -> FileDetails | None:
        """Return the details of a file by its path below the category's top; None if there are none."""
        number = self._numbers.get(category)
        if self.snapshot is None or number is None:
            return None
        return self.snapshot.files.get(number.to_bytes(2, "big") + path.encode())


def directories_of(records: NetworkRecords, category: str) -> list[str]:
    """Return the directories of a category, sorted: those of repositories and, if it is listed, its own."""
    paths = {
        place.path
        for repository in records.repositories
        for place in repository.directories
        if place.category == category
    }
    return sorted(paths.union(records.directories.get(category, ())))


def with_file_details(  # noqa: PLR0913 - each is an input of one rule
    records: NetworkRecords,
    found: Mapping[tuple[str, str], FileVersion],
    unread: Iterable[tuple[str, str]],
    earlier: PreviousFiles,
    *,
    built: int,
    keep: int,
) -> NetworkRecords:
    """Return the records with details of `found` files, (category, path) -> version; details in the records win.

    Files in `unread` exist but could not be read; they keep their previous details. `built` is the new snapshot's time
    in seconds since 1970 UTC, `keep` the seconds for which a replaced version stays an alternate.
    """
    files = dict(records.files)
    known = {key: (version, earlier.find(*key)) for key, version in found.items()}
    known |= {key: (before.current, before) for key in unread if (before := earlier.find(*key)) is not None}
    for key, (version, before) in known.items():
        files.setdefault(key, with_alternates(version, before, built=built, keep=keep))
    return replace(records, files=files)


def with_alternates(current: FileVersion, before: FileDetails | None, *, built: int, keep: int) -> FileDetails:
    """Return the current version with the earlier ones that were replaced less than `keep` seconds before `built`.

    No content is repeated: a version that has returned is the current one and no alternate. At most MAX_ALTERNATES are
    kept.
    """
    versions = [current]
    for version in (before.current, *before.alternates) if before is not None else ():
        if not any(same_content(version, newer) for newer in versions):
            versions.append(version)
    kept: list[FileVersion] = []
    replaced = 0
    # From the oldest to the newest. A version cannot have been replaced before it existed, nor before its predecessor
    # was: files restored from a backup have old timestamps.
    for newer, version in reversed(list(pairwise(versions[: MAX_ALTERNATES + 1]))):
        replaced = max(replaced, version.timestamp, newer.timestamp)
        if max(0, built - replaced) < keep:
            kept.append(version)
    return FileDetails(current=current, alternates=tuple(reversed(kept)))


def same_content(one: FileVersion, other: FileVersion) -> bool:
    """Whether two versions are the same bytes: by size and common hashes, or without common hashes by size and time."""
    pairs = [(getattr(one, name), getattr(other, name)) for name in HASHES]
    common = [(left, right) for left, right in pairs if left is not None and right is not None]
    if one.size != other.size:
        return False
    return all(left == right for left, right in common) if common else one.timestamp == other.timestamp
