"""Which versions of a file a snapshot states: what was just found, and what the snapshot before knew. Pure.

Mirrors lag behind. A client that knows only the newest hashes of a file rejects every mirror that does not have it yet,
so a version that was replaced stays an *alternate* for some days from then on. Nothing records when a mirror network
first saw a version; the time at which a version was replaced is taken to be the timestamp of the one that replaced it.
Two consequences: a new version that is old by its own timestamp (composed weeks before its release) ages out what it
replaces sooner, and the same inputs give the same alternates at any time.
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
"""Per file: a week of four updates a day, and a metalink of at most some 20 kB; the oldest go first."""
HASHES: Final = ("md5", "sha1", "sha256", "sha512")
"""The fields of FileVersion that tell contents apart."""


@dataclass(frozen=True, slots=True)
class PreviousFiles:
    """What a snapshot said about files, asked by names: its numbers are its own."""

    snapshot: Snapshot | None
    """None where there is no earlier one."""
    _numbers: dict[str, int]

    @classmethod
    def of(cls, snapshot: Snapshot | None) -> PreviousFiles:
        """Make a snapshot's files findable by category name."""
        categories = () if snapshot is None else snapshot.categories
        return cls(snapshot, {category.name: number for number, category in enumerate(categories)})

    def find(self, category: str, path: str) -> FileDetails | None:
        """Look up a file by the path below its category's top; None where nothing was said."""
        number = self._numbers.get(category)
        if self.snapshot is None or number is None:
            return None
        return self.snapshot.files.get(number.to_bytes(2, "big") + path.encode())


def directories_of(records: NetworkRecords, category: str) -> list[str]:
    """List the directories of a category that records name, sorted: repositories' and, where listed, the category's."""
    paths = {
        place.path
        for repository in records.repositories
        for place in repository.directories
        if place.category == category
    }
    return sorted(paths.union(records.directories.get(category, ())))


def with_file_details(  # noqa: PLR0913 - one input each of one rule
    records: NetworkRecords,
    found: Mapping[tuple[str, str], FileVersion],
    unread: Iterable[tuple[str, str]],
    earlier: PreviousFiles,
    *,
    built: int,
    keep: int,
) -> NetworkRecords:
    """Add details of files, (category, path) -> version, that the records have none of; what they have wins.

    Files in `unread` are there but could not be read: what was said before stays, rather than nothing. `built` is the
    new snapshot's time in seconds since 1970 UTC, `keep` the seconds that a replaced version stays an alternate.
    """
    files = dict(records.files)
    known = {key: (version, earlier.find(*key)) for key, version in found.items()}
    known |= {key: (before.current, before) for key in unread if (before := earlier.find(*key)) is not None}
    for key, (version, before) in known.items():
        files.setdefault(key, with_alternates(version, before, built=built, keep=keep))
    return replace(records, files=files)


def with_alternates(current: FileVersion, before: FileDetails | None, *, built: int, keep: int) -> FileDetails:
    """Give the current version with the earlier ones that were replaced less than `keep` seconds before `built`.

    No content is repeated: a version that came back is current and no alternate. At most MAX_ALTERNATES are kept.
    """
    versions = [current]
    for version in (before.current, *before.alternates) if before is not None else ():
        if not any(same_content(version, newer) for newer in versions):
            versions.append(version)
    kept: list[FileVersion] = []
    replaced = 0
    # From the oldest on. Nothing was replaced before it existed or before what it had itself replaced was: files that
    # are restored from a backup bring old timestamps.
    for newer, version in reversed(list(pairwise(versions[: MAX_ALTERNATES + 1]))):
        replaced = max(replaced, version.timestamp, newer.timestamp)
        if max(0, built - replaced) < keep:
            kept.append(version)
    return FileDetails(current=current, alternates=tuple(reversed(kept)))


def same_content(one: FileVersion, other: FileVersion) -> bool:
    """Tell whether two versions are the same bytes: by size and the hashes known of both, else by size and time."""
    pairs = [(getattr(one, name), getattr(other, name)) for name in HASHES]
    common = [(left, right) for left, right in pairs if left is not None and right is not None]
    if one.size != other.size:
        return False
    return all(left == right for left, right in common) if common else one.timestamp == other.timestamp
