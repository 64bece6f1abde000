"""Turn repositories, redirects and file details of a cache into records, by the placement of their directories."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.file_details.alternates import HASHES
from mirrorlist_snapshot.model import FileDetails, FileVersion
from mirrorlist_snapshot.records import RepositoryDirectoryRecord, RepositoryRecord
from mirrorlist_snapshot.source import rules
from mirrorlist_snapshot.source.mirrormanager.placement import apply_rule
from mirrorlist_snapshot.source.rules import RuleError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirrorlist_snapshot.source.mirrormanager.cache import Cache, CachedVersion
    from mirrorlist_snapshot.source.mirrormanager.placement import Placement
    from mirrorlist_snapshot.source.mirrormanager.skips import SkippedRows

_REPOSITORIES: Final = "RepoArchToDirectoryName"
_FILES: Final = "FileDetailsCache"
MAX_VERSIONS: Final = 256
"""Versions of a file that the format holds."""


@dataclass(slots=True)
class Repositories:
    """The repositories of a cache and their aliases."""

    records: tuple[RepositoryRecord, ...]
    aliases: dict[str, str]
    """Alias -> name of a repository."""
    missing: list[tuple[str, str]]
    """Repository and architecture, and the directory that the cache lacks: it may be cut off between two records."""


def repositories(cache: Cache, placement: Placement, skips: SkippedRows) -> Repositories:
    """Return the repositories, and those that lack their directory; disabled ones need none."""
    found: dict[str, dict[str, RepositoryDirectoryRecord]] = {}
    missing: list[tuple[str, str]] = []
    for key, directory in cache.repositories.items():
        if (names := apply_rule(skips, _REPOSITORIES, "no repository+architecture", _names, key)) is None:
            continue
        name, arch = names
        place = placement.places.get(_clean(directory))
        if place is not None:
            found.setdefault(name, {})[arch] = RepositoryDirectoryRecord(arch=arch, category=place[0], path=place[1])
        elif cache.disabled.get(name):
            skips.add(_REPOSITORIES, "disabled, and the cache has no such directory", f"{key}: {directory}")
        else:
            missing.append((key, directory))
    for name in cache.disabled:
        if name not in found:
            skips.add("DisabledRepositoryCache", "there is no such repository", name)
    aliases = _aliases(cache, found.keys() | {key.rpartition("+")[0] for key, _ in missing}, skips)
    for name in sorted(found.keys() & aliases.keys()):
        skips.add(_REPOSITORIES, "a redirect has this name, and wins", name)
    records = tuple(
        RepositoryRecord(name=name, disabled=cache.disabled.get(name, False), directories=tuple(places.values()))
        for name, places in found.items()
        if name not in aliases
    )
    served = {record.name for record in records}
    return Repositories(
        records=records,
        aliases={alias: name for alias, name in aliases.items() if name in served},
        missing=[(key, directory) for key, directory in missing if key.rpartition("+")[0] not in aliases],
    )


def _names(key: str) -> tuple[str, str]:
    name, _, arch = key.rpartition("+")
    return rules.name(name), rules.name(arch)


def _clean(directory: str) -> str:
    return "/".join(filter(None, directory.split("/")))


def _aliases(cache: Cache, names: set[str], skips: SkippedRows) -> dict[str, str]:
    """Return redirects as aliases of repositories."""
    table = "RepositoryRedirectCache"
    aliases: dict[str, str] = {}
    ends = _ends(cache.redirects)
    for alias in cache.redirects:
        if apply_rule(skips, table, "no name", rules.name, alias) is None:
            continue
        target = ends[alias]
        if target is None:
            skips.add(table, "a redirect that leads back to itself", alias)
        elif target not in names:
            skips.add(table, "there is no such repository", f"{alias}: {target}")
        else:
            aliases[alias] = target
    return aliases


def _ends(redirects: Mapping[str, str]) -> dict[str, str | None]:
    """Return where each redirect ends, None where it leads into a loop; each is followed once."""
    ends: dict[str, str | None] = {}
    for first in redirects:
        chain: dict[str, None] = {}
        target = first
        while target in redirects and target not in ends and target not in chain:
            chain[target] = None
            target = redirects[target]
        ends |= dict.fromkeys(chain, None if target in chain else ends.get(target, target))
    return ends


def files(cache: Cache, placement: Placement, skips: SkippedRows) -> dict[tuple[str, str], FileDetails]:
    """Return file details by category and path; the first version of a file is the current one."""
    found: dict[tuple[str, str], FileDetails] = {}
    for directory, named in cache.files.items():
        place = placement.places.get(_clean(directory))
        if place is None:
            skips.add(_FILES, "MirrorListCache has no such directory", directory)
            continue
        category, path = place
        for name, rows in named.items():
            if apply_rule(skips, _FILES, "no file name", _file_name, name) is None:
                continue
            versions = [version for row in rows if (version := _version(row, skips, f"{directory}/{name}")) is not None]
            if versions[MAX_VERSIONS:]:
                skips.add(_FILES, f"more than {MAX_VERSIONS} versions of a file", f"{directory}/{name}")
            if versions:
                details = FileDetails(current=versions[0], alternates=tuple(versions[1:MAX_VERSIONS]))
                found[category, f"{path}/{name}" if path else name] = details
    return found


def _file_name(text: str) -> str:
    if (name := rules.some_path(text)) != text or "/" in text:
        raise RuleError(f"{rules.shown(text)} is no file name")
    return name


def _version(row: CachedVersion, skips: SkippedRows, file: str) -> FileVersion | None:
    """Return a version with its valid hashes; None without a valid time and size."""
    hashes = {
        kind: apply_rule(skips, _FILES, f"no {kind}", partial(rules.digest, kind), row.hashes[kind])
        for kind in HASHES
        if kind in row.hashes
    }
    try:
        return FileVersion(timestamp=rules.timestamp(row.timestamp), size=rules.size(row.size), **hashes)
    except RuleError:
        skips.add(_FILES, "no time or size", file)
        return None
