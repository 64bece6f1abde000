"""The contents of a snapshot: frozen values that can be looked up and do nothing else.

Two things differ from the sources. The mirrors that carry a directory are a numbered *carrier set*, stored once for all
directories that share it. And tables that grow with the number of directories, files or netblocks stay flat bytes (see
`tables`). A mirror's number is its position in `Snapshot.mirrors`, a category's its position in `Snapshot.categories`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import IntFlag, StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mirrorlist_snapshot.health import MirrorHealth
    from mirrorlist_snapshot.tables import KeyTable, NetTable

DEFAULT_BANDWIDTH: Final = 100
"""Mbit/s of a mirror that states none (design rule: selection, order within a tier)."""
BANDWIDTH_RANGE: Final = (1, 1_000_000)
"""Mbit/s; bandwidths are kept within this range, so that a typing mistake cannot attract all traffic."""
CONTINENTS: Final = ("AF", "AN", "AS", "EU", "NA", "OC", "SA")
"""The continent codes that all geo databases use."""
# What a snapshot may have of everything that readers keep as objects: ten times the design point and more, so that a
# reader takes a small multiple of the file's size.
MAX_MIRRORS: Final = 10_000
MAX_CATEGORIES: Final = 4_000
MAX_REPOSITORIES: Final = 10_000
MAX_REPOSITORY_DIRECTORIES: Final = 20_000
"""Of all repositories together, one for each architecture."""
MAX_CONTENTS: Final = 100_000
"""Categories of all mirrors together."""
MAX_CLIENT_NETBLOCKS: Final = 200_000
"""Of all mirrors together."""
MAX_CLIENT_ASNS: Final = 100_000
"""Of all mirrors together."""
MAX_CHAINS: Final = 400_000
"""Distinct chains of client netblocks; each netblock can add two."""
MAX_CHAIN_MATCHES: Final = 1_000_000
"""Of all chains together."""


class CategoryKind(StrEnum):
    """Which paths of a category exist."""

    LISTED = "listed"
    """Only the directories in the snapshot exist."""
    OPEN = "open"
    """Any path below the top counts as carried by the mirrors whose includes and excludes allow it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """A content tree that mirrors carry."""

    name: str
    kind: CategoryKind
    top: str
    """The start of `path=` for this tree: no slash at either end, possibly empty."""
    part_of: int | None = None
    """Number (below its own) of the category of which this is the part for one architecture, on mirrors that have it.

    Repositories lie in parts; `path=` finds the whole category, and people are told of the whole only.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientNetblock:
    """A network whose clients a mirror serves first."""

    prefix: str
    """Canonical CIDR, e.g. `192.0.2.0/24`."""
    exclusive: bool
    """Clients in this network get only such mirrors."""


class Families(IntFlag):
    """Over which versions of IP the URLs of a mirror work, as bits of FORMAT.md."""

    IPV4 = 1
    IPV6 = 2


BOTH_FAMILIES: Final = Families.IPV4 | Families.IPV6


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What one mirror offers of one category."""

    category: int
    """Category number."""
    urls: tuple[str, ...]
    """Base URLs, ASCII, each ending in `/`; at most one per protocol (the part before `://`), https first."""
    families: Families = BOTH_FAMILIES


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a mirror's operator lets everyone know of it; empty text and None where nothing is stated."""

    sponsor: str = ""
    sponsor_url: str = ""
    """An http or https URL."""
    sponsor_logo: str = ""
    """An http or https URL of a picture."""
    city: str = ""
    latitude: float | None = None
    """Degrees north, -90 to 90, in steps of 0.0001; stated together with the longitude or not at all."""
    longitude: float | None = None
    """Degrees east, -180 to 180, in steps of 0.0001."""
    notes: str = ""

    def stated(self) -> dict[str, str | float]:
        """Return what is stated, by the names of these fields."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value not in {"", None}}


NOTHING_ABOUT: Final = About()
MAX_ABOUT_TEXT: Final = 500
"""Characters of one text in About."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """A host that carries categories."""

    name: str
    country: str | None
    """ISO 3166-1 alpha-2, upper case."""
    bandwidth: int
    """Mbit/s, within BANDWIDTH_RANGE: the shuffle weight."""
    asns: tuple[int, ...]
    """Autonomous systems whose clients it serves first; never 0."""
    netblocks: tuple[ClientNetblock, ...]
    private: bool
    """Offered only to its netblocks and autonomous systems."""
    fallback: bool
    """The last resort: always last in a list, never counted."""
    active: bool
    allowed_countries: tuple[str, ...]
    """Client countries, upper case, sorted; empty means every country."""
    denied_countries: tuple[str, ...]
    contents: tuple[Content, ...]
    """In ascending order of category; at most one each."""
    continent: str | None = None
    """Of a mirror whose country is not known; None for all others."""
    worldwide: bool = False
    """Equally near to the clients of every country, as a content delivery network is."""
    also_countries: tuple[str, ...] = ()
    """Countries whose clients it serves as if it were there, upper case, sorted."""
    about: About = NOTHING_ABOUT


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryDirectory:
    """Where a repository lies for one architecture."""

    arch: str
    """Empty where the repository has no architectures, and for what a client gets that names none."""
    category: int
    path: str
    """Below the category's top: no slash at either end, empty for the top itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """What clients name in `repo=`."""

    name: str
    disabled: bool
    directories: tuple[RepositoryDirectory, ...]
    """In ascending order of architecture; never empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileVersion:
    """One version of one file, as a metalink states it."""

    timestamp: int
    """Modification time, seconds since 1970 UTC; 0: not known."""
    size: int
    """Bytes; 0: not known, or empty."""
    md5: str | None = None
    """Hashes are lower-case hexadecimal."""
    sha1: str | None = None
    sha256: str | None = None
    sha512: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDetails:
    """The versions of one file that mirrors may hold."""

    current: FileVersion
    alternates: tuple[FileVersion, ...]
    """Earlier versions, newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """Exceptions to geography: continents, neighbours, and pairs of countries that are never served."""

    continents: Mapping[str, str]
    """Client country -> continent."""
    neighbours: Mapping[str, tuple[tuple[str, ...], ...]]
    """Client country -> groups of neighbour countries, nearest group first."""
    never_served: Mapping[str, tuple[str, ...]]
    """Client country -> mirror countries that are never offered to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetblockMatch:
    """One mirror's netblock that contains an address."""

    length: int
    """Prefix length in the address's own family."""
    mirror: int
    """Mirror number."""
    exclusive: bool


