"""A snapshot, indexed for answers: names -> content, protocols -> base URLs, networks -> places. Pure.

An index is built once per snapshot and never changes. A request costs dictionary lookups and one bisection per table.
Nothing is copied per directory or per netblock, so that building and dropping an index is cheap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from mirrorlist_snapshot.model import BANDWIDTH_RANGE, CategoryKind
from mirrorlist_snapshot.tiers import continent_of, serves_continent, serves_country
from mirrorlistd.errors import NotServedError, Reason
from mirrorlistd.request.escapes import quoted
from mirrorlistd.selection.draw import mask_of
from mirrorlistd.selection.open_directories import OpenDirectories

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mirrorlist_snapshot.model import FileDetails, Mirror, NetblockMatch, Repository, Snapshot
    from mirrorlist_snapshot.tables import NetTable
    from mirrorlistd.geo.locate import Location
    from mirrorlistd.request.query import Query
    from mirrorlistd.selection.status_file import MirrorStatus

DEFAULT_PROTOCOLS: Final = ("https", "http")
"""A list has a mirror's URL for the first of these that the mirror has, unless the client asks for other protocols
(docs/selection.md, Who may be offered)."""
PROTOCOLS: Final = frozenset(("https", "http", "ftp", "rsync"))
"""All that a source may name (`mirrorlist_snapshot.source`)."""
THE_ONLY: Final = "*"
"""In place of a repository's name: the only one that is not disabled. No repository can have this name."""
NAMES_SHOWN: Final = 60
"""How many names an error lists: about one screen of them. This also bounds the cost of an error."""
LONGEST_PATH: Final = 1_024
"""Bytes of a path below a top; sources allow no path that is longer, and each segment costs a search."""


@dataclass(frozen=True, slots=True)
class Target:
    """The content of a query: a directory or file of a category."""

    category: int
    path: bytes
    """Below the category's top, not escaped; no slash at either end; empty for the top."""
    suffix: bytes
    """What follows a mirror's base URL: the path, percent-encoded, with `/` at the end for a directory."""
    carriers: int
    """Carrier set number."""
    label: bytes
    """The beginning of the comment line, e.g. `# repo = debian` or `# path = debian/dists/`."""
    arch: str = ""
    """The architecture whose directory this is, or is below; empty where there is none, and for paths."""

    @property
    def is_directory(self) -> bool:
        """Whether this is a directory; if not, it is a file in one."""
        return not self.suffix or self.suffix.endswith(b"/")


Networks = tuple[int, int, int]
"""Of an address: AS that announces it, number of its netblock chain, number of its country override; 0 for none."""
NOWHERE: Final[Networks] = (0, 0, 0)


class Place(NamedTuple):
    """Everything about a client that its ranking depends on."""

    country: str | None
    """ISO 3166-1 alpha-2, netblock overrides applied."""
    continent: str | None
    """Continent code, overrides applied."""
    asn: int
    """The client's autonomous system if a mirror serves it, else 0."""
    chain: int
    """Number of the netblock chain that contains the client, 0 for none."""


@dataclass(frozen=True, slots=True, eq=False)
class Offers:
    """The base URLs of one category for some protocols, by mirror number. Compared by identity."""

    urls: tuple[tuple[bytes, ...], ...]
    """Base URLs of each mirror, each ending in `/`; empty where it has none of the wanted protocols."""
    first: tuple[bytes, ...]
    """The first base URL of each mirror, or empty bytes."""
    single: bool
    """Whether no mirror has more than one base URL."""


