"""Pages that are the same for every client: repositories, one repository, public mirrors; as HTML and as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirrorlistd.answering.plan import ResolvedQuery
from mirrorlistd.web.pages.health import health_data, in_few_words, lag_in_words, why_lacking
from mirrorlistd.web.pages.html import html
from mirrorlistd.web.pages.public import list_query, shares
from mirrorlistd.web.pages.world_map import CONTINENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlist_snapshot.model import Snapshot
    from mirrorlistd.answering.decider import Decider
    from mirrorlistd.web.pages.public import Carried, PublicMirror

ROWS: Final = 2_000
"""Most rows of a table: some 500 kB. The JSON is complete."""
_LACKING: Final = 200
"""Most mirrors that are named because they lack a repository."""


def repositories(snapshot: Snapshot) -> list[dict[str, object]]:
    """Return every repository, by name."""
    aliases: dict[str, list[str]] = {}
    for alias, name in snapshot.aliases.items():
        aliases.setdefault(name, []).append(alias)
    return [
        {
            "repo": repository.name,
            "arches": [directory.arch for directory in repository.directories if directory.arch],
            "aliases": sorted(aliases.get(repository.name, [])),
            "disabled": repository.disabled,
        }
        for repository in snapshot.repositories
    ]


def repositories_text(snapshot: Snapshot) -> str:
    """Return one query string a line, to append to `/mirrorlist?`: every repository, alias and architecture."""
    lines = [
        list_query(name, directory.arch)
        for repository in snapshot.repositories
        if not repository.disabled
        for name in (repository.name, *sorted(a for a, named in snapshot.aliases.items() if named == repository.name))
        for directory in repository.directories
    ]
    return "".join(line + "\n" for line in lines)


def repositories_page(snapshot: Snapshot) -> str:
    """Return the repositories for people, with links."""
    offered = [row for row in repositories(snapshot) if not row["disabled"]]
    return html("repositories.html", snapshot, offered=offered[:ROWS], more=len(offered[ROWS:]))


def mirrors_data(snapshot: Snapshot, mirrors: Sequence[PublicMirror]) -> dict[str, object]:
    """Return public mirrors with all their URLs: enough for the rules of a firewall."""
    enabled = {repository.name for repository in snapshot.repositories if not repository.disabled}
    return {
        "serial": snapshot.serial,
        "built": snapshot.built,
        "observed": snapshot.observed or None,
        "mirrors": [
            {
                "mirror": mirror.name,
                "country": mirror.country,
                "continent": mirror.continent,
                "worldwide": mirror.worldwide,
                "also_countries": list(mirror.also_countries),
                "bandwidth": mirror.bandwidth,
                "hosts": mirror.hosts,
                "urls": dict(mirror.urls),
                "about": mirror.about.stated(),
                "health": health_data(mirror.health, enabled),
            }
            for mirror in mirrors
        ],
    }


def mirrors_text(mirrors: Sequence[PublicMirror]) -> str:
    """Return the hosts of public mirrors, one a line, each once."""
    return "".join(f"{host}\n" for host in sorted({host for mirror in mirrors for host in mirror.hosts}))


def mirrors_page(
    snapshot: Snapshot, public: Sequence[PublicMirror], mirrors: Sequence[PublicMirror], filters: dict[str, str]
) -> str:
    """Return public mirrors for people; `filters` (`repo`, `country`, both may be empty) chose them from `public`."""
    return html(
        "mirrors.html",
        snapshot,
        mirrors=mirrors[:ROWS],
        observed=snapshot.observed,
        in_few_words=in_few_words,
        more=len(mirrors[ROWS:]),
        public=len(public),
        filters=filters,
        continents=CONTINENTS,
        repositories=[repository.name for repository in snapshot.repositories if not repository.disabled],
        countries=sorted({mirror.country for mirror in public if mirror.country}),
    )


def repository_data(decider: Decider, carried: Carried, mirrors: Sequence[PublicMirror]) -> dict[str, object]:
    """Return a repository with its carriers; the paths of its directories are relative to their URLs."""
    snapshot = decider.index.snapshot
    repository = carried.repository
    directories = {
        directory.arch: {"category": snapshot.whole(directory.category).name, "path": directory.path}
        for directory in repository.directories
    }
    categories = {place["category"] for place in directories.values()}
    return {
        "repo": repository.name,
        "serial": snapshot.serial,
        "built": snapshot.built,
        "observed": snapshot.observed or None,
        "aliases": list(carried.aliases),
        "directories": directories,
        "mirrors": [
            {
                "mirror": mirror.name,
                "country": mirror.country,
                "bandwidth": mirror.bandwidth,
                "arches": list(carried.carriers[mirror.number]),
                "urls": {category: urls for category, urls in mirror.urls.items() if category in categories},
                "health": health_data(mirror.health, (repository.name,)),
            }
            for mirror in mirrors
            if mirror.number in carried.carriers
        ],
    }


def repository_page(decider: Decider, carried: Carried, mirrors: Sequence[PublicMirror]) -> str:
    """Return a repository for people: how to use it, which mirrors carry it, which of its category do not."""
    snapshot = decider.index.snapshot
    repository = carried.repository
    first = repository.directories[0]
    query = list_query(repository.name, first.arch)
    path = f"{first.path}/" if first.path and len(repository.directories) == 1 else ""
    carriers = [mirror for mirror in mirrors if mirror.number in carried.carriers]
    countries = {mirror.country for mirror in carriers if mirror.country}
    return html(
        "repository.html",
        snapshot,
        repository=repository,
        carried=carried,
        arches=carried.arches,
        category=snapshot.whole(first.category).name,
        path=path,
        query=query,
        metalink=bool(carried.carriers)
        and isinstance(decider.resolve_query(f"format=metalink&{query}".encode()), ResolvedQuery),
        server=decider.settings.public_url,
        observed=snapshot.observed,
        lag_in_words=lag_in_words,
        why={mirror.number: why_lacking(snapshot, carried, mirror) for mirror in carried.lacking[:_LACKING]},
        lacking=carried.lacking[:_LACKING],
        more_lacking=len(carried.lacking[_LACKING:]),
        carriers=carriers[:ROWS],
        shares=shares(decider, carriers),
        more=len(carriers[ROWS:]),
        mirrors=len(carriers),
        countries=len(countries),
        bandwidth=sum(mirror.bandwidth for mirror in carriers),
        whole=len(repository.directories),
    )
