"""Reading: any file gives data with exact lines or a complaint; nothing an operator can do ends in a traceback."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlist_snapshot.errors import SourceError
from mirrorlist_snapshot.source import read_sources, syntax
from mirrorlist_snapshot.source.lines import of_json, of_toml
from support.descriptions import FULL, SMALL, complaints_of, paths_of, records_of

if TYPE_CHECKING:
    from collections.abc import Callable


def test_norway_is_a_country_in_yaml(tmp_path: Path) -> None:
    """NO without quotes is Norway: the file is read as YAML 1.2, where it is text; names may look like numbers."""
    text = """
categories: {debian: {}}
repositories: {12: {category: debian, path: 2024-01-01}}
mirrors: {m: {country: NO, categories: {debian: "https://m.example.org"}}}
overrides: {neighbours: {NO: [SE, DK]}}
"""
    records = records_of(tmp_path, text, "m.yaml")
    assert records.mirrors[0].country == "NO"
    assert records.overrides.neighbours == {"NO": (("SE", "DK"),)}
    assert [(one.name, one.directories[0].path) for one in records.repositories] == [("12", "2024-01-01")]


UNREADABLE = {
    "syntax.toml": (b"a = 1\nb = \n", 2, "is not valid TOML: Invalid value"),
    "twice.toml": (b"a = 1\na = 2\n", 2, "is not valid TOML"),
    "end.toml": (b'a = """\n\n', 3, "is not valid TOML"),
    "digits.toml": (b"a = " + b"9" * 5000, None, "is not valid TOML"),
    "deep.toml": (b"a = " + b"[" * 5000 + b"]" * 5000, None, "is nested more than 20 deep"),
    "dotted.toml": (b"a." * 3000 + b"a = 1", None, "is nested more than 20 deep"),
    "latin1.toml": (b"# ok\n# caf\xe9\n", 2, "is not UTF-8 text (byte 0xe9); save the file as UTF-8"),
    "syntax.json": (b'{"a": 1,\n"b" 2}', 2, "is not valid JSON"),
    "empty.json": (b"", 1, "is not valid JSON"),
    "nan.json": (b'{"a": NaN}', None, "NaN is not a JSON value"),
    "digits.json": (b"[" + b"9" * 5000 + b"]", None, "is not valid JSON"),
    "deep.json": (b"[" * 100_000 + b"]" * 100_000, None, "is nested more than 20 deep"),
    "list.json": (b"[1]", None, "found a list; expected a table"),
    "syntax.yaml": (b"a: 1\nb: [\n", None, "is not valid YAML"),
    "tab.yaml": (b"a:\n\tb: 1\n", 2, "is not valid YAML"),
    "null.yaml": (b"a: \0", None, "is not valid YAML: unacceptable character"),
    "tag.yaml": (b"a: !!python/object:os.system x", 1, "the tag python/object:os.system is not"),
    "set.yaml": (b"mirrors: !!set {a, b}", 1, "is not allowed"),
    "odd.yaml": (b"mirrors: !!map [a, b]", 1, "is not allowed"),
    "int.yaml": (b"a: !!int foo", 1, "is not a number"),
    "merge.yaml": (b"a: &a {}\nb:\n  <<: *a\n", 3, "`<<` is not part of YAML 1.2"),
    "key.yaml": (b"? [a]\n: 1\n", 1, "a key must be text"),
    "two.yaml": (b"a: 1\n---\nb: 1\n", 2, "is not valid YAML"),
    "deep.yaml": (b"[" * 5000, None, "is nested more than 20 deep"),
    "loop.yaml": (b"mirrors: &a\n  x: *a\n", 1, "is nested more than 20 deep"),
    "laughs.yaml": (
        b"a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + b"".join(
            b"%c: &%c [%s]\n" % (98 + number, 98 + number, b", ".join([b"*%c" % (97 + number)] * 10))
            for number in range(9)
        ),
        None,
        "has aliases that expand to more values",
    ),
    "twice.yaml": (b"mirrors:\n  m: {}\n  m: {}\n", 3, "the key is given twice, first in line 2"),
    "twice.json": (b'{"mirrors": {},\n"mirrors": {"x": 1, "x": 2}}', 2, "the key is given twice, first in line 1"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", UNREADABLE)
def test_unreadable_files_are_complaints(tmp_path: Path, name: str) -> None:
    """Whatever is wrong with a file, it is a complaint that names the file and, where it can, the line."""
    data, line, message = UNREADABLE[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError) as caught:
        read_sources([tmp_path / name])
    (found, *_) = [one for one in caught.value.complaints if message in one.message]
    assert found.file == str(tmp_path / name)
    assert line is None or found.line == line


@pytest.mark.parametrize("text", ["a:\n" + " - []\n" * 2_000, "".join(f"k{n}: 1\n" for n in range(2_000))])
def test_a_yaml_text_of_too_many_keys_and_values_is_refused_where_they_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Two megabytes of empty lists took the reader 40 seconds; the text is read no further than the limit."""
    monkeypatch.setattr(syntax, "MAX_YAML_NODES", 1_000)
    (tmp_path / "many.yaml").write_text(text)
    with pytest.raises(SourceError) as caught:
        read_sources([tmp_path / "many.yaml"])
    (found,) = caught.value.complaints
    assert "keys and values; write so much as TOML or JSON" in found.message
    assert found.line in {500, 999}


def _loop(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "up").symlink_to(folder)


FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder's link to itself": (_loop, "is a symbolic link to a folder that contains it"),
    "links in a circle": (lambda folder: (folder / "x.toml").symlink_to("x.toml"), "cannot be read: "),
    "a dangling link": (lambda folder: (folder / "x.toml").symlink_to("nowhere"), "cannot be read: No such file"),
    "a pipe": (lambda folder: os.mkfifo(folder / "x.toml"), "is not a regular file"),
    "a folder named like a file": (lambda folder: (folder / "x.toml").mkdir(), ""),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_odd_folders_are_complaints(tmp_path: Path, case: str) -> None:
    """What cannot be read in a folder is a complaint; it neither hangs nor hides the files beside it."""
    make, message = FOLDERS[case]
    (tmp_path / "good.toml").write_text(SMALL, encoding="utf-8")
    make(tmp_path)
    if not message:
        assert len(read_sources([tmp_path])[0].mirrors) == 1
        return
    with pytest.raises(SourceError, match=message) as caught:
        read_sources([tmp_path])
    assert len(caught.value.complaints) == 1


def test_folders_are_read_in_order_without_what_is_hidden_or_foreign(tmp_path: Path) -> None:
    """A folder is read recursively; hidden files and other files are left alone, slips in a suffix are named."""
    for name in (".hidden.toml", ".git/x.toml", "README.md", "check.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("not [ a source", encoding="utf-8")
    (tmp_path / "a.toml").write_text(SMALL, encoding="utf-8")
    (tmp_path / "link.toml").symlink_to("a.toml")
    (tmp_path / "b.yalm").write_text("", encoding="utf-8")
    records, warnings = read_sources([tmp_path, tmp_path / "a.toml"])
    assert len(records.mirrors) == 1
    assert [str(one) for one in warnings] == [
        f"{tmp_path}/b.yalm: warning: is not read; if it is a source, name it b.yaml"
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [("missing.toml", "cannot be read: No such file"), ("README.md", "is not a source"), ("empty", "has no source")],
)
def test_what_the_user_names_must_be_a_source(tmp_path: Path, name: str, message: str) -> None:
    """A path that the user gives is never ignored."""
    (tmp_path / "README.md").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=message):
        read_sources([tmp_path / name])
    with pytest.raises(SourceError, match="no source is given"):
        read_sources([])


def test_lines_of_toml_are_exact(tmp_path: Path) -> None:
    """Headers, dotted keys, arrays of tables, inline tables and strings over several lines keep their lines apart."""
    text = '''# comment [mirrors.fake]
[mirrors . "a.b"]  # header
country = "XX"
netblocks = [
  "x", # one "two" ]
  { prefix = """
y""", exclusive = 5 },
]
categories.debian.urls = ["nope://x"]
[repositories.r]
[[repositories.r.files]]
path = 'a'
timestamp = 1
size = 1
[[repositories.r.files]]
path = """a
"""
size = 2
timestamp = 1979-05-27 07:32:00
alternates = [{size = 1, timestamp = "t"}]
[[categories.x.files]]
[[categories.x.files]]
path = "p"
timestamp = 1
size = 1
[[categories.x.files.alternates]]
timestamp = 1
size = "s"
'''
    found = [(one.line, one.key) for one in complaints_of(tmp_path, text + SMALL)]
    assert found == [
        (3, 'mirrors."a.b".country'),
        (5, 'mirrors."a.b".netblocks[0]'),
        (6, 'mirrors."a.b".netblocks[1].prefix'),
        (7, 'mirrors."a.b".netblocks[1].exclusive'),
        (9, 'mirrors."a.b".categories.debian.urls[0]'),
        (16, "repositories.r.files[1].path"),
        (19, "repositories.r.files[1].timestamp"),
        (20, "repositories.r.files[1].alternates[0].timestamp"),
        (21, "categories.x.files[0].timestamp"),
        (21, "categories.x.files[0].size"),
        (21, "categories.x.files[0].path"),
        (28, "categories.x.files[1].alternates[0].size"),
    ]


@settings(max_examples=300, deadline=None)
@given(
    data=st.binary(max_size=60)
    | st.text(alphabet="[]{}=.,:\"'#\n\t -&*!%<>|?@abmirrors01\\", max_size=60).map(str.encode),
    name=st.sampled_from(["x.toml", "x.yaml", "x.json"]),
)
def test_any_bytes_give_complaints(data: bytes, name: str) -> None:
    """Garbage is refused by SourceError, whatever it is."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_bytes(data)
        with pytest.raises(SourceError):
            read_sources([file])


chunks = st.sampled_from(
    ["", "\n", " ", "#", '"', "'", '"""', "'''", "[", "]", "[[x]]\n", "{", "}", ",", ".", "=", "\\", "a", "1"]
)


@settings(max_examples=300, deadline=None)
@given(start=st.integers(0, len(FULL)), length=st.integers(0, 3), chunk=chunks)
def test_lines_are_known_for_every_key_of_any_valid_toml(start: int, length: int, chunk: str) -> None:
    """The walk over a TOML text finds exactly the keys and items that the parser finds, at the lines that hold them."""
    text = FULL[:start] + chunk + FULL[start + length :]
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    found = of_toml(text)
    rows = text.splitlines()
    for path in paths_of(data):
        assert path in found
        line = found.find(path)
        key = next((part for part in reversed(path) if isinstance(part, str)), "")
        assert line is not None
        assert isinstance(path[-1], int) or key in rows[line - 1] or "\\" in rows[line - 1]


@pytest.mark.slow
@given(document=st.recursive(st.none() | st.text(), lambda inner: st.dictionaries(st.text(), inner) | st.lists(inner)))
def test_lines_are_known_for_every_key_of_any_json(document: object) -> None:
    """The walk over a JSON text finds every key at the line that holds it."""
    text = json.dumps({"top": document}, indent=1)
    found = of_json(text)
    rows = text.split("\n")
    for path in paths_of({"top": document}):
        line = found.find(path)
        assert path in found
        assert line is not None
        assert isinstance(path[-1], int) or rows[line - 1].strip().startswith(json.dumps(path[-1]) + ":")