class Index:
    """One snapshot, indexed for selection."""

    __slots__ = (
        "_asns",
        "_base_urls",
        "_country_masks",
        "_known",
        "_only",
        "_open_directories",
        "_repositories",
        "_tops",
        "_v4",
        "_v6",
        "countries",
        "hashes",
        "kind_masks",
        "kinds",
        "snapshot",
        "statuses",
        "weights",
    )

    def __init__(
        self,
        snapshot: Snapshot,
        heaviest: int = BANDWIDTH_RANGE[1],
        statuses: Mapping[str, MirrorStatus] = MappingProxyType({}),
    ) -> None:
        """Precompute; costs time in proportion to mirrors and repositories, not to directories.

        No mirror weighs more than `heaviest` (Mbit/s). `statuses` come from the status file that has been
        applied to the snapshot, by mirror name: why some mirrors differ from their sources.
        """
        self.snapshot = snapshot
        self.statuses = statuses
        self.weights: Sequence[int] = tuple(min(mirror.bandwidth, heaviest) for mirror in snapshot.mirrors)
        self.hashes: Sequence[int] = tuple(
            int.from_bytes(blake2b(mirror.name.encode(), digest_size=8).digest(), "big") for mirror in snapshot.mirrors
        )
        """64 bits of each mirror's name, so that every server makes the same stable choice."""
        asns: dict[int, list[int]] = {}
        for number, mirror in enumerate(snapshot.mirrors):
            for asn in mirror.asns:
                asns.setdefault(asn, []).append(number)
        self._asns = {asn: frozenset(mirrors) for asn, mirrors in asns.items()}
        countries: dict[str, list[int]] = {}
        for number, mirror in enumerate(snapshot.mirrors):
            if mirror.country is not None:
                countries.setdefault(mirror.country, []).append(number)
        self.countries: Mapping[str, int] = {country: mask_of(countries[country]) for country in sorted(countries)}
        """Country -> mask of its mirrors."""
        self._country_masks: dict[str, int] = {}
        kinds: dict[object, list[int]] = {}
        for number, mirror in enumerate(snapshot.mirrors):
            kinds.setdefault(_kind(mirror), []).append(number)
        self.kinds = replace(snapshot, mirrors=tuple(snapshot.mirrors[numbers[0]] for numbers in kinds.values()))
        """The snapshot with one mirror of each kind: mirrors of a kind have the same tier everywhere."""
        self.kind_masks = tuple(map(mask_of, kinds.values()))
        """The mask of the mirrors of each kind."""
        self._base_urls = _base_urls(snapshot)
        named = {repository.name: repository for repository in snapshot.repositories}
        self._repositories = {**{alias: named[name] for alias, name in snapshot.aliases.items()}, **named}
        enabled = [repository for repository in snapshot.repositories if not repository.disabled]
        self._only = enabled[0] if len(enabled) == 1 else None
        self._open_directories = OpenDirectories(snapshot)
        # Longest top first: `pub/epel` before `pub`.
        self._tops = sorted(
            ((category.top.encode(), number) for number, category in enumerate(snapshot.categories)),
            key=lambda pair: (-len(pair[0]), pair[0]),
        )
        self._known = _known(snapshot)
        tables = snapshot.asn_netblocks, snapshot.client_netblocks, snapshot.country_netblocks
        self._v4 = _finders(table.v4 for table in tables)
        self._v6 = _finders(table.v6 for table in tables)

    def resolve(self, query: Query) -> Target:
        """Return the content of a query; raise NotServedError with the status and a message.

        `path=` wins over `repo=`. A path is looked up as a directory, then as a directory and a file name
        (docs/selection.md, What is asked).
        """
        if query.path is not None:
            return self._resolve_path(query.path, query.sent, directory=query.directory)
        if query.repo is None:
            raise NotServedError(
                Reason.NOT_NAMED, f"name what you want: repo=NAME (and arch=ARCH), or path=DIRECTORY; {self._known}"
            )
        target = self._resolve_repository(query.repo, query.arch)
        return self._resolve_file(target, query, query.file) if query.file else target

    def below(self, directory: Target, file: str) -> bytes:
        """Return the path of a file relative to a directory, whose name may be the first folder of the file's path.

        For example, `repodata/repomd.xml` is `repomd.xml` if the directory of the repository is its `repodata`.
        """
        folder, _, rest = file.encode().partition(b"/")
        path = directory.path or self.snapshot.categories[directory.category].top.encode()
        return rest if rest and path.rpartition(b"/")[2] == folder else file.encode()

    def networks(self, packed: bytes) -> Networks:
        """Look up an address of 4 or 16 bytes in the snapshot's tables of networks."""
        asns, clients, countries = self._v4 if len(packed) == 4 else self._v6  # noqa: PLR2004 - bytes of an IPv4 address
        return (asns(packed) if asns else 0, clients(packed) if clients else 0, countries(packed) if countries else 0)

    def place(self, location: Location, networks: Networks = NOWHERE) -> Place:
        """Return the place of a client: its location in the geo databases, with the snapshot's overrides applied."""
        country, continent, asn = location
        announced, chain, override = networks
        if override:
            country = self.snapshot.netblock_countries[override - 1]
            continent = None  # the database's continent belongs to the country that the override replaces
        asn = announced or asn
        asn = asn if asn in self._asns else 0
        return Place(country, continent_of(country, continent, self.snapshot.overrides), asn, chain)

    def matches(self, chain: int) -> tuple[NetblockMatch, ...]:
        """Return the client netblocks of a chain, longest prefix first."""
        return self.snapshot.netblock_chains[chain]

    def mirrors_of_asn(self, asn: int) -> frozenset[int]:
        """Return the mirrors that serve an autonomous system; none for 0, which means that it is unknown."""
        return self._asns.get(asn, frozenset()) if asn else frozenset()

    def serving_country(self, country: str) -> int:
        """Return the mask of the mirrors that stand in a country's own tier."""
        if (mask := self._country_masks.get(country)) is None:
            mirrors = enumerate(self.snapshot.mirrors)
            mask = mask_of(number for number, mirror in mirrors if serves_country(mirror, country))
            self._country_masks[country] = mask  # there are 676 codes
        return mask

    def serving_continent(self, continent: str | None) -> int:
        """Return the mask of the mirrors that stand in a continent's tier."""
        mirrors, overrides = enumerate(self.snapshot.mirrors), self.snapshot.overrides
        return mask_of(number for number, mirror in mirrors if serves_continent(mirror, continent, overrides))

    def offers(self, category: int, protocols: tuple[str, ...], http_first: bool = False) -> Offers:  # noqa: FBT001, FBT002 - a row of a memo's key
        """Return one base URL per mirror and wanted protocol; () means the first default protocol that a mirror has.

        With `http_first` http comes before all other protocols.
        """
        ordered = sorted(protocols or DEFAULT_PROTOCOLS, key=lambda name: http_first and name != "http")
        by_mirror = self._base_urls[category]
        everyone: list[tuple[bytes, ...]] = []
        for number in range(len(self.snapshot.mirrors)):
            urls = by_mirror.get(number, {})
            wanted = tuple(urls[protocol] for protocol in ordered if protocol in urls)
            everyone.append(wanted if protocols else wanted[:1])
        return Offers(
            urls=tuple(everyone),
            first=tuple(urls[0] if urls else b"" for urls in everyone),
            single=all(len(urls) <= 1 for urls in everyone),
        )

    def details(self, target: Target) -> FileDetails | None:
        """Return the details of a file."""
        return self.snapshot.files.get(target.category.to_bytes(2, "big") + target.path)

    def unseen(self, query: Query, target: Target) -> NotServedError | None:
        """Return the error for a listed directory that no public mirror has: the same as if it were not there.

        None for other content. Private mirrors may have the directory, but strangers must not learn of it.
        """
        if self.snapshot.categories[target.category].kind is not CategoryKind.LISTED or self._is_public(target):
            return None
        if query.path is not None:
            return self._no_path()
        repository = self._resolve_repository(query.repo or "", query.arch)
        if self._is_public(repository):
            return _no_directory()
        return _nobody(self.snapshot.aliases.get(query.repo or "", query.repo or ""))

    def _is_public(self, target: Target) -> bool:
        """Whether a mirror that is not private carries the content."""
        return any(not self.snapshot.mirrors[one].private for one in self.snapshot.sets.members(target.carriers))

    def _no_path(self) -> NotServedError:
        return NotServedError(Reason.NO_PATH, f"no such path; {self._known}")

    def _resolve_repository(self, name: str, arch: str | None) -> Target:
        repository = self._only if name == THE_ONLY else self._repositories.get(name)
        if repository is None:
            raise NotServedError(Reason.NO_REPOSITORY, f"no such repository; {self._known}")
        if repository.disabled:
            raise NotServedError(Reason.DISABLED, f"repository {repository.name} is disabled")
        directory = repository.directories[0]
        label = f"# repo = {repository.name}"
        arches = {candidate.arch: candidate for candidate in repository.directories if candidate.arch}
        if arches:  # a repository without architectures ignores arch=, because apt always sends it
            if arch is None and directory.arch and len(arches) > 1:
                raise NotServedError(
                    Reason.NOT_NAMED, f"repository {repository.name} needs arch=; {_arches(repository)}"
                )
            if arch is not None and arch not in arches:
                raise NotServedError(
                    Reason.NO_REPOSITORY,
                    f"repository {repository.name} has no such architecture; {_arches(repository)}",
                )
            directory = arches[arch] if arch is not None else directory
            label += f" arch = {directory.arch}" if directory.arch else ""
        path = directory.path.encode()
        carriers = self._carriers(directory.category, path)
        if carriers is None:
            raise _nobody(repository.name)
        suffix = _suffix(path, directory=True)
        return Target(directory.category, path, suffix, carriers, label.encode(), directory.arch)

    def _resolve_file(self, repository: Target, query: Query, file: bytes) -> Target:
        """Look a file up below a repository's directory, and by its whole path if its category does not have it.

        An import splits MirrorManager's categories where hosts have different URLs, even between a repository and its
        `repodata`. With the lookup by path, a file in either part is found by repository, too.
        """
        sent, directory = query.sent, query.directory
        path = b"/".join(filter(None, (repository.path, file)))
        label = repository.label + b" file = " + (sent or quoted(file))
        sent = b"/".join(filter(None, (quoted(repository.path), sent))) if sent else b""
        target = self._below(repository.category, path, sent, directory=directory, prefixes=False)
        if target is None or (self.details(target) is None and not target.is_directory):
            top = self.snapshot.categories[repository.category].top.encode()
            try:
                by_path = self._resolve_path(
                    b"/".join(filter(None, (top, path))),
                    b"/".join(filter(None, (quoted(top), sent))) if sent else b"",
                    directory=directory,
                )
            except NotServedError:
                by_path = None
            if by_path is not None and (target is None or self.details(by_path) is not None):
                target = by_path
        if target is None:
            raise self.unseen(query, repository) or _no_directory()
        return replace(target, label=label + (b"/" if target.is_directory else b""), arch=repository.arch)

    def _resolve_path(self, path: bytes, sent: bytes, *, directory: bool) -> Target:
        """Look a path up below the longest top that it begins with; a directory of any category precedes a file."""
        file: Target | None = None
        for top, category in self._tops:
            if path == top:
                below, rest = b"", b""
            elif not top:
                below, rest = path, sent
            elif path.startswith(top + b"/"):
                below = path[len(top) + 1 :]
                rest = b"/".join(sent.split(b"/")[top.count(b"/") + 1 :])
            else:
                continue
            target = self._below(category, below, rest, directory=directory)
            if target is not None and target.is_directory:
                return target
            file = file or target
            if target is not None and self.snapshot.categories[category].kind is CategoryKind.OPEN:
                break  # in an open category every path exists
        if file is not None:
            return file
        raise self._no_path()

    def _below(
        self, category: int, path: bytes, sent: bytes, *, directory: bool, prefixes: bool = True
    ) -> Target | None:
        """Look a path up below the top of a category; `sent` is the path as the client escaped it, or empty.

        `prefixes` is as for `OpenDirectories.known`.
        """
        if len(path) > LONGEST_PATH:
            return None
        directories = self.snapshot.directories
        if self.snapshot.categories[category].kind is CategoryKind.LISTED:
            carriers = directories.find(category, path)
            if carriers is not None or not path:
                directory = True
            elif not directory:
                carriers = directories.find(category, path.rpartition(b"/")[0])
        else:
            carriers = directories.nearest(category, path)
            directory = directory or self._open_directories.known(category, path, prefixes=prefixes)
        if carriers is None:
            return None
        top = self.snapshot.categories[category].top.encode()
        suffix = (sent or quoted(path)) + (b"/" if directory and path else b"")
        label = b"# path = " + ((quoted(top) + b"/" if top else b"") + suffix or b"/")
        return Target(category, path, suffix, carriers, label)

    def _carriers(self, category: int, path: bytes) -> int | None:
        directories = self.snapshot.directories
        if self.snapshot.categories[category].kind is CategoryKind.LISTED:
            return directories.find(category, path)
        return directories.nearest(category, path)


