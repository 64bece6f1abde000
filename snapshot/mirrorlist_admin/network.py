"""What can be asked of whom: the mirrors, URLs and units of the sources, as far as the prober asks them. Pure.

Private mirrors are not asked, nor those that the sources take out; nor URLs of other protocols than HTTP and rsync.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from mirrorlist_admin.store.rows import DeclaredMirror, DeclaredUrl, ExpectedUnit, RepositoryUnit
from mirrorlist_admin.units import CANDIDATES, STAMP, kind_of
from mirrorlist_snapshot.records import DEFAULT_FRESH, DEFAULT_MAX_LAG

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from mirrorlist_snapshot.records import ContentRecord, MirrorRecord, NetworkRecords, RepositoryDirectoryRecord

ASKED_SCHEMES: Final = ("http://", "https://", "rsync://")


@dataclass(frozen=True, slots=True)
class Place:
    """A directory of a repository, and where its unit may lie."""

    category: str
    directory: str
    candidates: tuple[str, ...]
    """Paths below the category's top; the unit is the first that the master has."""
    fresh: int
    max_lag: int


@dataclass(frozen=True)
class Unit:
    """A unit that the master has."""

    category: str
    path: str
    kind: str
    directories: tuple[str, ...]
    """What it stands for, each with all below it; empty for a stamp beside units."""
    fresh: int
    max_lag: int

    @cached_property
    def key(self) -> tuple[str, str]:
        """What tells units apart; one object, as 150,000 rows are found by it."""
        return self.category, self.path


@dataclass(frozen=True, slots=True)
class MirrorContent:
    """What a mirror is asked about one category."""

    category: str
    urls: tuple[str, ...]
    units: tuple[Unit, ...]
    """Those that it is expected to have, without the stamp."""
    stamp: Unit | None


@dataclass(frozen=True, slots=True)
class AskedMirror:
    """A mirror that is asked."""

    name: str
    country: str
    bandwidth: int
    asns: tuple[int, ...]
    contents: tuple[MirrorContent, ...]


