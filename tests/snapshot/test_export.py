"""`export`: the mirrors of a snapshot in formats of others, and what must never be among them."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.country_names import english_name
from mirrorlist_snapshot.export import FORMATS, select
from mirrorlist_snapshot.export.selected import only
from mirrorlist_snapshot.health import MirrorHealth
from support.snapshot_command import run
from support.snapshots import snapshots
from support.worlds import compiled, mirror, network

if TYPE_CHECKING:
    from pathlib import Path

    from mirrorlist_snapshot.model import Snapshot

SOURCE = network(
    {
        "b.example": mirror(
            "DE",
            bandwidth=1000,
            categories={"c": ["https://b.example/c/", "http://b.example/c/", "rsync://rsync.b.example/c/"]},
            about={
                "sponsor": {"name": "=HYPERLINK(1)", "url": "https://s.example/"},
                "city": "Köln",
                "latitude": 50.9,
                "longitude": 7,
                "notes": "two, lines\nin one",
                "contact": "secret-contact",
                "extra": {"x": "secret-extra"},
            },
        ),
        "a.example": mirror("FR", also_countries=["BE"]),
        "some.example": mirror("DE", categories={"c": {"urls": "http://some.example/", "arches": ["arm64"]}}),
        "cdn.example": mirror(None, worldwide=True, categories={"c": {"urls": "https://cdn/", "families": "ipv6"}}),
        "campus.example": mirror("DE", private=True, asns=[680], about={"sponsor": "secret-sponsor"}),
        "off.example": mirror("DE", active=False),
        "other.example": mirror("DE", categories={"d": "https://other.example/d/"}),
    },
    categories={"c": {}, "d": {}},
    repositories={"r": {"category": "c", "arches": ["amd64", "arm64"]}, "d": {"category": "d"}},
)
SNAPSHOT = compiled(SOURCE)


def exported(name: str, *, private: bool = False, snapshot: Snapshot = SNAPSHOT) -> str:
    """One format of the category `c`, or of all."""
    selected = select(snapshot, private=private)
    return FORMATS[name].write(only(selected, "c") if FORMATS[name].one_tree else selected)


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_private_is_exported(name: str) -> None:
    """Mirrors that are off and contacts are in no export; private mirrors only where they are asked for."""
    text = exported(name)
    assert "b.example" in text
    for word in ("secret", "off.example", "campus"):
        assert word not in text
    text = exported(name, private=True)
    assert "campus.example" in text
    for word in ("secret-contact", "secret-extra", "off.example"):
        assert word not in text


def test_json_has_everything() -> None:
    """All that is public of each mirror, by name, with the architectures that it has of each category."""
    found: Any = json.loads(exported("json"))
    assert [one["name"] for one in found["mirrors"]] == [
        *("a.example", "b.example", "cdn.example", "other.example", "some.example")
    ]
    one = found["mirrors"][1]
    assert one["about"] == {
        "sponsor": "=HYPERLINK(1)",
        "sponsor_url": "https://s.example/",
        "city": "Köln",
        "latitude": 50.9,
        "longitude": 7,
        "notes": "two, lines in one",
    }
    assert one["categories"]["c"]["arches"] == ["amd64", "arm64"]
    assert found["mirrors"][4]["categories"] == {"c": {"urls": ["http://some.example/"], "arches": ["arm64"]}}


def test_csv_is_a_table_that_no_spreadsheet_executes() -> None:
    """Rows read back with any CSV reader; a text that looks like a formula is made plain text."""
    rows = list(csv.DictReader(io.StringIO(exported("csv"))))
    assert [row["mirror"] for row in rows] == [
        *("a.example", "b.example", "cdn.example", "other.example", "some.example")
    ]
    assert (rows[1]["sponsor"], rows[1]["city"], rows[1]["notes"]) == ("'=HYPERLINK(1)", "Köln", "two, lines in one")
    assert (rows[1]["https"], rows[1]["rsync"]) == ("https://b.example/c/", "rsync://rsync.b.example/c/")
    assert (rows[2]["worldwide"], rows[0]["also_countries"]) == ("true", "BE")


def test_mirmon_is_a_plain_mirror_list() -> None:
    """A line has the country in small letters and the best URL; an unknown country is `zz`."""
    assert exported("mirmon") == (
        "de http://some.example/\nde https://b.example/c/\nfr https://a.example/c/\nzz https://cdn/\n"
    )


def test_debian_has_a_paragraph_for_each_host() -> None:
    """Paragraphs are of one host each, as Site is; architectures are those that the mirror has."""
    paragraphs = exported("debian").split("\n\n")
    assert paragraphs[1].splitlines() == [
        "Site: b.example",
        "Type: leaf",
        "Archive-architecture: amd64 arm64",
        "Archive-https: /c/",
        "Archive-http: /c/",
        "Country: DE Germany",
        "Location: Köln",
        "Sponsor: =HYPERLINK(1) https://s.example/",
        "Comment: two, lines in one",
    ]
    assert paragraphs[2].startswith("Site: rsync.b.example\n")
    assert "Archive-rsync: /c/" in paragraphs[2]
    assert "Site: some.example\nType: leaf\nArchive-architecture: arm64\n" in exported("debian")


def test_pacman_has_countries_by_name() -> None:
    """Sections are named by country, worldwide mirrors come first, and the layout is appended to each URL."""
    text = FORMATS["pacman"].write(replace(only(select(SNAPSHOT, private=False), "c"), layout="$arch/$repo"))
    assert text == (
        "## Worldwide\nServer = https://cdn/$arch/$repo\n\n"
        "## France\nServer = https://a.example/c/$arch/$repo\n\n"
        "## Germany\nServer = https://b.example/c/$arch/$repo\nServer = http://b.example/c/$arch/$repo\n"
        "Server = http://some.example/$arch/$repo\n"
    )


def test_arch_status_is_what_reflector_reads() -> None:
    """A row a URL, with the time of synchronisation: the observed one, else that of the snapshot."""
    observed = replace(SNAPSHOT, health={1: MirrorHealth(checked=1_700_003_600, lags={"r": 7_200})})
    found: Any = json.loads(exported("arch-status", snapshot=observed))
    assert found["version"] == 3
    rows = {row["url"]: row for row in found["urls"]}
    assert set(rows) == {
        *("http://b.example/c/", "https://b.example/c/", "rsync://rsync.b.example/c/", "https://a.example/c/"),
        *("http://some.example/", "https://cdn/"),
    }
    seen = rows["https://b.example/c/"]
    assert (seen["last_sync"], seen["delay"], seen["country"]) == ("2023-11-14T21:13:20Z", 7_200, "Germany")
    assert rows["https://a.example/c/"]["last_sync"] == "2023-11-14T22:13:20Z"
    assert (rows["https://cdn/"]["ipv4"], rows["https://cdn/"]["ipv6"]) == (False, True)
    assert (rows["https://cdn/"]["country"], rows["https://cdn/"]["country_code"]) == ("", "")


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(snapshot=snapshots())
def test_any_snapshot_can_be_exported(snapshot: Snapshot) -> None:
    """Every format takes whatever a snapshot may say, and stays a text of its kind."""
    selected = select(snapshot, private=True)
    names = {name for one in selected.mirrors for name in one.trees}
    for name, form in FORMATS.items():
        for part in [only(selected, category) for category in names] if form.one_tree else [selected]:
            text = form.write(part)
            text.encode()
            if name in {"json", "arch-status"}:
                json.loads(text)
            elif name == "csv":
                rows = list(csv.reader(io.StringIO(text, newline="")))
                assert {len(row) for row in rows} == {len(rows[0])}
            elif name == "mirmon":
                assert all(len(line.split(" ")) == 2 for line in text.splitlines())


def test_countries_have_names() -> None:
    """Names are CLDR's English ones; a code that nobody assigned stays itself."""
    assert [english_name(code) for code in ("DE", "KR", "XX")] == ["Germany", "South Korea", "XX"]


