"""The documents cite nothing that does not exist: no file, no heading, no link."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import pytest

from mirrorlist_snapshot.source.schema import json_schema
from mirrorlist_snapshot.tiers import TIER_NAMES
from mirrorlistd.render import FORMATS
from mirrorlistd.request.query import PARAMETERS
from mirrorlistd.request.routes import PAGES
from support import rooms
from support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDERS: Final = ("mirrorlistd", "snapshot", "tests", "bench", "deploy", "docs")
SUFFIXES: Final = frozenset(
    (".py", ".md", ".toml", ".yml", ".yaml", ".conf", ".cfg", ".html", ".service", ".socket", ".json")
)


def in_folders(suffixes: frozenset[str]) -> list[Path]:
    """The files of the repository with one of these suffixes: those at its top and those in `FOLDERS`."""
    found = [*ROOT.glob("*"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))]
    return sorted(path for path in found if path.suffix in suffixes and ".cache" not in path.parts and path.is_file())


DOCUMENTS: Final = in_folders(frozenset((".md",)))
CODE: Final = [path for path in in_folders(SUFFIXES - {".md"}) if path.name != "test_documentation.py"]


def identify(path: Path) -> str:
    """The name of a parametrized file: its path from the top."""
    return str(path.relative_to(ROOT))


@cache
def headings(document: Path) -> dict[str, str]:
    """Anchor -> heading of a Markdown file; anchors as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    found: dict[str, str] = {}
    for title in re.findall(r"^#+ +(.*?) *$", text, re.MULTILINE):
        plain = re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", title)
        anchor = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number = sum(1 for other in found if re.fullmatch(rf"{re.escape(anchor)}(-\d+)?", other))
        found[f"{anchor}-{number}" if number else anchor] = plain
    return found


def links(document: Path) -> Iterator[tuple[str, str]]:
    """(file, anchor) of every link of a Markdown file that stays in the repository."""
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", document.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z][a-z+.-]*:", target):
            file, _, anchor = target.partition("#")
            yield file, anchor


@pytest.mark.parametrize("document", DOCUMENTS, ids=identify)
def test_every_link_leads_somewhere(document: Path) -> None:
    """Every relative link names a file or folder that exists, and every anchor a heading of it."""
    for file, anchor in links(document):
        target = (document.parent / file).resolve() if file else document
        assert target.exists(), file
        assert not anchor or anchor in headings(target), f"{file}#{anchor}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=identify)
def test_no_document_names_a_file_that_is_not_there(document: Path) -> None:
    """A path in backticks that begins with one of the repository's folders exists."""
    text = re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for named in re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]*)`", text):
        assert (ROOT / named).exists(), named


def cited(text: str) -> Iterator[tuple[str, str, str]]:
    """(document, anchor, what follows a comma after it) of every Markdown file that a text names."""
    flat = re.sub(r"\s*\n[ \t#*]*", " ", text)
    for name, anchor, rest in re.findall(r"(?<![\w/.:-])([\w][\w./-]*\.md)\b(?:#([\w-]+))?(?=(.{0,120}))", flat):
        following = re.match(r", ([A-Z].*)", rest)
        yield name, anchor, following[1] if following else ""


def wrong(text: str) -> list[str]:
    """What a text cites and the repository does not have."""
    found: list[str] = []
    for name, anchor, rest in cited(text):
        document = ROOT / name
        if "/" in name and not document.is_file():
            found.append(name)
        if "/" not in name or not document.is_file():
            continue
        titles = headings(document)
        if anchor and anchor not in titles:
            found.append(f"{name}#{anchor}")
        whole = [*titles.values(), *(title.partition(":")[0] for title in titles.values())]
        if rest and not any(re.match(rf"{re.escape(title)}(?!\w)", rest) for title in whole):
            found.append(f"{name}, {rest}")
    return found


@pytest.mark.slow
def test_code_and_tests_cite_headings_that_exist() -> None:
    """`docs/NAME.md`, `docs/NAME.md#anchor` and `docs/NAME.md, Heading` each name a file, and a heading, that exist."""
    found = {identify(path): wrong(path.read_text("utf-8")) for path in CODE}
    assert {path: citations for path, citations in found.items() if citations} == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(docs/selection.md, Tiers)", []),
        ("docs/prior-defects.md, Defect 4: AS", []),
        ("docs/prior-defects.md, Defect\n    4.", []),
        ("docs/selection.md#who-asks", []),
        ("docs/selection.md, and more", []),
        ("docs/missing.md", ["docs/missing.md"]),
        ("docs/selection.md#missing", ["docs/selection.md#missing"]),
        ("docs/selection.md, Tier", ["docs/selection.md, Tier"]),
        ("docs/prior-defects.md, Defect 44", ["docs/prior-defects.md, Defect 44"]),
    ],
)
def test_the_check_of_citations_notices(text: str, expected: list[str]) -> None:
    """A citation of a file or heading that does not exist is found, and no other is."""
    assert wrong(text) == expected


