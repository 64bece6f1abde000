"""Turn one checked description into NetworkRecords: resolve shorthands, fill in defaults, share equal carrier sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.model import About, CategoryKind, ClientNetblock, Families, FileDetails, Overrides
from mirrorlist_snapshot.records import (
    DEFAULT_FRESH,
    DEFAULT_MAX_LAG,
    CategoryRecord,
    ContentRecord,
    MirrorRecord,
    NetworkRecords,
    RepositoryDirectoryRecord,
    RepositoryRecord,
)
from mirrorlist_snapshot.source import rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mirrorlist_snapshot.errors import Complaint
    from mirrorlist_snapshot.source.merging import MergedSources, SourceRecord
    from mirrorlist_snapshot.source.schema import (
        AboutTable,
        CategoryFile,
        CategoryTable,
        ContentTable,
        MirrorTable,
        RepositoryTable,
    )


_FAMILY: Final = {"ipv4": Families.IPV4, "ipv6": Families.IPV6}
Files = dict[tuple[str, str], FileDetails]
"""(category, path of the file below its top) -> its details."""


def assemble(merged: MergedSources, files: Files) -> NetworkRecords:
    """Return the records of a description without mistakes."""
    return NetworkRecords(
        categories=tuple(
            CategoryRecord(
                name=name,
                kind=CategoryKind(entry.value.kind),
                top=name if entry.value.top is None else entry.value.top,
                master=entry.value.master,
                stamp=entry.value.stamp,
            )
            for name, entry in merged.categories.items()
        ),
        mirrors=tuple(_mirror(name, entry.value) for name, entry in merged.mirrors.items()),
        repositories=tuple(
            RepositoryRecord(name=name, disabled=entry.value.disabled, directories=_repository_directories(entry.value))
            for name, entry in merged.repositories.items()
            if entry.value.alias is None
        ),
        aliases={
            name: entry.value.alias for name, entry in merged.repositories.items() if entry.value.alias is not None
        },
        directories={
            name: _directories(merged, name)
            for name, entry in merged.categories.items()
            if entry.value.kind == "listed"
        },
        files=files,
        overrides=Overrides(
            continents={country: entry.value for country, entry in merged.continents.items()},
            neighbours={
                country: tuple(tuple(group) for group in entry.value) for country, entry in merged.neighbours.items()
            },
            never_served={country: tuple(sorted(set(entry.value))) for country, entry in merged.never_served.items()},
        ),
        netblock_countries={prefix: entry.value for prefix, entry in merged.netblocks.items()},
        asn_netblocks={},
        contact=next((entry.value for entry in merged.contact.values()), None),
    )


def _mirror(name: str, mirror: MirrorTable) -> MirrorRecord:
    return MirrorRecord(
        name=name,
        country=mirror.country,
        continent=mirror.continent if mirror.country is None else None,
        worldwide=mirror.worldwide,
        also_countries=tuple(sorted(set(mirror.also_countries))),
        about=_about(mirror.about),
        bandwidth=mirror.bandwidth,
        asns=tuple(sorted(set(mirror.asns))),
        netblocks=tuple(
            ClientNetblock(prefix=net.prefix, exclusive=net.exclusive)
            for net in {net.prefix: net for net in mirror.netblocks}.values()
        ),
        private=mirror.private,
        fallback=mirror.fallback,
        active=mirror.active,
        allowed_countries=tuple(sorted(set(mirror.allowed_countries))),
        denied_countries=tuple(sorted(set(mirror.denied_countries))),
        contents=tuple(_content(category, content) for category, content in mirror.categories.items()),
    )


def _content(category: str, content: ContentTable) -> ContentRecord:
    return ContentRecord(
        category=category,
        urls=tuple(content.urls),
        include=tuple(sorted(set(content.include))),
        exclude=tuple(sorted(set(content.exclude))),
        arches=None if content.arches is None else tuple(sorted(set(content.arches))),
        families=Families(sum(_FAMILY[name] for name in set(content.families))),
    )


def _about(table: AboutTable) -> About:
    """Return what is public."""
    sponsor = table.sponsor
    return About(
        sponsor=sponsor.name if sponsor else "",
        sponsor_url=(sponsor.url if sponsor else None) or "",
        sponsor_logo=(sponsor.logo if sponsor else None) or "",
        city=table.city,
        latitude=table.latitude,
        longitude=table.longitude,
        notes=table.notes,
    )


def _repository_directories(repository: RepositoryTable) -> tuple[RepositoryDirectoryRecord, ...]:
    path = repository.path or ""
    if not repository.arches:
        places = [("", repository.category, path)]
    else:
        places = [
            (
                arch,
                place.category or repository.category,
                (path if place.path is None else place.path).replace("{arch}", arch),
            )
            for arch, place in repository.arches.items()
        ]
    return tuple(
        RepositoryDirectoryRecord(
            arch=arch,
            category=category or "",
            path=directory,
            unit=repository.unit,
            fresh=DEFAULT_FRESH if repository.fresh is None else repository.fresh,
            max_lag=DEFAULT_MAX_LAG if repository.max_lag is None else repository.max_lag,
        )
        for arch, category, directory in places
    )


def _directories(merged: MergedSources, category: str) -> dict[str, frozenset[str]]:
    """Return the directories of a listed category with the mirrors that hold each; equal sets are one object."""
    everyone: list[str] = []
    listed: dict[str, list[str]] = {}
    for name, mirror in merged.mirrors.items():
        content = mirror.value.categories.get(category)
        if content is None:
            continue
        if content.directories is None:
            everyone.append(name)
        else:
            for directory in set(content.directories):
                listed.setdefault(directory, []).append(name)
    common = set(merged.categories[category].value.directories)
    shared: dict[tuple[bool, tuple[str, ...]], frozenset[str]] = {}
    found: dict[str, frozenset[str]] = {}
    for directory in common | listed.keys():
        key = (directory in common, tuple(listed.get(directory, ())))
        if key not in shared:
            shared[key] = frozenset(key[1]).union(everyone if key[0] else ())
        found[directory] = shared[key]
    return found


def file_details(merged: MergedSources) -> tuple[Files, list[Complaint]]:
    """Return every file's details. Mistakes are a second, different description, and a file that is a directory."""
    found: Files = {}
    first: dict[tuple[str, str], tuple[SourceRecord[CategoryTable] | SourceRecord[RepositoryTable], int]] = {}
    complaints: list[Complaint] = []
    for key, details, entry, position in _described(merged):
        if found.setdefault(key, details) == details:
            first.setdefault(key, (entry, position))
            continue
        other, number = first[key]
        place = other.place("files", number)
        complaints.append(
            entry.error(f"{rules.shown(key[1])} has other details in {place}; keep one of them", "files", position)
        )
    directories = _known_directories(merged, found)
    for key, (entry, position) in first.items():
        if (reason := directories.get(key)) is not None:
            message = f"{rules.shown(key[1])} is a file here and a directory elsewhere: {reason}; rename one of them"
            complaints.append(entry.error(message, "files", position))
    return found, complaints


