"""Requests as real clients send them, the same for the same seed: who asks, what for, and with what program.

    for request in islice(requests(DESIGN), 100_000): ...

- **Countries** by their number of Internet users (`_USERS`, rounded), addresses evenly over a country's networks in the
  geo database or in the registries' data. One client in six comes over IPv6.
- **Clients** are 3 million. `TOGETHER` of them ask at the same time, interleaved; each asks for one to eight
  repositories and is done, so almost every session is of an address that the server has not seen.
- **Repositories** by Zipf's law with the exponent 1.1, the newest release first.
- **Programs**: heads of dnf, zypper, yum, curl, apt, pip and pacman, of the client's release and architecture.
"""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, islice
from random import Random
from socket import AF_INET, AF_INET6, inet_ntop
from typing import TYPE_CHECKING, Final, NamedTuple

import iptocc

from corpus import SEED
from geography import networks
from mirrorlist_snapshot.countries import CONTINENT_OF

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from corpus import Size

CLIENTS: Final = 3_000_000
TOGETHER: Final = 64
"""Sessions that are open at the same time."""
MOST_ASKED: Final = 8
"""Repositories of one session: 1 to this many, evenly."""
ZIPF: Final = 1.1
V6_SHARE: Final = 1 / 6
_SAMPLED: Final = 200_000
"""/24 networks of which the registries' data say the country: of the smallest country a few."""

_MILLIONS: Final = """
CN:1050 IN:880 US:310 ID:212 BR:180 RU:127 MX:107 JP:103 NG:103 PK:87 PH:85 EG:80 VN:79 DE:79 BD:77 IR:72
TR:72 GB:66 TH:61 FR:60 IT:51 KR:50 ES:45 ZA:43 CO:40 AR:40 CA:36 SA:36 PL:33 MY:33 MA:33 IQ:33 DZ:32
UA:30 UZ:27 AU:25 MM:24 PE:24 GH:23 TW:22 ET:21 VE:20 CL:18 KZ:18 NL:17 RO:17 KE:17 NP:15 EC:14 LK:14
SD:13 SE:10 BE:11 CZ:9 HU:9 PT:9 AE:9 AT:8 CH:8 GR:8 IL:8 HK:7 DK:6 SG:6 FI:5 NO:5 NZ:5 IE:5 SK:5 BG:5
"""
_USERS: Final = {country: int(users) for country, _, users in (pair.partition(":") for pair in _MILLIONS.split())}
"""Millions of Internet users, rounded (ITU and World Bank, about 2023); every other country counts as one million."""
_AGENTS: Final = (
    (30, "libdnf (Fedora Linux {release}; workstation; Linux.{arch})"),
    (14, "libdnf (Fedora Linux {release}; server; Linux.{arch})"),
    (12, "libdnf (AlmaLinux {major}.6; generic; Linux.{arch})"),
    (10, "libdnf (Rocky Linux {major}.6; generic; Linux.{arch})"),
    (8, "dnf5/5.2.{minor}.0"),
    (7, "libdnf (Fedora Linux {release}; container; Linux.{arch})"),
    (6, "libdnf (CentOS Stream {major}; generic; Linux.{arch})"),
    (4, "ZYpp 17.35.{minor} (curl 8.6.0) openSUSE-Leap-15.6-{arch}"),
    (3, "curl/8.{minor}.0"),
    (2, "urlgrabber/3.10 yum/3.4.3"),
    (2, "Debian APT-HTTP/1.3 (2.9.{minor})"),
    (1, "pacman/7.0.0 (Linux {arch}) libalpm/15.0.{minor}"),
    (1, 'pip/24.{minor} {{"cpu":"{arch}","distro":{{"name":"Ubuntu"}},"installer":{{"name":"pip"}}}}'),
)
"""(weight, User-Agent); made up after what mirrors log."""
_MINORS: Final = 4


class Request(NamedTuple):
    """One request of one client."""

    address: str
    """The client's, canonical."""
    query: bytes
    agent: str


class _Networks(NamedTuple):
    """The networks of one country and family."""

    family: int
    starts: tuple[int, ...]
    """The first 32 bits of each network."""
    bits: tuple[int, ...]
    """How many of these are the client's."""
    ends: tuple[int, ...]
    """Addresses of these 32 bits, summed up: what an even choice is made by."""

    def address(self, random: Random) -> str:
        """Choose an address; of IPv6 a /64 with a random interface."""
        row = bisect(self.ends, random.randrange(self.ends[-1]))
        high = self.starts[row] | random.getrandbits(32) & ((1 << self.bits[row]) - 1)
        if self.family == AF_INET:
            return inet_ntop(AF_INET, high.to_bytes(4, "big"))
        return inet_ntop(AF_INET6, high.to_bytes(4, "big") + random.getrandbits(96).to_bytes(12, "big"))


@dataclass(frozen=True, slots=True)
class Population:
    """The world's clients: the client of a number is the same every time."""

    countries: tuple[str, ...]
    ends: tuple[int, ...]
    """Millions of users, summed up."""
    v4: dict[str, _Networks]
    v6: dict[str, _Networks]

    def client(self, number: int) -> str:
        """Return the address of a client."""
        random = Random(number + SEED)
        country = self.countries[bisect(self.ends, random.randrange(self.ends[-1]))]
        over_v6 = random.random() < V6_SHARE and country in self.v6
        return (self.v6 if over_v6 or country not in self.v4 else self.v4)[country].address(random)


