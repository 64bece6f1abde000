"""Health in the snapshot: what people are told is what was observed, in few and printable words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mirrorlist_snapshot.compiler import compile_snapshot
from mirrorlist_snapshot.format import decode, encode
from mirrorlist_snapshot.freshness.merging import apply, same_lists
from mirrorlist_snapshot.freshness.observed import Freshness, MirrorObservation, Reachability
from mirrorlist_snapshot.health import DownUrl, MirrorHealth, OldUnit, Unit
from mirrorlist_snapshot.model import FileDetails, FileVersion
from mirrorlist_snapshot.records import ContentRecord, RepositoryDirectoryRecord, RepositoryRecord
from support.mirror_records import category, mirror, records
from support.observed import NOW, seen, unit, url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirrorlist_snapshot.freshness.observed import Observations
    from mirrorlist_snapshot.records import NetworkRecords

HTTP, HTTPS = "http://m.example/", "https://m.example/"


def network(*names: str, repositories: Mapping[str, str] | None = None) -> NetworkRecords:
    """Mirrors of category `c`, and repositories at these paths of it."""
    content = ContentRecord(category="c", urls=(HTTPS, HTTP))
    return records(
        categories=(category("c"),),
        mirrors=tuple(mirror(name, content) for name in names),
        repositories=tuple(
            RepositoryRecord(
                name=name,
                disabled=False,
                directories=(RepositoryDirectoryRecord(arch="", category="c", path=path),),
            )
            for name, path in (repositories or {}).items()
        ),
    )


def told(described: NetworkRecords, observations: Observations) -> dict[str, MirrorHealth]:
    """The health of mirrors by name, as a server reads it from the snapshot."""
    merged = apply(described, observations).records
    snapshot = decode(encode(compile_snapshot(merged, serial=1, built=1, generator="")))
    assert snapshot.observed == observations.taken
    return {snapshot.mirrors[number].name: one for number, one in snapshot.health.items()}


def test_a_url_that_is_down_is_told_with_its_families() -> None:
    """Down over all families: one row, since the last of them failed. Down over one: a row for that one."""
    found = told(
        network("a"),
        seen(
            url("a", HTTPS, since=NOW - 900, reason="timeout"),
            url("a", HTTPS, since=NOW - 300, family=6, reason="no route"),
            url("a", HTTP, Reachability.SUSPECT),
            url("a", HTTP, family=6, reason="no route", checked=NOW + 5),
        ),
    )
    assert found["a"] == MirrorHealth(
        checked=NOW + 5,
        families=(4,),
        down=(
            DownUrl(category="c", url=HTTP, family=6, since=NOW - 600, reason="no route"),
            DownUrl(category="c", url=HTTPS, family=0, since=NOW - 300, reason="timeout; no route"),
        ),
    )


def test_old_units_are_told_and_fresh_ones_are_not() -> None:
    """What is left out comes first; what is late, or stays as the last one, is told as offered."""
    rows = seen(
        unit("a", "w/f", Freshness.LATE, lag=50_000, since=5, reason="late"),
        unit("a", "x/f", Freshness.STALE, lag=90_000, reason="old"),
        unit("a", "y/f", Freshness.MISSING),
        unit("a", "z/f", Freshness.FRESH),
        unit("b", "y/f", Freshness.MISSING),
    )
    found = told(network("a", "b"), rows)["a"].old
    assert [(row.unit.path, str(row.state), row.offered) for row in found] == [
        ("x/f", "stale", False),
        ("w/f", "late", True),
        ("y/f", "missing", True),
    ]
    late = OldUnit(
        unit=Unit(category="c", path="w/f", directories=("w",)),
        state=Freshness.LATE,
        offered=True,
        since=5,
        lag=50_000,
        reason="late",
    )
    assert found[1] == late


def test_lags_are_those_of_the_repositories_directories() -> None:
    """The unit at or above a repository's directory tells its lag, else those below; the worst counts."""
    described = network("a", repositories={"x": "x", "deep": "x/y/z", "top": "w", "else": "v", "gone": "g"})
    rows = seen(
        unit("a", "x/f", Freshness.LATE, lag=60_000),
        unit("a", "w/1/f", Freshness.FRESH),
        unit("a", "w/2/f", Freshness.FRESH, lag=7),
        unit("a", "g/f", Freshness.MISSING),
    )
    assert told(described, rows)["a"].lags == {"deep": 60_000, "top": 7, "x": 60_000}
    rows = seen(unit("a", "x/f", Freshness.FRESH), unit("a", "x/y/f", Freshness.FRESH, lag=9))
    assert told(described, rows)["a"].lags == {"deep": 9, "x": 0}


def test_a_weight_is_told() -> None:
    """How much of its bandwidth counts, and until when; nothing is told of a mirror that was never observed."""
    found = told(network("a", "b"), seen(MirrorObservation(mirror="a", weight=25, until=NOW)))
    assert found == {"a": MirrorHealth(checked=0, weight=25, until=NOW)}


def test_a_strangers_words_are_one_printable_line() -> None:
    """A server's own words in a reason can neither break a line or a snapshot, nor fill it."""
    found = told(network("a"), seen(url("a", HTTPS, reason=f"503\x1b[2J \r\nGo\u2028away \ud800{'x' * 999}")))
    reason = found["a"].down[0].reason
    assert reason.startswith("503 [2J Go away xx")
    assert len(reason) == 200


def test_what_exceeds_the_room_of_a_mirror_is_not_told() -> None:
    """Ten thousand stale units of one mirror still make a snapshot; those that are left out are told first."""
    rows = [
        unit("a", f"{'d' * 200}{number}/f", Freshness.STALE if number % 2 else Freshness.LATE, reason="r" * 200)
        for number in range(10_000)
    ]
    found = told(network("a", "b"), seen(*rows))["a"].old
    assert 3_000 < len(found) < 5_000
    assert not any(row.offered for row in found)


def test_the_same_lists_are_known() -> None:
    """Only what changes a list counts: not a newer check, a longer lag or another reason."""
    described = network("a", "b")
    families = url("a", HTTP), url("a", HTTP, Reachability.UP, family=6)
    before, later = (
        apply(described, seen(unit("a", "x/f", reason=reason, lag=lag), *families, taken=lag)).records
        for reason, lag in (("old", 5), ("older", 6))
    )
    assert before != later
    assert same_lists(before, later)
    changes = (
        seen(unit("a", "y/f")),
        seen(unit("a", "x/f"), url("a", HTTP)),
        seen(unit("a", "x/f"), MirrorObservation(mirror="b", weight=10, until=0)),
    )
    for change in changes:
        assert not same_lists(before, apply(described, change).records)
    details = FileDetails(current=FileVersion(timestamp=1, size=1), alternates=())
    assert not same_lists(before, replace(before, files={("c", "f"): details}))
