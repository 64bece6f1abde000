"""MirrorManager's files -> Records: the cache that its generator writes, and the two tables beside it.

    cache ─> framing ─> cache (schema) ─> placement ─> hosts, contents ─> Records
    CSV, netblocks ─> side_files ──────────────────────┘

A server that answers like MirrorManager relies on these properties of the snapshot:

- `Snapshot.built` is the cache's own time.
- Every category is listed: exactly the directories of the cache exist. Their carriers are the hosts of `ByHostId` that
  have a usable URL, so a directory may have none; the country tiers are those among them that are not private.
- Private mirrors (in `ByHostId`, not in `Global`) are offered by their netblocks and autonomous systems only. A host
  that is private in some directories is two mirrors, so `Mirror.private` is all there is to ask.
- Every repository has architectures. A disabled one is kept, with `Repository.disabled`; a redirect is an
  alias, followed to its end, and there is no repository of its name.
- `Snapshot.asn_netblocks` has those lines of `global_netblocks.txt` that can matter: 0 if a client's system has no
  mirrors.
- Continent overrides name every country of the CSV, redirects applied: the continents of geo databases are not used.
- `Mirror.bandwidth` is as in the cache; clamping it further is the server's choice.
- A size or time of 0 in file details means that it is not known.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.errors import Complaint, SourceError
from mirrorlist_snapshot.format import MAX_TIME
from mirrorlist_snapshot.input_file import CACHE_FILE, TABLE_FILE, open_file
from mirrorlist_snapshot.model import CategoryKind, Overrides
from mirrorlist_snapshot.records import CategoryRecord, NetworkRecords
from mirrorlist_snapshot.source import rules
from mirrorlist_snapshot.source.mirrormanager import contents, hosts
from mirrorlist_snapshot.source.mirrormanager.cache import read_cache
from mirrorlist_snapshot.source.mirrormanager.placement import apply_rule, place_directories
from mirrorlist_snapshot.source.mirrormanager.protobuf_framing import CutError
from mirrorlist_snapshot.source.mirrormanager.side_files import read_continents, read_networks
from mirrorlist_snapshot.source.mirrormanager.skips import SkippedRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mirrorlist_snapshot.records import MirrorRecord
    from mirrorlist_snapshot.source.mirrormanager.cache import Cache
    from mirrorlist_snapshot.source.mirrormanager.contents import Repositories

    Progress = Callable[[Path, int], None]

__all__ = ["ImportedCache", "read_mirrormanager"]

MISSING_SHOWN: Final = 10
"""Repositories without their directory that are listed one by one."""


@dataclass(frozen=True, slots=True)
class ImportedCache:
    """The contents of MirrorManager's files."""

    records: NetworkRecords
    time: int | None
    """The cache's own time, in seconds since 1970 UTC; None if it has no usable one."""
    skips: tuple[SkippedRows, ...]
    """The rows of each file that were left out."""

    @property
    def complaints(self) -> tuple[Complaint, ...]:
        """One warning for each kind of row that was left out."""
        return tuple(complaint for one in self.skips for complaint in one.complaints())


def read_mirrormanager(
    cache: Path,
    *,
    country_continent: Path | None = None,
    global_netblocks: Path | None = None,
    progress: Progress = lambda _path, _position: None,
    force: bool = False,
) -> ImportedCache:
    """Read a cache and the files beside it; `progress` gets a file and the number of bytes read from it.

    Raise SourceError if the cache is cut off, is no cache, or has no mirrors or repositories; also, unless `force`, if
    it lacks a repository's directory. Raise InputFileError or OSError if a file cannot be read.
    """
    skips = SkippedRows(str(cache))
    read = _read(cache, skips, progress)
    placement = place_directories(read, skips)
    repositories = contents.repositories(read, placement, skips)
    if repositories.missing and not force:
        raise SourceError(tuple(_missing(cache, repositories)))
    mirrors = hosts.mirrors(read, placement, skips)
    if not (mirrors and repositories.records):
        raise SourceError((_mistake(cache, "there is no mirror or no repository in it; is the cache whole?"),))
    continents, more = _continents(country_continent, read, skips)
    networks, most = _networks(global_netblocks, mirrors, progress)
    records = NetworkRecords(
        categories=tuple(
            CategoryRecord(name=one.name, kind=CategoryKind.LISTED, top=one.top) for one in placement.categories
        ),
        mirrors=mirrors,
        repositories=repositories.records,
        aliases=repositories.aliases,
        directories={one.name: one.directories for one in placement.categories},
        files=contents.files(read, placement, skips),
        overrides=Overrides(continents=continents, neighbours={}, never_served={}),
        netblock_countries=_netblock_countries(read, skips),
        asn_netblocks=networks,
    )
    time = apply_rule(skips, "Time", f"no time from 0 to {MAX_TIME}", rules.timestamp, read.time or 0)
    return ImportedCache(records, time, (skips, *more, *most))


