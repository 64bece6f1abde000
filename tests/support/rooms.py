"""The table of rooms in ARCHITECTURE.md, made from the import contracts and the first line of each room's docstring.

Run as a program, it writes the table into ARCHITECTURE.md: `.venv/bin/python tests/support/rooms.py`.
"""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "ARCHITECTURE.md"
MARKERS: Final = ("<!-- rooms -->", "<!-- /rooms -->")
PACKAGES: Final = {
    "mirrorlistd": ROOT / "mirrorlistd",
    "mirrorlist_snapshot": ROOT / "snapshot" / "mirrorlist_snapshot",
    "mirrorlist_admin": ROOT / "snapshot" / "mirrorlist_admin",
}

if TYPE_CHECKING:
    from collections.abc import Iterator


def layers(package: str) -> list[list[str]]:
    """The rooms of a package in the order of its import contract, highest first; rooms on one floor together."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    floors = next(contract["layers"] for contract in contracts if contract.get("containers") == [package])
    return [[name.strip() for name in re.split("[:|]", floor)] for floor in floors]


def first_line(module: Path) -> str:
    """The first line of a module's docstring."""
    lines = (ast.get_docstring(ast.parse(module.read_text("utf-8"))) or "").splitlines()
    return lines[0].replace("|", r"\|") if lines else ""


def rooms_of(folder: Path, name: str) -> Iterator[tuple[str, str]]:
    """(path from the top, what is inside) of a room and of the packages in it."""
    room = folder / name
    if not room.is_dir():
        yield str(room.with_suffix(".py").relative_to(ROOT)), first_line(room.with_suffix(".py"))
        return
    for inside in sorted(room.rglob("__init__.py")):
        yield f"{inside.parent.relative_to(ROOT)}/", first_line(inside)


def table(package: str) -> str:
    """The table of one package, in Markdown."""
    rows = ["| floor | room | what is inside |", "| ---: | --- | --- |"]
    floors = layers(package)
    for number, floor in enumerate(floors):
        for name in floor:
            found = rooms_of(PACKAGES[package], name)
            rows += [f"| {len(floors) - number} | [`{path}`]({path}) | {inside} |" for path, inside in found]
    return "\n".join(rows)


def tables() -> str:
    """What stands between the markers."""
    server, snapshots, prober = map(table, PACKAGES)
    return f"\n### The server\n\n{server}\n\n### The admin side\n\n{snapshots}\n\n### The prober\n\n{prober}\n\n"


def main() -> None:
    """Write the tables into ARCHITECTURE.md."""
    start, end = MARKERS
    before, _, rest = PAGE.read_text("utf-8").partition(start)
    PAGE.write_text(f"{before}{start}\n{tables()}{end}{rest.partition(end)[2]}", "utf-8")


if __name__ == "__main__":
    main()
