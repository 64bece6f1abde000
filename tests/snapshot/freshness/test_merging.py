"""Merging: which mirrors are offered for what, compared with the rules in the words of a slow model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mirrorlist_snapshot.compiler import compile_snapshot
from mirrorlist_snapshot.format import decode, encode
from mirrorlist_snapshot.freshness.merging import apply, same_lists
from mirrorlist_snapshot.freshness.observed import (
    Freshness,
    MirrorObservation,
    Reachability,
    UnitObservation,
    UnitVersion,
    UrlObservation,
)
from mirrorlist_snapshot.model import CategoryKind, FileDetails, FileVersion
from mirrorlist_snapshot.records import ContentRecord, NetworkRecords, RepositoryDirectoryRecord, RepositoryRecord
from support.mirror_records import category, mirror, records
from support.observed import NOW, seen, unit, url

if TYPE_CHECKING:
    from mirrorlist_snapshot.freshness.observed import Observations
    from mirrorlist_snapshot.records import MirrorRecord

HTTP, HTTPS = "http://m.example/", "https://m.example/"
OUT = {Freshness.STALE, Freshness.MISSING}


def content(**fields: Any) -> ContentRecord:
    """Both URLs of category `c`."""
    return ContentRecord(**({"category": "c", "urls": (HTTPS, HTTP)} | fields))


def network(*mirrors: MirrorRecord, kind: CategoryKind = CategoryKind.OPEN, **fields: Any) -> NetworkRecords:
    """A network of category `c`."""
    return records(categories=(category("c", kind),), mirrors=mirrors, **fields)


def packed(described: NetworkRecords) -> bytes:
    """The bytes of the snapshot."""
    return encode(compile_snapshot(described, serial=1, built=1, generator=""))


def lists(described: NetworkRecords) -> bytes:
    """The bytes of the snapshot without what it tells about health."""
    mirrors = tuple(replace(one, health=None) for one in described.mirrors)
    return packed(replace(described, observed=0, mirrors=mirrors))


def offered(described: NetworkRecords, directory: str) -> set[str]:
    """The mirrors that the compiled snapshot has for a directory of category `c`."""
    snapshot = decode(packed(described))
    find = (
        snapshot.directories.find
        if snapshot.categories[0].kind is CategoryKind.LISTED
        else snapshot.directories.nearest
    )
    number = find(0, directory.encode())
    return set() if number is None else {snapshot.mirrors[one].name for one in snapshot.sets.members(number)}


def urls_of(described: NetworkRecords, name: str) -> tuple[str, ...]:
    """The URLs of a mirror in the compiled snapshot."""
    return next(one.contents[0].urls for one in decode(packed(described)).mirrors if one.name == name)


def test_nothing_observed_changes_nothing() -> None:
    """Without a row the records are the same object: nobody drops out because probing was switched on."""
    described = network(mirror("a", content()))
    assert apply(described, seen()).records is described


def test_a_url_that_is_down_over_all_families_is_taken_out() -> None:
    """One family down takes nothing out, both take the URL out, a suspect URL stays."""
    described = network(mirror("a", content()))
    one = apply(described, seen(url("a", HTTPS), url("a", HTTPS, Reachability.UP, family=6)))
    assert urls_of(one.records, "a") == (HTTPS, HTTP)
    both = apply(described, seen(url("a", HTTPS), url("a", HTTPS, family=6), url("a", HTTP, Reachability.SUSPECT)))
    assert urls_of(both.records, "a") == (HTTP,)
    assert offered(both.records, "") == {"a"}


def test_a_mirror_whose_urls_are_all_down_does_not_carry_the_category() -> None:
    """It keeps its URLs in the snapshot, so that pages can name it, and is in no list; other categories stay."""
    described = records(
        categories=(category("c"), category("d")),
        mirrors=(mirror("a", content(), content(category="d")), mirror("b", content())),
    )
    found = apply(described, seen(url("a", HTTPS), url("a", HTTP))).records
    assert offered(found, "any/path") == {"b"}
    assert urls_of(found, "a") == (HTTPS, HTTP)
    snapshot = decode(packed(found))
    assert snapshot.sets[snapshot.directories.nearest(1, b"") or 0] == {0}


@pytest.mark.parametrize("kind", CategoryKind)
@pytest.mark.parametrize("state", Freshness)
def test_a_unit_decides_for_its_directories(kind: CategoryKind, state: Freshness) -> None:
    """A stale or missing unit takes the mirror out of what it stands for, and out of nothing else."""
    both = frozenset({"a", "b"})
    listed = {"c": dict.fromkeys(("x", "x/sub", "xy", ""), both)}
    described = network(mirror("a", content()), mirror("b", content()), kind=kind, directories=listed)
    found = apply(described, seen(unit("a", "x/f", state))).records
    for directory in ("x", "x/sub"):
        assert offered(found, directory) == ({"b"} if state in OUT else both)
    assert offered(found, "xy") == offered(found, "") == both


def test_the_nearest_unit_decides() -> None:
    """Below a stale directory, a directory with a fresh unit of its own is offered, and the reverse."""
    described = network(mirror("a", content()), mirror("b", content()))
    rows = seen(unit("a", "x/f"), unit("a", "x/debug/f", Freshness.FRESH), unit("a", "x/debug/y/f"))
    found = apply(described, rows).records
    assert {path: offered(found, path) == {"a", "b"} for path in ("", "x", "x/z", "x/debug", "x/debug/y/z")} == {
        "": True,
        "x": False,
        "x/z": False,
        "x/debug": True,
        "x/debug/y/z": False,
    }


def test_units_without_directories_decide_nothing() -> None:
    """A stamp says when to ask, and takes nobody out; so does a row about what the sources do not have."""
    described = network(mirror("a", content()), mirror("b", content()))
    rows = seen(unit("a", "TIME"), unit("nobody", "x/f"), unit("a", "x/f", category="d"), url("b", "http://other/"))
    found = apply(described, replace(rows, covers={("c", "x/f"): ("x",), ("d", "x/f"): ("x",)}))
    assert same_lists(found.records, described)
    assert lists(found.records) == packed(described)
    assert found.kept == ()


def test_declared_excludes_and_includes_stay_in_force() -> None:
    """A fresh unit below a declared exclude, or outside of the includes, brings nothing in."""
    described = network(
        mirror("a", content(exclude=("x/y",))), mirror("b", content(include=("z",))), mirror("e", content())
    )
    rows = seen(unit("a", "x/f"), unit("a", "x/y/f", Freshness.FRESH), unit("b", "x/y/f", Freshness.FRESH))
    assert offered(apply(described, rows).records, "x/y") == {"e"}


@pytest.mark.parametrize(("percent", "bandwidth"), [(100, 40), (10, 4), (1, 1), (0, 1)])
def test_a_mirror_that_comes_back_has_a_part_of_its_weight(percent: int, bandwidth: int) -> None:
    """Percent of the declared bandwidth, at least 1 Mbit/s."""
    described = network(mirror("a", content(), bandwidth=40))
    found = apply(described, seen(MirrorObservation(mirror="a", weight=percent, until=NOW))).records
    assert decode(packed(found)).mirrors[0].bandwidth == bandwidth
    assert found.mirrors[0].bandwidth == 40


def kept(described: NetworkRecords, *rows: UnitObservation | UrlObservation) -> set[str]:
    """The mirrors that stay for unit `x/f` although they are stale; it is checked that they are offered."""
    merged = apply(described, seen(*rows, covers={("c", "x/f"): ("x",)}))
    found = {row.mirror for row in merged.kept}
    assert found <= offered(merged.records, "x")
    return found


def test_the_last_mirrors_of_a_unit_stay() -> None:
    """If all are stale, those with the newest version stay; a version is one, however its lag was measured."""
    described = network(*(mirror(name, content()) for name in "abcd"))
    rows = [
        unit("a", "x/f", lag=90_000, version="new"),
        unit("b", "x/f", lag=90_005, version="new"),
        unit("c", "x/f", lag=99_000, version="old"),
        unit("d", "x/f", Freshness.MISSING),
    ]
    assert kept(described, *rows) == {"a", "b"}
    assert offered(apply(described, seen(*rows)).records, "x") == {"a", "b"}
    assert kept(described, *rows[:3]) == set()
    assert kept(described, *rows[:3], unit("d", "x/f", Freshness.LATE)) == set()


def test_a_unit_that_is_missing_everywhere_takes_nobody_out() -> None:
    """A misspelt unit must not empty a repository."""
    described = network(*(mirror(name, content()) for name in "ab"))
    assert kept(described, *(unit(name, "x/f", Freshness.MISSING) for name in "ab")) == {"a", "b"}


def test_who_counts_as_another_mirror() -> None:
    """A mirror that is down, switched off, or does not have the directory is no reason to take the last one out."""
    a = mirror("a", content())
    stale = unit("a", "x/f")
    assert kept(network(a, mirror("b", content())), stale) == set()
    assert kept(network(a, mirror("b", content(), fallback=True)), stale) == set()
    assert kept(network(a, mirror("b", content(), active=False)), stale) == {"a"}
    assert kept(network(a, mirror("b", content(exclude=("x",)))), stale) == {"a"}
    assert kept(network(a, mirror("b", content())), stale, url("b", HTTPS), url("b", HTTP)) == {"a"}
    assert kept(network(a, mirror("b", content(), private=True)), stale) == {"a"}
    assert kept(network(a, mirror("b", content(), allowed_countries=("DE",))), stale) == {"a"}
    listed = {"c": {"x": frozenset({"a"}), "y": frozenset({"b"})}}
    both = (a, mirror("b", content()))
    assert kept(network(*both, kind=CategoryKind.LISTED, directories=listed), stale) == {"a"}


def test_a_mirror_without_the_architecture_is_no_other_mirror() -> None:
    """The last mirror of an architecture stays, although others have the rest of the category."""
    directories = tuple(RepositoryDirectoryRecord(arch=arch, category="c", path=arch) for arch in ("x", "y"))
    repository = RepositoryRecord(name="r", disabled=False, directories=directories)
    both = mirror("a", content()), mirror("b", content(arches=("y",)))
    assert kept(network(*both, repositories=(repository,)), unit("a", "x/f")) == {"a"}


def test_mirrors_for_few_clients_stay_only_where_there_are_no_others() -> None:
    """The last private mirror stays if no public one has the unit at all, and goes if there is one."""
    private = mirror("a", content(), private=True)
    assert kept(network(private, mirror("b", content(include=("y",)))), unit("a", "x/f")) == {"a"}
    assert kept(network(private, mirror("b", content())), unit("a", "x/f")) == set()


def test_metalinks_have_the_versions_of_offered_mirrors() -> None:
    """Declared details come first; without any, the master's version is the current one; unknown ones are left out."""
    old, now, ancient = (
        UnitVersion(sha256=letter * 64, size=size, timestamp=size, superseded=gone)
        for letter, size, gone in (("b", 2, 9), ("c", 3, 0), ("a", 1, 5))
    )
    versions = {("c", "x/f"): (now, old, ancient)}
    rows = (
        unit("a", "x/f", Freshness.FRESH, version=now.sha256),
        unit("b", "x/f", Freshness.LATE, version=old.sha256),
        unit("d", "x/f", Freshness.STALE, version=ancient.sha256),
        unit("e", "x/f", Freshness.LATE, version="f" * 64),
    )
    described = network(*(mirror(name, content()) for name in "abde"))
    current, late, stated = (
        FileVersion(timestamp=size, size=size, sha256=letter * 64) for letter, size in (("c", 3), ("b", 2), ("d", 7))
    )
    found = apply(described, seen(*rows, versions=versions)).records
    assert found.files == {("c", "x/f"): FileDetails(current=current, alternates=(late,))}
    declared = replace(described, files={("c", "x/f"): FileDetails(current=stated, alternates=())})
    found = apply(declared, seen(*rows, versions=versions)).records
    assert found.files["c", "x/f"] == FileDetails(current=stated, alternates=(current, late))
    assert apply(found, seen(*rows, versions=versions)).records == found
    assert apply(described, seen(*rows, versions={("c", "x/f"): (old,)})).records.files == {}