def _read(path: Path, skips: SkippedRows, progress: Progress) -> Cache:
    try:
        with open_file(path, CACHE_FILE, pipes=True) as file:
            cache = read_cache(file, skips, lambda position: progress(path, position))
    except CutError as error:
        message = (
            f"cut off or no cache: {error.reason}, at byte {error.start:,}; copy it again, or let it be made again"
        )
        raise SourceError((_mistake(path, message),)) from error
    if cache.time is None:
        raise SourceError((_mistake(path, "no cache of MirrorManager: it does not begin with a time"),))
    return cache


def _missing(path: Path, repositories: Repositories) -> Iterator[Complaint]:
    """Yield complaints about repositories without their directories: many mean that the cache was cut off."""
    for key, directory in repositories.missing[:MISSING_SHOWN]:
        yield _mistake(path, f"{key}: the cache has no directory {rules.shown(directory)}", "RepoArchToDirectoryName")
    more = len(repositories.missing) - MISSING_SHOWN
    fix = "the cache may be cut off: let it be made again, or import the rest: compile --force, serve --max-loss 100"
    yield _mistake(path, f"and {more:,} more; {fix}" if more > 0 else fix, "RepoArchToDirectoryName")


def _mistake(path: Path, message: str, key: str = "") -> Complaint:
    return Complaint(file=str(path), line=None, key=key, message=message)


def _continents(path: Path | None, cache: Cache, skips: SkippedRows) -> tuple[dict[str, str], list[SkippedRows]]:
    """Return continent overrides: those of the CSV, replaced by the cache's redirects."""
    table = "CountryContinentRedirectCache"
    mine: list[SkippedRows] = []
    found: dict[str, str] = {}
    if path is not None:
        mine.append(SkippedRows(str(path)))
        with open_file(path, TABLE_FILE) as file, io.TextIOWrapper(file, encoding="utf-8", errors="replace") as text:
            found = read_continents(text, mine[0])
    for key, value in cache.continents.items():
        country = apply_rule(skips, table, "no country", hosts.country, key)
        continent = apply_rule(skips, table, "no continent", rules.continent, value)
        if country is not None and continent is not None:
            found[country] = continent
    return found, mine


def _networks(
    path: Path | None, mirrors: Sequence[MirrorRecord], progress: Progress
) -> tuple[Mapping[str, int], list[SkippedRows]]:
    if path is None:
        return {}, []
    skips = SkippedRows(str(path))
    wanted = frozenset(asn for mirror in mirrors for asn in mirror.asns)
    with open_file(path, TABLE_FILE) as file:
        return read_networks(file, wanted, skips, lambda position: progress(path, position)), [skips]


def _netblock_countries(cache: Cache, skips: SkippedRows) -> dict[str, str]:
    table = "NetblockCountryCache"
    found: dict[str, str] = {}
    for key, value in cache.netblock_countries.items():
        prefix = apply_rule(skips, table, "no netblock", hosts.netblock, key)
        country = apply_rule(skips, table, "no country", hosts.country, value)
        if prefix is not None and country is not None:
            found.setdefault(prefix, country)
    return found
