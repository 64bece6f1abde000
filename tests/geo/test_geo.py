"""Claims of `locate` and `mmdb`: any database places clients, or opening says why not."""

from __future__ import annotations

import gzip
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import iptocc
import maxminddb_rust
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlist_snapshot.countries import CONTINENT_OF
from mirrorlistd.errors import GeoError
from mirrorlistd.geo.locate import UNKNOWN, Geo, GeoSource, Location
from mirrorlistd.geo.mmdb import copy_mmdb, raise_unless_reader_fault
from mirrorlistd.request.client_address import Address, parse_address
from support import geo_databases
from support.geo_databases import ASN_TEST, CITY_TEST, COUNTRY_TEST, PLACES, SCHEMAS

MARKER: Final = b"\xab\xcd\xefMaxMind.com"
"""What the metadata of an MMDB begins after."""


def at(text: str) -> Address:
    """Parse what a test knows to be an address."""
    address = parse_address(text)
    assert address is not None
    return address


def open_records(folder: Path, records: dict[str, Any], *, ip_version: int = 6) -> Geo:
    """Open a --geo database with these records."""
    return Geo.open(geo_databases.write_records(folder / "r.mmdb", records, ip_version=ip_version), None)


@pytest.mark.parametrize("name", [name for name, schema in SCHEMAS.items() if schema.country])
def test_every_country_schema_is_read(name: str, tmp_path: Path) -> None:
    """Each product of the design's table gives country, continent (else the ISO table's) and AS number."""
    schema = SCHEMAS[name]
    geo = Geo.open(geo_databases.write(tmp_path / "geo.mmdb", name), None)
    for place in PLACES:
        continent = place.continent if schema.continent else CONTINENT_OF[place.country]
        expected = Location(place.country, continent, place.asn if schema.asn else 0)
        assert geo.locate(at(place.address)) == expected
    assert geo.locate(at("203.0.113.1")) == geo.locate(at("2001:db8:ffff::1")) == UNKNOWN
    assert geo.failures == 0


@pytest.mark.parametrize("name", [name for name, schema in SCHEMAS.items() if schema.asn])
def test_every_asn_schema_is_read(name: str, tmp_path: Path) -> None:
    """With --asn alone AS numbers come from the file and countries from the built-in data."""
    geo = Geo.open(None, geo_databases.write(tmp_path / "asn.mmdb", name))
    for place in PLACES:
        country = iptocc.country_code(place.address)
        assert geo.locate(at(place.address)) == Location(country, CONTINENT_OF.get(country or ""), place.asn)


def test_an_asn_database_wins_over_the_country_databases_numbers(tmp_path: Path) -> None:
    """Where both files carry AS numbers the one given for it is asked, and only for it."""
    records = {"192.0.2.0/24": {"autonomous_system_number": 7, "country": {"iso_code": "JP"}}}
    numbers = geo_databases.write_records(tmp_path / "asn.mmdb", records)
    geo = Geo.open(geo_databases.write(tmp_path / "geo.mmdb", "ipinfo-lite"), numbers)
    assert geo.locate(at("192.0.2.9")) == Location("DE", "EU", 7)
    assert geo.locate(at("198.51.100.1")) == Location("AU", "OC", 0)


def test_na_is_namibia_and_north_america(tmp_path: Path) -> None:
    """Neither NA is taken for a missing value, whatever the schema."""
    for name in ("maxmind-country", "ipinfo-country", "ip-location-db"):
        geo = Geo.open(geo_databases.write(tmp_path / f"{name}.mmdb", name), None)
        assert geo.locate(at("192.0.2.200")) == Location("NA", "AF", 0)
        assert geo.locate(at("2001:db8:1::1")) == Location("US", "NA", 0)


@pytest.mark.parametrize(
    ("code", "country", "continent"),
    [
        *(("AP", None, "AS"), ("EU", None, "EU"), ("ZZ", None, None), ("XX", None, None), ("A1", None, None)),
        *(("A2", None, None), ("O1", None, None), ("--", None, None), ("", None, None), ("XK", "XK", "EU")),
        *(("de", "DE", "EU"), ("QQ", "QQ", None), ("Germany", None, None), ("ÄÖ", None, None)),
    ],
)
def test_odd_country_codes(code: str, country: str | None, continent: str | None, tmp_path: Path) -> None:
    """Regions are continents only, codes for nothing are unknown, Kosovo is European."""
    geo = open_records(tmp_path, {"192.0.2.0/24": {"country_code": code}, "198.51.100.0/24": {"country_code": "FR"}})
    assert geo.locate(at("192.0.2.1")) == Location(country, continent, 0)


