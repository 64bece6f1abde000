"""What a snapshot may say: refused before it is written, or before it is published."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.countries import CONTINENT_OF
from mirrorlist_snapshot.errors import SnapshotError
from mirrorlist_snapshot.format import container
from mirrorlist_snapshot.health import MirrorHealth
from mirrorlist_snapshot.model import (
    About,
    CarrierSets,
    Category,
    CategoryKind,
    Content,
    DirectoryTable,
    FileDetails,
    FileVersion,
    NetblockMatch,
    Netblocks,
    Overrides,
    Repository,
    RepositoryDirectory,
)
from mirrorlist_snapshot.tables import KeyTable, NetTable
from support.snapshot_files import cases, small_snapshot, use, with_sections
from support.snapshots import carrier_sets, mirror, snapshot_of

SMALL = small_snapshot()


LISTED = Category(name="l", kind=CategoryKind.LISTED, top="")
ONE = snapshot_of([mirror("m")])
NETS = NetTable.build([(0, 1)], 4)
MATCH = NetblockMatch(length=8, mirror=0, exclusive=False)


def repository(*arches: str, category: int = 0, path: str = "", name: str = "r") -> Repository:
    """A repository with one directory per architecture."""
    places = tuple(RepositoryDirectory(arch=arch, category=category, path=path) for arch in arches)
    return Repository(name=name, disabled=False, directories=places)


def overrides(**fields: Any) -> Overrides:
    """Overrides with some of their fields."""
    return Overrides(**({"continents": {}, "neighbours": {}, "never_served": {}} | fields))


def of(*urls: str) -> dict[str, Any]:
    """A mirror's contents with these URLs."""
    return {"mirrors": (mirror("m", contents=(Content(category=0, urls=urls),)),)}


