"""`compile --file-details`: what a snapshot gets from trees of files and from earlier snapshots."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.file_details.alternates import PreviousFiles
from mirrorlist_snapshot.model import FileDetails, FileVersion
from mirrorlistd.answering.decider import Decider
from mirrorlistd.answering.plan import AnswerSettings
from mirrorlistd.selection.index import Index
from support import snapshot_command
from support.trees import DAY, version, write
from support.worlds import Map, ask, urls

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 30
"""A limit for a command that takes a fraction of a second."""


SOURCE = """\
[categories.c]
kind = "open"
[categories.listed]
kind = "listed"
directories = ["main", "unnamed"]
[repositories.apt]
category = "c"
[repositories.rpm]
category = "c"
path = "9/{arch}"
arches = ["x86_64", "aarch64"]
[[repositories.rpm.files]]
path = "repodata/repomd.xml"
arch = "aarch64"
timestamp = 5
size = 6
[repositories.pacman]
category = "listed"
path = "main"
[mirrors.m]
country = "NL"
categories = { c = "https://m.example/", listed = "https://m.example/l/" }
"""


def run(folder: Path, *arguments: str, code: int = 0, today: float = 1) -> subprocess.CompletedProcess[str]:
    """Compile `s.toml` in a folder on a day; the exit code must be `code`."""
    return snapshot_command.run(folder, "compile", "s.toml", *arguments, code=code, **on(today))


def environment(today: float) -> dict[str, str]:
    """The environment of a user on a day."""
    return snapshot_command.environment(on(today))


def on(today: float) -> dict[str, str]:
    """The variable that makes it a day, in days since 1970."""
    return {"SOURCE_DATE_EPOCH": str(round(today * DAY))}


def details_in(file: Path, category: str, path: str) -> FileDetails | None:
    """What a snapshot file says about a file."""
    return PreviousFiles.of(snapshot_format.verify(file.read_bytes())).find(category, path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a source and the trees of its two categories."""
    (tmp_path / "s.toml").write_text(SOURCE)
    write(tmp_path, "tree/dists/stable/InRelease", "one")
    write(tmp_path, "tree/9/x86_64/repodata/repomd.xml", "<repomd/>")
    write(tmp_path, "tree/9/aarch64/repodata/repomd.xml", "<other/>")
    write(tmp_path, "listed/main/core.db", "db")
    write(tmp_path, "listed/unnamed/summary", "summary")
    return tmp_path


BOTH = ("--file-details", "c=tree", "--file-details", "listed=listed")


@pytest.mark.process
def test_compile_fills_in_file_details(folder: Path) -> None:
    """Repositories' and listed directories have their files' details; what the sources say wins over the tree."""
    result = run(folder, "-o", "a.mls", *BOTH)
    assert "file details: 4 files, 21 bytes hashed; 1 not read, the sources describe them\n" in result.stderr
    assert "warning" not in result.stderr
    assert "4 files" in result.stderr
    expected = {
        ("c", "dists/stable/InRelease"): version("one"),
        ("c", "9/x86_64/repodata/repomd.xml"): version("<repomd/>"),
        ("c", "9/aarch64/repodata/repomd.xml"): FileVersion(timestamp=5, size=6),
        ("listed", "main/core.db"): version("db"),
        ("listed", "unnamed/summary"): version("summary"),
    }
    found = {key: details_in(folder / "a.mls", *key) for key in expected}
    assert found == {key: FileDetails(current=one, alternates=()) for key, one in expected.items()}


@pytest.mark.process
def test_a_file_of_the_tree_that_a_mirror_leaves_out_stays_a_file(folder: Path) -> None:
    """`exclude` names the very file that the tree has: lists and metalinks of it have the other mirror alone."""
    file = "9/x86_64/repodata/repomd.xml"
    with (folder / "s.toml").open("a") as source:
        source.write('[mirrors.n]\ncountry = "NL"\n[mirrors.n.categories.c]\nurls = "https://n.example/"\n')
        source.write(f'exclude = "{file}"\n')
    run(folder, "-o", "a.mls", *BOTH)
    geo: Any = Map({})
    world = Decider(Index(snapshot_format.decode((folder / "a.mls").read_bytes())), geo, AnswerSettings(minimum=5))
    for query in (f"path=c/{file}", "repo=rpm&arch=x86_64&file=repodata/repomd.xml"):
        assert urls(ask(world, query)) == [f"https://m.example/{file}"]
    metalink = ask(world, "repo=rpm&arch=x86_64&format=metalink").body
    assert b"https://m.example/" in metalink
    assert b"https://n.example/" not in metalink