@pytest.mark.process
def test_the_command(tmp_path: Path) -> None:
    """A snapshot, a source and a folder are exported alike; usage and mistakes are told in one line each."""
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "a.json").write_text(json.dumps(SOURCE))
    (tmp_path / "a.mls").write_bytes(snapshot_format.encode(SNAPSHOT))
    options = ("--to", "pacman", "--category", "c")
    outputs = {run(tmp_path, "export", file, *options).stdout for file in ("a.mls", "sources", "sources/a.json")}
    assert outputs == {exported("pacman")}
    assert "campus" in run(tmp_path, "export", "a.mls", "--to", "csv", "--private").stdout
    listed = run(tmp_path, "export", "--list-formats").stdout
    assert [line.split()[0] for line in listed.splitlines()] == list(FORMATS)
    assert "name it with --category: c, d" in run(tmp_path, "export", "a.mls", "--to", "mirmon", code=2).stderr
    refused = run(tmp_path, "export", "a.mls", "--to", "mirmon", "--category", "x", code=1)
    assert "no mirror to be exported has the category 'x'; there are c, d" in refused.stderr
    (tmp_path / "bad.toml").write_text("mirors = 1")
    refused = run(tmp_path, "export", "bad.toml", "--to", "csv", code=1)
    assert "bad.toml:1: mirors: unknown key" in refused.stderr
    assert "bad.toml: the source has mistakes; nothing is exported" in refused.stderr
    assert "name a FILE and a format" in run(tmp_path, "export", code=2).stderr
