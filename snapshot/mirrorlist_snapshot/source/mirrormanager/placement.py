"""Place the directories of a cache: tops become categories, hosts become named mirrors with base URLs in them.

The cache names hosts and URLs by number and has no categories. A host's URL is the base of one category. So a directory
without its trailing `Subpath` is the top of a category. If a host has different URLs for different directories of one
top, there are several categories with that top. A host that is private for some directories only becomes two mirrors,
so that no directory offers it to more clients than the cache does.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

from mirrorlist_snapshot.source import rules
from mirrorlist_snapshot.source.rules import RuleError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirrorlist_snapshot.source.mirrormanager.cache import Cache, HostSet
    from mirrorlist_snapshot.source.mirrormanager.skips import SkippedRows

V = TypeVar("V")
T = TypeVar("T")
MAX_SAME_TOP: Final = 200
"""Categories with one top; real caches have one or two, where hosts have moved a part of their tree."""
_PRIVATE_MARK: Final = "!"
"""Last character of the name of the private one of a host's two mirrors."""


class HostRole(NamedTuple):
    """One of a host's mirrors: for all clients, or for its own networks only."""

    host: int
    private: bool


@dataclass(slots=True)
class PlacedCategory:
    """A category: a top, and the URLs that hosts have for it."""

    name: str
    top: str
    urls: dict[int, tuple[int, ...]] = field(default_factory=dict[int, tuple[int, ...]])
    """Host -> ids of its URLs."""
    roles: set[HostRole] = field(default_factory=set[HostRole])
    """The mirrors that carry at least one of its directories."""
    directories: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """Path below the top -> names of the mirrors that carry it; equal sets are one object."""


@dataclass(slots=True)
class Placement:
    """The categories, mirrors and directories of a cache, by name."""

    bases: dict[int, str]
    """URL id -> base URL in the canonical form of `rules.url`."""
    categories: list[PlacedCategory]
    places: dict[str, tuple[str, str]]
    """Directory -> category's name, path below its top."""
    names: dict[HostRole, str]


def apply_rule(skips: SkippedRows, table: str, reason: str, rule: Callable[[V], T], value: V) -> T | None:
    """Return the canonical value that a rule gives; if the rule refuses it, count the row and return None."""
    try:
        return rule(value)
    except RuleError:
        skips.add(table, reason, str(value))
        return None


def place_directories(cached: Cache, skips: SkippedRows) -> Placement:
    """Assign every directory of a cache to a category."""
    bases: dict[int, str] = {}
    for number, url in cached.urls.items():
        if (base := apply_rule(skips, "HCUrlCache", "no base URL that clients could use", rules.url, url)) is not None:
            bases[number] = base
    roles = _Roles(bases)
    names = _names(cached, bases, roles, skips)
    placing = _DirectoryPlacer(roles, names)
    for directory, row in cached.directories.items():
        path = apply_rule(skips, "MirrorListCache", "no path", rules.path, directory)
        below = None if path is None else apply_rule(skips, "MirrorListCache", "no path", rules.path, row.subpath)
        if path is None or below is None:
            continue
        if not f"/{path}".endswith(f"/{below}" if below else ""):
            skips.add("MirrorListCache", "Subpath is not the end of the directory", f"{directory}: {row.subpath}")
        elif (reason := placing.add(path, below, row.hosts)) is not None:
            skips.add("MirrorListCache", reason, directory)
    return Placement(bases, placing.categories, placing.places, names)


class _DirectoryPlacer:
    def __init__(self, roles: _Roles, names: dict[HostRole, str]) -> None:
        self.categories: list[PlacedCategory] = []
        self.places: dict[str, tuple[str, str]] = {}
        self._roles = roles
        self._names = names
        self._by_top: dict[str, list[PlacedCategory]] = {}
        self._chosen: dict[tuple[str, HostSet], PlacedCategory] = {}
        self._carriers: dict[HostSet, frozenset[str]] = {}

    def add(self, path: str, below: str, hosts: HostSet) -> str | None:
        """Place a directory; return the reason if it cannot be placed."""
        if path in self.places:
            return "the directory was there before"
        top = path[: len(path) - len(below)].rstrip("/")
        category = self._chosen.get((top, hosts))
        if category is None:
            category = self._choose(top, hosts)
            if category is None:
                return f"its hosts have other URLs than in {MAX_SAME_TOP} categories with its top"
            self._chosen[top, hosts] = category
        carriers = self._carriers.get(hosts)
        if carriers is None:
            carriers = frozenset(self._names[role] for role in self._roles.of(hosts))
            self._carriers[hosts] = carriers
        category.directories[below] = carriers
        self.places[path] = category.name, below
        return None

    def _choose(self, top: str, hosts: HostSet) -> PlacedCategory | None:
        """Return the first category with this top in which every host has the same URLs, or a new one.

        None if there are too many. All are compared, so their number is limited.
        """
        same = self._by_top.setdefault(top, [])
        for category in same:
            if all(category.urls.get(host, urls) == urls for host, urls in hosts.urls.items()):
                break
        else:
            if len(same) == MAX_SAME_TOP:
                return None
            name = (top or "/") + (f"//{len(same) + 1}" if same else "")  # `//` is in no path, so the name is unique
            category = PlacedCategory(name, top)
            same.append(category)
            self.categories.append(category)
        category.urls.update(hosts.urls)
        category.roles.update(self._roles.of(hosts))
        return category


class _Roles:
    """The mirrors of sets of hosts: those hosts that have a URL. Equal ones, of two million, are one object."""

    def __init__(self, bases: dict[int, str]) -> None:
        self._found: dict[HostSet, list[HostRole]] = {}
        self._role = cache(HostRole)

        @cache
        def usable(urls: tuple[int, ...]) -> bool:
            return any(number in bases for number in urls)

        self._usable = usable

    def of(self, hosts: HostSet) -> list[HostRole]:
        """Return the mirrors of a set."""
        found = self._found.get(hosts)
        if found is None:
            role, usable, private = self._role, self._usable, hosts.private
            found = [role(host, host in private) for host, urls in hosts.urls.items() if usable(urls)]
            self._found[hosts] = found
        return found


def _names(cached: Cache, bases: dict[int, str], roles: _Roles, skips: SkippedRows) -> dict[HostRole, str]:
    """Return the name of every mirror: the host in its oldest URL (of the lowest number), and the host's number."""
    every: set[HostRole] = set()
    rows: Counter[tuple[int, tuple[int, ...]]] = Counter()
    for hosts in cached.host_sets():
        every.update(roles.of(hosts))
        rows.update(iter(hosts.urls.items()))
    oldest: dict[int, int] = {}
    for (host, urls), count in rows.items():
        usable = [number for number in urls if number in bases]
        if usable:
            oldest[host] = min(oldest.get(host, usable[0]), *usable)
        elif not any(number in cached.urls for number in urls):
            for _ in range(count):
                skips.add("MirrorListCache.ByHostId", "the host has no URL in HCUrlCache", str(host))
    return {
        role: f"{urlsplit(bases[oldest[role.host]]).netloc}#{role.host}"
        + (_PRIVATE_MARK if role.private and HostRole(role.host, private=False) in every else "")
        for role in every
    }
