"""Locations of addresses, from MMDB files (opened by `mmdb`) or from the built-in registry data.

An operator can use any country, city or ASN database in MMDB format whose schema is in `_COUNTRY`, `_CONTINENT` and
`_ASN`. The schema is detected once, from the records probed at opening, so that a lookup decodes a few short strings
and no names of cities. Later `locate` never raises: a record that cannot be read is unknown and counted.

Without a database the country comes from the registries' delegation data in `iptocc`: the country where an address is
registered, which may differ from where it is used.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar, cast

import iptocc

from mirrorlist_snapshot.countries import CONTINENT_OF, country_code
from mirrorlist_snapshot.model import CONTINENTS
from mirrorlistd.errors import GeoError
from mirrorlistd.geo.mmdb import Database, open_mmdb, raise_unless_reader_fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mirrorlistd.private_copy import PrivateCopy
    from mirrorlistd.request.client_address import Address

    FieldPath = tuple[str, ...]
    Lookup = tuple[Callable[[str, FieldPath], object], FieldPath]

T = TypeVar("T")

# Where the products keep each field, in the order in which they count. `country` is a map, a name or a code.
_COUNTRY: Final = (
    ("country", "iso_code"),
    ("registered_country", "iso_code"),
    ("country_code",),
    ("country",),
)
_CONTINENT: Final = (("continent", "code"), ("continent_code",), ("continent",))
_ASN: Final = (
    ("autonomous_system_number",),
    ("traits", "autonomous_system_number"),
    ("asn",),
    ("country", "AutonomousSystemNumber"),
)

_CONTINENT_ONLY: Final = {"AP": "AS", "EU": "EU"}
"""Old codes for "somewhere in Asia-Pacific" and "somewhere in Europe"."""
_NOWHERE: Final = frozenset(("ZZ", "XX"))
"""Codes for "unknown"; A1, A2, O1 (proxies, satellites, others) and `--` are not even letters."""
_CODE_LETTERS: Final = 2
_MAX_ASN: Final = 0xFFFF_FFFF
_ASN_DIGITS: Final = len(str(_MAX_ASN))
_V4_BYTES: Final = 4
_MAX_LOCATIONS: Final = 16_384
"""Locations kept for reuse; a few thousand pairs of country and AS make up most traffic."""
_MAX_KEPT_TEXT: Final = 16
"""Characters of a field that may be kept; real ones have 13 at most."""
_MAX_FIELDS: Final = 12
"""Fields named in an error."""


class Location(NamedTuple):
    """What a database knows of an address; overrides are not applied yet."""

    country: str | None
    """ISO 3166-1 alpha-2, upper case. `NA` is Namibia."""
    continent: str | None
    """One of `CONTINENTS`; may be known without a country. `NA` is North America."""
    asn: int
    """Autonomous system, 1 to 2**32 - 1; 0 where there is none, which matches nothing (docs/prior-defects.md, Defect
    4)."""


UNKNOWN: Final = Location(None, None, 0)


class GeoSource(NamedTuple):
    """The source of one kind of data; for metrics and `check`."""

    kind: str
    """`country` or `asn`."""
    database_type: str
    """As the file names itself, or `iptocc` and its version."""
    build_epoch: int | None
    """Seconds since 1970 UTC; None for built-in data without a bill of materials."""
    path: Path | None
    """None for the built-in data."""
    ip_version: int
    """4: the file knows no IPv6 addresses; 6: it can know both families."""


class Geo:
    """Opened databases; immutable, except for the counter `failures`."""

    __slots__ = ("_asn", "_country", "_locations", "_v4", "_v6", "failures", "sources")

    def __init__(self, country: _Schema | None, asn: _Schema | None) -> None:
        """Use `open`."""
        self.failures = 0
        """Records that could not be read since opening; their addresses counted as unknown."""
        sources = [_BUILT_IN if country is None else _source("country", country.database)]
        if asn is not None:
            sources.append(_source("asn", asn.database))
        self.sources = tuple(sources)
        """One for each kind of knowledge, the country's first."""
        self._country = None if country is None else country.database
        self._asn = None if asn is None else asn.database
        self._locations: dict[tuple[object, object, object], Location] = {}
        self._v4 = _lookups(country, asn, 4)
        self._v6 = _lookups(country, asn, 6)

    @classmethod
    def open(cls, country: Path | PrivateCopy | None, asn: Path | PrivateCopy | None) -> Geo:
        """Copy (unless they are copies), probe and open databases; GeoError names the file, what is wrong and the fix.

        Without `country` the built-in data are used. Without `asn` AS numbers come from the country database if
        it carries them (Enterprise, DB-IP ISP, IPinfo, GeoOpen), else from nowhere.
        """
        locations = None if country is None else _Schema.open(country)
        if locations is not None and not (locations.country or locations.continent):
            raise locations.unusable("country.iso_code, country_code or a two-letter country", "--geo")
        if asn is None:
            return cls(locations, locations if locations is not None and locations.asn else None)
        numbers = _Schema.open(asn)
        if not numbers.asn:
            raise numbers.unusable("autonomous_system_number or asn", "--asn")
        return cls(locations, numbers)

    def locate(self, address: Address) -> Location:
        """Return the location of an address; UNKNOWN without a record, and after `close`. Never raises."""
        text = address.text
        countries, continents, asns = self._v4 if len(address.packed) == _V4_BYTES else self._v6
        country = continent = asn = None
        try:
            for get, path in countries:
                if (country := get(text, path)) is not None:
                    break
            for get, path in continents:
                if (continent := get(text, path)) is not None:
                    break
            for get, path in asns:
                if (asn := get(text, path)) is not None:
                    break
            location = self._locations.get((country, continent, asn))
        except BaseException as error:  # noqa: BLE001 - a reader raises many kinds; all others are raised again
            raise_unless_reader_fault(error)
            return self._locate_by_record(address)
        return location if location is not None else self._new_location(country, continent, asn)

    def again(self) -> Geo:
        """Return the same databases with a counter of failures of their own."""
        same = copy(self)
        same.failures = 0
        return same

    def close(self) -> None:
        """Close the databases; later lookups return UNKNOWN."""
        for database in (self._country, self._asn):
            if database is not None:
                database.reader.close()

    def _new_location(self, country: object, continent: object, asn: object) -> Location:
        location = _location(country, continent, asn)
        # Real fields are short; a corrupt file must not fill the memory with megabytes of text.
        if len(self._locations) < _MAX_LOCATIONS and all(map(_is_short, (country, continent, asn))):
            self._locations[country, continent, asn] = location
        return location

    def _locate_by_record(self, address: Address) -> Location:
        """Look up whole records: a record of an unusual shape is then no failure, a corrupt one is."""
        record = self._record(self._country, address)
        number = record if self._asn is self._country else self._record(self._asn, address)
        country = iptocc.country_code(address.text) if self._country is None else _first(record, _COUNTRY)
        return _location(country, _first(record, _CONTINENT), _first(number, _ASN))

    def _record(self, database: Database | None, address: Address) -> object:
        if database is None or (database.ip_version == 4 and len(address.packed) != _V4_BYTES):  # noqa: PLR2004 - IPv4
            return None
        try:
            return database.reader.get(address.text)
        except BaseException as error:  # noqa: BLE001 - as in locate
            raise_unless_reader_fault(error)
            self.failures += 1
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Schema:
    """An opened file and the paths at which its records keep each field; empty where they do not."""

    database: Database
    country: tuple[FieldPath, ...]
    continent: tuple[FieldPath, ...]
    asn: tuple[FieldPath, ...]
    fields: str
    """Top-level fields of the probed records; for people."""

    @classmethod
    def open(cls, source: Path | PrivateCopy) -> _Schema:
        database, records = open_mmdb(source)
        country = _used(records, _COUNTRY, _letters)
        if _COUNTRY[0] in country and _COUNTRY[1] not in country:
            # MaxMind's records have one or the other, even if all probed records have the first.
            country = (*_COUNTRY[:2], *country[1:])
        maps = [cast("dict[str, object]", record) for record in records if isinstance(record, dict)]
        return cls(
            database=database,
            country=country,
            continent=_used(records, _CONTINENT, _continent),
            asn=_used(records, _ASN, _number),
            fields=", ".join(sorted({name for record in maps for name in record})[:_MAX_FIELDS]) or "none",
        )

    def unusable(self, wanted: str, flag: str) -> GeoError:
        return GeoError(
            self.database.path,
            f"records with {wanted}",
            f"a database of type {self.database.database_type!r} with these fields: {self.fields}",
            f"give {flag} another database",
        )


