"""What a snapshot may say, whatever bytes it came from: the same rules before writing and after reading.

`serveable` is what every load pays for: afterwards no number points outside its list and no text can break
an answer. `thorough` adds what takes a walk over every row and decides only what is found: order, paths.
"""

from __future__ import annotations

import ipaddress
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.errors import SnapshotError
from mirrorlist_snapshot.format.bulk import MAX_SETS
from mirrorlist_snapshot.format.container import MAX_TIME
from mirrorlist_snapshot.format.files import FileTable
from mirrorlist_snapshot.format.packed import CONTROL
from mirrorlist_snapshot.model import (
    BANDWIDTH_RANGE,
    CONTINENTS,
    MAX_ABOUT_TEXT,
    MAX_CATEGORIES,
    MAX_CHAIN_MATCHES,
    MAX_CHAINS,
    MAX_CLIENT_ASNS,
    MAX_CLIENT_NETBLOCKS,
    MAX_CONTENTS,
    MAX_MIRRORS,
    MAX_REPOSITORIES,
    MAX_REPOSITORY_DIRECTORIES,
    NOTHING_ABOUT,
    CategoryKind,
)
from mirrorlist_snapshot.tables import highest
from mirrorlist_snapshot.tiers import MAX_NEIGHBOUR_GROUPS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mirrorlist_snapshot.model import About, Category, Mirror, Overrides, Repository, Snapshot
    from mirrorlist_snapshot.tables import KeyTable

MAX_ASN: Final = 0xFFFF_FFFF
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_UNCLEAN: Final = re.compile(rf"{CONTROL.pattern}|(?:\A|/)\.{{0,2}}(?:/|\Z)")
"""A control character, or an empty, `.` or `..` segment."""
_URL: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://(?:[A-Za-z0-9._~-]+|\[([0-9A-Fa-f:.]+)\])(?::([0-9]{1,5}))?/(?:[!#-;=?-\[\]_a-z~]*/)?"
)
"""An absolute URL with a host that ends in a slash (RFC 3986); its groups are protocol, IPv6 address, port."""
_MAX_PORT: Final = 0xFFFF
_LINK: Final = re.compile(r"(?:https?://[!#-;=?-\[\]_a-z~]+)?")
"""An absolute URL of a page or a picture, or nothing."""
_A_CONTINENT: Final = f"a continent out of {' '.join(CONTINENTS)}"
_PREFIX: Final = re.compile(r"[0-9a-f.:]{2,45}/[0-9]{1,3}")


def serveable(snapshot: Snapshot) -> None:
    """Raise SnapshotError unless every cross reference holds and answers can be made of every value."""
    _text("the generator", snapshot.generator, empty=True)
    if not 0 <= snapshot.observed <= MAX_TIME:
        raise SnapshotError(f"a time of observation up to {MAX_TIME}", str(snapshot.observed))
    _categories(snapshot.categories)
    _mirrors(snapshot.mirrors, len(snapshot.categories))
    _repositories(snapshot.repositories, len(snapshot.categories))
    _aliases(snapshot)
    _overrides(snapshot.overrides)
    _sets(snapshot)
    _netblocks(snapshot)


def _categories(categories: tuple[Category, ...]) -> None:
    _at_most("categories", len(categories), MAX_CATEGORIES)
    _distinct("category", [category.name for category in categories])
    for number, category in enumerate(categories):
        _text("a category's name", category.name)
        _path(f"top of category {category.name}", category.top)
        if category.part_of is not None and not 0 <= category.part_of < number:
            raise SnapshotError(f"a category below {number} of which {category.name} is a part", str(category.part_of))


def _mirrors(mirrors: tuple[Mirror, ...], categories: int) -> None:
    _at_most("mirrors", len(mirrors), MAX_MIRRORS)
    _at_most("AS numbers of mirrors", sum(len(mirror.asns) for mirror in mirrors), MAX_CLIENT_ASNS)
    _at_most("netblocks of mirrors", sum(len(mirror.netblocks) for mirror in mirrors), MAX_CLIENT_NETBLOCKS)
    _at_most("contents of mirrors", sum(len(mirror.contents) for mirror in mirrors), MAX_CONTENTS)
    _distinct("mirror", [mirror.name for mirror in mirrors])
    low, high = BANDWIDTH_RANGE
    for mirror in mirrors:
        _text("a mirror's name", mirror.name)
        _location(mirror)
        if mirror.about != NOTHING_ABOUT:
            _about(mirror.name, mirror.about)
        if not low <= mirror.bandwidth <= high:
            raise SnapshotError(f"a bandwidth of {low} to {high}", f"{mirror.bandwidth} of {mirror.name}")
        for asn in mirror.asns:
            if not 1 <= asn <= MAX_ASN:
                raise SnapshotError(f"AS numbers of 1 to {MAX_ASN}", f"{asn} of {mirror.name}")
        for netblock in mirror.netblocks:
            if not _PREFIX.fullmatch(netblock.prefix):
                raise SnapshotError("netblocks in CIDR notation", f"{netblock.prefix!r} of {mirror.name}")
        _contents(mirror, categories)