def test_a_record_without_a_country_has_the_registered_one_or_a_continent_at_least(tmp_path: Path) -> None:
    """The registered country stands in, even if no probed record showed it; a continent may be all that is known."""
    plain = {f"10.{n}.0.0/16": {"country": {"iso_code": "DE"}, "continent": {"code": "EU"}} for n in range(99)}
    late = {
        "203.0.113.0/24": {"registered_country": {"iso_code": "AU"}},
        "203.0.114.0/24": {"continent": {"code": "SA"}},
    }
    geo = open_records(tmp_path, plain | late)
    assert geo.locate(at("203.0.113.1")) == Location("AU", "OC", 0)
    assert geo.locate(at("203.0.114.1")) == Location(None, "SA", 0)


@pytest.mark.parametrize(
    ("number", "asn"),
    [
        *((0, 0), (1, 1), (2**32 - 1, 2**32 - 1), ("AS13335", 13335), ("as13335", 13335), ("13335", 13335), ("AS0", 0)),
        *(
            ("", 0),
            ("AS", 0),
            ("AS-1", 0),
            ("AS4294967296", 0),
            ("9" * 5000, 0),
            ("AS\u0661", 0),
            ("none", 0),
            (1.5, 0),
        ),
        *((True, 0), ({"asn": 1}, 0), (["AS1"], 0)),
    ],
)
def test_defect_4_as_number_0_and_odd_ones_are_none(number: Any, asn: int, tmp_path: Path) -> None:
    """Only 1 to 2**32 - 1 is an AS number; what is none is 0, never somebody's number.

    See docs/prior-defects.md, Defect 4.
    """
    records = {"192.0.2.0/24": {"asn": number}, "198.51.100.0/24": {"asn": "AS64500"}}
    geo = Geo.open(None, geo_databases.write_records(tmp_path / "asn.mmdb", records))
    assert geo.locate(at("192.0.2.1")).asn == asn
    assert geo.locate(at("198.51.100.1")).asn == 64500


def test_records_of_any_shape_are_no_failures(tmp_path: Path) -> None:
    """Records that are no maps, or keep a map where others keep a text, are read as far as they can be."""
    odd: dict[str, Any] = {
        "192.0.2.0/28": "DE",
        "192.0.2.16/28": 7,
        "192.0.2.32/28": ["DE"],
        "192.0.2.48/28": {"country": ["DE"]},
        "192.0.2.64/28": {"country": {"iso_code": {"en": "DE"}}},
        "192.0.2.80/28": {"country": "FR"},
        "192.0.2.96/28": {"country_code": "JP", "country": 5},
        "192.0.2.112/28": {"continent": "AF"},
    }
    geo = open_records(tmp_path, odd | {"198.51.100.0/24": {"country": {"iso_code": "AU"}}})
    found = [geo.locate(at(f"192.0.2.{16 * n}")).country for n in range(8)]
    assert found == [None, None, None, None, None, "FR", "JP", None]
    assert geo.locate(at("192.0.2.112")) == Location(None, "AF", 0)
    assert geo.locate(at("198.51.100.1")) == Location("AU", "OC", 0)
    assert geo.failures == 0


def test_an_ipv4_only_database_knows_no_ipv6_address(tmp_path: Path) -> None:
    """An IPv6 address is unknown to such a file, without a failure; mapped ones are IPv4 and known."""
    geo = Geo.open(geo_databases.write(tmp_path / "v4.mmdb", "maxmind-country", ip_version=4), ASN_TEST)
    assert geo.sources[0].ip_version == 4
    assert geo.locate(at("2600:6000::1")) == Location(None, None, 237)
    assert geo.locate(at("::ffff:192.0.2.9")) == Location("DE", "EU", 0)
    assert geo.failures == 0


