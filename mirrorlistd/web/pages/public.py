"""What every client may see: public mirrors, and which of them carry a repository. Pure.

A mirror is public if it is switched on and not private. Its networks, and the countries that it allows or denies, are
not shown: lists do not show them, either. The list of all mirrors is made from the snapshot as published, so that it
does not change with the status file; what is offered now is made from the snapshot under the status file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from mirrorlist_snapshot.tiers import mirror_continent, serves_country
from mirrorlistd.answering.plan import ResolvedQuery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mirrorlist_snapshot.health import MirrorHealth
    from mirrorlist_snapshot.model import About, Repository, Snapshot
    from mirrorlistd.answering.decider import Decider

_SAFE: Final = "/:,~@!$()*;"
"""Characters that mean themselves in a value of a query string; `+`, which some read as a space, is not among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicMirror:
    """What is public of one mirror."""

    number: int
    """In the snapshot."""
    name: str
    country: str | None
    continent: str | None
    """Overrides applied."""
    bandwidth: int
    """Mbit/s."""
    fallback: bool
    """Whether it is the last resort only."""
    worldwide: bool
    """Whether it is equally near to every country."""
    also_countries: Sequence[str]
    """Other countries that it serves as its own."""
    about: About
    urls: Mapping[str, Sequence[str]]
    """Category -> base URLs, https first."""
    health: MirrorHealth | None
    """None if it was never observed."""

    @property
    def hosts(self) -> list[str]:
        """Where its clients connect to: host names, with the port where that is not the protocol's own."""
        # Not `urlsplit`, which raises ValueError for some URLs that a snapshot may have.
        authorities = {url.partition("://")[2].partition("/")[0] for urls in self.urls.values() for url in urls}
        return sorted({authority.rpartition("@")[2].lower() for authority in authorities} - {""})


def public_mirrors(snapshot: Snapshot) -> tuple[PublicMirror, ...]:
    """Return every public mirror that has contents, by name."""
    found = [
        PublicMirror(
            number=number,
            name=mirror.name,
            country=mirror.country,
            continent=mirror_continent(mirror, snapshot.overrides),
            bandwidth=mirror.bandwidth,
            fallback=mirror.fallback,
            worldwide=mirror.worldwide,
            also_countries=mirror.also_countries,
            about=mirror.about,
            urls={snapshot.whole(content.category).name: content.urls for content in mirror.contents},
            health=snapshot.health.get(number),
        )
        for number, mirror in enumerate(snapshot.mirrors)
        if mirror.active and not mirror.private and mirror.contents
    ]
    return tuple(sorted(found, key=lambda mirror: mirror.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """One repository and the public mirrors that carry it."""

    repository: Repository
    aliases: Sequence[str]
    carriers: Mapping[int, Sequence[str]]
    """Mirror number -> architectures that it has (the empty one where the repository has none)."""
    lacking: Sequence[PublicMirror]
    """Mirrors of the same categories that do not have all of it now."""

    @property
    def arches(self) -> list[str]:
        """Its architectures."""
        return [directory.arch for directory in self.repository.directories if directory.arch]


def carried(decider: Decider, repository: Repository, mirrors: Sequence[PublicMirror]) -> Carried:
    """Return which of these mirrors carry a repository, by the carrier sets that lists are made from."""
    snapshot = decider.index.snapshot
    carriers: dict[int, list[str]] = {}
    for directory in repository.directories:
        resolved = decider.resolve_query(list_query(repository.name, directory.arch).encode())
        if isinstance(resolved, ResolvedQuery):
            for number in snapshot.sets.members(resolved.target.carriers):
                carriers.setdefault(number, []).append(directory.arch)
    whole = len(repository.directories)
    categories = {snapshot.whole(directory.category).name for directory in repository.directories}
    return Carried(
        repository=repository,
        aliases=sorted(alias for alias, name in snapshot.aliases.items() if name == repository.name),
        carriers={mirror.number: carriers[mirror.number] for mirror in mirrors if mirror.number in carriers},
        lacking=[
            mirror
            for mirror in mirrors
            if categories & mirror.urls.keys() and len(carriers.get(mirror.number, ())) < whole
        ],
    )


def list_query(name: str, arch: str) -> str:
    """Return the query string of the list of a repository, escaped where a name needs it."""
    query = f"repo={quote(name, safe=_SAFE)}"
    return query + (f"&arch={quote(arch, safe=_SAFE)}" if arch else "")


def shares(decider: Decider, carriers: Sequence[PublicMirror]) -> dict[int, float]:
    """Return each carrier's share of the first positions in lists for clients of its own country, in percent.

    It counts these carriers alone, and no clients in mirrors' own networks. A mirror of the last resort has no share,
    nor has a mirror without a country.
    """
    weights = decider.index.weights
    mirrors = decider.index.snapshot.mirrors
    near = [mirror for mirror in carriers if not mirror.fallback]
    whole = {
        country: sum(weights[mirror.number] for mirror in near if serves_country(mirrors[mirror.number], country))
        for country in {mirror.country for mirror in near if mirror.country}
    }
    return {
        mirror.number: 100 * weights[mirror.number] / whole[mirror.country]
        for mirror in near
        if mirror.country in whole
    }