PATHS = ("", "x", "x/y", "x/y/z", "w")
NAMES = ("a", "b", "e")
UNITS = {("c", f"{path}/f".lstrip("/")): (path,) for path in PATHS} | {("c", "two"): ("x", "w"), ("c", "TIME"): ()}
prefixes = st.lists(st.sampled_from(PATHS[1:]), max_size=2, unique=True).map(tuple)


@st.composite
def networks(draw: st.DrawFn) -> NetworkRecords:
    """Up to three mirrors of one category."""
    kind = draw(st.sampled_from(CategoryKind))
    mirrors = [
        mirror(
            name,
            content(
                urls=draw(st.sampled_from([(HTTPS,), (HTTPS, HTTP)])), include=draw(prefixes), exclude=draw(prefixes)
            ),
            **{key: draw(st.booleans()) for key in ("private", "active")},
        )
        for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    ]
    sets = st.sets(st.sampled_from([one.name for one in mirrors])).map(frozenset)
    listed = {path: draw(sets) for path in draw(st.sets(st.sampled_from(PATHS)))}
    return network(*mirrors, kind=kind, directories={"c": listed} if kind is CategoryKind.LISTED else {})


@st.composite
def observed(draw: st.DrawFn) -> Observations:
    """Some states of some URLs and units."""
    addresses = draw(
        st.sets(st.tuples(st.sampled_from(NAMES), st.sampled_from([HTTP, HTTPS]), st.sampled_from([4, 6])))
    )
    units = draw(st.sets(st.tuples(st.sampled_from(NAMES), st.sampled_from([path for _, path in UNITS]))))
    return seen(
        *(
            url(name, address, draw(st.sampled_from(Reachability)), family=family)
            for name, address, family in sorted(addresses)
        ),
        *(
            unit(name, path, draw(st.sampled_from(Freshness)), lag=lag, version=str(lag))
            for name, path in sorted(units)
            for lag in [draw(st.integers(0, 3))]
        ),
        covers={key: directories for key, directories in UNITS.items() if directories},
    )


