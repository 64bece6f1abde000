"""File details from local trees: real files and links, read by the library and by the command as a user runs it."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import mirrorlist_snapshot
from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.file_details.alternates import PreviousFiles
from mirrorlist_snapshot.file_details.tree import WELL_KNOWN, check_name, read_tree
from mirrorlist_snapshot.model import FileDetails, FileVersion

DAY = 86_400
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


def write(tree: Path, path: str, content: str = "x", day: float = 1) -> Path:
    """Write a file below a tree, modified on a day since 1970."""
    file = tree / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    os.utime(file, (day * DAY, day * DAY))
    return file


def version(content: str, day: float = 1) -> FileVersion:
    """What a file with some content is, from a second implementation: one hash at a time."""
    data = content.encode()
    return FileVersion(
        timestamp=round(day * DAY),
        size=len(data),
        **{
            name: hashlib.new(name, data, usedforsecurity=False).hexdigest()
            for name in ("md5", "sha1", "sha256", "sha512")
        },
    )


def run(folder: Path, *arguments: str, code: int = 0, today: float = 1) -> subprocess.CompletedProcess[str]:
    """Compile `s.toml` in a folder on a day; the exit code must be `code`."""
    result = subprocess.run(
        [sys.executable, "-m", "mirrorlist_snapshot", "compile", "s.toml", *arguments],
        cwd=folder,
        env=environment(today),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert result.returncode == code, result
    assert "Traceback" not in result.stderr
    return result


def environment(today: float) -> dict[str, str]:
    """The environment of a user on a day."""
    root = str(Path(mirrorlist_snapshot.__file__).parents[1])
    changes = {"PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1", "SOURCE_DATE_EPOCH": str(round(today * DAY))}
    return dict(os.environ) | changes


def told(file: Path, category: str, path: str) -> FileDetails | None:
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


def test_every_well_known_name_is_read(tmp_path: Path) -> None:
    """Each name of the table is found below a directory, with size, time and all hashes; other files are left alone."""
    names = [name.replace("*", "some") for name in WELL_KNOWN]
    for number, name in enumerate(names):
        write(tmp_path, f"d/{name}", f"content of {name}" * number, number)
    for name in (
        "d/.rsync.db",
        "d/dists/InRelease",
        "d/pool/a.deb",
        "d/x/repodata/repomd.xml",
        "Release",
        "d/Release.gpg",
    ):
        write(tmp_path, name)
    reading = read_tree(tmp_path, ["d"])
    expected = {f"d/{name}": version(f"content of {name}" * number, number) for number, name in enumerate(names)}
    assert reading.files == expected
    assert (reading.complaints, reading.unread, reading.skipped) == ((), frozenset(), 0)
    assert reading.hashed == sum(one.size for one in expected.values())


def test_large_files_are_read_in_parts(tmp_path: Path) -> None:
    """Files of more than one chunk have the hashes of the whole, and progress adds up to their size."""
    content = "0123456789" * 300_000
    write(tmp_path, "Release", content)
    seen: list[tuple[str, int]] = []
    reading = read_tree(tmp_path, [""], progress=lambda path, size: seen.append((path, size)))
    assert reading.files == {"Release": version(content)}
    assert len(seen) > 1
    assert {path for path, _ in seen} == {"Release"}
    assert sum(size for _, size in seen) == len(content)


def test_names_of_the_users(tmp_path: Path) -> None:
    """More names can be asked for, with patterns in any part; a file that two patterns take is read once."""
    for name in ("images/a.iso", "images/b.txt", "v3/main/x86_64/APKINDEX.tar.gz", ".hidden"):
        write(tmp_path, name)
    names = ["images/*.iso", "images/a*", "v*/*/*/APKINDEX.tar.gz", ".hid*"]
    reading = read_tree(tmp_path, ["", "v3/main/x86_64", "not/there"], names=names)
    assert list(reading.files) == [".hidden", "images/a.iso", "v3/main/x86_64/APKINDEX.tar.gz"]
    assert reading.hashed == len(reading.files)


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "../a", "a/..", "./a", "**/a", "a/**"])
def test_names_that_no_file_has(name: str) -> None:
    """A name that could leave the directory, or would never match, is refused."""
    with pytest.raises(ValueError, match="must be a path below"):
        check_name(name)


def test_links_inside_the_tree_are_followed(tmp_path: Path) -> None:
    """A file has details under each of its names, and is read once."""
    write(tmp_path, "pool/core.db.tar.gz", "db")
    write(tmp_path, "dists/bookworm/InRelease", "one")
    (tmp_path / "core.db").symlink_to("pool/core.db.tar.gz")
    (tmp_path / "dists/stable").symlink_to("bookworm")
    (tmp_path / "latest").symlink_to(tmp_path / "pool", target_is_directory=True)
    (tmp_path / "pool/extra.db").symlink_to("core.db.tar.gz")
    reading = read_tree(tmp_path, ["", "latest"])
    assert reading.files == {
        "core.db": version("db"),
        "dists/bookworm/InRelease": version("one"),
        "dists/stable/InRelease": version("one"),
        "latest/extra.db": version("db"),
    }
    assert reading.hashed == len("db") + len("one")
    assert reading.complaints == ()


def test_links_out_of_the_tree_are_not_followed(tmp_path: Path) -> None:
    """Whatever a link names outside of the tree is not read, be it a file, a folder or a repository's directory."""
    tree = tmp_path / "tree"
    write(tmp_path, "secret/Release", "secret")
    write(tmp_path, "tree-2/Release", "beside, with the tree's name as the beginning of its own")
    write(tree, "Release", "public")
    (tree / "InRelease").symlink_to("../secret/Release")
    (tree / "a.db").symlink_to(tmp_path / "tree-2/Release")
    (tree / "dists").mkdir()
    (tree / "dists/x").symlink_to("../../secret")
    (tree / "directory").symlink_to(tmp_path / "secret")
    reading = read_tree(tree, ["", "directory"])
    assert reading.files == {"Release": version("public")}
    assert reading.unread == frozenset()
    assert [(Path(one.file).relative_to(tree).as_posix(), one.message) for one in reading.complaints] == [
        (path, "is a symbolic link out of the tree; skipped") for path in ("InRelease", "a.db", "dists/x", "directory")
    ]


