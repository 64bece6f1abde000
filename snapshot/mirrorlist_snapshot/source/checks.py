"""Rules about more than one value: references, contradictions, and what an operator cannot have intended.

A mistake refuses the compilation. A warning names a description that compiles but has no effect, or a surprising one.
Values that are missing from a flawed record give no complaint, because the removed value may have been one of them.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.countries import CONTINENT_OF
from mirrorlist_snapshot.duration import in_units
from mirrorlist_snapshot.model import MAX_CATEGORIES, MAX_MIRRORS
from mirrorlist_snapshot.records import DEFAULT_FRESH, DEFAULT_MAX_LAG, with_ancestors
from mirrorlist_snapshot.source import rules
from mirrorlist_snapshot.source.schema import FileNetblockTable
from mirrorlist_snapshot.source.validation import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mirrorlist_snapshot.errors import Complaint
    from mirrorlist_snapshot.source.merging import MergedSources, SourceRecord
    from mirrorlist_snapshot.source.schema import (
        CategoryTable,
        ContentTable,
        MirrorTable,
        RepositoryDirectoryTable,
        RepositoryTable,
    )

_WIDE: Final = {4: 8, 6: 16}
"""Prefix lengths below which a netblock is wider than any single network."""
_LONGEST_LOOP: Final = 12
"""Names of a loop of aliases that a complaint shows."""
_Owners = dict[int, dict[IPv4Network | IPv6Network, dict[str, dict[str, int]]]]
"""Prefix length -> netblock -> category -> the mirrors for which it is exclusive, with their positions."""


def check(merged: MergedSources) -> Iterator[Complaint]:
    """Yield complaints about rules that concern several values or records."""
    yield from _check_counts(merged)
    yield from _check_tops(merged)
    for category in merged.categories.values():
        yield from _check_category(category)
    for mirror in merged.mirrors.values():
        yield from _check_mirror(mirror, merged)
    yield from _check_exclusive(merged)
    yield from _check_shared_urls(merged)
    partial = frozenset(
        category
        for mirror in merged.mirrors.values()
        for category, content in mirror.value.categories.items()
        if content.arches is not None
    )
    for name, repository in merged.repositories.items():
        yield from _check_alias(name, repository, merged)
        yield from _check_repository(repository, merged, partial)
    yield from _check_arches(merged)
    yield from _check_loops(merged)
    yield from _check_overrides(merged)


def _check_counts(merged: MergedSources) -> Iterator[Complaint]:
    for mirror in list(merged.mirrors.values())[MAX_MIRRORS:][:1]:
        yield mirror.error(f"there are {len(merged.mirrors)} mirrors; a snapshot holds at most {MAX_MIRRORS}")
    for category in list(merged.categories.values())[MAX_CATEGORIES:][:1]:
        yield category.error(f"there are {len(merged.categories)} categories; at most {MAX_CATEGORIES} are allowed")


def _check_tops(merged: MergedSources) -> Iterator[Complaint]:
    first: dict[str, tuple[str, SourceRecord[CategoryTable]]] = {}
    for name, entry in merged.categories.items():
        top = name if entry.value.top is None else entry.value.top
        other, known = first.setdefault(top, (name, entry))
        if known is not entry:
            yield entry.error(
                f"has the same top as {rules.shown(other)} in {known.place()}; path= could not tell them apart", "top"
            )


def _check_category(entry: SourceRecord[CategoryTable]) -> Iterator[Complaint]:
    if entry.value.kind == "open" and entry.value.directories and not entry.flawed:
        yield entry.error(
            'an open category has every directory below its top; write kind = "listed", or leave this out',
            "directories",
        )
    if entry.value.stamp and not entry.value.master and not entry.flawed:
        yield entry.warning("has no effect without a master, from which the prober reads the current state", "stamp")


def _check_mirror(entry: SourceRecord[MirrorTable], merged: MergedSources) -> Iterator[Complaint]:
    mirror = entry.value
    yield from _check_reach(entry)
    yield from _check_location(entry)
    if both := sorted({*mirror.allowed_countries} & {*mirror.denied_countries}):
        yield entry.error(f"{', '.join(both)} is both allowed and denied; choose one of the two", "denied_countries")
    yield from _check_netblocks(entry)
    if not mirror.categories and not entry.flawed:
        yield entry.warning("has no categories, so it is never offered")
    for name, content in mirror.categories.items():
        yield from _check_content(entry, name, content, merged)


def _check_reach(entry: SourceRecord[MirrorTable]) -> Iterator[Complaint]:
    """Check that some client can be offered the mirror."""
    mirror = entry.value
    near = bool(mirror.netblocks or mirror.asns)
    if mirror.private and mirror.fallback:
        yield entry.error(
            "a mirror cannot be both private and the last resort of all clients; choose one of the two", "fallback"
        )
    elif mirror.fallback and near:
        yield entry.warning("netblocks and asns have no effect on a fallback mirror: it is always last", "fallback")
    if entry.flawed:
        return
    if mirror.private and not near:
        yield entry.warning("has neither netblocks nor asns, so it is never offered to any client", "private")
    located = mirror.country is not None or mirror.continent is not None or mirror.worldwide
    if not located and not mirror.private and not mirror.fallback:
        yield entry.warning("has no country, so it is offered only after all that have one")


def _check_location(entry: SourceRecord[MirrorTable]) -> Iterator[Complaint]:
    """Check that the keys that say where a mirror is agree."""
    mirror = entry.value
    country, continent = mirror.country, mirror.continent
    if country is not None and continent is not None and CONTINENT_OF.get(country) != continent:
        yield entry.error(
            f"is for a mirror whose country is not known, and this one has country = {rules.shown(country)};"
            " leave one of them out",
            "continent",
        )
    if (mirror.worldwide or mirror.also_countries) and (mirror.private or mirror.fallback):
        kind = "private" if mirror.private else "fallback"
        yield entry.warning(f"has no effect on a {kind} mirror", "worldwide" if mirror.worldwide else "also_countries")
    elif mirror.worldwide and mirror.also_countries:
        yield entry.warning("has no effect on a worldwide mirror: it serves every country", "also_countries")
    if (mirror.about.latitude is None) != (mirror.about.longitude is None) and not entry.flawed:
        yield entry.error("has one of latitude and longitude; give both, or none", "about")


def _check_netblocks(entry: SourceRecord[MirrorTable]) -> Iterator[Complaint]:
    first: dict[str, bool] = {}
    repeated: list[tuple[int, str]] = []
    for position, netblock in enumerate(entry.value.netblocks):
        if netblock.prefix not in first:
            first[netblock.prefix] = netblock.exclusive
            if _is_wide(netblock.prefix):
                yield entry.warning(
                    f"{netblock.prefix} is very wide: all clients in it get this mirror first",
                    *_netblock_key(entry, position),
                )
        elif first[netblock.prefix] == netblock.exclusive:
            repeated.append((position, netblock.prefix))
        else:
            yield entry.error(
                f"the netblock {netblock.prefix} is listed twice, once exclusive and once not; keep one of the two",
                *_netblock_key(entry, position),
            )
    for position, prefix in repeated[:1]:
        more = f", and {len(repeated) - 1} more of its netblocks" if len(repeated) > 1 else ""
        yield entry.warning(f"the netblock {prefix} is listed twice{more}", *_netblock_key(entry, position))


def _netblock_key(entry: SourceRecord[MirrorTable], position: int) -> tuple[str | int, ...]:
    """Return the key below a mirror that a netblock at a position comes from."""
    of_file = isinstance(entry.value.netblocks[position], FileNetblockTable)
    return ("netblocks_from",) if of_file else ("netblocks", position)


def _check_exclusive(merged: MergedSources) -> Iterator[Complaint]:
    """Warn about netblocks whose clients get only the mirrors of an exclusive netblock around them."""
    serving = {name: entry for name, entry in merged.mirrors.items() if entry.value.active and not entry.value.fallback}
    owners: _Owners = {}
    for number, (name, entry) in enumerate(serving.items()):
        for network in (ip_network(netblock.prefix) for netblock in entry.value.netblocks if netblock.exclusive):
            found = owners.setdefault(network.prefixlen, {}).setdefault(network, {})
            for category in entry.value.categories:
                found.setdefault(category, {})[name] = number
    for name, entry in serving.items() if owners else ():
        for position, netblock in enumerate(() if entry.flawed else entry.value.netblocks):
            if not netblock.exclusive and (kept := _kept(netblock.prefix, name, entry.value.categories, owners)):
                prefix, other = kept
                yield entry.warning(
                    f"clients in {prefix} get only {rules.shown(other)}, whose netblock is exclusive, and will not be"
                    " offered this mirror; make this one exclusive, too, or that one not",
                    *_netblock_key(entry, position),
                )


def _kept(prefix: str, name: str, categories: Iterable[str], owners: _Owners) -> tuple[str, str] | None:
    """Return the exclusive netblock that decides for a mirror's netblock, and its mirror; None if the mirror owns it.

    It is the longest exclusive netblock around it, of mirrors with a category in common. None also if there is none.
    """
    network = ip_network(prefix)
    for length in sorted(owners, reverse=True):
        if length <= network.prefixlen:
            around = network.supernet(new_prefix=length)
            by_category = owners[length].get(around, {})
            rivals = [by_category[category] for category in categories if category in by_category]
            if rivals:
                if any(name in names for names in rivals):
                    return None
                first = min((next(iter(names.items())) for names in rivals), key=itemgetter(1))
                return str(around), first[0]
    return None


def _check_content(
    entry: SourceRecord[MirrorTable], name: str, content: ContentTable, merged: MergedSources
) -> Iterator[Complaint]:
    where = ("categories", name)
    known = merged.categories.get(name)
    if ("categories", name) not in merged.named:
        yield entry.error(_unknown("category", name, merged.categories), *where)
    if known and known.value.kind == "open" and content.directories is not None and not known.flawed:
        yield entry.error(
            f'{rules.shown(name)} is an open category, its directories are not tracked; make it kind = "listed",'
            " or state what the mirror lacks with include and exclude",
            *where,
            "directories",
        )
    excluded = set(content.exclude)
    if content.include and not any(with_ancestors(prefix).isdisjoint(excluded) for prefix in content.include):
        yield entry.warning("excludes everything that it includes", *where, "exclude")


def _check_shared_urls(merged: MergedSources) -> Iterator[Complaint]:
    first: dict[tuple[str, str], str] = {}
    for name, entry in merged.mirrors.items():
        for category, content in entry.value.categories.items():
            for url in content.urls:
                if (other := first.setdefault((category, url), name)) != name:
                    yield entry.warning(
                        f"{url} is also the URL of {rules.shown(other)}; a list may have it twice",
                        "categories",
                        category,
                    )


def _check_alias(name: str, entry: SourceRecord[RepositoryTable], merged: MergedSources) -> Iterator[Complaint]:
    repository = entry.value
    if repository.alias is None:
        return
    if others := sorted(repository.model_fields_set - {"alias"}):
        yield entry.error(f"an alias has no other keys, but this one has {', '.join(others)}; leave one out", "alias")
    if ("repositories", repository.alias) not in merged.named:
        others = [other for other in merged.repositories if other != name]
        yield entry.error(_unknown("repository", repository.alias, others), "alias")


def _check_loops(merged: MergedSources) -> Iterator[Complaint]:
    """Complain of each loop of aliases once, at the first of its names; each alias is followed once."""
    followed: set[str] = set()
    for name in merged.repositories:
        chain: dict[str, int] = {}
        here: str | None = name
        while here is not None and here in merged.repositories and here not in followed:
            followed.add(here)
            chain[here] = len(chain)
            here = merged.repositories[here].value.alias
        if here is not None and here in chain:
            loop = list(chain)[chain[here] :]
            start = loop.index(min(loop))
            names = [*loop[start:], *loop[:start], loop[start]]
            shown = names if len(names) <= _LONGEST_LOOP else [*names[: _LONGEST_LOOP - 1], "...", names[-1]]
            message = f"the aliases form a loop: {' -> '.join(shown)}"
            yield merged.repositories[names[0]].error(message, "alias")


def _check_arches(merged: MergedSources) -> Iterator[Complaint]:
    """Warn about architectures of mirrors that no repository has, each once."""
    known: dict[str, set[str]] = {}
    for repository in merged.repositories.values():
        for arch, place in repository.value.arches.items():
            known.setdefault(place.category or repository.value.category or "", set()).add(arch)
    first: dict[tuple[str, str], SourceRecord[MirrorTable]] = {}
    times: dict[tuple[str, str], int] = {}
    for mirror in merged.mirrors.values():
        for category, content in mirror.value.categories.items():
            for arch in set(content.arches or ()) - known.get(category, set()):
                first.setdefault((category, arch), mirror)
                times[category, arch] = times.get((category, arch), 0) + 1
    for (category, arch), mirror in first.items():
        more = f", and at {times[category, arch] - 1} more mirrors" if times[category, arch] > 1 else ""
        yield mirror.warning(
            f"no repository of {rules.shown(category)} has the architecture {rules.shown(arch)}; it has no effect"
            f"{more}{did_you_mean(arch, known.get(category, ()))}",
            *("categories", category, "arches"),
        )


def _check_repository(
    entry: SourceRecord[RepositoryTable], merged: MergedSources, partial: frozenset[str]
) -> Iterator[Complaint]:
    """Check a repository; `partial` are the categories of which some mirrors have not all architectures."""
    repository = entry.value
    if repository.alias is not None:
        return
    path = repository.path or ""
    if not repository.arches:
        if repository.category is None and not entry.flawed:
            yield entry.error("is missing; name the category that the repository lies in", "category")
        if "{arch}" in path and not entry.flawed:
            yield entry.error("has {arch}, but the repository lists no arches", "path")
    if repository.category is not None and ("categories", repository.category) not in merged.named:
        yield entry.error(_unknown("category", repository.category, merged.categories), "category")
    alike: dict[str | None, list[str]] = {}
    for arch, place in repository.arches.items():
        yield from _check_place(entry, arch, place, merged)
        if place.path is None:
            alike.setdefault(place.category, []).append(arch)
    for category, arches in alike.items():
        shared = (category or repository.category) in partial
        if len(arches) > 1 and "{arch}" not in path and not shared and not entry.flawed:
            yield entry.error(
                f"{', '.join(arches)} would share one directory; put {{arch}} into the path, give each its own, or say"
                " at the mirrors which arches they have",
                "path",
            )
    yield from _check_files(entry, one_tree=len(alike) == 1 and "{arch}" not in path)
    yield from _check_lag(entry)


def _check_place(
    entry: SourceRecord[RepositoryTable], arch: str, place: RepositoryDirectoryTable, merged: MergedSources
) -> Iterator[Complaint]:
    if place.category is None:
        if entry.value.category is None and not entry.flawed:
            yield entry.error("has no category; name one here or for the whole repository", "arches", arch)
    elif ("categories", place.category) not in merged.named:
        yield entry.error(_unknown("category", place.category, merged.categories), "arches", arch, "category")
    path = (place.path or entry.value.path or "").replace("{arch}", arch)
    if len(path.encode()) > rules.MAX_PATH:
        yield entry.error(f"the path for {rules.shown(arch)} has more than {rules.MAX_PATH} bytes", "arches", arch)


def _check_lag(entry: SourceRecord[RepositoryTable]) -> Iterator[Complaint]:
    fresh = DEFAULT_FRESH if entry.value.fresh is None else entry.value.fresh
    max_lag = DEFAULT_MAX_LAG if entry.value.max_lag is None else entry.value.max_lag
    if fresh > max_lag and not entry.flawed:
        yield entry.error(
            f"fresh is {in_units(fresh)}, more than max_lag, which is {in_units(max_lag)}: a mirror would be left out"
            " while it still counts as fresh",
            "max_lag" if entry.value.fresh is None else "fresh",
        )


def _check_files(entry: SourceRecord[RepositoryTable], *, one_tree: bool) -> Iterator[Complaint]:
    """Check that the directory of each file is known; in `one_tree` all architectures share one."""
    arches = entry.value.arches
    if entry.flawed:
        return
    for position, file in enumerate(entry.value.files):
        where = ("files", position)
        if file.arch is not None and file.arch not in arches:
            message = _unknown("architecture", file.arch, arches) if arches else "the repository has no architectures"
            yield entry.error(message, *where, "arch")
        elif file.arch is None and len(arches) > 1 and not one_tree:
            yield entry.error(
                f"is missing; name the architecture of the file: {', '.join(sorted(arches))}", *where, "arch"
            )


def _check_overrides(merged: MergedSources) -> Iterator[Complaint]:
    for prefix, entry in merged.netblocks.items():
        if _is_wide(prefix):
            yield entry.warning(f"{prefix} is very wide: all clients in it count as clients in {entry.value}")
    for country, groups in merged.neighbours.items():
        seen = {country}
        for position, group in enumerate(groups.value):
            # validation has turned a flat list of countries into one group
            where = (position,) if len(groups.value) > 1 else ()
            for neighbour in group:
                if neighbour in seen:
                    what = "its own neighbour" if neighbour == country else "listed twice"
                    yield groups.warning(f"{neighbour} is {what}; the nearer place holds", *where)
                seen.add(neighbour)


def _unknown(kind: str, name: str, known: Iterable[str]) -> str:
    return f"there is no {kind} {rules.shown(name)}{did_you_mean(name, known)}"


def _is_wide(prefix: str) -> bool:
    network = ip_network(prefix)
    return network.prefixlen < _WIDE[network.version]