@dataclass(frozen=True)
class Network:
    """The sources, with the units that the master is known to have."""

    records: NetworkRecords
    known: Collection[tuple[str, str]]
    """(category, path) of every unit that the master has or had."""

    @cached_property
    def masters(self) -> dict[str, str]:
        """Category -> its master, a URL or a folder."""
        return {one.name: one.master for one in self.records.categories if one.master}

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """The directories of repositories in categories that have a master; one for each directory."""
        found: dict[tuple[str, str], Place] = {}
        for repository in self.records.repositories:
            for one in repository.directories if not repository.disabled else ():
                if one.category not in self.masters:
                    continue
                place = _place(repository.name, one)
                key = (place.category, place.directory)
                if (other := found.get(key)) is not None:
                    place = Place(
                        *key,
                        tuple(dict.fromkeys(other.candidates + place.candidates)),
                        min(place.fresh, other.fresh),
                        min(place.max_lag, other.max_lag),
                    )
                found[key] = place
        return tuple(found.values())

    @cached_property
    def units(self) -> dict[tuple[str, str], Unit]:
        """The units that the master has, without stamps."""
        found: dict[tuple[str, str], Unit] = {}
        for place in self.places:
            path = next((path for path in place.candidates if (place.category, path) in self.known), None)
            if path is None:
                continue
            unit = Unit(place.category, path, kind_of(path), (place.directory,), place.fresh, place.max_lag)
            if (other := found.get(unit.key)) is not None:
                unit = Unit(
                    *unit.key,
                    unit.kind,
                    other.directories + unit.directories,
                    min(other.fresh, unit.fresh),
                    min(other.max_lag, unit.max_lag),
                )
            found[unit.key] = unit
        return found

    @cached_property
    def stamps(self) -> dict[str, Unit]:
        """Category -> its stamp; it stands for the whole tree where no unit is known."""
        with_units = {category for category, _ in self.units}
        return {
            one.name: Unit(
                one.name,
                one.stamp,
                STAMP,
                () if one.name in with_units else ("",),
                DEFAULT_FRESH,
                DEFAULT_MAX_LAG,
            )
            for one in self.records.categories
            if one.stamp and one.master
        }

    @cached_property
    def mirrors(self) -> dict[str, AskedMirror]:
        """The mirrors that are asked, by name."""
        found: dict[str, AskedMirror] = {}
        for mirror in self.records.mirrors:
            if mirror.private or not mirror.active:
                continue
            contents = tuple(self._contents(mirror))
            if contents:
                found[mirror.name] = AskedMirror(
                    mirror.name, mirror.country or "", mirror.bandwidth, mirror.asns, contents
                )
        return found

    def _contents(self, mirror: MirrorRecord) -> Iterator[MirrorContent]:
        for content in mirror.contents:
            urls = tuple(url for url in content.urls if url.startswith(ASKED_SCHEMES))
            if urls:
                units = tuple(self._expected(mirror.name, content))
                yield MirrorContent(content.category, urls, units, self.stamps.get(content.category))

    def _expected(self, mirror: str, content: ContentRecord) -> Iterator[Unit]:
        listed: Mapping[str, frozenset[str]] | None = self.records.directories.get(content.category)
        for unit in self._units_of.get(content.category, ()):
            if any(
                content.allows(directory) and (listed is None or mirror in listed.get(directory, ()))
                for directory in unit.directories
            ):
                yield unit

    @cached_property
    def _units_of(self) -> dict[str, list[Unit]]:
        found: dict[str, list[Unit]] = {}
        for unit in self.units.values():
            found.setdefault(unit.category, []).append(unit)
        return found

    def unjudged(self) -> Iterator[str]:
        """What is only asked whether it answers, and why: one line for people each."""
        used = {content.category for mirror in self.mirrors.values() for content in mirror.contents}
        for category in sorted(used - self.masters.keys()):
            yield f"category {category}: no `master`, so mirrors are not compared with anything; state where it is"
        for place in self.places:
            if not any((place.category, path) in self.known for path in place.candidates):
                tried = ", ".join(path.removeprefix(f"{place.directory}/") for path in place.candidates)
                where = f"{place.category}:/{place.directory}"
                yield f"{where}: the master has none of {tried}; state the repository's `unit`, or look at the master"

    def declared_mirrors(self) -> Iterator[DeclaredMirror]:
        """What the sources say of every mirror, for programs that do not read them."""
        for mirror in self.records.mirrors:
            yield DeclaredMirror(
                mirror=mirror.name,
                country=mirror.country or "",
                bandwidth=mirror.bandwidth,
                private=int(mirror.private),
                active=int(mirror.active),
            )

    def declared_urls(self) -> Iterator[DeclaredUrl]:
        """The base URLs of every mirror."""
        for mirror in self.records.mirrors:
            for content in mirror.contents:
                for url in content.urls:
                    yield DeclaredUrl(mirror=mirror.name, category=content.category, url=url)

    def expected_units(self) -> Iterator[ExpectedUnit]:
        """The units that every mirror is expected to have, also mirrors that are not asked."""
        for mirror in self.records.mirrors:
            for content in mirror.contents:
                for unit in self._expected(mirror.name, content):
                    yield ExpectedUnit(mirror=mirror.name, category=unit.category, unit=unit.path)

    def repository_units(self) -> Iterator[RepositoryUnit]:
        """The unit of every repository and architecture that has one."""
        by_directory = {(u.category, directory): u for u in self.units.values() for directory in u.directories}
        for repository in self.records.repositories:
            for one in repository.directories:
                if (unit := by_directory.get((one.category, one.path))) is not None:
                    yield RepositoryUnit(
                        repository=repository.name,
                        arch=one.arch,
                        category=one.category,
                        directory=one.path,
                        unit=unit.path,
                        fresh=one.fresh,
                        max_lag=one.max_lag,
                    )


def _place(repository: str, directory: RepositoryDirectoryRecord) -> Place:
    names = (directory.unit,) if directory.unit else (*CANDIDATES, f"{repository}.db")
    candidates = tuple(f"{directory.path}/{name}".lstrip("/") for name in names)
    return Place(directory.category, directory.path, candidates, directory.fresh, directory.max_lag)