@pytest.mark.process
def test_compile_keeps_earlier_versions(folder: Path) -> None:
    """Builds on one file: a change makes an alternate of what was stated, which goes after --keep-alternates."""
    target, path = folder / "a.mls", "dists/stable/InRelease"

    def build(today: float, *flags: str) -> FileDetails | None:
        run(folder, "-o", "a.mls", *BOTH, *flags, today=today)
        return details_in(target, "c", path)

    assert build(1) == FileDetails(current=version("one"), alternates=())
    write(folder / "tree", path, "two", 9)
    assert build(9) == FileDetails(current=version("two", 9), alternates=(version("one"),))
    write(folder / "tree", path, "three", 10)
    assert build(10) == FileDetails(current=version("three", 10), alternates=(version("two", 9), version("one")))
    assert build(16.5) == FileDetails(current=version("three", 10), alternates=(version("two", 9),))
    assert build(16.5, "--keep-alternates", "0.5") == FileDetails(current=version("three", 10), alternates=())


@pytest.mark.process
def test_compile_from_another_snapshot(folder: Path) -> None:
    """--previous knows earlier versions for a new file; the same inputs give the same bytes."""
    run(folder, "-o", "a.mls", *BOTH)
    write(folder / "tree", "dists/stable/InRelease", "two", 3)
    for name in ("b.mls", "c.mls"):
        run(folder, "-o", name, *BOTH, "--previous", "a.mls", "--serial", "9", today=4)
    found = details_in(folder / "b.mls", "c", "dists/stable/InRelease")
    assert found == FileDetails(current=version("two", 3), alternates=(version("one"),))
    assert (folder / "b.mls").read_bytes() == (folder / "c.mls").read_bytes()


@pytest.mark.process
def test_a_file_that_cannot_be_read_keeps_its_details(folder: Path) -> None:
    """What was stated before stays, rather than clients that accept anything."""
    run(folder, "-o", "a.mls", *BOTH)
    before = details_in(folder / "a.mls", "listed", "main/core.db")
    (folder / "listed/main/core.db").unlink()
    os.mkfifo(folder / "listed/main/core.db")
    result = run(folder, "-o", "a.mls", *BOTH, "--json", today=2)
    assert "listed/main/core.db: warning: is not a regular file; skipped" in result.stderr
    (complaint,) = json.loads(result.stdout)["complaints"]
    assert (complaint["file"], complaint["warning"]) == ("listed/main/core.db", True)
    assert details_in(folder / "a.mls", "listed", "main/core.db") == before
    (folder / "listed/main/core.db").unlink()
    run(folder, "-o", "a.mls", *BOTH, today=2)
    assert details_in(folder / "a.mls", "listed", "main/core.db") is None


@pytest.mark.process
def test_contents_are_read_again_unless_times_are_trusted(folder: Path) -> None:
    """A change that keeps size and time is seen by default, and not with --trust-mtime."""
    run(folder, "-o", "a.mls", *BOTH)
    write(folder / "tree", "dists/stable/InRelease", "eno")
    result = run(folder, "-o", "b.mls", *BOTH, "--previous", "a.mls", "--trust-mtime")
    assert "file details: 4 files, 0 bytes hashed" in result.stderr
    assert details_in(folder / "b.mls", "c", "dists/stable/InRelease") == details_in(
        folder / "a.mls", "c", "dists/stable/InRelease"
    )
    run(folder, "-o", "c.mls", *BOTH, "--previous", "a.mls")
    found = details_in(folder / "c.mls", "c", "dists/stable/InRelease")
    assert found == FileDetails(current=version("eno"), alternates=(version("one"),))