def above(path: str) -> list[str]:
    """A directory and its ancestors, nearest first."""
    return [path] + (above(path.rpartition("/")[0]) if path else [])


def model(described: NetworkRecords, rows: Observations, directory: str) -> set[str]:
    """The rules, one mirror at a time, apart from the last mirrors of units."""
    found: set[str] = set()
    for one in described.mirrors:
        offer = one.contents[0]
        carries = offer.allows(directory)
        if "c" in described.directories:
            carries = carries and one.name in described.directories["c"].get(directory, ())
        states = {
            address: {row.state for row in rows.urls if (row.mirror, row.url) == (one.name, address)}
            for address in offer.urls
        }
        if not carries or all(state == {Reachability.DOWN} for state in states.values()):
            continue
        for path in above(directory):
            verdicts = [row.state for row in rows.units if row.mirror == one.name and path in UNITS["c", row.unit]]
            if verdicts:
                if OUT.isdisjoint(verdicts):
                    found.add(one.name)
                break
        else:
            found.add(one.name)
    return found


@pytest.mark.slow
@given(networks(), observed())
def test_the_snapshot_has_what_the_rules_say(described: NetworkRecords, rows: Observations) -> None:
    """For every directory: the mirrors of the model, and beyond those only mirrors that stay as the last ones."""
    merged = apply(described, rows)
    by_rule = {path: model(described, rows, path) for path in PATHS}
    # What stays counts as late: with these rows changed so, the model is exact.
    exact = [replace(row, state=Freshness.LATE) if row in merged.kept else row for row in rows.units]
    for path in PATHS:
        found = offered(merged.records, path)
        assert found == model(described, replace(rows, units=tuple(exact)), path)
        assert found >= by_rule[path]


