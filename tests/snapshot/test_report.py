"""Reports: what is in a snapshot, and what changes from one to the next."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot import report, tiers
from mirrorlist_snapshot.countries import CONTINENT_OF
from mirrorlist_snapshot.model import CategoryKind, ClientNetblock, Mirror, Overrides, RepositoryDirectory, Snapshot
from mirrorlist_snapshot.report.answers import MINIMUM, changed_answers
from mirrorlist_snapshot.report.text import ago
from support.snapshot_files import small_snapshot
from support.snapshots import carrier_sets, mirror, snapshot_of, snapshots

SMALL = small_snapshot()
DATA = snapshot_format.encode(SMALL)
DAY = 86_400


def test_inspect_says_what_is_there() -> None:
    """Serial, age by the given clock, digest, counts, sizes, repositories with their carriers, mirrors with flags."""
    found = report.inspect(DATA, now=SMALL.built + 3 * DAY)
    assert (found["serial"], found["built"], found["age"]) == (42, 1_700_000_000, 3 * DAY)
    assert found["digest"] == snapshot_format.digest(DATA)
    assert found["generator"] == "mirrorlist-snapshot by hand"
    assert (found["format_version"], found["signed"], found["bytes"]) == (1, False, len(DATA))
    assert found["counts"]["mirrors"] == 4
    assert found["counts"]["active_mirrors"] == 3
    assert found["counts"]["client_netblocks"] == 3
    assert (found["counts"]["repositories"], found["counts"]["disabled_repositories"]) == (2, 1)
    assert sum(section["bytes"] for section in found["sections"]) < len(DATA)
    linux, tex = found["repositories"]
    assert linux["aliases"] == ["linux", "linux-rawhide"]
    assert linux["directories"] == [
        {"arch": "aarch64", "category": "linux", "path": "releases/40/aarch64", "mirrors": 2},
        {"arch": "x86_64", "category": "linux", "path": "releases/40/x86_64", "mirrors": 3},
    ]
    assert tex["disabled"]
    first, second, *_ = found["mirrors"]
    assert (first["name"], first["country"], first["bandwidth"]) == ("ftp.example.nl", "NL", 10_000)
    assert first["exclusive_netblocks"] == ["192.0.2.0/24"]
    assert (second["private"], second["categories"]) == (True, ["linux", "tex"])


@pytest.mark.slow
@settings(max_examples=40)
@given(snapshot=snapshots(), now=st.integers(0, 1 << 40))
def test_any_snapshot_can_be_shown(snapshot: Snapshot, now: int) -> None:
    """Whatever a snapshot says, the report is JSON, the text has its mirrors, and nothing of it breaks a line."""
    found = report.inspect(snapshot_format.encode(snapshot), now=now)
    assert json.loads(json.dumps(found)) == found
    text = report.inspect_text(found)
    assert all(one.name in text for one in snapshot.mirrors)
    assert text.count("\n") < 60 + len(snapshot.mirrors) + sum(len(one.directories) for one in snapshot.repositories)


def test_inspect_text() -> None:
    """The text names age, counts and flags in words; what matters least, the sections' sizes, comes last."""
    text = report.inspect_text(report.inspect(DATA, now=SMALL.built + 3 * DAY))
    assert "serial     42\n" in text
    assert "2023-11-14 22:13:20 UTC (3 days ago) by mirrorlist-snapshot by hand" in text
    assert "4 mirrors (3 active)" in text
    assert "private, 1 netblock, only AT,DE" in text
    assert "AS1103, AS4200000000, 2 netblocks (1 exclusive)\n" in text
    assert "inactive" in text
    assert "  2 repositories\n           1 of them disabled\n" in text
    assert "2 countries never served by certain others\n" in text
    assert text.index("\nrepositories\n") < text.index("\nmirrors\n") < text.index("\nsections\n")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 seconds ago"),
        (1, "1 second ago"),
        (119, "1 minute ago"),
        (7200, "2 hours ago"),
        (9 * DAY, "9 days ago"),
        (-90, "1 minute in the future"),
    ],
)
def test_ages(seconds: int, words: str) -> None:
    """An age is given in its largest unit, and says where a clock is behind."""
    assert ago(seconds) == words


@pytest.mark.slow
@settings(max_examples=40)
@given(snapshot=snapshots())
def test_a_snapshot_does_not_differ_from_itself(snapshot: Snapshot) -> None:
    """Serial, build time, generator and the format's version are no difference."""
    data = snapshot_format.encode(replace(snapshot, serial=7, built=8, generator="other"))
    found = report.diff(snapshot, snapshot_format.decode(data))
    assert found["same"]
    assert report.diff_text(found).endswith("no differences in content\n")


