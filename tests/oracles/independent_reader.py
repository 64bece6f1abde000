"""A second reader of snapshot files, written from snapshot/FORMAT.md alone: it imports nothing of the project.

It gives what a file says as lists, dicts and scalars, and raises Refused for what FORMAT.md says must be refused in
the container and the tables. If it and the real reader disagree, one of them or the page is wrong.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import Any

import msgpack  # type: ignore[import-untyped] # it has no types

MAGIC = bytes.fromhex("8d 4d 4c 53 0d 0a 1a 0a")
REQUIRED = [
    "Category",
    "Mirrors",
    "Repos",
    "Aliases",
    "Override",
    "Places",
    "Place4",
    "Place6",
    "ChainRow",
    "ChainHit",
    "Client4",
    "Client6",
    "Sets",
    "DirKeys",
    "DirSets",
    "FileKeys",
    "FileRows",
    "FileVers",
]
OPTIONAL = ["asn4", "asn6", "units", "health"]
HASHES = (("md5", 24, 16), ("sha1", 40, 20), ("sha256", 60, 32), ("sha512", 92, 64))


class Refused(Exception):  # noqa: N818 - the word of FORMAT.md
    """The file must not be used."""


def refuse_unless(condition: object, what: str) -> None:
    """Section 1: refuse the whole file."""
    if not condition:
        raise Refused(what)


def integer(data: bytes, at: int, size: int) -> int:
    """Section 1: little-endian, unsigned."""
    return int.from_bytes(data[at : at + size], "little")


def integers(data: bytes, size: int) -> list[int]:
    """All of `data` as integers."""
    refuse_unless(len(data) % size == 0, "a part of an integer")
    return [integer(data, at, size) for at in range(0, len(data), size)]


def read(data: bytes) -> dict[str, Any]:
    """Section 2: header, table of contents, then each section."""
    check_header(data)
    parts = read_contents(data, integer(data, 10, 2))
    known = ["meta", *REQUIRED, *OPTIONAL]
    refuse_unless(not any(name not in known and name[0].isupper() for name in parts), "unknown section")
    refuse_unless(all(name in parts for name in known if name[0].isupper()), "missing section")
    mirrors = [mirror(one) for one in unpack(parts["Mirrors"])]
    overrides = unpack(parts["Override"])
    directories, files = tables(parts)
    return {
        "serial": integer(data, 24, 8),
        "built": integer(data, 32, 8),
        "generator": unpack(parts.get("meta", b"\x80")).get("generator", ""),
        "observed": unpack(parts.get("meta", b"\x80")).get("observed", 0),
        "categories": [
            [one["name"], one.get("kind", "listed"), one.get("top", ""), one.get("part_of")]
            for one in unpack(parts["Category"])
        ],
        "mirrors": mirrors,
        "repositories": [
            [
                one["name"],
                one.get("disabled", False),
                [
                    [place.get("arch", ""), place.get("category", 0), place.get("path", "")]
                    for place in one["directories"]
                ],
            ]
            for one in unpack(parts["Repos"])
        ],
        "aliases": unpack(parts["Aliases"]),
        "continents": overrides.get("continents", {}),
        "neighbours": overrides.get("neighbours", {}),
        "never": overrides.get("never", {}),
        "sets": carrier_sets(parts["Sets"], len(mirrors)),
        "directories": directories,
        "files": files,
        "clients": [ranges(parts["Client4"], 4), ranges(parts["Client6"], 16)],
        "chains": [
            [[integer(hit, 0, 2), hit[2], bool(hit[3])] for hit in hits]
            for hits in records(integers(parts["ChainRow"], 4), parts["ChainHit"], 4)
        ],
        "places": [ranges(parts["Place4"], 4), ranges(parts["Place6"], 16)],
        "countries": unpack(parts["Places"]),
        "networks": [ranges(parts.get("asn4", bytes(4)), 4), ranges(parts.get("asn6", bytes(4)), 16)],
        "health": [health(one, unpack(parts.get("units", b"\x90"))) for one in unpack(parts.get("health", b"\x90"))],
    }


def check_header(data: bytes) -> None:
    """Section 2, header, in its order of checks."""
    refuse_unless(data[:8] == MAGIC, "magic")
    refuse_unless(len(data) >= 192, "cut off")
    refuse_unless(hashlib.sha256(data[:72]).digest() == data[72:104], "header check")
    flags = integer(data, 12, 4)
    refuse_unless(integer(data, 8, 2) == 1, "format version")
    refuse_unless(flags < 2, "flags")
    refuse_unless(not any(data[176:192]) and (flags or not any(data[104:176])), "zeros")
    refuse_unless(integer(data, 16, 8) == len(data), "length")
    refuse_unless(integer(data, 24, 8) < 1 << 63 and integer(data, 32, 8) <= 253_402_300_799, "serial, time")
    refuse_unless(hashlib.sha256(data[192:]).digest() == data[40:72], "content digest")


def key_id(public_key: bytes) -> bytes:
    """Section 2, header: what a file names the key by that has signed it."""
    return hashlib.sha256(public_key).digest()[:8]


def read_contents(data: bytes, count: int) -> dict[str, bytes]:
    """Section 2, table of contents."""
    parts: dict[str, bytes] = {}
    expected = 192 + 24 * count
    for entry in range(192, expected, 24):
        name = data[entry : entry + 8].rstrip(b"\0").decode("ascii")
        refuse_unless(name.isalnum() and name[0].isalpha() and name not in parts, "section name")
        start, length = integer(data, entry + 8, 8), integer(data, entry + 16, 8)
        refuse_unless(start == expected, "section out of place")
        expected = (start + length + 7) // 8 * 8
        refuse_unless(expected <= len(data) and not any(data[start + length : expected]), "padding")
        parts[name] = data[start : start + length]
    refuse_unless(expected == len(data), "end of file")
    return parts


def unpack(data: bytes) -> Any:
    """Section 3: one item of msgpack that fills the section."""
    return msgpack.unpackb(data)


def mirror(one: dict[str, Any]) -> dict[str, Any]:
    """Section 3, Mirrors."""
    exclusive = one.get("exclusive", [])
    return {
        "name": one["name"],
        "country": one.get("country"),
        "bandwidth": one.get("bandwidth", 100),
        "asns": one.get("asns", []),
        "netblocks": [[prefix, number in exclusive] for number, prefix in enumerate(one.get("netblocks", []))],
        "private": one.get("private", False),
        "fallback": one.get("fallback", False),
        "active": one.get("active", True),
        "allowed": one.get("allowed", []),
        "denied": one.get("denied", []),
        "contents": [
            [content.get("category", 0), content["urls"], content.get("families", 3)]
            for content in one.get("contents", [])
        ],
        "continent": one.get("continent"),
        "worldwide": one.get("worldwide", False),
        "also": one.get("also", []),
        "about": about(one.get("about", {})),
    }


def about(one: dict[str, Any]) -> dict[str, Any]:
    """Section 3, the map `about`, with coordinates in ten-thousandths of a degree from the equator and Greenwich."""
    texts = ("sponsor", "sponsor_url", "sponsor_logo", "city", "notes")
    latitude, longitude = one.get("latitude"), one.get("longitude")
    refuse_unless(latitude is None or latitude <= 1_800_000, "latitude")
    refuse_unless(longitude is None or longitude <= 3_600_000, "longitude")
    return {
        **{key: one.get(key, "") for key in texts},
        "latitude": None if latitude is None else latitude - 900_000,
        "longitude": None if longitude is None else longitude - 1_800_000,
    }


def health(one: dict[str, Any], units: list[dict[str, Any]]) -> dict[str, Any]:
    """Section 3, health and units."""
    lagging, lags = one.get("lagging", []), one.get("lags", [])
    refuse_unless(len(lagging) == len(lags), "lags")
    return {
        "mirror": one["mirror"],
        "checked": one.get("checked", 0),
        "families": one.get("families", []),
        "weight": one.get("weight", 100),
        "until": one.get("until", 0),
        "lags": dict.fromkeys(one.get("current", []), 0) | dict(zip(lagging, lags, strict=True)),
        "down": [
            [row.get("category", 0), row["url"], row.get("family", 0), row.get("since", 0), row.get("reason", "")]
            for row in one.get("down", [])
        ],
        "old": [
            {
                "category": units[row.get("unit", 0)].get("category", 0),
                "unit": units[row.get("unit", 0)]["path"],
                "directories": units[row.get("unit", 0)].get("directories", []),
                "state": row.get("state", "stale"),
                "offered": row.get("offered", False),
                "since": row.get("since", 0),
                "lag": row.get("lag", 0),
                "reason": row.get("reason", ""),
            }
            for row in one.get("old", [])
        ],
    }


def key_table(data: bytes) -> list[tuple[int, bytes]]:
    """Section 4, key table: (category, path)."""
    count = integer(data, 0, 4)
    offsets = integers(data[4 : 4 + 4 * (count + 1)], 4)
    heap = data[4 + 4 * (count + 1) :]
    refuse_unless(len(offsets) == count + 1 and offsets[0] == 0 and offsets[-1] == len(heap), "key table")
    refuse_unless(offsets == sorted(offsets), "offsets that go back")
    keys = [heap[start:end] for start, end in pairwise(offsets)]
    refuse_unless(all(len(key) <= 8191 for key in keys), "a long key")
    return [(int.from_bytes(key[:2], "big"), key[2:]) for key in keys]


def carrier_sets(data: bytes, mirrors: int) -> list[list[int]]:
    """Section 4, carrier sets: the members of each."""
    width = max(1, -(-mirrors // 8))
    refuse_unless(len(data) % width == 0, "a part of a set")
    sets = [data[at : at + width] for at in range(0, len(data), width)]
    members = [[m for m in range(8 * width) if one[m // 8] >> m % 8 & 1] for one in sets]
    refuse_unless(all(m < mirrors for one in members for m in one), "a member beyond the last mirror")
    return members


def ranges(data: bytes, width: int) -> list[list[Any]]:
    """Section 4, netblock table: [first address, value]."""
    count = integer(data, 0, 4)
    values = 4 + width * count
    refuse_unless(len(data) == values + 4 * count, "netblock table")
    starts = [data[at : at + width] for at in range(4, values, width)]
    return [list(pair) for pair in zip(starts, integers(data[values:], 4), strict=True)]


def records(rows: list[int], data: bytes, size: int) -> list[list[bytes]]:
    """Section 4, rows and records: the records of each thing."""
    refuse_unless(rows and rows[0] == 0 and rows[-1] * size == len(data) and rows == sorted(rows), "rows")
    return [
        [data[size * number : size * (number + 1)] for number in range(start, end)] for start, end in pairwise(rows)
    ]


def tables(parts: dict[str, bytes]) -> tuple[list[Any], list[Any]]:
    """Section 4, directories and files."""
    keys, numbers = key_table(parts["DirKeys"]), integers(parts["DirSets"], 2)
    refuse_unless(len(keys) == len(numbers), "set numbers")
    directories = [[category, path, number] for (category, path), number in zip(keys, numbers, strict=True)]
    keys = key_table(parts["FileKeys"])
    versions = records(integers(parts["FileRows"], 4), parts["FileVers"], 160)
    refuse_unless(len(keys) == len(versions), "rows of files")
    files = [
        [category, path, list(map(version, found))] for (category, path), found in zip(keys, versions, strict=True)
    ]
    return directories, files


def version(record: bytes) -> dict[str, Any]:
    """Section 4, a record of FileVers."""
    present = integer(record, 16, 8)
    refuse_unless(present < 16, "hashes present")
    return {
        "time": integer(record, 0, 8),
        "size": integer(record, 8, 8),
        **{
            name: record[at : at + size].hex() if present >> bit & 1 else None
            for bit, (name, at, size) in enumerate(HASHES)
        },
    }
