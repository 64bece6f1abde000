"""Publishing by rules: what is refused and why, what is kept, and the way back."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.errors import LossError, PublishError, SnapshotError
from mirrorlist_snapshot.publishing.file_target import FileTarget
from mirrorlist_snapshot.publishing.rules import PublicationRules, publish, rollback
from mirrorlist_snapshot.signing import SigningKey, TrustedKeys
from support.snapshot_command import json_of, run
from support.snapshots import mirror, snapshot_of

if TYPE_CHECKING:
    from pathlib import Path

KEY = SigningKey.generate()
FORCE = PublicationRules(force=True)


def snapshot(serial: int, mirrors: int = 10, *, first: int = 0) -> bytes:
    """A snapshot of so many mirrors; those with other numbers are others."""
    return snapshot_format.encode(
        snapshot_of([mirror(f"m{number}") for number in range(first, first + mirrors)], serial=serial)
    )


@pytest.fixture
def target(tmp_path: Path) -> FileTarget:
    """A place where nothing is yet."""
    return FileTarget(tmp_path / "a.mls")


def names(target: FileTarget) -> list[str]:
    """All files there."""
    return sorted(path.name for path in target.path.parent.iterdir())


def serial(target: FileTarget) -> int:
    """Serial of what is in place."""
    return snapshot_format.header(target.path.read_bytes()).serial


def test_generations_are_kept(target: FileTarget) -> None:
    """What was in place stays beside the file, as many generations as are to be kept; names sort as serials do."""
    for number in (8, 9, 10, 11):
        publish(snapshot(number), target, PublicationRules(keep=2))
    assert names(target) == ["a.mls", "a.mls.0000000000000000009", "a.mls.0000000000000000010"]
    assert target.generations() == [10, 9]
    assert target.generation(9) == snapshot(9)
    publish(snapshot(12), target, PublicationRules(keep=0))
    assert names(target) == ["a.mls"]


def test_what_is_in_place_already(target: FileTarget) -> None:
    """Publishing the same bytes again changes nothing and is no mistake: a job may be run twice."""
    assert publish(snapshot(1), target, PublicationRules()).changed
    before = target.path.stat()
    again = publish(snapshot(1), target, PublicationRules())
    assert (again.changed, again.header.serial) == (False, 1)
    assert target.path.stat() == before
    assert names(target) == ["a.mls"]


@pytest.mark.parametrize(
    ("new", "complaint"),
    [
        pytest.param(snapshot(6, 8), r"more than 10 % would be lost: 2 of 10 mirrors \(20.0 %\): m8, m9", id="loss"),
        pytest.param(snapshot(4), "serial 4 is not more than 5", id="older"),
        pytest.param(snapshot(5, 11), "serial 5 is not more than 5", id="the same serial for something else"),
        pytest.param(snapshot(4, 8), "serial 4 .*; more than 10 %", id="both"),
    ],
)
def test_what_is_refused(target: FileTarget, new: bytes, complaint: str) -> None:
    """What the rules refuse changes nothing; with force it is published, with the same words as a warning."""
    publish(snapshot(5), target, PublicationRules())
    with pytest.raises((PublishError, LossError), match=complaint):
        publish(new, target, PublicationRules())
    assert names(target) == ["a.mls"]
    assert serial(target) == 5
    done = publish(new, target, FORCE)
    assert target.path.read_bytes() == new
    assert "; ".join(done.warnings)
    assert done.replaced == 5
    assert target.generation(5) == snapshot(5)


def test_a_tenth_may_go(target: FileTarget) -> None:
    """One mirror of ten is not more than a tenth; a stricter limit refuses it."""
    publish(snapshot(5), target, PublicationRules())
    with pytest.raises(LossError, match="more than 9 %"):
        publish(snapshot(6, 9), target, PublicationRules(limit=0.09))
    done = publish(snapshot(6, 9), target, PublicationRules())
    assert [(loss.kind, loss.lost) for loss in done.losses] == [
        ("mirrors", 1),
        ("repositories", 0),
        ("directories", 0),
    ]


def test_what_is_no_snapshot_is_not_even_forced(target: FileTarget) -> None:
    """Force is about the rules: bytes that do not verify are never published."""
    publish(snapshot(5), target, PublicationRules())
    for data in (b"", snapshot(6)[:-1], snapshot(6)[:-8] + b"damaged!"):
        with pytest.raises(SnapshotError):
            publish(data, target, FORCE)
    assert target.path.read_bytes() == snapshot(5)


@pytest.mark.parametrize("damage", [b"", b"damaged"])
def test_a_damaged_file_is_replaced(target: FileTarget, damage: bytes) -> None:
    """What is no good snapshot is replaced and not kept; the newest generation says what would be lost."""
    for number in (5, 6):
        publish(snapshot(number), target, PublicationRules())
    target.path.write_bytes(damage)
    with pytest.raises(LossError):
        publish(snapshot(7, 5), target, PublicationRules())
    done = publish(snapshot(7), target, PublicationRules())
    assert (done.replaced, done.losses[0].before) == (None, 10)
    assert "the file in place is no valid snapshot" in done.warnings[0]
    assert target.generations() == [5]


def test_signatures(target: FileTarget) -> None:
    """A publication can be signed; where signed ones are in place, an unsigned one is refused."""
    done = publish(snapshot(5), target, PublicationRules(signer=KEY))
    trusted = TrustedKeys({KEY.key_id: KEY.private.public_key()})
    assert trusted.verify(target.path.read_bytes()) == KEY.key_id.hex() == done.header.key_id
    with pytest.raises(PublishError, match="is signed, this one is not; sign it with --sign-key"):
        publish(snapshot(6), target, PublicationRules())
    publish(snapshot(6, 11), target, PublicationRules(signer=KEY))
    with pytest.raises(PublishError, match="is signed, this one is not"):
        rollback(target, PublicationRules())
    rollback(target, PublicationRules(signer=KEY))
    assert trusted.verify(target.path.read_bytes())


@pytest.mark.slow
def test_rollback(target: FileTarget) -> None:
    """The content of before comes back under a serial that grows, and again: further back; none is lost by it."""
    for number in (3, 5, 7):
        publish(snapshot(number, first=number), target, FORCE)
    for expected, now in ((5, 8), (3, 9)):
        done = rollback(target, FORCE)
        assert (done.header.serial, serial(target)) == (now, now)
        assert target.path.read_bytes()[192:] == snapshot(1, first=expected)[192:]
    with pytest.raises(PublishError, match="nothing older was kept"):
        rollback(target, FORCE)
    assert target.generations() == [8, 7, 5, 3]


def test_rollback_to_a_serial(target: FileTarget) -> None:
    """Any generation that was kept can come back by its serial; the message of another one lists them."""
    for number in (3, 5, 7):
        publish(snapshot(number, number), target, FORCE)
    with pytest.raises(LossError, match="4 of 7 mirrors"):
        rollback(target, PublicationRules(), to=3)
    rollback(target, FORCE, to=3)
    assert serial(target) == 8
    with pytest.raises(PublishError, match="no generation with serial 4 was kept; those that were: 7, 5, 3"):
        rollback(target, FORCE, to=4)


def test_rollback_from_damage(target: FileTarget) -> None:
    """Where what is in place is damaged or gone, the newest generation comes back, under a new serial."""
    for number in (3, 5):
        publish(snapshot(number), target, PublicationRules())
    target.path.write_bytes(b"damaged")
    rollback(target, PublicationRules())
    assert serial(target) > 1_700_000_000, "more than any that the damaged file may have had"
    target.path.unlink()
    rollback(target, PublicationRules())
    assert target.path.read_bytes()[192:] == snapshot(3)[192:]


def test_rollback_without_generations(target: FileTarget) -> None:
    """There is nothing to go back to, and that is said."""
    with pytest.raises(PublishError, match="nothing older was kept"):
        rollback(target, PublicationRules())
    publish(snapshot(3), target, PublicationRules())
    with pytest.raises(PublishError, match="nothing older was kept"):
        rollback(target, PublicationRules())


def test_mode_and_group_stay(target: FileTarget) -> None:
    """The file keeps its permissions and its group, and generations have those that they had in place."""
    publish(snapshot(1), target, PublicationRules())
    group = max(os.getgroups(), default=os.getgid())
    os.chown(target.path, -1, group)
    target.path.chmod(0o640)
    publish(snapshot(2), target, PublicationRules())
    for path in (target.path, target.path.with_name("a.mls.0000000000000000001")):
        found = path.stat()
        assert (found.st_mode & 0o777, found.st_gid) == (0o640, group)


def test_only_one_at_a_time(target: FileTarget) -> None:
    """While somebody publishes, nobody else does: what was compared is what is replaced."""
    with target.locked(), pytest.raises(PublishError, match="another process is publishing there; try again"):
        publish(snapshot(1), target, PublicationRules())
    publish(snapshot(1), target, PublicationRules())


def test_a_failure_leaves_nothing_behind(target: FileTarget) -> None:
    """Where a file cannot be put in place, what was there stays, and no second name of it."""
    publish(snapshot(1), target, PublicationRules())
    with pytest.raises(PublishError, match="cannot write"):
        publish(snapshot(2), FileTarget(target.path / "below"), PublicationRules())
    with pytest.raises(SnapshotError):
        target.replace(b"nonsense", 1, 5)
    assert names(target) == ["a.mls"]


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from(["publish", "force", "rollback"]), st.integers(1, 9), st.integers(5, 12)))
)
def test_any_sequence(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]) -> None:
    """Whatever is published and rolled back: a good snapshot is in place, and serials grow unless forced."""
    target = FileTarget(tmp_path_factory.mktemp("any") / "a.mls")
    publish(snapshot(5), target, PublicationRules())
    for step, number, mirrors in steps:
        before, kept = target.path.read_bytes(), target.generations()
        try:
            if step == "rollback":
                rollback(target, PublicationRules(keep=3))
            else:
                publish(snapshot(number, mirrors), target, PublicationRules(force=step == "force", keep=3))
        except (PublishError, LossError):
            assert step != "force"
            assert (target.path.read_bytes(), target.generations()) == (before, kept)
        else:
            snapshot_format.verify(target.path.read_bytes())
            assert step == "force" or target.path.read_bytes() == before or serial(target) > _serial(before)
        assert len(target.generations()) <= 3


def _serial(data: bytes) -> int:
    return snapshot_format.header(data).serial


@pytest.mark.process
def test_the_commands(tmp_path: Path) -> None:
    """Both verbs as an operator goes through them: what is said, exit codes, the list, JSON."""
    (tmp_path / "a").write_bytes(snapshot(1))
    (tmp_path / "b").write_bytes(snapshot(2, 5))
    (tmp_path / "c").write_bytes(snapshot(3))
    assert "published t.mls: serial 1, " in run(tmp_path, "publish", "a", "t.mls").stderr
    assert "t.mls: in place already: serial 1" not in run(tmp_path, "publish", "c", "t.mls").stderr
    refused = run(tmp_path, "publish", "b", "t.mls", code=1).stderr
    assert "mirrorlist-snapshot: t.mls: refused: serial 2 is not more than 3" in refused
    assert "5 of 10 mirrors (50.0 %): m5, m6, m7, m8, m9" in refused
    told = run(tmp_path, "publish", "b", "t.mls", "--json", code=1)
    assert json_of(told)["error"] == told.stderr.removeprefix("mirrorlist-snapshot: ").strip()
    forced = run(tmp_path, "publish", "b", "t.mls", "--force", "--json")
    assert json_of(forced)["losses"][0]["lost"] == 5
    assert "warning: serial 2" in forced.stderr
    listed = json_of(run(tmp_path, "rollback", "t.mls", "--list", "--json"))
    assert [(one["where"], one["serial"], one["active_mirrors"]) for one in listed] == [
        ("in place", 2, 5),
        ("--to 3", 3, 10),
        ("--to 1", 1, 10),
    ]
    listed = run(tmp_path, "rollback", "t.mls", "--list").stdout
    assert "in place          serial 2, built 2023" in listed
    assert ", 5 active mirrors, 1 repository, 1 directory, unsigned" in listed
    back = run(tmp_path, "rollback", "t.mls", "--to", "1", "--keep", "1")
    assert "published t.mls: serial 4 instead of 2" in back.stderr
    replaced = replace(snapshot_of([mirror(f"m{number}") for number in range(10)]), serial=4)
    assert (tmp_path / "t.mls").read_bytes() == snapshot_format.encode(replaced)
    for bad in (("--keep", "-1"), ("--max-loss", "nan"), ("--readyz", "ftp://x/"), ("--wait", "x")):
        run(tmp_path, "publish", "a", "t.mls", *bad, code=2)
