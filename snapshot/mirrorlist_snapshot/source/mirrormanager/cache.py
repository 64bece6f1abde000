"""Read the rows of a MirrorManager cache; `placement`, `hosts` and `contents` interpret them.

A row that is no message of its type is left out and counted. So is a second row of the same key with another value:
MirrorManager searches its tables from the start and uses the first match. Of netblocks it uses all matches.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mirrorlist_snapshot.source.mirrormanager.protobuf_framing import FramedRecords
from mirrorlist_snapshot.source.mirrormanager.schema import RecordError, fields_of, parse, rest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from mirrorlist_snapshot.source.mirrormanager.skips import SkippedRows

_DIRECTORIES: Final = 16
_UNUSED: Final = frozenset({3, 11})
"""LocationCache and HostMaxConnectionCache: no server reads them."""


@dataclass(frozen=True, slots=True, eq=False)
class HostSet:
    """The hosts that carry a directory. Directories with equal bytes share one object, compared by identity.

    At full size, three thousand of these name two million hosts; equal numbers and tuples are therefore one object.
    """

    urls: dict[int, tuple[int, ...]]
    """Host -> ids of its URLs in this category, in order of preference."""
    private: frozenset[int]
    """The hosts in `urls` that are private."""
    countries: dict[str, tuple[int, ...]]
    """Country -> public hosts: to be compared with `Cache.countries`."""


@dataclass(slots=True)
class CachedDirectory:
    """One row of MirrorListCache."""

    subpath: str
    hosts: HostSet


@dataclass(slots=True)
class CachedVersion:
    """One version of a file; empty values are not known."""

    timestamp: int
    size: int
    hashes: dict[str, str]
    """Kind of hash, lower case -> digits."""


@dataclass(slots=True)
class Cache:
    """The tables of a cache, by key."""

    time: int | None = None
    """Seconds since 1970 UTC; None if that record, with which every cache begins, is missing."""
    netblock_countries: dict[str, str] = field(default_factory=dict[str, str])
    urls: dict[int, str] = field(default_factory=dict[int, str])
    files: dict[str, dict[str, list[CachedVersion]]] = field(default_factory=dict[str, dict[str, list[CachedVersion]]])
    """Directory -> file name -> versions, the current one first."""
    disabled: dict[str, bool] = field(default_factory=dict[str, bool])
    continents: dict[str, str] = field(default_factory=dict[str, str])
    redirects: dict[str, str] = field(default_factory=dict[str, str])
    repositories: dict[str, str] = field(default_factory=dict[str, str])
    """`repo+arch` -> directory."""
    asns: dict[int, tuple[int, ...]] = field(default_factory=dict[int, tuple[int, ...]])
    """AS number -> hosts."""
    countries: dict[int, str] = field(default_factory=dict[int, str])
    bandwidths: dict[int, int] = field(default_factory=dict[int, int])
    allowed: dict[int, tuple[str, ...]] = field(default_factory=dict[int, tuple[str, ...]])
    netblocks: dict[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    directories: dict[str, CachedDirectory] = field(default_factory=dict[str, CachedDirectory])

    def host_sets(self) -> Iterator[HostSet]:
        """Yield each distinct set of hosts once."""
        yield from {id(directory.hosts): directory.hosts for directory in self.directories.values()}.values()


def read_cache(file: BinaryIO, skips: SkippedRows, progress: Callable[[int], None]) -> Cache:
    """Read a cache from its start; `progress` gets the number of bytes read. Raise CutError if it is cut off."""
    reader = _Reader(skips)
    records = FramedRecords(file)
    for number, value in records:
        reader.take(number, value)
        progress(records.position)
    return reader.cache


class _Reader:
    def __init__(self, skips: SkippedRows) -> None:
        self.cache = Cache()
        self._skips = skips
        self._sets: dict[bytes, HostSet] = {}
        self._same: dict[Any, Any] = {}
        cache = self.cache
        self._tables: dict[int, dict[Any, Any]] = {
            2: cache.netblock_countries,
            4: cache.urls,
            6: cache.disabled,
            7: cache.continents,
            8: cache.redirects,
            9: cache.repositories,
            10: cache.asns,
            12: cache.countries,
            13: cache.bandwidths,
            14: cache.allowed,
            15: cache.netblocks,
        }

    def take(self, number: int, value: int | bytes | None) -> None:
        """Add a record to the cache, or count it as skipped."""
        name, kind = _FIELDS.get(number, (f"field {number}", ""))
        if number in _UNUSED:
            return
        try:
            if not kind:
                self._skips.add(name, "MirrorManager's cache has no such field", str(number))
            elif kind == "uint64":
                self._time(value)
            elif not isinstance(value, bytes):
                raise RecordError("it is no message")  # noqa: TRY301 - one place that counts
            elif number == _DIRECTORIES:
                self._directory(value)
            elif number in self._tables:
                row = parse(kind, value)
                self._once(name, self._tables[number], row.key, _plain(row.value))
            else:
                row = parse(kind, value)
                self._once(name, self.cache.files, row.directory, _files(row))
        except RecordError as error:
            self._skips.add(name, str(error), repr(value)[:40])

    def _once(self, name: str, table: dict[Any, Any], key: int | str, value: object) -> None:
        if key not in table:
            table[key] = value
        elif name == "HostNetblockCache":
            table[key] += value
        elif table[key] != value:  # the generator repeats the name of a disabled repository for each architecture
            self._skips.add(name, "the key was there before", str(key))

    def _time(self, value: int | bytes | None) -> None:
        if not isinstance(value, int):
            raise RecordError("it is no number")
        self.cache.time = value

    def _directory(self, data: bytes) -> None:
        row = parse("DirectoryName", data)
        name, subpath = row.directory, row.Subpath
        rest = rest_of(row)
        hosts = self._sets.get(rest)
        if hosts is None:
            hosts = self._sets[rest] = self._host_set(rest)
        self._once("MirrorListCache", self.cache.directories, name, CachedDirectory(subpath, hosts))

    def _host_set(self, data: bytes) -> HostSet:
        same = self._same.setdefault
        row = parse("DirectoryHosts", data)
        urls: dict[int, tuple[int, ...]] = {}
        for one in row.ByHostId:
            host, found = one.key, tuple(one.value)
            urls.setdefault(same(host, host), same(found, found))
        return HostSet(
            urls=urls,
            private=frozenset(urls).difference(row.Global),
            countries={group.key: tuple(same(host, host) for host in group.value) for group in row.ByCountry},
        )


_FIELDS: Final = fields_of("MirrorList")


def _plain(value: Any) -> Any:  # noqa: ANN401 - a scalar as it is, a repeated field as a tuple
    return value if isinstance(value, (str, int)) else tuple(value)


def _files(row: Any) -> dict[str, list[CachedVersion]]:  # noqa: ANN401 - a message
    files: dict[str, list[CachedVersion]] = {}
    for file in row.FileDetailsCacheFiles:
        files.setdefault(file.filename, []).extend(
            CachedVersion(
                one.TimeStamp,
                one.Size,
                {
                    kind.lower(): getattr(one, kind)
                    for kind in ("MD5", "SHA1", "SHA256", "SHA512")
                    if getattr(one, kind)
                },
            )
            for one in file.FileDetails
        )
    return files