_BITS: Final = tuple(tuple(bit for bit in range(8) if byte >> bit & 1) for byte in range(256))
"""Byte -> its bits that are one."""


@dataclass(frozen=True, slots=True)
class CarrierSets:
    """Numbered sets of mirrors, one bit a mirror: bit m of byte m // 8, lowest bit first."""

    width: int
    """Bytes in a set."""
    data: memoryview
    """The sets, one after the other."""

    def __len__(self) -> int:
        return len(self.data) // self.width if self.width else 0

    def __getitem__(self, number: int) -> frozenset[int]:
        """The mirror numbers in a set; IndexError past the end."""
        return frozenset(self.members(number))

    def members(self, number: int) -> list[int]:
        """The mirror numbers in a set, ascending; IndexError past the end."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        packed = self.data[number * self.width : (number + 1) * self.width]
        return [8 * place + bit for place, byte in enumerate(packed) if byte for bit in _BITS[byte]]

    def bits(self, number: int) -> int:
        """A set as one integer, bit m for mirror m; IndexError past the end."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        return int.from_bytes(self.data[number * self.width : (number + 1) * self.width], "little")


def _shared(left: bytes, right: bytes) -> int:
    """Return how many bytes two byte strings have in common at their beginnings."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[:middle] == right[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


@dataclass(frozen=True, slots=True)
class DirectoryTable:
    """(category, path) -> carrier set, over a key table whose keys are u16 big-endian category + path in UTF-8.

    For a listed category the rows are its directories. For an open one they are the prefixes at which the set of
    mirrors changes, the top always among them: the set of a path is that of its nearest listed ancestor.
    """

    keys: KeyTable
    sets: Sequence[int]
    """Carrier set number of each row."""

    def find(self, category: int, path: bytes) -> int | None:
        """Set number of exactly this directory, or None."""
        row = self.keys.find(category.to_bytes(2, "big") + path)
        return self.sets[row] if row >= 0 else None

    def nearest(self, category: int, path: bytes) -> int | None:
        """Set number of the directory or its nearest listed ancestor, on path boundaries; None where there is none."""
        head = category.to_bytes(2, "big")
        while (row := self.keys.find(head + path)) < 0 and path:
            # A listed ancestor is the beginning of every key from itself to the path: of the key before the path, too.
            # So a path of 500 segments takes two searches and not 500, where nothing of it is listed.
            shared = _shared(self.keys.before(head + path), head + path) - len(head)
            cut = path.rfind(b"/", 0, max(0, min(shared, len(path) - 1) + 1))
            path = path[:cut] if cut > 0 else b""
        return self.sets[row] if row >= 0 else None

    def has_below(self, category: int, path: bytes) -> bool:
        """Whether there is a row below a path."""
        return self.keys.has_prefix(category.to_bytes(2, "big") + path + b"/")

    def __iter__(self) -> Iterator[tuple[int, bytes, int]]:
        """(category, path, set number) in table order."""
        return (
            (int.from_bytes(key[:2], "big"), key[2:], number) for key, number in zip(self.keys, self.sets, strict=True)
        )

    def __len__(self) -> int:
        return len(self.sets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Netblocks:
    """Address -> value from the sources; one table for IPv4, one for IPv6, over one list of values."""

    v4: NetTable
    v6: NetTable

    def find(self, packed: bytes) -> int:
        """Return the value of an address of 4 or 16 bytes in network byte order; 0 if nothing is known."""
        return (self.v4 if len(packed) == 4 else self.v6).find(packed)  # noqa: PLR2004 - bytes of an IPv4 address


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One immutable state of the mirror network, as compiled."""

    serial: int
    """Grows with every publication."""
    built: int
    """Seconds since 1970 UTC."""
    generator: str
    """Program and version that compiled it; for people."""
    categories: tuple[Category, ...]
    mirrors: tuple[Mirror, ...]
    repositories: tuple[Repository, ...]
    """In ascending order of name."""
    aliases: Mapping[str, str]
    """Alias -> name of a repository, never of another alias."""
    overrides: Overrides
    sets: CarrierSets
    directories: DirectoryTable
    files: Mapping[bytes, FileDetails]
    """u16 big-endian category + path of the file in UTF-8 -> details; looked up in place."""
    client_netblocks: Netblocks
    """Address -> number of a chain in `netblock_chains`."""
    netblock_chains: tuple[tuple[NetblockMatch, ...], ...]
    """Chain 0 is empty; the others hold every match, longest prefix first, then by mirror number."""
    country_netblocks: Netblocks
    """Address -> 1 + position in `netblock_countries`, 0 for none: netblock -> country overrides."""
    netblock_countries: tuple[str, ...]
    asn_netblocks: Netblocks
    """Address -> number of the autonomous system that announces it, 0 for none that has mirrors."""
    observed: int = 0
    """When mirrors were last observed, seconds since 1970 UTC; 0: never."""
    health: Mapping[int, MirrorHealth] = field(default_factory=dict[int, "MirrorHealth"])
    """Mirror number -> what was observed of it, in ascending order; for people, no list depends on it."""

    def whole(self, category: int) -> Category:
        """Return a category by its number; for a part, the whole category, by whose name people know it."""
        found = self.categories[category]
        return found if found.part_of is None else self.categories[found.part_of]
