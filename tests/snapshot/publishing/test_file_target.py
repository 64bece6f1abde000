"""Publishing: the old file or the new one, whole, and nothing beside it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mirrorlist_snapshot
from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.errors import PublishedError, PublishError, SnapshotError
from mirrorlist_snapshot.publishing.file_target import FileTarget, write_snapshot
from support.snapshots import mirror, snapshot_of

if TYPE_CHECKING:
    from collections.abc import Iterator

ONE = snapshot_of([mirror("m")])
OLD, NEW = (snapshot_format.encode(replace(ONE, serial=serial)) for serial in (1, 2))


@pytest.fixture
def umask() -> Iterator[None]:
    """A umask that takes group and others their rights, restored afterwards."""
    before = os.umask(0o027)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    """A file's permissions."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
def test_a_new_file(tmp_path: Path) -> None:
    """A new file holds exactly the bytes, has 0644 less the umask, and is alone in its folder."""
    target = tmp_path / "new.mls"
    write_snapshot(NEW, target)
    assert target.read_bytes() == NEW
    assert mode(target) == 0o640
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.usefixtures("umask")
def test_an_old_file_is_replaced_and_keeps_its_mode(tmp_path: Path) -> None:
    """A replaced file keeps its permissions; whoever has the old one open still reads the old one."""
    target = tmp_path / "a.mls"
    target.write_bytes(OLD)
    target.chmod(0o604)
    with target.open("rb") as reader:
        write_snapshot(NEW, target)
        assert reader.read() == OLD
    assert target.read_bytes() == NEW
    assert mode(target) == 0o604


def test_a_symbolic_link_stays(tmp_path: Path) -> None:
    """Through a symbolic link, the file that it names is replaced, in its own folder."""
    (tmp_path / "data").mkdir()
    target, link = tmp_path / "data" / "a.mls", tmp_path / "current.mls"
    target.write_bytes(OLD)
    link.symlink_to(target)
    write_snapshot(NEW, link)
    assert link.is_symlink()
    assert target.read_bytes() == NEW
    assert [one.name for one in (tmp_path / "data").iterdir()] == ["a.mls"]


def test_what_is_no_snapshot_is_not_published(tmp_path: Path) -> None:
    """Bytes that do not verify leave the old file and no other."""
    target = tmp_path / "a.mls"
    target.write_bytes(OLD)
    for data in (b"", NEW[:-1], NEW[:-8] + b"damaged!"):
        with pytest.raises(SnapshotError):
            write_snapshot(data, target)
    assert target.read_bytes() == OLD
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("name", ["folder", "fifo", "missing/a.mls", "file/a.mls", "loop", "n" * 300])
def test_places_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    """What is no regular file is not replaced, what cannot be written is said, and nothing is left behind."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "fifo")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(PublishError, match="cannot write"):
        write_snapshot(NEW, tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.process
def test_a_full_disk(tmp_path: Path) -> None:
    """A write that fails half-way leaves the old file and no temporary one: here at a limit on the size of files."""
    target = tmp_path / "a.mls"
    target.write_bytes(OLD)
    (tmp_path / "new").write_bytes(NEW)
    program = f"""
import pathlib, resource, signal
from mirrorlist_snapshot.errors import PublishError
from mirrorlist_snapshot.publishing.file_target import FileTarget, write_snapshot
data = pathlib.Path("new").read_bytes()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({len(NEW) // 2}, {len(NEW) // 2}))
try:
    write_snapshot(data, pathlib.Path("a.mls"))
except PublishError as error:
    print(error)
"""
    environment = os.environ | {"PYTHONPATH": str(Path(mirrorlist_snapshot.__file__).parents[1])}
    result = subprocess.run(
        [sys.executable, "-B", "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert result.stdout == "cannot write a.mls: File too large\n"
    assert target.read_bytes() == OLD
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.mls", "new"]


@pytest.mark.slow
def test_readers_never_see_half_a_file(tmp_path: Path) -> None:
    """While files are published, a reader that opens the name finds a whole snapshot each time."""
    target = tmp_path / "a.mls"
    target.write_bytes(OLD)
    done = threading.Event()
    seen: set[int] = set()

    def read() -> None:
        while not done.is_set():
            seen.add(snapshot_format.verify(target.read_bytes()).serial)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(30):
            write_snapshot(NEW, target)
            write_snapshot(OLD, target)
    finally:
        done.set()
        reader.join()
    assert seen <= {1, 2}
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("failure", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_a_failure_after_the_rename_is_no_unchanged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    """The folder cannot be flushed, or Ctrl-C comes then: the new file is in place, and the error says so."""
    target = tmp_path / "a.mls"
    target.write_bytes(OLD)
    flush = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise failure
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(PublishedError, match=r"a\.mls is in place, but its folder cannot be flushed to disk: [Ii]"):
        write_snapshot(NEW, target)
    assert target.read_bytes() == NEW
    assert [one.name for one in tmp_path.iterdir()] == ["a.mls"]


def test_ctrl_c_before_the_rename_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no temporary one; the command ends as interrupted."""
    target = tmp_path / "a.mls"
    target.write_bytes(OLD)

    def fsync(_descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(KeyboardInterrupt):
        write_snapshot(NEW, target)
    assert target.read_bytes() == OLD
    assert [one.name for one in tmp_path.iterdir()] == ["a.mls"]


def test_ctrl_c_among_generations_is_no_unchanged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The snapshot is in place by then."""
    target = FileTarget(tmp_path / "a.mls")
    target.path.write_bytes(OLD)

    def generations(_: FileTarget) -> list[int]:
        raise KeyboardInterrupt

    monkeypatch.setattr(FileTarget, "generations", generations)
    with pytest.raises(PublishedError, match="in place, but the work on generations was interrupted"):
        target.replace(NEW, 1, keep=1)
    assert target.path.read_bytes() == NEW
