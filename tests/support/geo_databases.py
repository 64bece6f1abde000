"""Small MMDB files of every schema that users bring (the table of the geo design), for tests.

`write(path, schema)` makes one with the networks of `PLACES`; `write_records` one with any records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import netaddr
from mmdb_writer import MMDBWriter

from support.paths import DATA

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

MMDB: Final = DATA / "mmdb"
COUNTRY_TEST: Final = MMDB / "GeoIP2-Country-Test.mmdb"
CITY_TEST: Final = MMDB / "GeoLite2-City-Test.mmdb"
ASN_TEST: Final = MMDB / "GeoLite2-ASN-Test.mmdb"


class Place(NamedTuple):
    """What every schema says of one network, as far as it can."""

    network: str
    address: str
    country: str
    name: str
    continent: str
    asn: int


PLACES: Final = (
    Place("192.0.2.0/25", "192.0.2.9", "DE", "Germany", "EU", 64500),
    Place("192.0.2.128/25", "192.0.2.200", "NA", "Namibia", "AF", 64501),
    Place("198.51.100.0/24", "198.51.100.1", "AU", "Australia", "OC", 0),
    Place("2001:db8:1::/48", "2001:db8:1::1", "US", "United States", "NA", 4_200_000_000),
)


class Schema(NamedTuple):
    """One product's records."""

    database_type: str
    record: Callable[[Place], dict[str, Any]]
    country: bool = True
    continent: bool = True
    asn: bool = True


def _asn_text(place: Place) -> str:
    return f"AS{place.asn}" if place.asn else ""


def _maxmind(place: Place) -> dict[str, Any]:
    names = {"en": place.name, "de": place.name}
    return {
        "continent": {"code": place.continent, "names": {"en": place.continent}},
        "country": {"iso_code": place.country, "names": names},
        "registered_country": {"iso_code": "FR", "names": names},
    }


def _enterprise(place: Place) -> dict[str, Any]:
    traits = {"autonomous_system_number": place.asn} if place.asn else {"user_type": "business"}
    return _maxmind(place) | {"traits": traits}


def _asn(place: Place) -> dict[str, Any]:
    return {"autonomous_system_number": place.asn, "autonomous_system_organization": "Example"}


def _ipinfo(place: Place) -> dict[str, Any]:
    codes = {"country_code": place.country, "continent_code": place.continent, "asn": _asn_text(place)}
    return codes | {"country": place.name, "continent": "A long name"}


def _ipinfo_old(place: Place) -> dict[str, Any]:
    return {"country": place.country, "country_name": place.name, "continent": place.continent}


def _geo_open(place: Place) -> dict[str, Any]:
    return {"country": {"iso_code": place.country, "AutonomousSystemNumber": str(place.asn)}}


SCHEMAS: Final[Mapping[str, Schema]] = {
    "maxmind-country": Schema("GeoLite2-Country", _maxmind, asn=False),
    "maxmind-enterprise": Schema("GeoIP2-Enterprise", _enterprise),
    "maxmind-asn": Schema("GeoLite2-ASN", _asn, country=False, continent=False),
    "ipinfo-lite": Schema("ipinfo generic_bundle_lite.mmdb", _ipinfo),
    "ipinfo-country": Schema("ipinfo country.mmdb", _ipinfo_old, asn=False),
    "ipinfo-country-asn": Schema(
        "ipinfo country_asn.mmdb", lambda place: _ipinfo_old(place) | {"asn": _asn_text(place)}
    ),
    "ip-location-db": Schema(
        "ip-location-db", lambda place: {"country_code": place.country}, continent=False, asn=False
    ),
    "geo-open": Schema("GeoOpen-Country-ASN", _geo_open, continent=False),
}
"""Name -> schema; the flags say which fields its records have."""


def write(path: Path, schema: str, *, ip_version: int = 6) -> Path:
    """Write a database of a schema of `SCHEMAS` and give back its path."""
    kind = SCHEMAS[schema]
    places = [place for place in PLACES if ip_version == 6 or ":" not in place.network]
    records = {place.network: kind.record(place) for place in places}
    return write_records(path, records, database_type=kind.database_type, ip_version=ip_version)


def write_records(path: Path, records: Mapping[str, Any], *, database_type: str = "Test", ip_version: int = 6) -> Path:
    """Write network -> record, whatever the records are, and give back the path."""
    writer = MMDBWriter(
        ip_version=ip_version,
        ipv4_compatible=ip_version == 6,
        database_type=database_type,
        languages=["en"],
        description={"en": "made by a test"},
        int_type="u32",
    )
    for network, record in records.items():
        writer.insert_network(netaddr.IPSet([network]), record)
    writer.to_db_file(str(path))
    return path