@pytest.mark.parametrize(
    ("changes", "message"),
    cases(
        [
            ({"serial": -1}, "serial"),
            ({"serial": 1 << 63}, "serial"),
            ({"built": 253_402_300_800}, "SOURCE_DATE_EPOCH"),
            ({"generator": "a\nb"}, "generator"),
            ({"categories": ONE.categories * 2}, "each category once"),
            ({"categories": (replace(ONE.categories[0], top="/pub"),)}, "slashes"),
            ({"mirrors": (mirror(""),)}, "printable"),
            ({"mirrors": (mirror("\ud800", urls=("https://m/",)),)}, "printable"),
            ({"mirrors": (mirror("m"), mirror("m"))}, "each mirror once"),
            ({"mirrors": (mirror("m", "nl"),)}, "capital letters"),
            ({"mirrors": (mirror("m", "ÄÖ"),)}, "capital letters"),
            ({"mirrors": (mirror("m", denied_countries=("EUR",)),)}, "capital letters"),
            ({"mirrors": (mirror("m", bandwidth=0),)}, "bandwidth"),
            ({"mirrors": (mirror("m", continent="XX"),)}, "a continent out of"),
            ({"mirrors": (mirror("m", also_countries=("nl",)),)}, "capital letters"),
            ({"mirrors": (mirror("m", about=About(city="a\nb")),)}, "printable"),
            ({"mirrors": (mirror("m", about=About(notes="x" * 501)),)}, "at most 500 characters"),
            ({"mirrors": (mirror("m", about=About(sponsor_url="javascript:x")),)}, "http or https URL"),
            ({"mirrors": (mirror("m", about=About(sponsor_logo='https://s/">')),)}, "http or https URL"),
            ({"mirrors": (mirror("m", about=About(latitude=1.0)),)}, "latitude and longitude"),
            ({"mirrors": (mirror("m", asns=(0,)),)}, "AS numbers"),
            ({"mirrors": (mirror("m"),) * 10_001}, "at most 10000 mirrors"),
            (of("https://m/pub"), "ends in a slash"),
            (of("https://m/\n/"), "ends in a slash"),
            (of("https://m/é/"), "ends in a slash"),
            (of("https://m/ /"), "ends in a slash"),
            (of("https://m/\n"), "ends in a slash"),
            (of("m/"), "absolute URL"),
            *(
                (of(url), "with a host")
                for url in (
                    *("https://[/", "https://]/", "https://[::1/", "https://[::g]/", "https://[v1.x]/", "https:///"),
                    *(
                        "https://:80/",
                        "https://m:0/",
                        "https://m:65536/",
                        "https://m:x/",
                        "https://a:b:c/",
                        "https://@/",
                    ),
                    *("https://u@m/", "https://m?/", "https://m#/", "https://a%zz/", "https://m"),
                )
            ),
            (of(*["https://m/"] * 2), "one URL per protocol"),
            (of("http://m/", "https://m/"), "https first"),
            (of("http://m/", "http://n/"), "one URL per protocol"),
            (of(), "one URL per protocol"),
            ({"mirrors": (mirror("m", contents=(Content(category=1, urls=("https://m/",)),)),)}, "categories below 1"),
            ({"mirrors": (mirror("m", contents=mirror("m").contents * 2),)}, "ascending categories"),
            ({"repositories": (repository(""),) * 10_001}, "at most 10000 repositories"),
            ({"repositories": (repository(*["a"] * 20_001),)}, "at most 20000 directories of repositories"),
            ({"categories": ONE.categories * 4_001}, "at most 4000 categories"),
            ({"mirrors": (mirror("m", asns=(1,) * 100_001),)}, "at most 100000 AS numbers"),
            ({"mirrors": (mirror("m", netblocks=SMALL.mirrors[0].netblocks * 100_001),)}, "at most 200000 netblocks"),
            ({"mirrors": (mirror("m", contents=mirror("m").contents * 100_001),)}, "at most 100000 contents"),
            ({"netblock_chains": ((),) + ((MATCH,),) * 400_000}, "at most 400000 netblock chains"),
            ({"netblock_chains": ((), (MATCH,) * 1_000_001)}, "at most 1000000 matches"),
            ({"repositories": (repository(""), repository(""))}, "ascending order"),
            ({"repositories": (repository(),)}, "per architecture"),
            ({"categories": (replace(ONE.categories[0], part_of=0),)}, "of which c is a part"),
            ({"repositories": (repository("b", "a"),)}, "ascending order"),
            ({"repositories": (repository("", category=1),)}, "category below 1"),
            ({"repositories": (repository("", path="a/../b"),)}, "dot segments"),
            ({"repositories": (repository("", path="a//b"),)}, "double slashes"),
            ({"repositories": (repository("", path="a\0b"),)}, "control characters"),
            ({"aliases": {"a": "b"}}, "target of an alias"),
            ({"aliases": {"a": "r", "r": "r"}}, "target of an alias"),
            ({"overrides": overrides(continents={"NL": "XX"})}, "continent"),
            ({"overrides": overrides(continents={"nl": "EU"})}, "capital letters"),
            ({"overrides": overrides(neighbours={"NL": (("BE",),) * 91})}, "at most 90"),
            ({"overrides": overrides(neighbours={"NL": (("be",),)})}, "capital letters"),
            ({"overrides": overrides(never_served={"NL": ("be",)})}, "capital letters"),
            ({"sets": CarrierSets(width=2, data=memoryview(bytes(2)))}, "carrier sets of 1 bytes"),
            ({"sets": CarrierSets(width=1, data=memoryview(b"\2"))}, "mirrors below 1"),
            ({"sets": carrier_sets([(0,)] * 65_537, 1)}, "at most 65536 distinct carrier sets"),
            ({"sets": carrier_sets([], 1)}, "set numbers below 0"),
            ({"directories": DirectoryTable(keys=KeyTable.build([b"\0\0"]), sets=[1])}, "set numbers below 1"),
            ({"directories": DirectoryTable(keys=KeyTable.build([b"\0\0"]), sets=[])}, "1 carrier set numbers"),
            ({"directories": DirectoryTable(keys=KeyTable.build([b"\0\0a"]), sets=[0])}, "top of open category"),
            ({"client_netblocks": Netblocks(v4=NETS, v6=ONE.client_netblocks.v6)}, "client netblocks up to 0"),
            ({"country_netblocks": Netblocks(v4=NETS, v6=ONE.client_netblocks.v6)}, "country netblocks up to 0"),
            ({"netblock_countries": ("nl",)}, "capital letters"),
            ({"netblock_chains": ()}, "chain 0"),
            ({"netblock_chains": ((), ())}, "at least one match"),
            ({"netblock_chains": ((), (replace(MATCH, mirror=1),))}, "mirrors below 1"),
            ({"netblock_chains": ((), (MATCH, replace(MATCH, length=9)))}, "falling length"),
            ({"netblock_chains": ((), (MATCH, MATCH))}, "then by mirror"),
            ({"observed": -1}, "time of observation"),
            ({"health": {1: MirrorHealth(checked=0)}}, "ascending mirrors below 1"),
            ({"health": {0: MirrorHealth(checked=0, lags={"no": 1})}}, "a repository in the snapshot, found 'no'"),
            ({"health": {0: MirrorHealth(checked=0, weight=101)}}, "a weight of health up to 100"),
        ]
    ),
)
def test_what_could_not_be_served_is_not_written(changes: dict[str, Any], message: str) -> None:
    """The writer holds a snapshot to the rules of the reader."""
    with pytest.raises(SnapshotError, match=message):
        snapshot_format.encode(replace(ONE, **changes))