OUTSIDE: Final = re.compile(
    r"selection rules?,? \d|peers' defect|\btrap \d|\bdesign note|(?<![/\w-])(?:peers|house)\.md", re.IGNORECASE
)


@pytest.mark.slow
def test_no_rule_is_cited_from_outside_the_repository() -> None:
    """The rules that code follows stand in docs/: nothing cites notes that a reader does not have."""
    found = {identify(path): OUTSIDE.findall(path.read_text("utf-8")) for path in [*CODE, *DOCUMENTS]}
    assert {path: citations for path, citations in found.items() if citations} == {}


@pytest.mark.slow
def test_the_table_of_rooms_is_made_from_the_contracts() -> None:
    """ARCHITECTURE.md has each room of the import contracts once, in their order, with its docstring's first line."""
    page = rooms.PAGE.read_text("utf-8")
    found = page.split(rooms.MARKERS[0])[1].split(rooms.MARKERS[1])[0]
    assert found.strip() == rooms.tables().strip(), "run tests/support/rooms.py"


@pytest.mark.slow
def test_every_room_says_what_is_inside() -> None:
    """The first line of each room's docstring is a whole sentence."""
    found = [
        row
        for package, folder in rooms.PACKAGES.items()
        for floor in rooms.layers(package)
        for name in floor
        for row in rooms.rooms_of(folder, name)
    ]
    assert [room for room, inside in found if not inside.endswith(".")] == []


def test_the_readme_stays_short() -> None:
    """A newcomer reads at most 120 lines and 1,600 words, and one picture of at most 200 kB."""
    readme = (ROOT / "README.md").read_text("utf-8")
    assert len(readme.splitlines()) <= 120
    assert len(readme.split()) <= 1600
    assert (ROOT / "docs" / "map.png").stat().st_size <= 200_000


def test_the_sources_page_has_every_key() -> None:
    """docs/sources.md names each key that a source may have, and each table of the page names no other."""
    page = (ROOT / "docs" / "sources.md").read_text("utf-8")
    named = set(re.findall(r"^\| (`.*?) \|", page, re.MULTILINE))
    keys = {key for cell in named for key in re.findall(r"`(\w+)`", cell)}
    schema: Any = json_schema()
    tables = [schema, *schema["$defs"].values()]
    known = {key for table in tables for key in table.get("properties", {})} - {"$schema", "prefix"}
    assert keys == known - {"categories", "repositories", "mirrors", "overrides"} | {"categories"}


def test_dated_measurements_stand_in_one_document() -> None:
    """Only bench/README.md and CHANGELOG.md have dates in their text, outside of examples."""
    dated = re.compile(
        r"\b20\d\d-\d\d-\d\d\b|\b(?:January|February|March|April|May|June|July|August|September"
        r"|October|November|December) 20\d\d\b"
    )
    allowed = {ROOT / "bench" / "README.md", ROOT / "CHANGELOG.md"}
    found = {
        identify(path): dated.findall(re.sub(r"(?ms)^```.*?^```|^ {4}[^\n]*$", "", path.read_text("utf-8")))
        for path in DOCUMENTS
        if path not in allowed
    }
    assert {path: dates for path, dates in found.items() if dates} == {}


def first_cells(document: str, heading: str) -> list[str]:
    """The first cell of each row of the tables below a heading, up to the next heading."""
    text = (ROOT / "docs" / document).read_text("utf-8")
    section = re.split(r"^#", text.partition(f"{heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    return [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")][2:]


def test_the_interface_page_has_every_parameter_and_format() -> None:
    """docs/http-api.md has each parameter that the server reads and each format that it writes, and no other."""
    parameters = {name for cell in first_cells("http-api.md", "### Parameters of a list") for name in names_in(cell)}
    assert parameters == PARAMETERS
    assert [cell.strip("`") for cell in first_cells("http-api.md", "### Formats of a list")] == list(FORMATS)


def names_in(cell: str) -> list[str]:
    """The parameters in a cell such as `repo=NAME` `arch=ARCH`."""
    return re.findall(r"`(\w+)=", cell)


def test_the_interface_page_has_every_page() -> None:
    """docs/http-api.md has each path that is never a list."""
    found = {
        cell.strip("`") for heading in ("## Pages", "## Monitoring") for cell in first_cells("http-api.md", heading)
    }
    assert found | {"/explain"} == {*PAGES, "/", "/repos/NAME"}


def test_the_tables_of_tiers_are_the_same() -> None:
    """README and docs/selection.md have the same tiers, in the server's order and words."""
    for document in (ROOT / "README.md", ROOT / "docs" / "selection.md"):
        rows = re.findall(r"^\| (\d) \| (\w+) \|", document.read_text("utf-8"), re.MULTILINE)
        assert rows == [(str(number), name) for number, name in enumerate(TIER_NAMES, start=1)]


def test_the_contributors_page_has_every_target() -> None:
    """CONTRIBUTING.md has each target that `make` lists, and names no target that does not exist."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    listed = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE)) - {"help"}
    named = set(re.findall(r"^\| `make (\w+)` \|", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.MULTILINE))
    assert listed <= named <= set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
