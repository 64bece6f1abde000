"""Mirrors that have only some architectures of a category: by excluded directories, or by parts of the category. Pure.

Where an architecture has directories of its own, a mirror without it excludes these. Where architectures share a
directory (Debian's `pool/` has packages of all of them), no path says which of them a mirror has. The category then
gets a *part* for each such architecture: the same tree with the same URLs, on the mirrors that have the architecture.
The directory of the architecture lies in the part; a request that names no architecture gets the whole.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from mirrorlist_snapshot.records import RepositoryDirectoryRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mirrorlist_snapshot.model import FileDetails
    from mirrorlist_snapshot.records import ContentRecord, MirrorRecord, NetworkRecords, RepositoryRecord


class _Place(NamedTuple):
    """A directory of an architecture."""

    category: str
    arch: str
    path: str


def split_by_architecture(records: NetworkRecords) -> NetworkRecords:
    """Return the records with `ContentRecord.arches` worked into excludes and parts of categories."""
    partial = {
        content.category for mirror in records.mirrors for content in mirror.contents if content.arches is not None
    }
    if not partial:
        return records
    places: dict[str, set[_Place]] = {}
    for repository in records.repositories:
        for directory in repository.directories:
            if directory.category in partial:
                place = _Place(directory.category, directory.arch, directory.path)
                places.setdefault(directory.category, set()).add(place)
    shared = {
        place
        for mirror in records.mirrors
        for content in mirror.contents
        for place in _lacking(content, places)
        if not _is_own(place, content, places)
    }
    part_of = {_part(place): place.category for place in sorted(shared)}
    kinds = {category.name: category for category in records.categories}
    return replace(
        records,
        categories=(
            *records.categories,
            *(replace(kinds[whole], name=part, part_of=whole) for part, whole in part_of.items()),
        ),
        mirrors=tuple(_mirror(mirror, places, shared) for mirror in records.mirrors),
        repositories=tuple(_repository(repository, shared) for repository in records.repositories),
        directories={
            **records.directories,
            **{part: records.directories[whole] for part, whole in part_of.items() if whole in records.directories},
        },
        files={**records.files, **dict(_files(records.files, shared))},
    )


def _part(place: _Place) -> str:
    return f"{place.category} {place.arch}"  # a source's names have no spaces


def _lacking(content: ContentRecord, places: Mapping[str, set[_Place]]) -> Iterator[_Place]:
    """Yield the directories of the architectures that a mirror does not have."""
    if content.arches is not None:
        yield from (
            place for place in places.get(content.category, ()) if place.arch and place.arch not in content.arches
        )


def _is_own(place: _Place, content: ContentRecord, places: Mapping[str, set[_Place]]) -> bool:
    """Whether a directory holds nothing of what the mirror has: it can be excluded."""
    return bool(place.path) and not any(
        other.path == place.path or other.path.startswith(f"{place.path}/")
        for other in places[place.category]
        if not other.arch or content.arches is None or other.arch in content.arches
    )


def _mirror(mirror: MirrorRecord, places: Mapping[str, set[_Place]], shared: set[_Place]) -> MirrorRecord:
    contents: list[ContentRecord] = []
    for content in mirror.contents:
        own = {place.path for place in _lacking(content, places) if _is_own(place, content, places)}
        whole = replace(content, exclude=tuple(sorted({*content.exclude, *own})), arches=None)
        parts = {
            _part(place)
            for place in shared
            if place.category == content.category and (content.arches is None or place.arch in content.arches)
        }
        contents += [whole, *(replace(whole, category=part) for part in sorted(parts))]
    return replace(mirror, contents=tuple(contents))


def _repository(repository: RepositoryRecord, shared: set[_Place]) -> RepositoryRecord:
    directories = tuple(
        replace(one, category=_part(place)) if (place := _Place(one.category, one.arch, one.path)) in shared else one
        for one in repository.directories
    )
    places = {(one.category, one.path) for one in repository.directories}
    if directories == repository.directories or len(places) > 1:
        return replace(repository, directories=directories)
    ((category, path),) = places
    whole = RepositoryDirectoryRecord(arch="", category=category, path=path)
    return replace(repository, directories=(whole, *directories))


def _files(
    files: Mapping[tuple[str, str], FileDetails], shared: Iterable[_Place]
) -> Iterator[tuple[tuple[str, str], FileDetails]]:
    """Yield the files of the shared directories once more, in the parts."""
    for place in shared:
        below = f"{place.path}/" if place.path else ""
        for (category, path), details in files.items():
            if category == place.category and path.startswith(below):
                yield (_part(place), path), details
