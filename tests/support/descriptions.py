"""Descriptions of mirrors for tests, as an operator would write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from mirrorlist_snapshot.errors import Complaint, SourceError
from mirrorlist_snapshot.source import read_sources

if TYPE_CHECKING:
    from pathlib import Path

    from mirrorlist_snapshot.records import NetworkRecords

SMALL = """
[categories.debian]
[repositories.debian]
category = "debian"
[mirrors.m]
country = "DE"
categories.debian = "https://m.example.org/debian/"
"""
"""The smallest description without a complaint."""

FULL = """
contact = "mailto:mirrors@example.org"
[categories.epel]
kind = "listed"
top = "/pub//epel/"
master = "https://Master.example.org//pub/epel"
stamp = "/fullfiletimelist-epel"
directories = ["9/Everything/x86_64", "9/Everything/aarch64"]
[[categories.epel.files]]
path = "imagelist"
timestamp = 1600000000
size = 5
[[categories.epel.files.alternates]]
timestamp = 1500000000
size = 4
[categories.debian]
master = "/srv//debian/"
[repositories.epel-9]
category = "epel"
path = "9/Everything/{arch}/"
arches = ["x86_64", "aarch64"]
unit = "/repodata/repomd.xml"
fresh = "90m"
max_lag = "1d 12h"
[[repositories.epel-9.files]]
path = "repodata/repomd.xml"
arch = "x86_64"
timestamp = 1700000000
size = 123
md5 = "00112233445566778899AABBCCDDEEFF"
alternates = [{ timestamp = 1, size = 2 }, { timestamp = 9, size = 2 }, { timestamp = 1700000000, size = 124 }]
[repositories.epel-latest]
alias = "epel-9"
[repositories.mixed]
disabled = true
[repositories.mixed.arches]
x86_64 = { category = "epel", path = "9/Everything/x86_64" }
arm = { category = "debian" }
[mirrors."ftp.example.org"]
country = "de"
bandwidth = 10000
asns = [680, "AS1103", "as680"]
netblocks = ["192.0.2.0/24", { prefix = "2001:DB8::/32", exclusive = true }, "198.51.100.7"]
also_countries = ["at", "Switzerland"]
allowed_countries = ["de", "AT"]
denied_countries = ["FR"]
[mirrors."ftp.example.org".about]
sponsor = { name = "Example University", url = "https://www.example.org/", logo = "https://www.example.org/logo.svg" }
contact = ["mirror@example.org", "+49 30 123456"]
city = "Berlin"
latitude = 52.51671
longitude = 13
notes = '''ring
twice'''
extra = { rack = 7 }
[mirrors."ftp.example.org".categories]
debian = ["http://FTP.example.org:80/debian", "https://ftp.example.org/caf\\u00e9"]
[mirrors."ftp.example.org".categories.epel]
urls = ["rsync://ftp.example.org/epel/"]
families = "ipv4"
arches = ["x86_64"]
include = ["/9/"]
exclude = ["9/Everything/s390x"]
[mirrors.part]
active = false
country = "NO"
categories.epel = { urls = ["https://part.example.org/"], directories = ["9/Everything/x86_64", "8"] }
[mirrors.inside]
private = true
asns = [65000]
categories.debian = "https://[2001:DB8::1]:8443/debian"
[mirrors.cdn]
worldwide = true
about.sponsor = "A network"
categories.debian = "https://cdn.example.org/"
[mirrors.asia]
continent = "as"
categories.debian = "https://asia.example.org/"
[mirrors.last]
fallback = true
categories.debian = "ftp://last.example.org/"
[overrides.continents]
il = "eu"
[overrides.neighbours]
SE = [["NO", "DK", "FI"], ["DE"]]
AT = ["DE", "CH"]
[overrides.netblocks]
"198.51.100.0/24" = "DE"
[overrides.never_served]
CN = ["TW"]
"""
"""Everything that can be said, some of it in unusual spelling."""


def complaints_of(folder: Path, text: str, name: str = "mirrors.toml") -> list[Complaint]:
    """Every complaint about one file."""
    file = folder / name
    file.write_text(text, encoding="utf-8")
    try:
        _, warnings = read_sources([file])
    except SourceError as error:
        return list(error.complaints)
    return list(warnings)


def records_of(folder: Path, text: str, name: str = "mirrors.toml") -> NetworkRecords:
    """The records of one file without mistakes."""
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return read_sources([file])[0]


def paths_of(data: object, above: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The key paths of everything in a document, from the top down."""
    if isinstance(data, dict):
        items = list(cast("dict[str | int, object]", data).items())
    elif isinstance(data, list):
        items = list(enumerate(cast("list[object]", data)))
    else:
        return []
    return [path for key, value in items for path in ((*above, key), *paths_of(value, (*above, key)))]