@pytest.mark.slow
@settings(max_examples=60)
@given(old=snapshots(), new=snapshots())
def test_a_diff_is_the_same_backwards(old: Snapshot, new: Snapshot) -> None:
    """What is added one way is removed the other way, changes swap sides, and every answer changes both ways."""
    there, back = report.diff(old, new), report.diff(new, old)
    assert json.loads(json.dumps(there)) == there
    assert report.diff_text(there)
    assert there["same"] == back["same"]
    assert there["answers"] == back["answers"]
    for kind in ("categories", "mirrors", "repositories", "aliases", "continents", "neighbours", "never_served"):
        assert there[kind]["added"] == back[kind]["removed"]
        assert [one["name"] for one in there[kind]["changed"]] == [one["name"] for one in back[kind]["changed"]]
    for kind in ("directories", "files", "netblock_countries", "netblock_asns"):
        assert there[kind]["added"] == back[kind]["removed"]
        assert there[kind]["changed"] == back[kind]["changed"]


def world(*mirrors: Mirror, **fields: Any) -> Snapshot:
    """A snapshot with these mirrors, all carrying the one repository."""
    return snapshot_of(mirrors, **fields)


def countries(old: Snapshot, new: Snapshot) -> set[str]:
    """The countries whose answer for the repository changes."""
    found = changed_answers(old, new)
    assert len(found) <= 1
    return set(found[0]["countries"]) if found else set()


EVERYWHERE = set(CONTINENT_OF)
EUROPE = {country for country, continent in CONTINENT_OF.items() if continent == "EU"}
DUTCH = [mirror(f"nl{number}", "NL") for number in range(MINIMUM)]


def test_fields_that_change() -> None:
    """Each changed field of a mirror is listed with both values."""
    old = world(mirror("m", "NL"), mirror("gone"))
    new = world(mirror("m", "BE", bandwidth=1000, urls=("https://m/new/",)), mirror("more"))
    found = report.diff(old, new)["mirrors"]
    assert (found["added"], found["removed"]) == (["more"], ["gone"])
    fields = {
        "country": ["NL", "BE"],
        "bandwidth": [100, 1000],
        "urls": [{"c": ["https://m/"]}, {"c": ["https://m/new/"]}],
    }
    assert found["changed"] == [{"name": "m", "fields": fields}]
    text = report.diff_text(report.diff(old, new))
    assert "~ m: country: NL -> BE; bandwidth: 100 -> 1000; urls: c https://m/ -> c https://m/new/\n" in text
    assert "  + more\n  - gone\n" in text
    assert text.endswith("\n\nanswers by netblock or AS are not compared\n")


NET = ClientNetblock(prefix="192.0.2.0/24", exclusive=False)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (
            {"netblocks": (NET,)},
            {"netblocks": (replace(NET, exclusive=True),)},
            "netblocks: 192.0.2.0/24 -> 192.0.2.0/24 exclusive",
        ),
        (
            {},
            {"netblocks": (NET, ClientNetblock(prefix="2001:db8::/32", exclusive=True))},
            "netblocks: none -> 192.0.2.0/24, 2001:db8::/32 exclusive",
        ),
        ({"asns": (680, 1103)}, {}, "asns: 680, 1103 -> none"),
        ({}, {"private": True}, "private: false -> true"),
        ({}, {"country": "NL"}, "country: none -> NL"),
        ({}, {"urls": ("https://m/", "http://m/")}, "urls: c https://m/ -> c https://m/ http://m/"),
    ],
)
def test_fields_are_shown_for_people(before: dict[str, Any], after: dict[str, Any], words: str) -> None:
    """Values in the text are words, not the data that --json gives."""
    found = report.diff(world(mirror("m", **before)), world(mirror("m", **after)))
    assert f"  ~ m: {words}\n" in report.diff_text(found)


def test_other_things_are_shown_for_people() -> None:
    """Directories, groups of neighbours and an empty top are words, too."""
    near: dict[str, Overrides] = {
        one: Overrides(continents={}, neighbours={"SE": groups}, never_served={})
        for one, groups in {"old": (("NO", "DK"), ("FI",)), "new": (("NO",),)}.items()
    }
    old, new = world(mirror("m"), overrides=near["old"]), world(mirror("m"), overrides=near["new"])
    (one,), (category,) = old.repositories, old.categories
    arches = tuple(RepositoryDirectory(arch=arch, category=0, path=arch) for arch in ("arm", "x86"))
    new = replace(new, repositories=(replace(one, directories=arches),), categories=(replace(category, top="pub"),))
    text = report.diff_text(report.diff(old, new))
    assert "  ~ SE: groups: NO DK, FI -> NO\n" in text
    assert "  ~ r: directories: c:/ -> arm c:/arm, x86 c:/x86\n" in text
    assert "  ~ c: top: none -> pub\n" in text


def test_a_weight_matters_where_the_mirror_is_listed() -> None:
    """A changed bandwidth changes the answers of the countries that get the mirror, and of no others."""
    mirrors = [*DUTCH, *(mirror(f"us{number}", "US") for number in range(MINIMUM))]
    faster = [replace(DUTCH[0], bandwidth=1000), *mirrors[1:]]
    changed = countries(world(*mirrors), world(*faster))
    assert "NL" in changed
    assert "DE" in changed  # on the continent
    assert "US" not in changed  # enough of its own
    assert "JP" in changed  # gets everything


