"""How the tests are arranged: every folder is a room, and no test module depends on another."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

TESTS = ROOT / "tests"
MODULES = sorted(TESTS.rglob("*.py"))
SHARED = {"support", "oracles"}


def imported(module: Path) -> set[str]:
    """The names of all modules that a file imports, wherever in the file."""
    nodes = list(ast.walk(ast.parse(module.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    from_modules = {node for node in nodes if isinstance(node, ast.ImportFrom)}
    return (
        plain
        | {"." * node.level + (node.module or "") for node in from_modules}
        | {f"{node.module}.{alias.name}" for node in from_modules for alias in node.names}
    )


@pytest.mark.parametrize("module", MODULES, ids=[str(path.relative_to(TESTS)) for path in MODULES])
def test_no_test_module_imports_another(module: Path) -> None:
    """What two test modules need lies in `support` or `oracles`, which need no test module either."""
    for name in imported(module):
        first, *rest = name.split(".")
        assert first, f"a relative import: {name}"
        assert not any(part.startswith("test_") or part == "conftest" for part in (first, *rest)), name


def test_every_folder_of_tests_mirrors_a_room() -> None:
    """A folder has the name of a room of the server or of the admin side, or is one of the named others."""
    rooms = {path.stem for path in (ROOT / "mirrorlistd").iterdir()}
    admin = {path.stem for path in (ROOT / "snapshot" / "mirrorlist_snapshot").iterdir()}
    others = {"clients", "data", "debian", "deployment", "ground", "project", "snapshot"}
    for folder in (path for path in TESTS.iterdir() if path.is_dir() and path.name != "__pycache__"):
        assert folder.name in rooms | others | SHARED, folder
    for folder in (path for path in (TESTS / "snapshot").iterdir() if path.is_dir() and path.name != "__pycache__"):
        assert folder.name in admin, folder


@pytest.mark.parametrize("folder", sorted(SHARED))
def test_shared_code_is_a_package_without_tests(folder: str) -> None:
    """`support` and `oracles` and the folders inside are packages, and pytest collects nothing from them."""
    for path in [TESTS / folder, *(TESTS / folder).rglob("*/")]:
        if path.name != "__pycache__":
            assert (path / "__init__.py").read_text().startswith('"""'), path
            assert not list(path.glob("test_*.py")), path
