"""A database of GeoLite2-Country's shape and, from it, addresses of clients; both the same for the same seed.

The real database may not be passed on. What costs time in it is copied: names of country, continent and registered
country in eight languages around the two letters that are wanted, an IPv6 tree with IPv4 in it, a hundred thousand
networks of many lengths. Names are made up; their lengths and scripts are like the real ones.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

import netaddr
from mmdb_writer import MMDBWriter

from corpus import SEED, cached, content_key
from mirrorlist_snapshot.countries import CONTINENT_OF
from mirrorlist_snapshot.model import CONTINENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LANGUAGES: Final = {
    "de": "Nordhügelland",
    "en": "Northern Hills",
    "es": "Colinas del Norte",
    "fr": "Collines du Nord",
    "ja": "北丘陵共和国",
    "pt-BR": "Colinas do Norte",
    "ru": "Северные Холмы",
    "zh-CN": "北部丘陵",
}
_SHARES: Final = (
    "US " * 40 + "CN " * 9 + "JP " * 5 + "DE " * 4 + "GB " * 4 + "KR " * 3 + "FR " * 3 + "CA " * 2 + "IT " * 2 + "BR "
    "BR NL NL AU AU RU RU IN IN ES SE PL CZ MX ZA CH AT NO FI DK BE TR UA RO AR"
).split()
"""Made up, roughly: how many in a hundred networks are where; every other country has some, too."""
_BLOCK: Final = 14
"""IPv4 is cut into blocks of this prefix length, each block into networks of one length."""
_LENGTHS: Final = (14,) * 480 + (16,) * 400 + (18,) * 90 + (20,) * 25 + (22,) * 4 + (24,)
"""Lengths of a thousand blocks: some 100,000 networks in all, half of them in a few crumbled blocks. Made up."""
_V6_BLOCKS: Final = (0x2001, 0x2400, 0x2600, 0x2800, 0x2A00, 0x2C00)
_V6_NETWORKS: Final = 20_000
_RESERVED: Final = frozenset((10, 100, 127, 172, 192, 198))


def database_file(say: Callable[[str], None] = lambda _: None) -> Path:
    """Give the path of the database, made only once for the same code."""

    def make() -> bytes:
        say("geo database")
        return database_bytes()

    return cached(f"country-{content_key('geo')}.mmdb", make)


def database_bytes(seed: int = SEED) -> bytes:
    """Make the database; only its build time is the clock's."""
    writer = MMDBWriter(
        ip_version=6,
        ipv4_compatible=True,
        database_type="GeoLite2-Country",
        languages=list(_LANGUAGES),
        description="seeded, for measurements",
        int_type="u32",
    )
    records = {code: _record(code, number) for number, code in enumerate(sorted(CONTINENT_OF))}
    for network, code in networks(seed):
        writer.insert_network(netaddr.IPSet([network]), records[code])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "country.mmdb")
        writer.to_db_file(str(path))
        return path.read_bytes()


def networks(seed: int = SEED) -> Iterator[tuple[str, str]]:
    """Yield (network, country): disjoint, IPv4 first, in ascending order."""
    random = Random(seed)
    every = sorted(CONTINENT_OF)

    def country() -> str:
        return random.choice(every) if random.random() < 0.1 else random.choice(_SHARES)  # noqa: PLR2004 - a share

    for block in range(1 << 24, 224 << 24, 1 << (32 - _BLOCK)):
        length = random.choice(_LENGTHS)
        if block >> 24 not in _RESERVED:
            for address in range(block, block + (1 << (32 - _BLOCK)), 1 << (32 - length)):
                yield ".".join(map(str, address.to_bytes(4, "big"))) + f"/{length}", country()
    for high in _V6_BLOCKS:
        for low in sorted(random.sample(range(0x10000), _V6_NETWORKS // len(_V6_BLOCKS))):
            yield f"{high:x}:{low:x}::/32", country()


def _record(code: str, number: int) -> dict[str, Any]:
    continent = CONTINENT_OF[code]
    names = {language: f"{name} {code}" for language, name in _LANGUAGES.items()}
    country = {"geoname_id": 1_000_000 + number, "iso_code": code, "names": names}
    if continent == "EU":
        country["is_in_european_union"] = True
    return {
        "continent": {
            "code": continent,
            "geoname_id": 6_255_146 + CONTINENTS.index(continent),
            "names": {language: f"{name} {continent}" for language, name in _LANGUAGES.items()},
        },
        "country": country,
        "registered_country": country,
    }


@cache
def _countries_by_network() -> tuple[tuple[int, int, str], ...]:
    found = []
    for network, code in networks():
        first, _, length = network.partition("/")
        if ":" not in first:
            octets = bytes(map(int, first.split(".")))
            found.append((int.from_bytes(octets, "big"), int(length), code))
    return tuple(found)


def client_networks(count: int, continents: tuple[str, ...] = CONTINENTS, seed: int = SEED) -> list[str]:
    """Give the first three octets of distinct /24 networks, each within one country, evenly over the address space."""
    random = Random(seed)
    ranges = [found for found in _countries_by_network() if CONTINENT_OF[found[2]] in continents]
    weights = [1 << (32 - length) for _, length, _ in ranges]
    chosen: dict[str, None] = {}
    while len(chosen) < count:
        for start, length, _ in random.choices(ranges, weights, k=count):
            address = start + random.randrange(1 << (32 - length))
            chosen[".".join(map(str, address.to_bytes(4, "big")[:3]))] = None
    return list(chosen)[:count]
