"""Single values of lists, and the rules by which entries become mirrors."""

from __future__ import annotations

from typing import Any

import pytest

from mirrorlist_snapshot.importers.bandwidths import megabits
from mirrorlist_snapshot.importers.places import Place, city_in, place_named
from support.mirror_lists import imported, lines_of, source_of


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("de", Place(country="DE")),
        ("UK", Place(country="GB")),
        ("EL", Place(country="GR")),
        ("Germany", Place(country="DE")),
        ("FRA", Place(country="FR")),
        ("United States (USA)", Place(country="US")),
        ("Korea, Republic of", Place(country="KR")),
        ("Taiwan, Province of China", Place(country="TW")),
        ("Berlin, Germany", Place(country="DE")),
        ("Berkeley, CA, United States", Place(country="US")),
        ("China CDN", Place(country="CN")),
        ("Europe", Place(continent="EU")),
        ("EU", Place(continent="EU")),
        ("Worldwide", Place(worldwide=True)),
        ("Cloudflare Global CDN", Place(worldwide=True)),
        ("0-Cloud", Place(worldwide=True)),
        ("", Place()),
        ("--", Place()),
        ("Los Angeles, CA", None),
        ("Atlanta, Georgia", None),
        ("Germny", None),
        ("Tier 1", None),
    ],
)
def test_places(text: str, place: Place | None) -> None:
    """Codes, names, continents and words for the world are understood; a state is no country; nothing is guessed."""
    assert place_named(text) == place


def test_cities() -> None:
    """What stands before a country is a city."""
    assert [city_in(text) for text in ("Berlin, Germany", "Germany", "Los Angeles, CA", "")] == ["Berlin", "", "", ""]


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10 Gbit/s", 10_000),
        ("1Gbps", 1000),
        ("1Gb/s", 1000),
        ("200M", 200),
        ("2 x 10G", 20_000),
        ("1,5 Gbit/s", 1500),
        ("100", 100),
        ("T3", 45),
        ("56k", 1),
        ("400G", 400_000),
        ("99999999 Tbit/s", 1_000_000),
        ("0", None),
        ("unlimited", None),
        ("1 Gbyte", None),
        ("9" * 400, None),
    ],
)
def test_bandwidths(text: str, rate: int | None) -> None:
    """Bits a second with their units, times a number, and leased lines; nothing else is a bandwidth."""
    assert megabits(text) == rate


HEADING = "url,name,country,asn,prefix,allowed_countries,bandwidth,latitude\n"


def of(rows: str, **columns: str) -> tuple[dict[str, Any], list[str]]:
    """The mirrors of a table, and what was not taken."""
    found = imported("csv", {"t.csv": HEADING + rows}, columns=columns)
    return source_of(found).get("mirrors", {}), lines_of(found)


def test_wrong_values_are_left_out_alone() -> None:
    """AS numbers, netblocks, degrees and countries that no source may have go, each with a line; the mirror stays."""
    mirrors, lines = of("https://a.example/,,Nowhere,AS1;ASX,10.0.0.1/8 10.0.0.0/8 0.0.0.0/0,,,north\n")
    assert mirrors == {
        "a.example": {"asns": [1], "netblocks": ["10.0.0.0/8"], "categories": {"mirrors": "https://a.example/"}}
    }
    reasons = [line.partition("not taken: ")[2] for line in lines]
    assert reasons == [
        '"Nowhere" is no place that is known',
        '"ASX" is not an AS number; write 680 or "AS680"',
        '"10.0.0.1/8" has bits set behind the prefix; the netblock that holds it is 10.0.0.0/8',
        '"0.0.0.0/0" holds every client; a mirror for all clients needs no netblock',
        "'north' is no number of degrees",
    ]
    assert all(line.startswith("t.csv:2: ") for line in lines)


def test_a_restricted_mirror_is_never_offered_to_all() -> None:
    """If none of the countries that a mirror is restricted to is known, it is switched off."""
    mirrors, lines = of("https://a.example/,,DE,,,Nowhere,,\n")
    assert mirrors["a.example"] == {"country": "DE", "active": False, "categories": {"mirrors": "https://a.example/"}}
    assert "is switched off" in lines[-1]


