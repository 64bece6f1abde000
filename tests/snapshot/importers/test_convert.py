"""`mirrorlist-snapshot convert`, and `compile --from FORMAT`, as a user runs them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from mirrorlist_snapshot import cli
from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.importers import FORMATS
from support import mirror_lists as lists
from support.snapshot_command import run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the list of every format in a folder of its name."""
    for kind, files in lists.LISTS.items():
        for name, text in files.items():
            path = tmp_path / kind / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    return tmp_path


def columns(kind: str) -> list[str]:
    """The flags that the list needs."""
    return [word for key, column in lists.COLUMNS.get(kind, {}).items() for word in ("--column", f"{key}={column}")]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_folder_compiles_to_what_the_list_compiles_to(folder: Path, kind: str) -> None:
    """`convert` and `compile` of its folder give the snapshot that `compile --from` gives, for a folder of the list."""
    assert cli.main(["convert", "--from", kind, kind, *columns(kind), "-o", "out"]) == 0
    assert cli.main(["compile", "out", "--serial", "1", "-o", "a.mls"]) == 0
    assert cli.main(["compile", "--from", kind, kind, *columns(kind), "--serial", "1", "-o", "b.mls"]) == 0
    assert (folder / "a.mls").read_bytes() == (folder / "b.mls").read_bytes()
    assert snapshot_format.verify((folder / "a.mls").read_bytes()).mirrors


def test_the_folder_says_where_things_are_from(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each mirror is a file with its place in the list and its comments; the rest is one file; the summary counts."""
    assert cli.main(["convert", "--from", "debian", "debian/Mirrors.masterlist", "-o", "new/out"]) == 0
    told = capsys.readouterr().err.splitlines()
    assert told[-2:] == [
        "wrote new/out: 8 files: 8 entries, 1 left out, 7 mirrors, 2 lines about what is not taken",
        "next: mirrorlist-snapshot compile new/out -o mirrors.mls",
    ]
    text = (folder / "new/out/ftp2.de.debian.example.toml").read_text("utf-8")
    assert text.startswith("# From debian/Mirrors.masterlist:25.\n# moved in spring\n\n[mirrors.")
    assert (folder / "new/out/network.toml").read_text("utf-8").startswith("# From debian/Mirrors.masterlist.\n")
    assert (folder / "new/out").stat().st_mode & 0o777 == 0o777 & ~_umask()
    assert [path.name for path in (folder / "new").iterdir()] == ["out"]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_json_for_programs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` has the counts and every line; `--check` writes nothing."""
    assert cli.main(["convert", "--from", "debian", "debian", "--check", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["entries"], facts["left"], facts["mirrors"], facts["folder"]) == (8, 1, 7, None)
    assert [line["line"] for line in facts["not_taken"]] == [53, 51]
    assert not (folder / "out").exists()


def test_a_folder_that_has_something_in_it_stays(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is ever written over: a folder with a file in it, or a file, is refused; an empty folder is taken."""
    for name in ("out", "file"):
        (folder / "full").mkdir(exist_ok=True)
        (folder / "full" / "mine.toml").write_text("mine")
        (folder / "file").write_text("mine")
        target = "full" if name == "out" else "file"
        assert cli.main(["convert", "--from", "urls", "urls", "-o", target]) == 1
        assert "is not an empty folder" in capsys.readouterr().err
    assert [path.name for path in (folder / "full").iterdir()] == ["mine.toml"]
    assert (folder / "file").read_text() == "mine"
    (folder / "empty").mkdir()
    assert cli.main(["convert", "--from", "urls", "urls", "-o", "empty"]) == 0


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        ("--from gentoo debian -o out", 1, "debian: has no file named *.xml in it"),
        ("--from gentoo debian/Mirrors.masterlist -o out", 1, "Mirrors.masterlist:1: is no XML"),
        ("--from debian mirmon/list.txt -o out", 1, "nothing of the list can be taken; is it in the format debian?"),
        ("--from debian nowhere -o out", 1, "nowhere: cannot be read: No such file or directory"),
        ("--from csv csv --column url=Nothing -o out", 1, "has no column 'Nothing' for `url`; there are: Address"),
        ("--from csv csv --column colour=CC -o out", 2, "'colour' is no key of a column; allowed: url, https"),
        ("--from csv csv --column url -o out", 2, "write KEY=COLUMN, such as url=Address"),
        ("--from debian debian --column url=X -o out", 2, "--column is for formats with columns: csv, json, centos"),
        ("--from csv csv --category a/b -o out", 2, "cannot be a name"),
        ("debian -o out", 2, "name the format of the list with --from FORMAT"),
        ("--from debian -o out", 2, "name at least one FILE"),
        ("--from debian debian", 2, "name the folder to write with -o FOLDER, or use --check"),
    ],
)
def test_refusals_change_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], words: str, status: int, reason: str
) -> None:
    """Wrong usage and wrong lists have their reason and their status, and no folder is left."""
    before = sorted(path.name for path in folder.iterdir())
    try:
        found = cli.main(["convert", *words.split(" ")])
    except SystemExit as end:
        found = int(str(end.code))
    assert found == status
    assert reason in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == before


def test_compile_refuses_what_has_no_effect(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Flags of a list need a list: with the sources that people write they are wrong usage."""
    assert folder.is_dir()
    with pytest.raises(SystemExit):
        cli.main(["compile", "x.toml", "--category", "c", "-o", "x.mls"])
    assert "need the format of a list: --from FORMAT" in capsys.readouterr().err


def test_mistakes_of_a_list_name_the_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`compile --from` names the places of the list itself, also for warnings that the compiler adds."""
    (folder / "list.csv").write_text("url,country,private\nhttps://a.example/,DE,yes\n")
    assert cli.main(["compile", "--from", "csv", "list.csv", "-o", "x.mls"]) == 0
    told = capsys.readouterr().err
    assert 'list.csv:2: warning: mirrors."a.example".private: has neither netblocks nor asns' in told


@pytest.mark.process
def test_the_formats_are_listed(folder: Path) -> None:
    """`--list-formats` of both verbs has every format with what it is, for people and for programs."""
    text = run(folder, "convert", "--list-formats").stdout
    assert text == run(folder, "compile", "--list-formats").stdout
    assert [line.split()[0] for line in text.splitlines()[1:]] == list(FORMATS)
    rows = json.loads(run(folder, "convert", "--list-formats", "--json").stdout)
    assert [row["name"] for row in rows] == list(FORMATS)