@pytest.mark.parametrize(
    ("version", "message"),
    cases(
        [
            (FileVersion(timestamp=-1, size=0), "a time"),
            (FileVersion(timestamp=0, size=1 << 63), "a size"),
            (FileVersion(timestamp=0, size=0, md5="0" * 31), "32 lower-case"),
            (FileVersion(timestamp=0, size=0, sha1="A" * 40), "40 lower-case"),
            (FileVersion(timestamp=0, size=0, sha256="x" * 64), "64 lower-case"),
        ]
    ),
)
def test_file_details_are_checked(version: FileVersion, message: str) -> None:
    """Times, sizes and hashes that no metalink could state are not written."""
    files = {b"\0\0f": FileDetails(current=version, alternates=())}
    with pytest.raises(SnapshotError, match=message):
        snapshot_format.encode(replace(ONE, files=files))


def test_a_file_has_at_most_256_versions() -> None:
    """256 versions of a file are written and read; one more is refused."""
    one = FileVersion(timestamp=0, size=0)
    files = {b"\0\0f": FileDetails(current=one, alternates=(one,) * 255)}
    assert dict(snapshot_format.verify(snapshot_format.encode(replace(ONE, files=files))).files) == files
    files = {b"\0\0f": FileDetails(current=one, alternates=(one,) * 256)}
    with pytest.raises(SnapshotError, match="1 to 256"):
        snapshot_format.encode(replace(ONE, files=files))


def test_paths_that_are_no_text_are_refused_by_verify() -> None:
    """A path that is not UTF-8 does no harm to a server, and is refused by verify."""
    table = DirectoryTable(keys=KeyTable.build([b"\0\0", b"\0\0\xff"]), sets=[0, 0])
    odd = replace(ONE, directories=table)
    with pytest.raises(SnapshotError, match="UTF-8"):
        snapshot_format.verify(snapshot_format.encode(odd))


@pytest.mark.parametrize(
    ("changes", "message"),
    cases(
        [
            (
                {"directories": DirectoryTable(keys=KeyTable.build([b"\0\0", b"\0\0b", b"\0\0a"]), sets=[0] * 3)},
                "ascending",
            ),
            ({"directories": DirectoryTable(keys=KeyTable.build([b"\0\0", b"\0\0a/"]), sets=[0] * 2)}, "slashes"),
            (
                {"directories": DirectoryTable(keys=KeyTable.build([b"\0\0", b"\0\1a"]), sets=[0] * 2)},
                "categories below 1",
            ),
            ({"files": {b"\0\0": FileDetails(current=FileVersion(timestamp=0, size=0), alternates=())}}, "empty"),
            (
                {"country_netblocks": Netblocks(v4=NetTable.build([(2, 0), (1, 0)], 4), v6=ONE.client_netblocks.v6)},
                "ascending netblock ranges",
            ),
            (
                {"asn_netblocks": Netblocks(v4=NetTable.build([(2, 1), (1, 0)], 4), v6=ONE.client_netblocks.v6)},
                "ascending netblock ranges",
            ),
            (
                {"mirrors": (mirror("m", netblocks=(replace(SMALL.mirrors[0].netblocks[0], prefix="10.0.0.1/8"),)),)},
                "canonical",
            ),
        ]
    ),
)
def test_verify_checks_every_row(changes: dict[str, Any], message: str) -> None:
    """What only decides what is found does not stop a server, but a publication."""
    data = snapshot_format.encode(replace(ONE, **changes))
    use(snapshot_format.decode(data))
    with pytest.raises(SnapshotError, match=message):
        snapshot_format.verify(data)


def test_unused_bytes_of_file_versions_are_zero() -> None:
    """Verification refuses a hash that is there but not said to be, so that equal content has equal bytes."""
    written = snapshot_format.encode(SMALL)
    _, parts = container.unpack(memoryview(written))
    versions = bytearray(parts["FileVers"])
    versions[-1] = 1
    data = with_sections(written, {"FileVers": bytes(versions)})
    use(snapshot_format.decode(data))
    with pytest.raises(SnapshotError, match="no hash"):
        snapshot_format.verify(data)


@pytest.mark.parametrize("url", ["https://[2001:db8::1]:8443/", "https://m:1/", "http://M.example/[x]/", "x://m//"])
def test_urls_with_a_host_can_be_written(url: str) -> None:
    """A name or an IPv6 address, with or without a port, is a host."""
    written = snapshot_format.encode(replace(ONE, **of(url)))
    assert snapshot_format.decode(written).mirrors[0].contents[0].urls == (url,)


def test_every_country_of_the_model_can_be_written() -> None:
    """All country codes that sources may use pass the format's check."""
    mirrors = [mirror(f"m{country}", country) for country in CONTINENT_OF]
    assert len(snapshot_format.verify(snapshot_format.encode(snapshot_of(mirrors))).mirrors) == len(CONTINENT_OF)