@pytest.mark.slow
@given(networks(), observed())
def test_no_unit_loses_its_last_mirror(described: NetworkRecords, rows: Observations) -> None:
    """A unit that a reachable, active mirror had before has one afterwards, and what stays is stale or missing."""
    merged = apply(described, rows)
    assert {row.state for row in merged.kept} <= OUT
    only_reachable = replace(rows, units=())
    active = {one.name for one in described.mirrors if one.active}
    for (_, name), directories in UNITS.items():
        before = {(one, path) for path in directories for one in model(described, only_reachable, path) & active}
        judged_alone = replace(rows, units=tuple(row for row in rows.units if row.unit == name))
        after = apply(described, judged_alone)
        if before:
            assert any(offered(after.records, path) & active for path in directories)


@pytest.mark.slow
@given(networks(), observed(), st.randoms())
def test_merging_is_deterministic_and_idempotent(described: NetworkRecords, rows: Observations, random: Any) -> None:
    """The order of rows does not matter, and merging what is merged changes nothing."""
    merged = apply(described, rows)
    urls, units = list(rows.urls), list(rows.units)
    random.shuffle(urls)
    random.shuffle(units)
    assert apply(described, replace(rows, urls=tuple(urls), units=tuple(units))) == merged
    assert apply(merged.records, rows) == merged


@pytest.mark.slow
@given(networks(), observed())
@example(network(mirror("a", content())), seen())
def test_good_news_only_gives_the_declared_snapshot(described: NetworkRecords, rows: Observations) -> None:
    """If everything is up and fresh or late, the lists are those of the sources, to the byte."""
    good = replace(
        rows,
        urls=tuple(replace(row, state=Reachability.UP) for row in rows.urls),
        units=tuple(replace(row, state=Freshness.LATE) for row in rows.units),
    )
    found = apply(described, good).records
    assert lists(found) == packed(described)
    assert same_lists(found, described)
