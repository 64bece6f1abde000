"""Sources full of mistakes: the first ones are told, with file and line, and the run costs no more for the others."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import pytest

from mirrorlist_snapshot.errors import Complaint, SourceError
from mirrorlist_snapshot.source import read_sources
from mirrorlist_snapshot.source.bounded import MAX_COMPLAINTS, Complaints

if TYPE_CHECKING:
    from pathlib import Path

MANY = 3 * MAX_COMPLAINTS

GOOD = {"categories": {"c": {}}, "repositories": {"r": {"category": "c"}}}


def with_mirror(**facts: object) -> dict[str, object]:
    """A description whose one mirror has these facts."""
    return {**GOOD, "mirrors": {"m": {"country": "DE", "categories": {"c": "https://m.example.org/"}, **facts}}}


SEVERAL_RECORDS: dict[str, object] = {
    "values of many records": {**GOOD, "mirrors": {f"m{n}": {"country": "XX"} for n in range(MANY)}},
    "references of many records": {
        **GOOD,
        "mirrors": {f"m{n}": {"country": "DE", "categories": {"x": "https://m.example.org/"}} for n in range(MANY)},
    },
    "sections": {**GOOD, **{f"s{n}": 1 for n in range(MANY)}},
    "names": {**GOOD, "mirrors": {f"m{n} ": {"country": "DE"} for n in range(MANY)}},
    "records that are none": {**GOOD, "mirrors": dict.fromkeys((f"m{n}" for n in range(MANY)), 1)},
}
"""What has the mistakes -> a document of many mistakes in many records."""
ONE_RECORD: dict[str, object] = {
    "a list of values": with_mirror(asns=["x"] * MANY),
    "a list of tables": with_mirror(netblocks=[{"prefix": "x"}] * MANY),
    "a list in a list": {**GOOD, "overrides": {"neighbours": {"DE": [["XX"] * MANY]}}},
    "keys of a table": with_mirror(**{f"k{n}": 1 for n in range(MANY)}),
    "a map of tables": with_mirror(categories={f"c{n}": {"urls": "x"} for n in range(MANY)}),
    "a map of texts": {**GOOD, "overrides": {"netblocks": {f"n{n}": "DE" for n in range(MANY)}}},
    "architectures": {"repositories": {"r": {"arches": {f"a{n}": {"path": ".."} for n in range(MANY)}}}},
}
"""What has the mistakes -> a document of many mistakes in one record."""


def complaints(path: Path, document: object) -> tuple[Complaint, ...]:
    """The complaints about a document that is written with a value on each line."""
    path.write_text(json.dumps(document, indent=1))
    with pytest.raises(SourceError) as caught:
        read_sources([path])
    return caught.value.complaints


@pytest.mark.parametrize("kind", SEVERAL_RECORDS)
def test_the_first_mistakes_of_many_are_told(tmp_path: Path, kind: str) -> None:
    """As many as the limit, each with its line, and that there are more."""
    *first, last = [one for one in complaints(tmp_path / "a.json", SEVERAL_RECORDS[kind]) if not one.warning]
    assert len(first) == MAX_COMPLAINTS
    assert all(one.line is not None and one.file == str(tmp_path / "a.json") for one in first)
    assert last.message == f"there are more mistakes; these are the first {MAX_COMPLAINTS:,}"


@pytest.mark.parametrize("kind", ONE_RECORD)
def test_a_record_of_many_mistakes_is_named_with_some_of_them(tmp_path: Path, kind: str) -> None:
    """The record's own complaint says that there are too many; a few are told as ever."""
    found = [one for one in complaints(tmp_path / "a.json", ONE_RECORD[kind]) if not one.warning]
    assert f"has more than {MAX_COMPLAINTS:,} mistakes" in [one.message for one in found]
    assert 2 < len(found) < MAX_COMPLAINTS / 2
    assert all(
        one.line is not None for one in found if "more than" not in one.message and "none in any" not in one.message
    )


def test_a_key_that_is_given_a_thousand_times_is_told_a_thousand_times_at_most(tmp_path: Path) -> None:
    """The duplicates of JSON, which the reader finds, are bounded, too."""
    (tmp_path / "a.json").write_text("{" + ",\n".join(['"mirrors": {}'] * MANY) + "}")
    with pytest.raises(SourceError) as caught:
        read_sources([tmp_path / "a.json"])
    assert len(caught.value.complaints) == MAX_COMPLAINTS + 1


def test_warnings_are_bounded_and_hide_no_mistake(tmp_path: Path) -> None:
    """Mirrors without a country are a warning each; what comes after a thousand of them is counted, a mistake told."""
    mirrors: dict[str, object] = {f"m{n}": {"categories": {"c": f"https://m{n}.example.org/"}} for n in range(MANY)}
    found = complaints(tmp_path / "a.json", {**GOOD, "mirrors": {**mirrors, "z": {"categories": {"x": "https://z/"}}}})
    assert [one.key for one in found if not one.warning] == ["mirrors.z.categories.x"]
    assert found[-1].message == f"there are {MANY + 1 - MAX_COMPLAINTS:,} more warnings"


def test_no_more_mistakes_are_looked_for_than_are_told() -> None:
    """Finding each takes time."""
    found = itertools.repeat(Complaint(file="a.toml", line=1, key="", message="wrong"), MANY)
    complaints = Complaints()
    complaints.add(found)
    assert len(complaints.told()) == MAX_COMPLAINTS + 1
    assert len(list(found)) > MANY / 2, "the others were not asked for"


def test_a_mistake_far_down_a_long_list_is_told_with_its_position(tmp_path: Path) -> None:
    """Long lists are validated in parts; a mistake has the position and the line that it has in the whole."""
    directories = [f"d/{n}" for n in range(MANY)]
    directories[2_500] = "../x"
    listed = {"categories": {"c": {"kind": "listed", "directories": directories}}, "repositories": GOOD["repositories"]}
    (found,) = [one for one in complaints(tmp_path / "a.json", listed) if "directories" in one.key]
    assert found.key == "categories.c.directories[2500]"
    assert found.line == 6 + 2_500


def test_long_lists_and_maps_are_read_whole(tmp_path: Path) -> None:
    """Every item arrives, in order, wherever the parts of the validation end."""
    directories = [f"d/{n}" for n in range(MANY)]
    mirrors = {f"m{n}": {"country": "DE", "categories": {"c": f"https://m{n}.example.org/"}} for n in range(MANY)}
    document = {
        "categories": {"c": {"kind": "listed", "directories": directories}},
        "repositories": {"r": {"category": "c", "path": "d/0"}},
        "mirrors": mirrors,
    }
    (tmp_path / "a.json").write_text(json.dumps(document))
    records, _ = read_sources([tmp_path / "a.json"])
    assert [one.name for one in records.mirrors] == list(mirrors)
    assert set(records.directories["c"]) == set(directories)
