"""The columns of lists in tables, and which key of a source each of them is.

`--column key=COLUMN` names a column; what is not named is recognised by its usual names. What is recognised as nothing
goes into `about.extra`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

from mirrorlist_snapshot.importers.about import about
from mirrorlist_snapshot.importers.entries import Content, Entry, not_taken
from mirrorlist_snapshot.importers.places import as_continent, city_in, place_named
from mirrorlist_snapshot.importers.records import as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlist_snapshot.importers.entries import ImportedFile, ImportOptions, NotTaken
    from mirrorlist_snapshot.importers.records import Record

USUAL_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "url": ("url", "urls", "baseurl", "mirrorurl", "address", "link", "href", "httpurl"),
    "https": ("https", "httpsurl", "httpsmirrorlink"),
    "http": ("http", "httpmirrorlink"),
    "ftp": ("ftp", "ftpurl", "ftpmirrorlink"),
    "rsync": ("rsync", "rsyncurl", "rsynclocation", "rsyncmirrorlink"),
    "protocols": ("protocols",),
    "name": ("hostname", "fqdn", "id", "identifier"),
    "country": ("countrycode", "country", "cc", "ccode", "iso", "countryiso", "location", "geo"),
    "worldwide": ("worldwide",),
    "continent": ("continent", "continentcode", "region"),
    "also_countries": ("alsocountries", "othercountries"),
    "allowed_countries": ("allowedcountries", "onlycountries"),
    "denied_countries": ("deniedcountries", "excludedcountries"),
    "bandwidth": ("bandwidth", "speed", "mbits", "bandwidthmbits", "uplink"),
    "asns": ("asns", "asn", "as", "asnum"),
    "netblocks": ("netblocks", "netblock", "prefixes", "prefix", "subnets", "networks"),
    "private": ("private",),
    "fallback": ("fallback",),
    "active": ("active", "enabled"),
    "category": ("category",),
    "arches": ("arches", "architectures", "arch"),
    "sponsor": (
        "sponsor",
        "organisation",
        "organization",
        "org",
        "host",
        "operator",
        "provider",
        "sponsorname",
        "owner",
    ),
    "sponsor_url": ("sponsorurl", "website", "homepage", "operatorurl"),
    "sponsor_logo": ("sponsorlogo", "logo"),
    "contact": ("contact", "email", "mail", "maintainer", "admin", "adminemail"),
    "city": ("city", "town"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lng", "lon", "long"),
    "notes": ("notes", "publicnotes", "note"),
    "comment": ("comment", "comments", "remark"),
}
"""Our key -> the names that its column usually has, in lower case and letters only, best first."""
PROTOCOL_KEYS: Final = ("https", "http", "ftp", "rsync")
_NO: Final = frozenset(("false", "no", "n", "0", "f", "off", "inactive", "disabled"))
_YES: Final = frozenset(("true", "yes", "y", "1", "t", "on", "active", "enabled"))


def guess(records: Sequence[Record], named: dict[str, str]) -> dict[str, str]:
    """Return our key -> column: those that are named, and those that are recognised by name, or else by content."""
    columns = dict.fromkeys(key for record in records for key in record.data)
    found = dict(named)
    plain = {re.sub(r"[^a-z]", "", column.lower()): column for column in reversed(list(columns))}
    for key, names in USUAL_NAMES.items():
        for name in names:
            column = plain.get(name)
            if key not in found and column is not None and column not in found.values():
                found[key] = column
    for word in ("mirror", "name"):
        # A column of this name has names of mirrors, their URLs, or the names of who runs them.
        if (column := plain.get(word)) is not None and column not in found.values():
            texts = [record.text(column) for record in records]
            one_word = all(len(text.split()) == 1 for text in texts)
            key = "url" if all("://" in text for text in texts) else "name" if one_word else "sponsor"
            found.setdefault(key, column)
    if columns and all(column.isdigit() for column in columns):
        for column in columns:
            cells = [text for record in records if (text := record.text(column))]
            if "url" not in found and cells and all(re.match(r"[a-z]+://", text) for text in cells):
                found["url"] = column
            elif "country" not in found and cells and all(_is_country(text) for text in cells):
                found["country"] = column
    return found


def _is_country(text: str) -> bool:
    place = place_named(text)
    return place is not None and place.country is not None


def entry_of(
    file: ImportedFile, record: Record, columns: dict[str, str], options: ImportOptions, *, extra: bool = True
) -> tuple[Entry, list[NotTaken]]:
    """Return the mirror of a record, and lines about its values that are not understood.

    With `extra`, what no column is meant for goes into `about.extra`.
    """
    used = {*columns.values(), *(column.partition(".")[0] for column in columns.values())}
    take = _Taker(file, record, columns)
    settings: dict[str, object] = {}
    for key in ("allowed_countries", "denied_countries", "asns", "netblocks"):
        if words := take.words(key):
            settings[key] = words
    if bandwidth := take.text("bandwidth"):
        settings["bandwidth"] = bandwidth
    for key in ("private", "fallback", "active"):
        if (value := take.switch(key)) is not None:
            settings[key] = value
    entry = Entry(
        file=file.name,
        line=record.line,
        name=take.text("name") if "name" in columns else record.name,
        contents={take.text("category") or options.category: Content(take.urls(), take.words("arches"))},
        places=[take.place(), *take.words("also_countries")],
        settings=settings,
        about=about(
            sponsor={"name": take.text("sponsor"), "url": take.text("sponsor_url"), "logo": take.text("sponsor_logo")},
            contact=take.text("contact"),
            city=take.text("city") or city_in(take.text("country")),
            latitude=take.degrees("latitude"),
            longitude=take.degrees("longitude"),
            notes=take.text("notes"),
            extra={key: value for key, value in record.data.items() if key not in used and as_text(value)}
            if extra
            else {},
        ),
        comments=[line for line in take.text("comment").splitlines() if line],
    )
    return entry, take.not_taken


class _Taker:
    """Takes values of one record by our keys."""

    def __init__(self, file: ImportedFile, record: Record, columns: dict[str, str]) -> None:
        self._file = file
        self._record = record
        self._columns = columns
        self.not_taken: list[NotTaken] = []

    def text(self, key: str) -> str:
        """Return a value as text, empty if there is no such column."""
        return self._record.text(self._columns[key]) if key in self._columns else ""

    def words(self, key: str) -> list[str]:
        """Return the items of a list, or of a text with blanks, commas, semicolons or bars between them."""
        value = self._record.get(self._columns[key]) if key in self._columns else None
        if isinstance(value, list):
            return [text for item in cast("list[object]", value) if (text := as_text(item))]
        return [word for word in re.split(r"[\s,;|]+", self.text(key)) if word]

    def urls(self) -> list[str]:
        """Return the URLs of all columns that have some; a URL without a protocol has each of `protocols`."""
        found = self._urls_in("url")
        protocols = [word.lower() for word in self.words("protocols") if word.lower() in PROTOCOL_KEYS]
        if protocols:
            found = [f"{one}://{re.sub(r'^[a-z]+://', '', url)}" for url in found for one in protocols]
        for key in PROTOCOL_KEYS:
            found += [url if "://" in url or "::" in url else f"{key}://{url}" for url in self._urls_in(key)]
        return list(dict.fromkeys(found))

    def place(self) -> str:
        """Return where the mirror is: the whole world if it says so, its country, else its continent."""
        if self.switch("worldwide"):
            return "worldwide"
        return self.text("country") or as_continent(self.text("continent"))

    def _urls_in(self, key: str) -> list[str]:
        """Return the items of a list; of a text, what blanks divide, if that is several URLs."""
        value = self._record.get(self._columns[key]) if key in self._columns else None
        if isinstance(value, list):
            return self.words(key)
        text = self.text(key)
        words = text.split()
        return words if all(re.match(r"[A-Za-z]+://|[\w.-]+::", word) for word in words) else [text]

    def switch(self, key: str) -> bool | None:
        """Return a yes or no, None if there is none."""
        text = self.text(key).lower()
        if text in _NO:
            return False
        if text in _YES:
            return True
        if text:
            self._say(key, f"{self.text(key)!r} is neither yes nor no")
        return None

    def degrees(self, key: str) -> float | None:
        """Return degrees, None if there are none."""
        text = self.text(key)
        try:
            return float(text) if text else None
        except ValueError:
            self._say(key, f"{text!r} is no number of degrees")
            return None

    def _say(self, key: str, reason: str) -> None:
        self.not_taken.append(not_taken(self._file, self._record.line, self._columns[key], reason))
