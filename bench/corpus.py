"""Mirror networks of any size, the same for the same seed: `python bench/corpus.py --scale 1 -o /tmp/design.mls`.

`DESIGN` is the size that the architecture is built for; `--scale` takes a part of it. The shape is made up after
Fedora-like networks: three categories, releases times architectures, most directories of a repository carried by the
same mirrors, some mirrors lagging here and there, half of the mirrors in Europe, netblocks of universities.

Records are made directly and go through the real compiler and encoder; the source files that people write are not
what 150,000 directories come from.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.compiler import compile_snapshot
from mirrorlist_snapshot.format import encode
from mirrorlist_snapshot.model import CategoryKind, ClientNetblock, FileDetails, FileVersion, Overrides
from mirrorlist_snapshot.records import (
    CategoryRecord,
    ContentRecord,
    MirrorRecord,
    NetworkRecords,
    RepositoryDirectoryRecord,
    RepositoryRecord,
)
from reporting import clear_terminal, say_on_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Say = Callable[[str], None]

ROOT: Final = Path(__file__).resolve().parent.parent
CACHE: Final = ROOT / ".cache" / "bench"
SEED: Final = 20_261_122
BUILT: Final = 1_790_000_000
ARCHES: Final = ("x86_64", "aarch64", "ppc64le", "s390x")
KINDS: Final = (("os", "linux"), ("updates", "linux"), ("extras", "epel"), ("old", "archive"))
"""Kind of repository -> category."""
_SHARES: Final = {"linux": 0.95, "epel": 0.8, "archive": 0.5}
"""How many of the mirrors carry a category."""
_COUNTRIES: Final = [
    "US",
    "US",
    "US",
    "US",
    "US",
    "US",
    "US",
    "US",
    "US",
    "US",
    "US",
    "US",
    "CA",
    "CA",
    "MX",
    "DE",
    "DE",
    "DE",
    "DE",
    "DE",
    "DE",
    "DE",
    "DE",
    "FR",
    "FR",
    "FR",
    "FR",
    "GB",
    "GB",
    "GB",
    "NL",
    "NL",
    "NL",
    "SE",
    "SE",
    "CZ",
    "CZ",
    "PL",
    "PL",
    "IT",
    "IT",
    "AT",
    "CH",
    "DK",
    "FI",
    "NO",
    "ES",
    "PT",
    "RO",
    "BG",
    "HU",
    "GR",
    "UA",
    "LT",
    "LV",
    "RU",
    "RU",
    "RU",
    "TR",
    "CN",
    "CN",
    "CN",
    "JP",
    "JP",
    "JP",
    "KR",
    "TW",
    "TW",
    "IN",
    "IN",
    "SG",
    "HK",
    "ID",
    "VN",
    "TH",
    "IR",
    "IL",
    "AU",
    "AU",
    "NZ",
    "BR",
    "BR",
    "BR",
    "AR",
    "CL",
    "EC",
    "CO",
    "ZA",
    "ZA",
    "KE",
    "MA",
]
_BANDWIDTHS: Final = (100, 1_000, 1_000, 1_000, 10_000, 10_000, 20_000, 40_000)
_LETTERS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of everything."""

    mirrors: int = 700
    """Each with two URLs per category."""
    pairs: int = 400
    """Repositories times architectures."""
    directories: int = 150_000
    sets: int = 3_000
    """Distinct sets of mirrors that carry a directory."""
    netblocks: int = 15_000

    def scaled(self, scale: float) -> Size:
        """Take a part of everything, rounded; ValueError below 1/100, where there is nothing left to compile."""
        if not 0.01 <= scale <= 1:  # noqa: PLR2004 - the parts that the help names
            raise ValueError(f"a scale from 0.01 to 1, not {scale}")
        values = (self.mirrors, self.pairs, self.directories, self.sets, self.netblocks)
        mirrors, pairs, directories, sets, netblocks = (round(value * scale) for value in values)
        return Size(mirrors=mirrors, pairs=pairs, directories=directories, sets=sets, netblocks=netblocks)

    def names(self) -> list[tuple[str, str, str, str]]:
        """Give (repository, architecture, category, path) of each pair, newest release first."""
        releases = range(1 + self.pairs // (len(KINDS) * len(ARCHES)), 0, -1)
        every = product(releases, KINDS, ARCHES)
        return [
            (f"{kind}-{release}", arch, category, f"{release}/{kind}/{arch}/os")
            for release, (kind, category), arch in every
        ][: self.pairs]

    def queries(self) -> list[bytes]:
        """Give the query string of each pair."""
        return [f"repo={name}&arch={arch}".encode() for name, arch, _, _ in self.names()]


DESIGN: Final = Size()


def records(size: Size, *, stamp: str = "", seed: int = SEED, say: Say = lambda _: None) -> NetworkRecords:
    """Make a network; `stamp` becomes part of every URL, which is all that it changes."""
    say("mirrors")
    random = Random(seed)
    mirrors = list(_mirrors(size, stamp, random))
    say("carrier sets and directories")
    directories = _directories(size, mirrors, random)
    names = size.names()
    say("repositories and file details")
    return NetworkRecords(
        categories=tuple(
            CategoryRecord(name=name, kind=CategoryKind.LISTED, top=f"pub/{name}") for name in sorted(_SHARES)
        ),
        mirrors=tuple(mirrors),
        repositories=tuple(
            RepositoryRecord(
                name=repository,
                disabled=False,
                directories=tuple(
                    RepositoryDirectoryRecord(arch=arch, category=category, path=path)
                    for name, arch, category, path in names
                    if name == repository
                ),
            )
            for repository in dict.fromkeys(name for name, *_ in names)
        ),
        aliases={"latest": names[0][0]},
        directories=directories,
        files={(category, f"{path}/repodata/repomd.xml"): _details(random) for _, _, category, path in names},
        overrides=Overrides(
            continents={"IL": "EU", "TR": "EU"},
            neighbours={"AT": (("DE", "CH"), ("CZ", "HU")), "NZ": (("AU",),)},
            never_served={"UA": ("RU",), "RU": ("UA",)},
        ),
        netblock_countries={f"100.{number}.0.0/16": "DE" for number in range(64, 96)},
        asn_netblocks={},
    )


def _mirrors(size: Size, stamp: str, random: Random) -> Iterator[MirrorRecord]:
    owned = _netblocks(size, random)
    for number in range(size.mirrors):
        # The first mirrors carry everything, so that small networks have carriers of everything, too.
        host = f"m{number:04}.example.org{stamp and '/'}{stamp}"
        carried = [name for name, share in _SHARES.items() if number < len(_COUNTRIES) // 8 or random.random() < share]
        yield MirrorRecord(
            name=f"m{number:04}.example.org",
            country=_COUNTRIES[number % len(_COUNTRIES)] if number < len(_COUNTRIES) else random.choice(_COUNTRIES),
            bandwidth=random.choice(_BANDWIDTHS),
            asns=(random.randrange(1, 65_000),) if random.random() < 0.6 else (),  # noqa: PLR2004 - a share
            netblocks=tuple(owned.get(number, ())),
            private=number in owned and random.random() < 0.15,  # noqa: PLR2004 - a share
            fallback=False,
            active=random.random() < 0.98,  # noqa: PLR2004 - a share
            allowed_countries=(),
            denied_countries=("IR",) if random.random() < 0.02 else (),  # noqa: PLR2004 - a share
            contents=tuple(
                ContentRecord(category=name, urls=(f"https://{host}/{name}/", f"http://{host}/{name}/"))
                for name in carried
            ),
        )


def _netblocks(size: Size, random: Random) -> dict[int, list[ClientNetblock]]:
    """Distinct networks, spread over a third of the mirrors; one in six is IPv6, one in ten exclusive."""
    owned: dict[int, list[ClientNetblock]] = {}
    prefixes: dict[str, None] = {}
    while len(prefixes) < size.netblocks:
        if random.random() < 1 / 6:
            prefixes[f"2a0{random.randrange(16):x}:{random.randrange(0x10000) or 1:x}::/32"] = None
        else:
            length = random.choice((18, 20, 22, 23, 24))
            value = random.randrange(1 << 24, 223 << 24) >> (32 - length) << (32 - length)
            prefixes[".".join(map(str, value.to_bytes(4, "big"))) + f"/{length}"] = None
    for prefix in prefixes:
        mirror = random.randrange(-(-size.mirrors // 3))
        owned.setdefault(mirror, []).append(ClientNetblock(prefix=prefix, exclusive=random.random() < 0.1))  # noqa: PLR2004
    return owned


def _directories(size: Size, mirrors: list[MirrorRecord], random: Random) -> dict[str, dict[str, frozenset[str]]]:
    """Directories below each pair's own, most with the pair's usual carriers, the others with lagging mirrors left out.

    Exactly `size.directories` rows and `size.sets` distinct sets.
    """
    names = size.names()
    own = {
        category: [mirror.name for mirror in mirrors if any(part.category == category for part in mirror.contents)]
        for category in _SHARES
    }
    pools = _carriers(size, [category for *_, category, _ in names], own, random)
    table: dict[str, dict[str, frozenset[str]]] = {category: {} for category in _SHARES}
    for number, (_, _, category, path) in enumerate(names):
        rows = size.directories * (number + 1) // len(names) - size.directories * number // len(names)
        pool = pools[number]
        below = _below(path, rows)
        for row, directory in enumerate(below):
            # The last rows have each of the other sets once, so that none is missing.
            last = len(below) - row
            common = random.random() < 0.9  # noqa: PLR2004 - a share
            choice = last if last < len(pool) else 0 if common else random.randrange(len(pool))
            table[category][directory] = pool[choice]
    return table


def _below(path: str, rows: int) -> list[str]:
    fixed = [path, f"{path}/repodata", f"{path}/Packages", *(f"{path}/Packages/{letter}" for letter in _LETTERS)]
    more = (f"{path}/Packages/{_LETTERS[number % 36]}/package-{number:05}" for number in range(max(0, rows)))
    return [*fixed, *more][:rows]


def _carriers(
    size: Size, categories: list[str], own: dict[str, list[str]], random: Random
) -> list[list[frozenset[str]]]:
    """Give each pair its sets: `size.sets` in all, no two equal."""
    taken: set[frozenset[str]] = set()
    pools: list[list[frozenset[str]]] = []
    pairs = len(categories)
    for number, category in enumerate(categories):
        wanted = size.sets * (number + 1) // pairs - size.sets * number // pairs
        pool: list[frozenset[str]] = []
        lag = 0.02
        while len(pool) < wanted:
            carriers = frozenset(name for name in own[category] if random.random() >= lag)
            if carriers and carriers not in taken:
                taken.add(carriers)
                pool.append(carriers)
            else:
                lag = min(0.5, lag * 1.1)  # a small network has few sets near the full one
        pools.append(pool)
    return pools


def _details(random: Random) -> FileDetails:
    def version(age: int) -> FileVersion:
        return FileVersion(
            timestamp=BUILT - age * 86_400,
            size=random.randrange(3_000, 6_000),
            sha256=f"{random.getrandbits(256):064x}",
            sha512=f"{random.getrandbits(512):0128x}",
        )

    return FileDetails(current=version(1), alternates=(version(2), version(3)))


def snapshot_bytes(size: Size, *, serial: int = 1, stamp: str = "", say: Say = lambda _: None) -> bytes:
    """Make, compile and encode a network."""
    made = records(size, stamp=stamp, say=say)
    say("compiling")
    compiled = compile_snapshot(made, serial=serial, built=BUILT, generator="bench/corpus.py")
    say("encoding")
    return encode(compiled)


def snapshot_file(size: Size, *, serial: int = 1, stamp: str = "", say: Say = lambda _: None) -> Path:
    """Give the path of such a snapshot, made only once for the same code and size."""
    key = content_key(str(size), str(serial), stamp)
    return cached(f"mirrors-{key}.mls", lambda: snapshot_bytes(size, serial=serial, stamp=stamp, say=say))


def content_key(*parts: str) -> str:
    """Name what the generators would make from these parts: it changes with them and with the code."""
    return hashlib.sha256("\0".join((_code(), *parts)).encode()).hexdigest()[:16]


@cache
def _code() -> str:
    sources = [Path(__file__), Path(__file__).with_name("geography.py"), *(ROOT / "snapshot").rglob("*.py")]
    return "\0".join(path.read_text(encoding="utf-8") for path in sorted(sources))


def cached(name: str, make: Callable[[], bytes]) -> Path:
    """Give the path of a file below `.cache/`; make it where it is missing. Names have a content key."""
    path = CACHE / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_bytes(make())
        fresh.replace(path)
    return path


def main() -> int:
    """Write one snapshot."""
    parser = argparse.ArgumentParser(
        description="Write a seeded snapshot of the design point's size, or of a part of it.",
        epilog="example: python bench/corpus.py --scale 0.1 -o /tmp/tenth.mls; --geo writes the geo database, too",
    )
    parser.add_argument("--scale", type=float, default=1.0, metavar="PART", help="1, 0.1 or 0.01 (default: 1)")
    parser.add_argument("--serial", type=int, default=1, metavar="N", help="serial of the snapshot (default: 1)")
    parser.add_argument("--stamp", default="", metavar="TEXT", help="becomes a part of every URL")
    parser.add_argument("--geo", type=Path, metavar="FILE.mmdb", help="write a GeoLite2-Country-shaped database here")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.mls")
    arguments = parser.parse_args()
    try:
        size = DESIGN.scaled(arguments.scale)
    except ValueError as error:
        parser.error(f"--scale: expected {error}")
    data = snapshot_bytes(size, serial=arguments.serial, stamp=arguments.stamp, say=say_on_terminal)
    arguments.output.write_bytes(data)
    if arguments.geo is not None:
        from geography import database_bytes  # noqa: PLC0415 - it needs this module's names

        say_on_terminal("geo database")
        arguments.geo.write_bytes(database_bytes())
    clear_terminal()
    print(f"{arguments.output}: {len(data):,} bytes, {size}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