def test_a_tree_may_itself_be_a_link(tmp_path: Path) -> None:
    """The tree is what its name leads to, as a mount point or a link to the current state."""
    write(tmp_path, "real/Release")
    (tmp_path / "tree").symlink_to("real")
    assert list(read_tree(tmp_path / "tree", [""]).files) == ["Release"]


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    """A pipe does not hang the compilation, broken links and loops are warned about, folders are simply not files."""
    os.mkfifo(tmp_path / "Release")
    (tmp_path / "a.db").symlink_to("nothing")
    (tmp_path / "b.db").symlink_to("b.db")
    (tmp_path / "summary").mkdir()
    write(tmp_path, "dists/README")
    reading = read_tree(tmp_path, ["", "dists/README"])
    assert reading.files == {}
    messages = {Path(one.file).name: one.message for one in reading.complaints}
    assert messages.pop("b.db").startswith("cannot be read: ")
    assert messages == {"Release": "is not a regular file; skipped", "a.db": "is a symbolic link to nothing; skipped"}


def test_what_cannot_be_read_is_a_warning() -> None:
    """A file that gives an error is named as unread; root may read everything but a process's memory at 0."""
    tree = Path("/proc/self")
    reading = read_tree(tree, [""], names=["mem"])
    assert "mem" in reading.unread
    (complaint,) = [one for one in reading.complaints if one.file == "/proc/self/mem"]
    assert complaint.message == "cannot be read: Input/output error"
    assert complaint.warning


def test_names_that_no_snapshot_can_have(tmp_path: Path) -> None:
    """File names that are no text, or would break a line, are warned about, visibly escaped."""
    for name in (b"a\n.db", b"\xff.db", b"good.db"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"")
    long = "/".join(["d" * 250] * 4)
    write(tmp_path, f"{long}/{'f' * 30}.db")
    reading = read_tree(tmp_path, ["", long])
    assert list(reading.files) == ["good.db"]
    shown = [one.file.rpartition("/")[2] for one in reading.complaints]
    assert shown == ["a\\n.db", "\\udcff.db", f"{'f' * 30}.db"]


def test_a_file_that_changes_once_is_read_again(tmp_path: Path) -> None:
    """What is stated is one state of the file, and the later one."""
    file = write(tmp_path, "Release", "before" * 1000)
    changes = iter(["after"])

    def change(_path: str, _size: int) -> None:
        if content := next(changes, None):
            write(tmp_path, "Release", content, 2)

    reading = read_tree(tmp_path, [""], progress=change)
    assert reading.files == {"Release": version("after", 2)}
    assert reading.complaints == ()
    assert file.read_text() == "after"


@pytest.mark.parametrize("rewritten", [False, True], ids=["growing", "rewritten with its old time"])
def test_a_file_that_keeps_changing_is_skipped(tmp_path: Path, *, rewritten: bool) -> None:
    """After the second attempt a file is left alone, with a warning; the others are read."""
    file = write(tmp_path, "InRelease", "one" * 1000)
    write(tmp_path, "Release")

    attempts: list[str] = []

    def change(path: str, size: int) -> None:
        if path == "InRelease":
            attempts.extend([path] if size > 1 else [])  # what grew since the attempt began is a second chunk of 1
            with file.open("r+" if rewritten else "a") as output:
                output.write("x")
            os.utime(file, (DAY, DAY))

    reading = read_tree(tmp_path, [""], progress=change)
    assert list(reading.files) == ["Release"]
    assert reading.unread == {"InRelease"}
    assert len(attempts) == 2
    (complaint,) = reading.complaints
    assert complaint.message == "changes while it is read; skipped this time"