@pytest.mark.process
def test_one_category_needs_no_name(folder: Path) -> None:
    """With one category the tree is enough, also where its path has an equals sign."""
    (folder / "s.toml").write_text(
        '[categories.c]\n[repositories.r]\ncategory = "c"\n[mirrors.m]\ncategories.c = "https://m/"'
    )
    (folder / "tree").rename(folder / "tree=1")
    for tree in ("./tree=1", "c=tree=1"):
        run(folder, "-o", "a.mls", "--file-details", tree)
        assert details_in(folder / "a.mls", "c", "dists/stable/InRelease") is not None


@pytest.mark.process
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param(["--file-details", "tree"], "write CATEGORY=TREE; categories: c, listed", id="no name"),
        pytest.param(["--file-details", "x=tree"], "there is no category 'x'; categories: c, listed", id="unknown"),
        pytest.param(["--file-details", "c="], "write a directory after the =", id="no tree"),
        pytest.param([*BOTH, "--file-details", "c=listed"], "category c is given twice", id="twice"),
        pytest.param([*BOTH, "--file-details-name", "../x"], "must be a path below", id="name"),
        pytest.param([*BOTH, "--keep-alternates", "nan"], "expected a number of days from 0", id="not a number"),
        pytest.param([*BOTH, "--keep-alternates", "-1"], "expected a number of days from 0", id="negative"),
        pytest.param(["--trust-mtime"], "need --file-details", id="nothing to do"),
    ],
)
def test_wrong_usage(folder: Path, flags: list[str], message: str) -> None:
    """Flags that make no sense together are exit code 2, with what is wrong and what would be right."""
    result = run(folder, "-o", "a.mls", *flags, code=2)
    assert message in result.stderr
    assert not (folder / "a.mls").exists()


@pytest.mark.process
@pytest.mark.parametrize(
    ("flags", "named"),
    [
        pytest.param(["--file-details", "c=missing"], "missing: cannot be read: No such file", id="tree"),
        pytest.param([*BOTH, "--previous", "missing.mls"], "missing.mls: cannot be read: No such file", id="previous"),
        pytest.param([*BOTH, "--previous", "s.toml"], "s.toml: expected", id="no snapshot"),
    ],
)
def test_what_must_be_there(folder: Path, flags: list[str], named: str) -> None:
    """A tree or an earlier snapshot that was named and cannot be read is exit code 1; nothing is written."""
    result = run(folder, "-o", "a.mls", *flags, code=1)
    assert result.stderr.startswith(f"mirrorlist-snapshot: {named}")
    assert not (folder / "a.mls").exists()


@pytest.mark.process
def test_a_damaged_snapshot_in_place_is_replaced(folder: Path) -> None:
    """Without alternates, and with a warning that says so."""
    (folder / "a.mls").write_bytes(b"damaged")
    result = run(folder, "-o", "a.mls", *BOTH)
    assert "a.mls: warning: cannot be used, so no file has alternates: " in result.stderr
    assert details_in(folder / "a.mls", "listed", "main/core.db") is not None


@pytest.mark.process
def test_a_tree_of_something_else_is_warned_about(folder: Path) -> None:
    """A tree in which nothing is found is probably not the category's top."""
    result = run(folder, "--check", "--file-details", "listed=tree")
    assert "tree: warning: has no file to read; is it the top directory of category listed?" in result.stderr
    assert "file details: 0 files, 0 bytes hashed" in result.stderr


@pytest.mark.process
def test_progress_only_on_a_terminal(folder: Path) -> None:
    """A terminal shows what is being read, on one line that is gone in the end; elsewhere there is none of it."""
    terminal, side = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "-m", "mirrorlist_snapshot", "compile", "s.toml", "--check", *BOTH],
            cwd=folder,
            env=environment(1),
            stdin=subprocess.DEVNULL,
            stderr=side,
            timeout=SECONDS,
            check=True,
        )
        output = os.read(terminal, 1 << 16).decode()
    finally:
        os.close(side)
        os.close(terminal)
    assert "\r\x1b[Khashed 3 bytes: dists/stable/InRelease" in output
    assert "\r\x1b[Kfile details: 4 files" in output
    assert "\r" not in run(folder, "--check", *BOTH).stderr