def _used(
    records: list[object], paths: tuple[FieldPath, ...], value_of: Callable[[object], T]
) -> tuple[FieldPath, ...]:
    """Return the paths at which some record has a usable value."""
    return tuple(path for path in paths if any(value_of(_dig(record, path)) for record in records))


def _registry_country(text: str, _: FieldPath) -> object:
    return iptocc.country_code(text)


def _built_in() -> GeoSource:
    """Describe the built-in data: the package is made anew from the registries' data for each of its releases.

    Only the bill of materials (CycloneDX) in its wheel has the date of that; another build may lack one.
    """
    package = importlib.metadata.distribution("iptocc")
    built = None
    for file in package.files or ():
        if file.name.endswith(".cyclonedx.json"):
            with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
                stamp = json.loads(file.read_text())["metadata"]["timestamp"]
                built = int(datetime.fromisoformat(stamp[:19]).replace(tzinfo=UTC).timestamp())
    return GeoSource("country", f"iptocc {package.version}", built, None, 6)


_BUILT_IN: Final = _built_in()
_BUILT_IN_LOOKUPS: Final = ((_registry_country, ()),)


def _source(kind: str, database: Database) -> GeoSource:
    return GeoSource(kind, database.database_type, database.build_epoch, database.path, database.ip_version)


