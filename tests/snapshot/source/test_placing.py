"""`country = "auto"`: mirrors in the countries of their hosts' addresses, and what is said of it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from mirrorlist_snapshot.errors import InputFileError, SourceError
from mirrorlist_snapshot.host_location import GeoDatabase, HostLocator, RegistryData, resolve
from mirrorlist_snapshot.source import read_sources
from support.geo_databases import PLACES, SCHEMAS, write
from support.snapshot_command import json_of, run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mirrorlist_snapshot.errors import Complaint

SOURCE = """\
[categories.c]
[repositories.r]
category = "c"
[mirrors.m]
country = "auto"
categories.c = "{}"
"""


class Table:
    """Countries of addresses, by hand."""

    name = "by hand"

    def __init__(self, countries: Mapping[str, str]) -> None:
        self._countries = countries

    def find(self, address: str) -> str | None:
        """What the table says."""
        return self._countries.get(address)


HOSTS = {"m.example": ["192.0.2.1", "2001:db8::1"], "two.example": ["192.0.2.1", "198.51.100.1"]}
TABLE = Table({"192.0.2.1": "DE", "198.51.100.1": "US"})


def resolver(host: str) -> list[str]:
    """Addresses by hand."""
    if host not in HOSTS:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return HOSTS[host]


def told(folder: Path, url: str, locator: HostLocator | None) -> tuple[str | None, list[Complaint]]:
    """The country of the mirror with a URL, None where the source is refused; and what is said."""
    (folder / "a.toml").write_text(SOURCE.format(url), encoding="utf-8")
    try:
        records, complaints = read_sources([folder / "a.toml"], locator)
    except SourceError as refusal:
        return None, list(refusal.complaints)
    return records.mirrors[0].country, list(complaints)


@pytest.mark.parametrize(
    ("url", "note"),
    [
        ("https://192.0.2.1/", '"auto" is DE: 192.0.2.1 by by hand'),
        ("https://m.example/", '"auto" is DE: m.example, 192.0.2.1 by by hand'),
    ],
)
def test_a_mirror_is_where_its_host_is(tmp_path: Path, url: str, note: str) -> None:
    """One country among the known addresses is the mirror's, and a note says who was placed where and by which data."""
    country, (complaint,) = told(tmp_path, url, HostLocator(TABLE, resolver))
    assert (country, complaint.note, complaint.message) == ("DE", True, note)
    assert str(complaint).startswith(f"{tmp_path}/a.toml:5: note: mirrors.m.country: ")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://192.0.2.2/", "no country (192.0.2.2: by hand does not know 192.0.2.2)"),
        ("https://none.example/", "no country (none.example: the name cannot be resolved: Name or service not known)"),
        ("https://two.example/", "several countries: DE (two.example, 192.0.2.1), US (two.example, 198.51.100.1)"),
    ],
)
def test_a_mirror_that_cannot_be_placed_is_a_mistake(tmp_path: Path, url: str, reason: str) -> None:
    """The only complaint has the reason and the fix."""
    country, (complaint,) = told(tmp_path, url, HostLocator(TABLE, resolver))
    assert (country, complaint.warning, complaint.key) == (None, False, "mirrors.m.country")
    assert reason in complaint.message
    assert 'write its country, such as country = "DE"' in complaint.message


def test_names_are_resolved_on_demand_only(tmp_path: Path) -> None:
    """Without a resolver nobody is asked, and the complaint names the flag; the built-in data know addresses."""
    _, (complaint,) = told(tmp_path, "https://m.example/", None)
    assert "m.example: names are resolved with --resolve only" in complaint.message
    country, (note,) = told(tmp_path, "https://193.99.144.80/", None)
    assert (country, note.note) == ("DE", True)
    assert "iptocc" in note.message


@pytest.mark.parametrize("schema", [schema for schema in SCHEMAS if SCHEMAS[schema].country])
def test_databases_of_every_schema(tmp_path: Path, schema: str) -> None:
    """A database that the server takes with --geo places mirrors, too."""
    write(tmp_path / "a.mmdb", schema)
    data = GeoDatabase(tmp_path / "a.mmdb")
    for place in PLACES:
        found = HostLocator(data).locate([place.address])[place.address]
        assert found.countries == {place.country: place.address}
    assert HostLocator(data).locate(["203.0.113.1"])["203.0.113.1"].countries == {}


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    """A folder, a missing file and another kind of file are refused with what they are."""
    (tmp_path / "text").write_text("x" * 1000)
    for name in ("text", "none", "."):
        with pytest.raises(InputFileError):
            GeoDatabase(tmp_path / name)


def test_the_systems_resolver() -> None:
    """Names are resolved as the system does, each address once; a broken name is a failure of its host alone."""
    assert "127.0.0.1" in resolve("localhost")
    found = HostLocator(RegistryData(), resolve).locate(["localhost", "x" * 70, "..", "127.0.0.1"])
    assert found["localhost"].failure == ""
    assert "cannot be resolved" in found["x" * 70].failure
    assert "cannot be resolved" in found[".."].failure


@pytest.mark.process
def test_the_command_places_mirrors(tmp_path: Path) -> None:
    """`compile --geo` reports who was placed where, in text and JSON; a broken file is one line."""
    write(tmp_path / "geo.mmdb", next(iter(SCHEMAS)))
    (tmp_path / "a.toml").write_text(SOURCE.format(f"https://{PLACES[0].address}/"), encoding="utf-8")
    result = run(tmp_path, "compile", "a.toml", "--check", "--geo", "geo.mmdb")
    assert f'a.toml:5: note: mirrors.m.country: "auto" is DE: {PLACES[0].address} by geo.mmdb' in result.stderr
    facts = json_of(run(tmp_path, "compile", "a.toml", "--check", "--geo", "geo.mmdb", "--json"))
    assert [(one["note"], one["warning"]) for one in facts["complaints"]] == [(True, True)]
    refused = run(tmp_path, "compile", "a.toml", "--check", "--geo", "a.toml", code=1)
    assert "--geo a.toml: is no MMDB database that can be read" in refused.stderr
    refused = run(tmp_path, "compile", "a.toml", "--check", code=1)
    assert "does not know 192.0.2.9" in refused.stderr