def test_far_mirrors_count_only_below_the_minimum() -> None:
    """A far mirror changes a country's answer while fewer than the minimum are near it."""
    far = mirror("us", "US")
    assert countries(world(*DUTCH), world(*DUTCH, far)) == EVERYWHERE - EUROPE
    assert countries(world(*DUTCH[1:]), world(*DUTCH[1:], far)) == EVERYWHERE


def test_a_fallback_is_in_every_answer() -> None:
    """A mirror of the last resort changes all answers, however many mirrors are near."""
    assert countries(world(*DUTCH), world(*DUTCH, mirror("last", fallback=True))) == EVERYWHERE


def test_private_and_inactive_mirrors_change_no_country() -> None:
    """A mirror that no country is offered is listed as new and changes no answer."""
    for hidden in (mirror("m", "NL", private=True), mirror("m", "NL", active=False)):
        found = report.diff(world(*DUTCH), world(*DUTCH, hidden))
        assert found["mirrors"]["added"] == ["m"]
        assert found["answers"] == []
        assert not found["same"]


def test_an_override_moves_a_country() -> None:
    """A continent override changes the answers of its own country only, if it has no mirrors."""
    israel = Overrides(continents={"IL": "EU"}, neighbours={}, never_served={})
    mirrors = [*DUTCH, *(mirror(f"jp{number}", "JP") for number in range(MINIMUM))]
    assert countries(world(*mirrors), world(*mirrors, overrides=israel)) == {"IL"}


def test_carriers_and_places_matter() -> None:
    """Answers change with the set of carriers, with the path, and when a repository is switched off."""
    old = world(*DUTCH)
    fewer = carrier_sets([(0, 1)], len(DUTCH))
    assert countries(old, replace(old, sets=fewer)) == EVERYWHERE
    (one,) = old.repositories
    moved = replace(one, directories=(RepositoryDirectory(arch="", category=0, path="sub"),))
    assert countries(old, replace(old, repositories=(moved,))) == EVERYWHERE
    off = replace(old, repositories=(replace(one, disabled=True),))
    assert countries(old, off) == EVERYWHERE
    assert countries(off, replace(off, repositories=(replace(moved, disabled=True),))) == set()


def test_numbers_mean_nothing() -> None:
    """The same mirrors in another order, with their sets numbered anew, are no difference."""
    old = world(*DUTCH, sets=carrier_sets([(0, 2)], len(DUTCH)))
    last = len(DUTCH) - 1
    new = world(*reversed(DUTCH), sets=carrier_sets([(last, last - 2)], len(DUTCH)))
    assert report.diff(old, new)["same"]


def answer(snapshot: Snapshot, place: RepositoryDirectory, country: str) -> object:
    """A country's answer for a directory, by the words of the rules and without anything shared."""
    continent = tiers.continent_of(country, None, snapshot.overrides)
    codes = tiers.tier_map(snapshot, country, continent)
    is_open = snapshot.categories[place.category].kind is CategoryKind.OPEN
    look_up = snapshot.directories.nearest if is_open else snapshot.directories.find
    number = look_up(place.category, place.path.encode())
    found = [
        (code, one.name, one.bandwidth, content.urls)
        for position, (one, code) in enumerate(zip(snapshot.mirrors, codes, strict=True))
        for content in one.contents
        if content.category == place.category
        if number is not None and position in snapshot.sets[number] and code < tiers.FIRST_REASON
    ]
    if sum(code < tiers.GLOBAL for code, *_ in found) >= MINIMUM:
        found = [one for one in found if one[0] != tiers.GLOBAL]
    return (place.path, sorted(found)) if found else None


@pytest.mark.slow
@settings(max_examples=60)
@given(old=snapshots(), other=snapshots(), data=st.data())
def test_changed_answers_are_those_that_change(old: Snapshot, other: Snapshot, data: st.DataObject) -> None:
    """For any two snapshots with a repository in common, a country is listed exactly if its answer differs."""
    new = replace(
        old,
        overrides=data.draw(st.sampled_from([old.overrides, other.overrides])),
        mirrors=tuple(replace(one, active=data.draw(st.booleans())) for one in old.mirrors),
    )
    listed = {(one["repository"], one["arch"]): set(one["countries"]) for one in changed_answers(old, new)}
    for one in old.repositories:
        for place in one.directories:
            expected = {
                country
                for country in ("DE", "NL", "US", "AU", *other.overrides.continents)
                if not one.disabled and answer(old, place, country) != answer(new, place, country)
            }
            assert (
                listed.get((one.name, place.arch), set()) & {"DE", "NL", "US", "AU", *other.overrides.continents}
                == expected
            )
