"""File details from local trees: real files and links, read by the library and by the command as a user runs it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mirrorlist_snapshot.file_details.tree import WELL_KNOWN, check_name, read_tree
from mirrorlist_snapshot.model import FileVersion
from support.trees import DAY, version, write


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
