"""The records of a mirror network: what every kind of source produces and the compiler takes, by name.

An imported cache has 150,000 directories with 3,000 distinct sets of carriers. The directories of listed categories
therefore map to `frozenset` objects, one for all equal sets; the compiler works once for each distinct object.

What the sources declare and what was observed stand side by side: `freshness` sets the observed fields and changes no
declared one, and the compiler applies them.

`source` guarantees that every reference holds: named categories and mirrors exist, and aliases end at a repository.
Paths have no slash at either end, countries are upper case, prefixes canonical, URLs ASCII with a trailing slash.
Order has a meaning in neighbour groups and alternates only; the compiler sorts everything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.model import BOTH_FAMILIES, NOTHING_ABOUT, About, Families

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirrorlist_snapshot.health import MirrorHealth
    from mirrorlist_snapshot.model import CategoryKind, ClientNetblock, FileDetails, Overrides


DEFAULT_FRESH: Final = 12 * 3600
"""Seconds; what other networks allow before they call a mirror out of date."""
DEFAULT_MAX_LAG: Final = 24 * 3600
"""Seconds; after a day without synchronisation a mirror is not offered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryRecord:
    """A content tree that mirrors carry."""

    name: str
    kind: CategoryKind
    top: str
    """The start of `path=` for this tree; possibly empty."""
    master: str | None = None
    """Where the prober reads the current versions: an http(s) URL ending in `/`, or the path of a local folder."""
    stamp: str | None = None
    """A file below the top that says when the tree was last changed or synchronised."""
    part_of: str | None = None
    """The category of which this is the part for one architecture (see `architectures`); no source says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentRecord:
    """What one mirror offers of one category.

    The mirror carries directory D if there is no `include` or one of them is D or an ancestor of D, and no `exclude`
    is D or an ancestor of D. In a listed category it must also be among the carriers in `NetworkRecords.directories`.
    Beyond that, it is offered for D unless all URLs are down, or the nearest observed directory says otherwise.
    """

    category: str
    urls: tuple[str, ...]
    """Base URLs, ASCII, each ending in `/`; at most one per protocol."""
    include: tuple[str, ...] = ()
    """Path prefixes below the category's top, on path boundaries; never empty strings."""
    exclude: tuple[str, ...] = ()
    down_urls: tuple[str, ...] = ()
    """Observed: those of `urls` that are not offered."""
    observed_directories: tuple[tuple[str, bool], ...] = ()
    """Observed: (directory, whether it is offered), each with all below it up to the next one."""
    families: Families = BOTH_FAMILIES
    arches: tuple[str, ...] | None = None
    """The only architectures of the category's repositories that the mirror has; None: all of them."""

    def allows(self, directory: str) -> bool:
        """Whether the declared path prefixes let the mirror carry a directory of the category."""
        return (not self.include or _below_any(directory, self.include)) and not _below_any(directory, self.exclude)


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorRecord:
    """A host that carries categories; the fields mean what they mean in `model.Mirror`."""

    name: str
    country: str | None
    bandwidth: int
    """Mbit/s, within model.BANDWIDTH_RANGE."""
    asns: tuple[int, ...]
    netblocks: tuple[ClientNetblock, ...]
    """Distinct prefixes."""
    private: bool
    fallback: bool
    active: bool
    allowed_countries: tuple[str, ...]
    denied_countries: tuple[str, ...]
    contents: tuple[ContentRecord, ...]
    """At most one per category."""
    weight: int = 100
    """Observed: percent of the bandwidth that counts."""
    health: MirrorHealth | None = None
    """Observed: what people are told."""
    continent: str | None = None
    worldwide: bool = False
    also_countries: tuple[str, ...] = ()
    about: About = NOTHING_ABOUT


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryDirectoryRecord:
    """Where a repository lies for one architecture."""

    arch: str
    """Empty where the repository has no architectures (then it is the only one)."""
    category: str
    path: str
    """Below the category's top; empty for the top itself."""
    unit: str | None = None
    """The index file by which the prober judges this directory, below it; None: the one that the master has."""
    fresh: int = DEFAULT_FRESH
    """Seconds for which a superseded version still counts as fresh."""
    max_lag: int = DEFAULT_MAX_LAG
    """Seconds for which a superseded version is still offered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryRecord:
    """What clients name in `repo=`."""

    name: str
    disabled: bool
    directories: tuple[RepositoryDirectoryRecord, ...]
    """One per architecture; never empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRecords:
    """Everything that the compiler needs to know about a mirror network."""

    categories: tuple[CategoryRecord, ...]
    mirrors: tuple[MirrorRecord, ...]
    repositories: tuple[RepositoryRecord, ...]
    aliases: Mapping[str, str]
    """Alias -> repository or another alias; free of loops."""
    directories: Mapping[str, Mapping[str, frozenset[str]]]
    """Listed category -> directory below its top -> names of the mirrors that hold it up to date (shared sets)."""
    files: Mapping[tuple[str, str], FileDetails]
    """(category, path of the file below its top) -> what a metalink states about it."""
    overrides: Overrides
    netblock_countries: Mapping[str, str]
    """CIDR prefix -> country of the clients in it; the longest prefix holds."""
    asn_netblocks: Mapping[str, int]
    """CIDR prefix -> AS number of the clients in it, 0 for none that has mirrors; the longest prefix holds."""
    contact: str | None = None
    """A URL or mail address that the prober names to mirrors, for complaints."""
    observed: int = 0
    """When mirrors were last observed, seconds since 1970 UTC; 0: never."""


def _below_any(directory: str, prefixes: tuple[str, ...]) -> bool:
    return bool(prefixes) and not with_ancestors(directory).isdisjoint(prefixes)


def with_ancestors(path: str) -> set[str]:
    """Return a path and all directories that it is in, but the top."""
    found: set[str] = set()
    while path:
        found.add(path)
        path = path.rpartition("/")[0]
    return found
