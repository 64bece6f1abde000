"""Alternates: which earlier versions of a file a snapshot still states, by tables and by properties."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlist_snapshot.file_details.alternates import (
    MAX_ALTERNATES,
    PreviousFiles,
    directories_of,
    with_alternates,
    with_file_details,
)
from mirrorlist_snapshot.model import Category, CategoryKind, FileDetails, FileVersion, Overrides
from mirrorlist_snapshot.records import NetworkRecords, RepositoryDirectoryRecord, RepositoryRecord
from support.snapshots import mirror, snapshot_of

DAY = 86_400
WEEK = 7 * DAY


def version(content: str, day: float = 0) -> FileVersion:
    """A version with some content, modified on a day."""
    data = content.encode()
    sums = {name: hashlib.new(name, data, usedforsecurity=False).hexdigest() for name in ("md5", "sha256")}
    return FileVersion(timestamp=round(day * DAY), size=len(data), md5=sums["md5"], sha256=sums["sha256"])


def details(*versions: FileVersion) -> FileDetails:
    """The current version and its alternates."""
    return FileDetails(current=versions[0], alternates=versions[1:])


A, B, C = version("a", 1), version("b", 10), version("c", 20)


@pytest.mark.parametrize(
    ("current", "before", "today", "expected"),
    [
        pytest.param(A, None, 1, [], id="new file"),
        pytest.param(A, details(A), 1, [], id="unchanged"),
        pytest.param(replace(A, timestamp=5 * DAY), details(A), 5, [], id="only touched"),
        pytest.param(B, details(A), 10, [A], id="just replaced"),
        pytest.param(B, details(A), 16.9, [A], id="replaced less than a week ago"),
        pytest.param(B, details(A), 17, [], id="replaced a week ago"),
        pytest.param(B, details(B, A), 16.9, [A], id="unchanged, alternate stays"),
        pytest.param(B, details(B, A), 17, [], id="unchanged, alternate ages out"),
        pytest.param(C, details(B, A), 20, [B], id="age counts from the replacement, not from the version"),
        pytest.param(version("c", 12), details(B, A), 12, [B, A], id="two replacements in a week"),
        pytest.param(version("a", 12), details(B, A), 12, [B], id="an earlier version came back"),
        pytest.param(A, details(B), 12, [B], id="restored with its old time: replaced after it existed"),
        pytest.param(A, details(B), 17, [], id="restored with its old time, a week later"),
        pytest.param(version("b", 99), details(A), 10, [A], id="time in the future"),
        pytest.param(replace(A, md5=None), details(replace(A, sha256=None)), 1, [], id="no hash in common, same time"),
        pytest.param(
            replace(A, md5=None),
            details(replace(A, sha256=None, size=2)),
            1,
            [replace(A, sha256=None, size=2)],
            id="size",
        ),
        pytest.param(
            replace(B, md5=None), details(replace(A, sha256=None)), 10, [replace(A, sha256=None)], id="no hash"
        ),
        pytest.param(replace(A, md5=None), details(A), 1, [], id="one hash in common"),
    ],
)
def test_alternates(
    current: FileVersion, before: FileDetails | None, today: float, expected: list[FileVersion]
) -> None:
    """What was current becomes the newest alternate, for a week from its replacement on."""
    found = with_alternates(current, before, built=round(today * DAY), keep=WEEK)
    assert found == FileDetails(current=current, alternates=tuple(expected))


def test_keeping_nothing() -> None:
    """With zero days there are no alternates, whatever the times say."""
    for built in (0, 10 * DAY):
        assert with_alternates(B, details(A), built=built, keep=0).alternates == ()


@pytest.mark.slow
def test_alternates_are_bounded() -> None:
    """Of very many versions in a week the newest stay."""
    found: FileDetails | None = None
    versions = [version(str(number), number / 100) for number in range(3 * MAX_ALTERNATES)]
    for one in versions:
        found = with_alternates(one, found, built=DAY, keep=WEEK)
    assert found == details(*versions[: -MAX_ALTERNATES - 2 : -1])


_VERSIONS = st.builds(version, st.sampled_from("abcdef"), st.integers(0, 30))


@settings(max_examples=200)
@given(
    current=_VERSIONS,
    before=st.none() | st.lists(_VERSIONS, min_size=1, max_size=40).map(lambda versions: details(*versions)),
    today=st.integers(0, 40),
    keep=st.integers(0, 20),
)
def test_alternates_always(current: FileVersion, before: FileDetails | None, today: int, keep: int) -> None:
    """Alternates repeat no content, come from before in that order, stay the same when said again, and only age out."""
    built, seconds = today * DAY, keep * DAY
    found = with_alternates(current, before, built=built, keep=seconds)
    assert found.current == current
    contents = [(one.size, one.sha256) for one in (current, *found.alternates)]
    assert len(set(contents)) == len(contents) <= 1 + MAX_ALTERNATES
    remaining = iter((before.current, *before.alternates) if before else ())
    assert all(one in remaining for one in found.alternates)
    assert with_alternates(current, found, built=built, keep=seconds) == found
    later = with_alternates(current, found, built=built + DAY, keep=seconds)
    assert later.alternates == found.alternates[: len(later.alternates)]
    assert with_alternates(current, found, built=built + 100 * DAY, keep=seconds).alternates == ()


def test_earlier_details_are_found_by_name() -> None:
    """Category numbers differ between snapshots; names do not."""
    snapshot = snapshot_of(
        [mirror("m")],
        categories=(
            Category(name="a", kind=CategoryKind.LISTED, top=""),
            Category(name="b", kind=CategoryKind.LISTED, top=""),
        ),
        files={b"\0\1d/f\xc3\xa9": details(A)},
    )
    earlier = PreviousFiles.of(snapshot)
    assert earlier.find("b", "d/fé") == details(A)
    assert earlier.find("a", "d/fé") is None
    assert earlier.find("c", "d/fé") is None
    assert PreviousFiles.of(None).find("b", "d/fé") is None


RECORDS = NetworkRecords(
    categories=(),
    mirrors=(),
    repositories=(
        RepositoryRecord(
            name="r",
            disabled=False,
            directories=(
                RepositoryDirectoryRecord(arch="x", category="c", path="r/x"),
                RepositoryDirectoryRecord(arch="y", category="other", path="r/y"),
            ),
        ),
        RepositoryRecord(
            name="s", disabled=True, directories=(RepositoryDirectoryRecord(arch="", category="c", path="d"),)
        ),
    ),
    aliases={},
    directories={"c": {"d": frozenset(), "e": frozenset()}, "other": {"f": frozenset()}},
    files={("c", "d/described"): details(C)},
    overrides=Overrides(continents={}, neighbours={}, never_served={}),
    netblock_countries={},
    asn_netblocks={},
)


def test_directories() -> None:
    """A category's directories are those of its repositories and those it lists."""
    assert directories_of(RECORDS, "c") == ["d", "e", "r/x"]
    assert directories_of(RECORDS, "none") == []


def test_what_the_sources_say_wins() -> None:
    """Described files stay as they are; others get what was found, and unread ones keep what was said before."""
    earlier = PreviousFiles.of(
        snapshot_of(
            [mirror("m")],
            files={b"\0\0d/described": details(A), b"\0\0d/found": details(A), b"\0\0d/unread": details(B)},
        )
    )
    found = {("c", "d/described"): B, ("c", "d/found"): B, ("c", "d/new"): B}
    unread = [("c", "d/unread"), ("c", "d/never-known"), ("c", "d/described")]
    filled = with_file_details(RECORDS, found, unread, earlier, built=10 * DAY, keep=WEEK)
    assert filled.files == {
        ("c", "d/described"): details(C),
        ("c", "d/found"): details(B, A),
        ("c", "d/new"): details(B),
        ("c", "d/unread"): details(B),
    }
    assert replace(filled, files=RECORDS.files) == RECORDS