def test_maxminds_own_databases(tmp_path: Path) -> None:
    """Real layouts: country and registered country differ, the continent is the database's, AS numbers join in."""
    for path in (COUNTRY_TEST, CITY_TEST):
        geo = Geo.open(path, ASN_TEST)
        assert geo.locate(at("81.2.69.160")) == Location("GB", "EU", 0)
        assert geo.locate(at("2001:218::1")) == Location("JP", "AS", 0)
        assert geo.locate(at("1.128.0.1")).asn == 1221
        assert [source.kind for source in geo.sources] == ["country", "asn"]
        assert geo.sources[1] == GeoSource("asn", "GeoLite2-ASN", geo.sources[1].build_epoch, ASN_TEST, 6)
        assert (geo.sources[1].build_epoch or 0) > 1_500_000_000
    both = geo_databases.write(tmp_path / "both.mmdb", "ipinfo-lite")
    assert [source.path for source in Geo.open(both, None).sources] == [both, both]


@given(st.ip_addresses())
def test_without_a_database_the_registries_know_the_country(model: Any) -> None:
    """The built-in default gives iptocc's country, the ISO table's continent and no AS number."""
    geo = Geo.open(None, None)
    address = at(str(model))
    country = iptocc.country_code(address.text)
    assert geo.locate(address).country in {country, None}
    assert geo.locate(address).continent == CONTINENT_OF.get(country or "")
    assert geo.locate(address).asn == 0
    (source,) = geo.sources
    assert (source.kind, source.path) == ("country", None)
    assert 1_700_000_000 < (source.build_epoch or 0) < time.time()
    assert source.database_type.startswith("iptocc ")


def test_the_built_in_default_knows_the_issues_examples() -> None:
    """A Dutch and an Australian address are placed without any file."""
    geo = Geo.open(None, None)
    assert geo.locate(at("193.0.6.139")) == Location("NL", "EU", 0)
    assert geo.locate(at("202.12.29.205")) == Location("AU", "OC", 0)
    assert geo.locate(at("127.0.0.1")) == UNKNOWN