def _known_directories(merged: MergedSources, files: Files) -> dict[tuple[str, str], str]:
    """Return the paths that sources name as directories, by category, each with the reason."""
    found: dict[tuple[str, str], str] = {}
    for name, repository in merged.repositories.items():
        if repository.value.alias is None and not repository.flawed:
            for place in _repository_directories(repository.value):
                found.setdefault((place.category, place.path), f"the repository {rules.shown(name)} is there")
    for category, entry in merged.categories.items():
        for path in entry.value.directories:
            found.setdefault((category, path), "the category lists it")
    for name, mirror in merged.mirrors.items():
        for category, content in mirror.value.categories.items():
            for path in content.directories or ():
                found.setdefault((category, path), f"the mirror {rules.shown(name)} lists it")
    return _with_ancestors(found, files)


def _with_ancestors(directories: Mapping[tuple[str, str], str], files: Files) -> dict[tuple[str, str], str]:
    found = dict(directories)
    for category, file in [*directories, *files]:
        path = file.rpartition("/")[0]
        while path and (category, path) not in found:
            found[category, path] = f"{rules.shown(file)} is below it"
            path = path.rpartition("/")[0]
    return found


def _described(
    merged: MergedSources,
) -> Iterator[tuple[tuple[str, str], FileDetails, SourceRecord[CategoryTable] | SourceRecord[RepositoryTable], int]]:
    for name, category in merged.categories.items():
        for position, file in enumerate(category.value.files):
            yield (name, file.path), _details(file), category, position
    for repository in merged.repositories.values():
        places = {place.arch: place for place in _repository_directories(repository.value)}
        for position, file in enumerate(repository.value.files):
            place = next(iter(places.values())) if file.arch is None else places.get(file.arch)
            if place is None or repository.flawed:
                continue  # complained about by now
            path = f"{place.path}/{file.path}" if place.path else file.path
            yield (place.category, path), _details(file), repository, position


def _details(file: CategoryFile) -> FileDetails:
    current = file.version()
    # A repeated alternate, or one equal to the current version, adds nothing.
    alternates = {version.version() for version in file.alternates} - {current}
    ordered = sorted(alternates, key=lambda version: (-version.timestamp, version.size, repr(version)))
    return FileDetails(current=current, alternates=tuple(ordered))


def nobody_carries(merged: MergedSources, records: NetworkRecords) -> Iterator[Complaint]:
    """Warn about repositories that would answer 404 to everyone."""
    rules_of: dict[str, dict[tuple[object, ...], tuple[ContentRecord, set[str]]]] = {}
    """Category -> what decides whether a mirror carries a directory -> one such content, and the mirrors' names."""
    for mirror in records.mirrors:
        for content in mirror.contents if mirror.active else ():
            key = (content.include, content.exclude, content.arches)
            rules_of.setdefault(content.category, {}).setdefault(key, (content, set()))[1].add(mirror.name)
    for repository in records.repositories:
        entry = merged.repositories[repository.name]
        for place in repository.directories if not repository.disabled else ():
            directories = records.directories.get(place.category)
            carriers = directories.get(place.path, frozenset[str]()) if directories is not None else None
            if not any(
                (carriers is None or not carriers.isdisjoint(names))
                and content.allows(place.path)
                and (content.arches is None or place.arch in {"", *content.arches})
                for content, names in rules_of.get(place.category, {}).values()
            ):
                where = ("arches", place.arch) if place.arch else ()
                unlisted = directories is not None and place.path not in directories
                reason = (
                    f"the category lists no directory {rules.shown(place.path)}" if unlisted else "no active mirror"
                )
                yield entry.warning(f"no mirror carries it: {reason}; clients will get 404", *where)
