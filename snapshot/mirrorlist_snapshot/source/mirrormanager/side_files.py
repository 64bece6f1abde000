"""The two text files beside a cache: `country_continent.csv` and `global_netblocks.txt`."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from ipaddress import IPv6Network, ip_network
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.countries import CONTINENT_OF, country_code
from mirrorlist_snapshot.embedded_ipv4 import canonical
from mirrorlist_snapshot.model import CONTINENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from typing import BinaryIO

    from mirrorlist_snapshot.source.mirrormanager.skips import SkippedRows

_CODE: Final = 2
"""Letters of a country's or a continent's code."""
_NOWHERE: Final = "--"
_MAX_ASN: Final = 0xFFFF_FFFF


def read_continents(lines: Iterable[str], skips: SkippedRows) -> dict[str, str]:
    """Read `CC,CONTINENT` lines: country -> continent, upper case. Countries without a continent (`--`) are left out.

    The first line may be a heading.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        country, continent = (word.strip(' "\r\n').upper() for word in f"{line},".split(",")[:2])
        heading = number == 1 and len(country) != _CODE
        if heading or continent == _NOWHERE or not line.strip():
            continue
        country = country_code(country)
        if country not in CONTINENT_OF or continent not in CONTINENTS:
            skips.add("lines", "no country and continent", line.strip(), number)
        else:
            found[country] = continent
    return found


def read_networks(
    file: BinaryIO, wanted: Collection[int], skips: SkippedRows, progress: Callable[[int], None]
) -> dict[str, int]:
    """Read `CIDR ASN` lines: prefix -> AS number, of `wanted` systems and, as 0, of others nested in theirs.

    The others matter because the longest prefix decides: a client in a nested network does not belong to the system
    around it. There are a million of them, and few are nested; so the file is read twice and most are never kept.
    """
    around: dict[int, list[tuple[int, int]]] = {AF_INET: [], AF_INET6: []}
    for family, first, length, _ in _prefixes(file, wanted, None, progress):
        around[family].append((first, first + (1 << _bits(family) - length)))
    outer = {family: _Ranges(ranges) for family, ranges in around.items()}
    file.seek(0)
    found: dict[str, int] = {}
    for family, first, length, asn in _prefixes(file, None, skips, progress):
        if outer[family].hold(first):
            prefix = f"{inet_ntop(family, first.to_bytes(_bits(family) // 8, 'big'))}/{length}"
            found[prefix] = asn if asn in wanted else 0
    # `inet_ntop` writes networks as `ip_network` does, but for IPv6 with dots in it; and takes a tenth of the time.
    return {
        str(ip_network(prefix)) if ":" in prefix and "." in prefix else prefix: asn for prefix, asn in found.items()
    }


class _Ranges:
    """The union of ranges of addresses that nest or are disjoint."""

    def __init__(self, ranges: list[tuple[int, int]]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted(ranges, key=lambda one: (one[0], -one[1])):
            if not self._ends or start >= self._ends[-1]:
                self._starts.append(start)
                self._ends.append(end)

    def hold(self, address: int) -> bool:
        row = bisect_right(self._starts, address) - 1
        return row >= 0 and address < self._ends[row]


def _prefixes(
    file: BinaryIO, wanted: Collection[int] | None, skips: SkippedRows | None, progress: Callable[[int], None]
) -> Iterator[tuple[int, int, int, int]]:
    """Yield family, first address, length and AS number of each line; only of `wanted` systems, if given."""
    position = 0
    for number, line in enumerate(file, 1):
        position += len(line)
        if not number % 4096:
            progress(position)
        words = line.split()
        asn = _asn(words[1]) if len(words) > 1 else -1
        if wanted is not None and asn not in wanted:
            continue
        prefix = _prefix(words[0]) if words and asn >= 0 else None
        if prefix is not None:
            yield *prefix, asn
        elif skips is not None and words:
            skips.add("lines", "no netblock and AS number", line.decode("utf-8", "replace").strip(), number)


@lru_cache(maxsize=1 << 17)  # there are fewer systems than that, and twenty times as many lines
def _asn(word: bytes) -> int:
    """Return an AS number; 0 for a set or none, as some networks are announced; -1 for anything else."""
    if word.isdigit():
        return number if (number := int(word[:20])) <= _MAX_ASN else -1
    return 0 if word.startswith(b"{") or word == b"None" else -1


def _prefix(word: bytes) -> tuple[int, int, int] | None:
    """Return family, first address and length of a netblock; None for anything else, and for /0."""
    text, slash, digits = word.decode("ascii", "replace").partition("/")
    family = AF_INET6 if ":" in text else AF_INET
    bits = _bits(family)
    length = int(digits) if digits.isdigit() and len(digits) <= 3 else -1  # noqa: PLR2004 - digits of 128
    if not slash or not 0 < length <= bits:
        return None
    try:
        address = int.from_bytes(inet_pton(family, text), "big")
    except OSError:
        return None
    first = address >> bits - length << bits - length
    if family == AF_INET6 and _may_hold_ipv4(first):
        try:
            network = canonical(IPv6Network((first, length)))
        except ValueError:
            return None
        if network.version == 4:  # noqa: PLR2004 - IPv4
            return (AF_INET, int(network.network_address), network.prefixlen) if network.prefixlen else None
    return family, first, length


def _may_hold_ipv4(first: int) -> bool:
    """Whether an IPv6 address may hold an IPv4 address: few networks of the file do."""
    return first >> 112 in {0, 0x64, 0x2002} or first >> 96 == 0x2001_0000  # noqa: PLR2004 - prefixes of `embedded_ipv4`


def _bits(family: int) -> int:
    return 32 if family == AF_INET else 128