def _no_directory() -> NotServedError:
    return NotServedError(Reason.NO_PATH, "the repository has no such directory")


def _nobody(repository: str) -> NotServedError:
    return NotServedError(Reason.NOBODY, f"repository {repository} is carried by no mirror")


def _kind(mirror: Mirror) -> object:
    """Return all that the tier of a mirror depends on (see `mirrorlist_snapshot.tiers.tier_map`)."""
    shown = mirror.active, mirror.private, mirror.fallback, mirror.allowed_countries, mirror.denied_countries
    return *shown, mirror.country, mirror.continent, mirror.worldwide, mirror.also_countries


def _finders(tables: Iterable[NetTable]) -> tuple[Callable[[bytes], int] | None, ...]:
    """Return the lookup of each table; None for an empty table, so that no client's address is looked up in it."""
    return tuple(table.find if len(table) else None for table in tables)


def _base_urls(snapshot: Snapshot) -> tuple[Mapping[int, Mapping[str, bytes]], ...]:
    """Category -> mirror -> protocol -> base URL."""
    tables: tuple[dict[int, dict[str, bytes]], ...] = tuple({} for _ in snapshot.categories)
    for number, mirror in enumerate(snapshot.mirrors):
        for content in mirror.contents:
            tables[content.category][number] = {url.partition("://")[0]: url.encode() for url in content.urls}
    return tables


def _known(snapshot: Snapshot) -> str:
    names = [repository.name for repository in snapshot.repositories if not repository.disabled]
    return "known repositories: " + _some(names)


def _arches(repository: Repository) -> str:
    return "architectures: " + _some([directory.arch for directory in repository.directories if directory.arch])


def _some(names: list[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return " ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "") or "none"


def _suffix(path: bytes, *, directory: bool) -> bytes:
    return quoted(path) + (b"/" if directory and path else b"")