def _lookups(
    country: _Schema | None, asn: _Schema | None, version: int
) -> tuple[tuple[Lookup, ...], tuple[Lookup, ...], tuple[Lookup, ...]]:
    """Return the lookups for country, continent and ASN of one address family; the first that has a value counts."""

    def chain(schema: _Schema, paths: tuple[FieldPath, ...]) -> tuple[Lookup, ...]:
        if version > schema.database.ip_version:
            return ()
        return tuple((schema.database.reader.get_path, path) for path in paths)

    return (
        _BUILT_IN_LOOKUPS if country is None else chain(country, country.country),
        () if country is None else chain(country, country.continent),
        () if asn is None else chain(asn, asn.asn),
    )


def _location(country: object, continent: object, asn: object) -> Location:
    """Make a location of a record's raw fields, whatever they are."""
    letters, own, number = _letters(country), _continent(continent), _number(asn)
    code = country_code(letters) if letters is not None else None
    if code is None or code in _NOWHERE:
        return Location(None, own, number)
    if code in _CONTINENT_ONLY:
        return Location(None, own or _CONTINENT_ONLY[code], number)
    return Location(code, own or CONTINENT_OF.get(code), number)


def _letters(value: object) -> str | None:
    if isinstance(value, str) and len(value) == _CODE_LETTERS and value.isascii() and value.isalpha():
        return value.upper()
    return None


def _continent(value: object) -> str | None:
    return code if (code := _letters(value)) in CONTINENTS else None


def _number(value: object) -> int:
    """Read 13335, "AS13335" or "13335"; anything else is 0."""
    if isinstance(value, str):
        digits = value[2:] if value[:2] in {"AS", "as"} else value
        value = int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= _ASN_DIGITS else 0
    return value if type(value) is int and 0 < value <= _MAX_ASN else 0


def _is_short(value: object) -> bool:
    return value is None or isinstance(value, int) or (isinstance(value, str) and len(value) <= _MAX_KEPT_TEXT)


def _first(record: object, paths: tuple[FieldPath, ...]) -> object:
    return next((value for path in paths if (value := _dig(record, path)) is not None), None)


def _dig(record: object, path: FieldPath) -> object:
    """Get the field at a path; None where the record has another shape. A record need not be a map."""
    for key in path:
        if not isinstance(record, dict):
            return None
        record = cast("dict[str, object]", record).get(key)
    return record