def test_known_versions_are_trusted_only_with_all_facts(tmp_path: Path) -> None:
    """A known version stands for a file of its size and time, if it has every hash; otherwise the file is read."""
    names = ("Release", "InRelease", "a.db", "b.db")
    for name in names:
        write(tmp_path, name, "abc")
    claimed = version("xyz")
    known = {
        "Release": claimed,
        "InRelease": version("xyz", 2),
        "a.db": version("wxyz"),
        "b.db": FileVersion(timestamp=DAY, size=3, md5=claimed.md5),
    }
    reading = read_tree(tmp_path, [""], known=known.get)
    assert reading.files == {name: claimed if name == "Release" else version("abc") for name in names}
    assert reading.hashed == 9


def test_times_that_no_snapshot_can_state(tmp_path: Path) -> None:
    """A time before 1970 becomes 1970 rather than a refusal of the whole compilation."""
    write(tmp_path, "Release", day=-2)
    assert read_tree(tmp_path, [""]).files["Release"].timestamp == 0


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_tree_that_is_none(tmp_path: Path, name: str) -> None:
    """A tree that is missing or a file is an error: without it nothing would be stated, silently."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"No such file|Not a directory"):
        read_tree(tmp_path / name, [""])


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
    found = {key: told(folder / "a.mls", *key) for key in expected}
    assert found == {key: FileDetails(current=one, alternates=()) for key, one in expected.items()}


@pytest.mark.process
def test_compile_keeps_earlier_versions(folder: Path) -> None:
    """Builds on one file: a change makes an alternate of what was stated, which goes after --keep-alternates."""
    target, path = folder / "a.mls", "dists/stable/InRelease"

    def build(today: float, *flags: str) -> FileDetails | None:
        run(folder, "-o", "a.mls", *BOTH, *flags, today=today)
        return told(target, "c", path)

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
    found = told(folder / "b.mls", "c", "dists/stable/InRelease")
    assert found == FileDetails(current=version("two", 3), alternates=(version("one"),))
    assert (folder / "b.mls").read_bytes() == (folder / "c.mls").read_bytes()


@pytest.mark.process
def test_a_file_that_cannot_be_read_keeps_its_details(folder: Path) -> None:
    """What was stated before stays, rather than clients that accept anything."""
    run(folder, "-o", "a.mls", *BOTH)
    before = told(folder / "a.mls", "listed", "main/core.db")
    (folder / "listed/main/core.db").unlink()
    os.mkfifo(folder / "listed/main/core.db")
    result = run(folder, "-o", "a.mls", *BOTH, "--json", today=2)
    assert "listed/main/core.db: warning: is not a regular file; skipped" in result.stderr
    (complaint,) = json.loads(result.stdout)["complaints"]
    assert (complaint["file"], complaint["warning"]) == ("listed/main/core.db", True)
    assert told(folder / "a.mls", "listed", "main/core.db") == before
    (folder / "listed/main/core.db").unlink()
    run(folder, "-o", "a.mls", *BOTH, today=2)
    assert told(folder / "a.mls", "listed", "main/core.db") is None


@pytest.mark.process
def test_contents_are_read_again_unless_times_are_trusted(folder: Path) -> None:
    """A change that keeps size and time is seen by default, and not with --trust-mtime."""
    run(folder, "-o", "a.mls", *BOTH)
    write(folder / "tree", "dists/stable/InRelease", "eno")
    result = run(folder, "-o", "b.mls", *BOTH, "--previous", "a.mls", "--trust-mtime")
    assert "file details: 4 files, 0 bytes hashed" in result.stderr
    assert told(folder / "b.mls", "c", "dists/stable/InRelease") == told(
        folder / "a.mls", "c", "dists/stable/InRelease"
    )
    run(folder, "-o", "c.mls", *BOTH, "--previous", "a.mls")
    found = told(folder / "c.mls", "c", "dists/stable/InRelease")
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
        assert told(folder / "a.mls", "c", "dists/stable/InRelease") is not None


@pytest.mark.process
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param(["--file-details", "tree"], "Write CATEGORY=TREE; categories: c, listed", id="no name"),
        pytest.param(["--file-details", "x=tree"], "there is no category 'x'; categories: c, listed", id="unknown"),
        pytest.param(["--file-details", "c="], "name a directory behind the =", id="no tree"),
        pytest.param([*BOTH, "--file-details", "c=listed"], "category c is given twice", id="twice"),
        pytest.param([*BOTH, "--file-details-name", "../x"], "must be a path below", id="name"),
        pytest.param([*BOTH, "--keep-alternates", "nan"], "is no number of days", id="not a number"),
        pytest.param([*BOTH, "--keep-alternates", "-1"], "is no number of days", id="negative"),
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
        pytest.param([*BOTH, "--previous", "missing.mls"], "missing.mls: No such file", id="previous"),
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
    assert "a.mls: warning: cannot be read, so no file has alternates: " in result.stderr
    assert told(folder / "a.mls", "listed", "main/core.db") is not None


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