BROKEN: Final = {
    "empty": (b"", "truncated"),
    "text": (b"not a database\n" * 100, "truncated"),
    "gzip": (gzip.compress(COUNTRY_TEST.read_bytes()), "unpack it first"),
    "half": (COUNTRY_TEST.read_bytes()[: COUNTRY_TEST.stat().st_size // 2], "truncated"),
    "no metadata": (COUNTRY_TEST.read_bytes().rpartition(MARKER)[0], "truncated"),
    "metadata only": (MARKER + COUNTRY_TEST.read_bytes().rpartition(MARKER)[2], "truncated"),
    "zeros inside": (b"\0" * 20_000 + COUNTRY_TEST.read_bytes()[20_000:], ""),
    "records overwritten": (
        COUNTRY_TEST.read_bytes()[:12_000]
        + b"\xff" * (COUNTRY_TEST.read_bytes().rfind(MARKER) - 12_000)
        + COUNTRY_TEST.read_bytes()[COUNTRY_TEST.read_bytes().rfind(MARKER) :],
        "records that can be read",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_are_refused_with_the_reason(kind: str, tmp_path: Path) -> None:
    """Whatever is wrong with a file, opening raises GeoError with the file, what was found and the fix."""
    data, hint = BROKEN[kind]
    path = tmp_path / "broken.mmdb"
    path.write_bytes(data)
    for arguments in ((path, None), (None, path), (COUNTRY_TEST, path)):
        with pytest.raises(GeoError) as caught:
            Geo.open(*arguments)
        error = caught.value
        assert error.file == str(path)
        assert hint in str(error)
        assert all((error.expected, error.found, error.fix))


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    """A missing file, a folder, a pipe (which must not be waited for) and an impossible name are GeoErrors."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path / "missing.mmdb", tmp_path, pipe, Path("a\0b"), tmp_path / ("x" * 300)):
        with pytest.raises(GeoError) as caught:
            Geo.open(path, None)
        assert caught.value.file == str(path)


@pytest.mark.parametrize("size", [3 << 30, 900 << 20, 1])
def test_what_cannot_be_a_database_is_refused_before_it_is_copied(tmp_path: Path, size: int) -> None:
    """A sparse file of gigabytes costs no memory: its size and its end are looked at first."""
    path = tmp_path / "sparse.mmdb"
    with path.open("wb") as file:
        file.truncate(size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(GeoError, match=r"sparse\.mmdb"):
        Geo.open(path, None)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.slow
def test_a_sparse_file_that_looks_like_a_database_takes_no_memory(tmp_path: Path) -> None:
    """With the mark of a database at its end it is copied with its holes, and refused."""
    path = tmp_path / "sparse.mmdb"
    with path.open("wb") as file:
        file.truncate(900 << 20)
        file.seek(0, os.SEEK_END)
        file.write(b"\xab\xcd\xefMaxMind.com")
    with copy_mmdb(path) as copy:
        assert copy.descriptor is not None
        found = os.fstat(copy.descriptor)
        assert (found.st_size, found.st_blocks * 512 < 10_000_000) == (path.stat().st_size, True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(GeoError, match=r"sparse\.mmdb"):
        Geo.open(path, None)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_databases_without_the_wanted_fields_are_refused_with_what_they_have(tmp_path: Path) -> None:
    """An ASN file as --geo, a country file as --asn, an empty and a foreign one: the message names their fields."""
    with pytest.raises(GeoError, match=r"GeoLite2-ASN.*autonomous_system_number.*give --geo another"):
        Geo.open(ASN_TEST, None)
    with pytest.raises(GeoError, match=r"GeoIP2-Country.*country.*give --asn another"):
        Geo.open(None, COUNTRY_TEST)
    foreign = {"192.0.2.0/24": {"is_proxy": True}, "198.51.100.0/24": "text", "203.0.113.0/24": {"country": "Germany"}}
    for records, fields in ((foreign, "country, is_proxy"), ({}, "none")):
        with pytest.raises(GeoError, match=f"fields: {fields};"):
            open_records(tmp_path, records)


def test_a_corrupt_record_is_unknown_and_counted(tmp_path: Path) -> None:
    """A record that the probes do not meet and that cannot be decoded costs its clients their place, nothing else."""
    good = {f"10.{n}.0.0/16": {"country_code": "DE"} for n in range(100)}
    path = geo_databases.write_records(tmp_path / "c.mmdb", good | {"203.0.113.0/24": {"country_code": "QZ"}})
    data = path.read_bytes()
    assert data.count(b"BQZ") == 1  # 0x42: a text of two bytes
    path.write_bytes(data.replace(b"BQZ", b"\xff\xff\xff"))
    geo = Geo.open(path, ASN_TEST)
    assert geo.locate(at("203.0.113.1")) == UNKNOWN
    assert geo.failures == 1
    assert geo.locate(at("10.99.0.1")) == Location("DE", "EU", 0)
    assert geo.failures == 1


def test_defect_2_a_database_copied_over_in_place_answers_on(tmp_path: Path) -> None:
    """Overwritten, truncated, deleted: what is open answers on, and the next opening works.

    See docs/prior-defects.md, Defect 2.
    """
    path = tmp_path / "geo.mmdb"
    path.write_bytes(COUNTRY_TEST.read_bytes())
    geo = Geo.open(path, None)
    expected = {text: geo.locate(at(text)) for text in ("81.2.69.160", "2001:218::1", "67.43.156.1")}
    if sys.platform == "linux":  # a mapped file that is truncated would kill this very process
        assert str(path) not in Path("/proc/self/maps").read_text(encoding="utf-8")
    for data in (b"\xff" * 30_000, b"", b"short", CITY_TEST.read_bytes()):
        path.write_bytes(data)
        assert {text: geo.locate(at(text)) for text in expected} == expected
    assert Geo.open(path, None).sources[0].database_type == "GeoLite2-City"
    path.unlink()
    assert {text: geo.locate(at(text)) for text in expected} == expected
    assert geo.failures == 0


WRITER: Final = """
import sys
with open(sys.argv[1], "r+b", buffering=0) as file:
    print("writing", flush=True)
    while True:
        file.seek(0)
        file.write(b"x")
"""


@pytest.mark.process
def test_a_file_that_somebody_writes_to_is_refused_as_such(tmp_path: Path) -> None:
    """A copy taken while the file changes is not trusted, and the error says so instead of calling it corrupt."""
    path = tmp_path / "busy.mmdb"
    with path.open("wb") as file:
        file.truncate(64 << 20)  # reading takes longer than the clock of modification times needs to tick
        file.seek(0, os.SEEK_END)
        file.write(b"\xab\xcd\xefMaxMind.com")  # as every database has near its end
    with subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout is not None
            writer.stdout.readline()
            with pytest.raises(GeoError, match="changed while it was read"):
                Geo.open(path, None)
        finally:
            writer.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="sealed memory files are Linux's")
def test_the_copy_is_mapped_from_a_memory_file_and_leaks_no_descriptor() -> None:
    """What is mapped is private memory that forked workers share; opening and closing keeps no descriptor."""
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    geo = Geo.open(COUNTRY_TEST, ASN_TEST)
    assert Path("/proc/self/maps").read_text(encoding="utf-8").count("memfd:mirrorlistd") >= 2
    geo.close()
    assert len(list(descriptors.iterdir())) == before


def test_after_close_everybody_is_unknown() -> None:
    """A request that still holds a replaced state gets an answer."""
    geo = Geo.open(COUNTRY_TEST, ASN_TEST)
    geo.close()
    geo.close()
    assert geo.locate(at("81.2.69.160")) == geo.locate(at("2001:218::1")) == UNKNOWN


def test_locations_kept_for_reuse_are_bounded(tmp_path: Path) -> None:
    """A corrupt file's megabytes of text are read, not kept."""
    records = {"192.0.2.0/24": {"country_code": "x" * 100_000}, "198.51.100.0/24": {"country_code": "FR"}}
    geo = open_records(tmp_path, records)
    assert geo.locate(at("192.0.2.1")) == UNKNOWN
    assert geo.locate(at("198.51.100.1")) is geo.locate(at("198.51.100.2"))
    assert list(geo._locations) == [("FR", None, None)]


def test_only_a_readers_faults_are_caught() -> None:
    """A Rust panic is a fault of the reader; an interrupt or an exit is passed on."""
    panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})
    for fault in (panic("x"), ValueError("x"), maxminddb_rust.InvalidDatabaseError("x")):
        raise_unless_reader_fault(fault)
    for other in (KeyboardInterrupt(), SystemExit()):
        with pytest.raises(type(other)):
            raise_unless_reader_fault(other)


PROBES: Final = [
    at(text) for text in ("81.2.69.160", "2001:218::1", "67.43.156.1", "1.128.0.1", "::", "255.255.255.255")
]


def open_or_refuse(data: bytes) -> None:
    """Open bytes as each kind of database: GeoError, or a Geo that locates without raising."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutated.mmdb"
        path.write_bytes(data)
        for arguments in ((path, None), (None, path)):
            try:
                geo = Geo.open(*arguments)
            except GeoError as error:
                assert error.file == str(path)
                continue
            for address in PROBES:
                place = geo.locate(address)
                assert place.country is None or (len(place.country) == 2 and place.country.isupper())
                assert 0 <= place.asn < 2**32
            geo.close()


ORIGINALS: Final = [path.read_bytes() for path in (COUNTRY_TEST, CITY_TEST, ASN_TEST)]
MUTATIONS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=40)


@given(st.sampled_from(ORIGINALS), MUTATIONS, st.booleans())
@settings(max_examples=120, deadline=None)
def test_mutated_databases_open_or_are_refused(
    data: bytes,
    mutations: list[tuple[float, int]],
    metadata: bool,
) -> None:
    """Changed bytes anywhere, or in the metadata alone, give GeoError or a Geo whose `locate` never raises."""
    mutated = bytearray(data)
    start = data.rfind(MARKER) if metadata else 0
    for where, byte in mutations:
        mutated[start + int(where * (len(data) - start))] = byte
    open_or_refuse(bytes(mutated))


@given(st.sampled_from(ORIGINALS), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_cut_databases_open_or_are_refused(data: bytes, start: float, end: float) -> None:
    """A file with a piece missing, at its end or inside, gives the same."""
    first, last = sorted((int(start * len(data)), int(end * len(data))))
    open_or_refuse(data[:first])
    open_or_refuse(data[:first] + data[last:])
