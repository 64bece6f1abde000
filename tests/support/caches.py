"""MirrorManager's caches for tests, in bytes: a writer of protobuf's wire format that shares nothing with the product.

A message is a list of (field number, value): an int is a varint, text and bytes have a length, a list is a message.
"""

from __future__ import annotations

from typing import Any

Message = list[tuple[int, Any]]
TIME, NETBLOCK_COUNTRY, LOCATION, URL, FILES, DISABLED, CONTINENT, REDIRECT, REPOSITORY = range(1, 10)
ASN, CONNECTIONS, COUNTRY, BANDWIDTH, ALLOWED, NETBLOCK, DIRECTORY = range(10, 17)


def varint(number: int) -> bytes:
    """An integer; negative ones in 64-bit two's complement."""
    number %= 1 << 64
    groups = [number >> shift & 0x7F for shift in range(0, 64, 7) if number >> shift or not shift]
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


def encode(message: Message) -> bytes:
    """A message."""
    return b"".join(_field(number, value) for number, value in message)


def _field(number: int, value: Any) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = encode(value) if isinstance(value, list) else value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def pair(key: Any, *values: Any) -> Message:
    """A row of any of the maps: {1 key, 2 value}, the value repeated."""
    return [(1, key), *((2, value) for value in values)]


def directory(
    path: str,
    subpath: str,
    urls: dict[int, list[int]],
    public: list[int],
    countries: dict[str, list[int]] | None = None,
) -> tuple[int, Message]:
    """A row of MirrorListCache: `urls` is ByHostId, `public` Global."""
    return DIRECTORY, [
        (1, path),
        *((2, host) for host in public),
        (3, subpath),
        *((4, pair(country, *hosts)) for country, hosts in (countries or {}).items()),
        *((6, pair(host, *ids)) for host, ids in urls.items()),
    ]


def file_details(path: str, name: str, *versions: Message) -> tuple[int, Message]:
    """A row of FileDetailsCache, of one file."""
    return FILES, [(1, path), (2, [(1, name), *((2, version) for version in versions)])]


EPEL = {1: [11, 12], 2: [21], 3: [31]}
"""Host -> URLs for pub/epel."""
LINUX = {1: [13], 4: [41, 42]}
SHA256 = "ab" * 32


def small_cache() -> Message:
    """Four hosts: 1 in DE everywhere; 2 private; 3 only for clients in AT; 4 in US, where AS 64500 is its own."""
    countries = {"DE": [1], "AT": [3]}
    return [
        (TIME, 1_790_000_000),
        (NETBLOCK_COUNTRY, pair("198.51.100.0/24", "nl")),
        (LOCATION, pair("somewhere", 1)),
        (URL, pair(11, "https://one.example/pub/epel")),
        (URL, pair(12, "http://one.example/pub/epel")),
        (URL, pair(13, "https://one.example/fedora/")),
        (URL, pair(21, "http://two.example")),
        (URL, pair(31, "http://three.example/epel")),
        (URL, pair(41, "rsync://four.example/linux")),
        (URL, pair(42, "https://FOUR.example/linux")),
        file_details(
            "pub/epel/9/x86_64/repodata",
            "repomd.xml",
            [(1, 1_789_000_000), (2, 3_000), (5, SHA256.upper())],
            [(1, 1_788_000_000), (2, 2_999), (3, "cd" * 20), (4, "ef" * 16)],
        ),
        (DISABLED, pair("linux-1", 1)),
        (DISABLED, pair("epel-9", 0)),
        (CONTINENT, pair("TR", "EU")),
        (REDIRECT, pair("epel", "epel-9")),
        (REPOSITORY, pair("epel-9+x86_64", "pub/epel/9/x86_64")),
        (REPOSITORY, pair("linux-1+source", "pub/fedora/linux/1")),
        (ASN, pair(64500, 4, 5)),
        (CONNECTIONS, pair(1, 5)),
        (COUNTRY, pair(1, "DE")),
        (COUNTRY, pair(2, "DE")),
        (COUNTRY, pair(3, "at")),
        (COUNTRY, pair(4, "US")),
        (BANDWIDTH, pair(1, 1_000)),
        (BANDWIDTH, pair(4, 0)),
        (ALLOWED, pair(3, "at", "DE")),
        (NETBLOCK, pair("192.0.2.7/24", 2, 5)),
        (NETBLOCK, pair("2001:db8::1", 1, 2)),
        directory("pub/epel", "", EPEL, [1, 3], countries),
        directory("pub/epel/9/x86_64", "9/x86_64", EPEL, [1, 3], countries),
        directory("pub/epel/9/x86_64/repodata", "9/x86_64/repodata", EPEL, [1, 3], countries),
        directory("pub/epel/9/x86_64/Packages", "9/x86_64/Packages", {1: [11, 12]}, [1], {"DE": [1]}),
        directory("pub/fedora/linux", "", LINUX, [1, 4], {"DE": [1], "US": [4]}),
        directory("pub/fedora/linux/1", "1", LINUX, [1, 4], {"DE": [1], "US": [4]}),
    ]