def _location(mirror: Mirror) -> None:
    if mirror.country is not None:
        _countries(mirror.name, (mirror.country,))
    for countries in (mirror.allowed_countries, mirror.denied_countries, mirror.also_countries):
        _countries(mirror.name, countries)
    if mirror.continent is not None and mirror.continent not in CONTINENTS:
        raise SnapshotError(_A_CONTINENT, f"{mirror.continent!r} of {mirror.name}")


def _contents(mirror: Mirror, categories: int) -> None:
    previous = -1
    for content in mirror.contents:
        if not previous < content.category < categories:
            raise SnapshotError(
                f"ascending categories below {categories}",
                f"{content.category} after {previous} of {mirror.name}",
            )
        previous = content.category
        _urls(mirror.name, content.urls)


def _about(name: str, about: About) -> None:
    texts = (about.sponsor, about.sponsor_url, about.sponsor_logo, about.city, about.notes)
    for text in texts:
        _text(f"what is said about {name}", text, empty=True)
        if len(text) > MAX_ABOUT_TEXT:
            raise SnapshotError(f"at most {MAX_ABOUT_TEXT} characters about {name}", f"{len(text)} in one text")
    for url in (about.sponsor_url, about.sponsor_logo):
        if not _LINK.fullmatch(url):
            raise SnapshotError("an http or https URL of a sponsor", f"{url!r} of {name}")
    if (about.latitude is None) != (about.longitude is None):
        raise SnapshotError(f"latitude and longitude of {name}", "one of them")


def _urls(name: str, urls: tuple[str, ...]) -> None:
    protocols: list[str] = []
    for url in urls:
        match = _URL.fullmatch(url)
        if match is None or not _has_host(match[2], match[3]):
            raise SnapshotError(
                "an absolute URL in ASCII with a host that ends in a slash", f"{url!r} of mirror {name}"
            )
        protocols.append(match[1])
    if not protocols or len(set(protocols)) < len(protocols) or "https" in protocols[1:]:
        raise SnapshotError("one URL per protocol, https first", f"{' '.join(urls) or 'none'} of mirror {name}")


def _has_host(ipv6: str | None, port: str | None) -> bool:
    """Whether the parts of a URL that a pattern does not check are valid."""
    try:
        return (ipv6 is None or bool(ipaddress.IPv6Address(ipv6))) and (port is None or 1 <= int(port) <= _MAX_PORT)
    except ValueError:
        return False


def _repositories(repositories: tuple[Repository, ...], categories: int) -> None:
    _at_most("repositories", len(repositories), MAX_REPOSITORIES)
    places = sum(len(repository.directories) for repository in repositories)
    _at_most("directories of repositories", places, MAX_REPOSITORY_DIRECTORIES)
    _ascending("repositories", [repository.name for repository in repositories])
    for repository in repositories:
        name = repository.name
        _text("a repository's name", name)
        directories = repository.directories
        arches = [place.arch for place in directories]
        if not arches:
            raise SnapshotError("one directory per architecture, or one without", f"none of repository {name}")
        _ascending(f"architectures of repository {name}", arches)
        for place in directories:
            _text(f"an architecture of repository {name}", place.arch, empty=True)
            _path(f"a path of repository {name}", place.path)
            if not 0 <= place.category < categories:
                raise SnapshotError(f"a category below {categories}", f"{place.category} of repository {name}")


def _aliases(snapshot: Snapshot) -> None:
    names = {repository.name for repository in snapshot.repositories}
    for alias, target in snapshot.aliases.items():
        _text("an alias", alias)
        if target not in names or target in snapshot.aliases:
            raise SnapshotError("a repository as the target of an alias", f"{alias} -> {target}")


def _overrides(overrides: Overrides) -> None:
    _countries("continent overrides", overrides.continents)
    for continent in overrides.continents.values():
        if continent not in CONTINENTS:
            raise SnapshotError(_A_CONTINENT, repr(continent))
    _countries("neighbours", overrides.neighbours)
    for country, groups in overrides.neighbours.items():
        _at_most(f"neighbour groups of {country}", len(groups), MAX_NEIGHBOUR_GROUPS)
        for group in groups:
            _countries(f"neighbours of {country}", group)
    _countries("country pairs", overrides.never_served)
    for country, pairs in overrides.never_served.items():
        _countries(f"country pairs of {country}", pairs)