@cache
def population(*, registries: bool = False) -> Population:
    """Return the clients whose countries the geo database knows, or the built-in registry data."""
    found: dict[tuple[int, str], list[tuple[int, int]]] = {}
    for family, start, bits, country in _of_registries() if registries else _of_database():
        found.setdefault((family, country), []).append((start, bits))
    tables = {
        key: _Networks(
            key[0],
            tuple(start for start, _ in rows),
            tuple(bits for _, bits in rows),
            tuple(accumulate(1 << bits for _, bits in rows)),
        )
        for key, rows in found.items()
    }
    v4, v6 = ({code: table for (own, code), table in tables.items() if own == family} for family in (AF_INET, AF_INET6))
    countries = tuple(sorted({*v4, *v6}))
    return Population(countries, tuple(accumulate(_USERS.get(country, 1) for country in countries)), v4, v6)


def _of_database() -> Iterator[tuple[int, int, int, str]]:
    """Yield (family, first 32 bits, bits below the prefix, country)."""
    for network, country in networks():
        first, _, length = network.partition("/")
        if ":" in first:
            high, low = first.split(":")[:2]
            yield AF_INET6, int(high, 16) << 16 | int(low, 16), 0, country
        else:
            yield AF_INET, int.from_bytes(bytes(map(int, first.split("."))), "big"), 32 - int(length), country


def _of_registries() -> Iterator[tuple[int, int, int, str]]:
    """Yield the same of networks chosen at random, where the registries name a country."""
    random = Random(SEED)
    for _ in range(_SAMPLED):
        start = random.randrange(1 << 16, 224 << 16) << 8
        country = iptocc.country_code(inet_ntop(AF_INET, start.to_bytes(4, "big")))
        if country in CONTINENT_OF:
            yield AF_INET, start, 8, country
        start = random.choice((0x2001_0000, 0x2400_0000, 0x2600_0000, 0x2800_0000, 0x2A00_0000, 0x2C00_0000))
        start |= random.getrandbits(18) << 6
        country = iptocc.country_code(inet_ntop(AF_INET6, start.to_bytes(4, "big") + bytes(12)))
        if country in CONTINENT_OF:
            yield AF_INET6, start, 6, country


def requests(size: Size, *, seed: int = SEED, registries: bool = False) -> Iterator[Request]:
    """Yield requests to a network of this size without end."""
    random = Random(seed)
    clients = population(registries=registries)
    queries = size.queries()
    zipf = list(accumulate((1 + rank) ** -ZIPF for rank in range(len(queries))))
    agents = list(accumulate(weight for weight, _ in _AGENTS))

    def repository() -> bytes:
        return queries[bisect(zipf, random.random() * zipf[-1], hi=len(queries) - 1)]

    def session() -> list[Request]:
        address = clients.client(random.randrange(CLIENTS))
        _, form = _AGENTS[bisect(agents, random.randrange(agents[-1]))]
        minor = random.randrange(_MINORS)
        asked = dict.fromkeys(repository() for _ in range(random.randrange(MOST_ASKED) + 1))
        return [Request(address, query, _agent(form, query, minor)) for query in asked]

    sessions = [session() for _ in range(TOGETHER)]
    while True:
        turn = random.randrange(TOGETHER)
        yield sessions[turn].pop()
        if not sessions[turn]:
            sessions[turn] = session()


def _agent(form: str, query: bytes, minor: int) -> str:
    """Fill in the client's release and architecture: those of what it asks for."""
    repository, _, arch = query.decode().removeprefix("repo=").partition("&arch=")
    release = int(repository.rpartition("-")[2])
    return form.format(release=release, major=8 + release % 3, arch=arch, minor=minor)


def head(request: Request, *, more: str = "", extra: str = "") -> str:
    """Write the head of a request as a proxy passes it on, without the client's address and without its end.

    `more` is appended to the query (`&format=metalink`), `extra` is one more header. CR LF is `|`, as wrk.lua reads it.
    """
    return (
        f"GET /mirrorlist?{request.query.decode()}{more} HTTP/1.1|Host: mirrors.example.org|"
        f"User-Agent: {request.agent}|Accept: */*|X-Forwarded-Proto: https{extra and '|'}{extra}"
    )


class Files(NamedTuple):
    """What wrk.lua reads in its mode `mix`."""

    heads: Path
    """A distinct head per line."""
    turns: Path
    """The number of a head, a space and a client's address per line."""
    distinct: int
    """How many heads."""


def write(folder: Path, name: str, size: Size, count: int, **how: str | bool) -> Files:
    """Write the first `count` requests for wrk; `how` is for `head` (`more`, `extra`) and `requests` (`registries`)."""
    registries = bool(how.pop("registries", False))
    numbers: dict[str, int] = {}
    lines = []
    for request in islice(requests(size, registries=registries), count):
        text = head(request, **{key: str(value) for key, value in how.items()})
        lines.append(f"{numbers.setdefault(text, len(numbers) + 1)} {request.address}\n")
    heads, turns = folder / f"{name}.heads", folder / f"{name}.turns"
    heads.write_text("".join(f"{text}\n" for text in numbers), encoding="ascii")
    turns.write_text("".join(lines), encoding="ascii")
    return Files(heads, turns, len(numbers))