def test_names_are_distinct() -> None:
    """The list's name, else the host, else host and path, else a number; what no name may have becomes a dash."""
    mirrors, _ = of(
        "https://a.example/one/,the first,,,,,,\nhttps://a.example/two/,,,,,,,\nhttps://a.example/three/,,,,,,,\n"
        "https://b.example/,the first,,,,,,\nhttps://b.example/,the first,,,,,,\n",
        name="name",
    )
    assert list(mirrors) == ["the-first", "a.example", "a.example/three", "b.example", "b.example#2"]


def test_architectures_are_stated_where_mirrors_differ() -> None:
    """A repository has the architectures of its mirrors if some have fewer; a mirror with all of them states none."""
    table = "url,arch\nhttps://a.example/,amd64 arm64\nhttps://b.example/,{}\n"
    some = source_of(imported("csv", {"t.csv": table.format("arm64")}, columns={}))
    assert some["repositories"]["mirrors"]["arches"] == ["amd64", "arm64"]
    assert some["mirrors"]["a.example"]["categories"] == {"mirrors": "https://a.example/"}
    assert some["mirrors"]["b.example"]["categories"]["mirrors"]["arches"] == ["arm64"]
    same = source_of(imported("csv", {"t.csv": table.format("arm64 amd64")}, columns={}))
    assert "arches" not in same["repositories"]["mirrors"]
    assert same["mirrors"]["b.example"]["categories"] == {"mirrors": "https://b.example/"}


def test_urls_of_one_mirror_are_merged() -> None:
    """Protocols with the same host and path are one mirror, a second URL of a protocol another, the same one a line."""
    mirrors, lines = of(
        "http://a.example/x,,DE,,,,,\nhttps://a.example/x/,,DE,,,,,\nrsync://a.example/mod/x,,DE,,,,,\n"
        "https://a.example/y,,DE,,,,,\nhttps://A.example:443/x,,DE,,,,,\nhttps://a.example/x,,FR,,,,,\n"
    )
    assert {name: one["categories"]["mirrors"] for name, one in mirrors.items()} == {
        "a.example": ["https://a.example/x/", "http://a.example/x/", "rsync://a.example/mod/x/"],
        "a.example/y": "https://a.example/y/",
    }
    assert mirrors["a.example"]["also_countries"] == ["FR"]
    assert lines == ["t.csv:6: warning: https://A.example:443/x: not taken: the same URL is in t.csv:2"]


@pytest.mark.parametrize(
    ("country", "expected"),
    [("DE", {"country": "DE"}), ("auto", {"country": "auto"}), ("worldwide", {"worldwide": True})],
)
def test_a_country_for_mirrors_without_one(country: str, expected: dict[str, object]) -> None:
    """`--country` holds where the list says nothing, and nowhere else."""
    text = f"{HEADING}https://a.example/,,,,,,,\nhttps://b.example/,,FR,,,,,\n"
    mirrors = source_of(imported("csv", {"t.csv": text}, columns={}, country=country))["mirrors"]
    assert mirrors["a.example"] == expected | {"categories": {"mirrors": "https://a.example/"}}
    assert mirrors["b.example"]["country"] == "FR"


def test_encodings_of_spreadsheets_are_read() -> None:
    """UTF-8 and UTF-16 with a byte order mark, and what old programs write in western Europe, are read as meant."""
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"):
        found = imported("csv", {"t": "url,sponsor\nhttps://a.example/,Universität\n".encode(encoding)}, columns={})
        assert source_of(found)["mirrors"]["a.example"]["about"] == {"sponsor": {"name": "Universität"}}
    quoted = imported("csv", {"t": "url,sponsor\nhttps://a.example/,L\u2019École\n".encode("cp1252")}, columns={})
    assert source_of(quoted)["mirrors"]["a.example"]["about"]["sponsor"]["name"] == "L\u2019École"
    assert imported("csv", {"t": b"url,x\nhttps://a.example/,\x81\xfe\n"}, columns={}).mirrors == 1