def _sets(snapshot: Snapshot) -> None:
    mirrors, sets, directories = len(snapshot.mirrors), snapshot.sets, snapshot.directories
    if sets.width != set_width(mirrors) and sets.data:
        raise SnapshotError(f"carrier sets of {set_width(mirrors)} bytes for {mirrors} mirrors", f"{sets.width}")
    if len(sets.data) != len(sets) * sets.width:
        raise SnapshotError(f"whole carrier sets of {sets.width} bytes", f"{len(sets.data)} bytes")
    fix = "let mirrors share the directories they carry: differing sets are what counts"
    _at_most("distinct carrier sets", len(sets), MAX_SETS, fix)
    beyond = mirrors - 8 * (sets.width - 1)  # bits in use of a set's last byte
    if sets.data and max(sets.data[sets.width - 1 :: sets.width]) >> beyond:
        raise SnapshotError(f"carrier sets of mirrors below {mirrors}", "a higher one")
    if len(directories.keys) != len(directories.sets):
        raise SnapshotError(f"{len(directories.keys)} carrier set numbers", str(len(directories.sets)))
    if directories.sets and (found := highest(directories.sets)) >= len(sets):
        raise SnapshotError(f"carrier set numbers below {len(sets)}", str(found))
    for number, category in enumerate(snapshot.categories):
        if category.kind is CategoryKind.OPEN and directories.find(number, b"") is None:
            raise SnapshotError(f"a carrier set for the top of open category {category.name}", "none")


def set_width(mirrors: int) -> int:
    """Bytes of a carrier set: a bit a mirror, and never none."""
    return max(1, (mirrors + 7) // 8)


def _netblocks(snapshot: Snapshot) -> None:
    chains, mirrors = snapshot.netblock_chains, len(snapshot.mirrors)
    _at_most("netblock chains", len(chains), MAX_CHAINS)
    _at_most("matches of netblock chains", sum(map(len, chains)), MAX_CHAIN_MATCHES)
    if not chains or chains[0]:
        raise SnapshotError("an empty netblock chain 0", "none or another")
    if max((match.mirror for chain in chains for match in chain), default=-1) >= mirrors:
        raise SnapshotError(f"netblock matches of mirrors below {mirrors}", "a higher number")
    if not all(chains[1:]):
        raise SnapshotError("at least one match in each netblock chain but the first", "none")
    for chain in chains:
        for left, right in pairwise(chain):
            if (-left.length, left.mirror) >= (-right.length, right.mirror):
                raise SnapshotError("netblock matches by falling length, then by mirror", f"{left} before {right}")
    _countries("netblock countries", snapshot.netblock_countries)
    for name, netblocks, last in (
        ("client", snapshot.client_netblocks, len(chains) - 1),
        ("country", snapshot.country_netblocks, len(snapshot.netblock_countries)),
    ):
        if (found := max(netblocks.v4.highest, netblocks.v6.highest)) > last:
            raise SnapshotError(f"values of {name} netblocks up to {last}", str(found))


def thorough(snapshot: Snapshot) -> None:
    """Raise SnapshotError unless every row of every table is in order (O(rows))."""
    _keys("directories", snapshot.directories.keys, len(snapshot.categories), empty=True)
    files = FileTable.build(snapshot.files)
    files.check()
    _keys("files", files.keys_table, len(snapshot.categories), empty=False)
    for netblocks in (snapshot.client_netblocks, snapshot.country_netblocks, snapshot.asn_netblocks):
        netblocks.v4.check()
        netblocks.v6.check()
    for mirror in snapshot.mirrors:
        for netblock in mirror.netblocks:
            if _canonical(netblock.prefix) != netblock.prefix:
                raise SnapshotError("canonical netblocks", f"{netblock.prefix} of mirror {mirror.name}")


def _keys(kind: str, table: KeyTable, categories: int, *, empty: bool) -> None:
    table.check()
    for key in table:
        try:
            path = key[2:].decode()
        except UnicodeDecodeError:
            raise SnapshotError(f"paths of {kind} in UTF-8", repr(key[2:])) from None
        if len(key) < 2 or int.from_bytes(key[:2], "big") >= categories:  # noqa: PLR2004 - bytes of a u16
            raise SnapshotError(f"{kind} of categories below {categories}", repr(key))
        if not (path or empty):
            raise SnapshotError(f"a path for each of the {kind}", "an empty one")
        _path(f"a path of the {kind}", path)


def _canonical(prefix: str) -> str | None:
    try:
        return str(ipaddress.ip_network(prefix))
    except ValueError:
        return None


def _countries(place: str, countries: Iterable[str]) -> None:
    for country in countries:
        if not _COUNTRY.fullmatch(country):
            raise SnapshotError("countries as two capital letters", f"{country!r} in {place}")


def _path(place: str, path: str) -> None:
    if path and _UNCLEAN.search(path):
        raise SnapshotError(f"{place} without outer or double slashes, dot segments and control characters", repr(path))


def _text(place: str, text: str, *, empty: bool = False) -> None:
    if CONTROL.search(text) or not (text or empty):
        raise SnapshotError(f"{place} in printable characters", repr(text))


def _at_most(what: str, count: int, limit: int, fix: str = "split the snapshot") -> None:
    if count > limit:
        raise SnapshotError(f"at most {limit} {what}", str(count), fix)


def _distinct(kind: str, names: list[str]) -> None:
    if len(set(names)) < len(names):
        twice: Iterator[str] = (left for left, right in pairwise(sorted(names)) if left == right)
        raise SnapshotError(f"each {kind} once", f"{next(twice)!r} twice")


def _ascending(what: str, names: list[str]) -> None:
    for left, right in pairwise(names):
        if left >= right:
            raise SnapshotError(f"{what} in ascending order", f"{left!r} before {right!r}")
