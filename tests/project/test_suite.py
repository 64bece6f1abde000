"""How the tests are arranged: every folder is a room, and no test module depends on another."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

TESTS = ROOT / "tests"
MODULES = sorted(TESTS.rglob("*.py"))
SHARED = {"support", "oracles"}


def imported(module: Path) -> list[str]:
    """The names that the import statements of a file begin with, wherever in the file."""
    return re.findall(r"^\s*(?:from|import)\s+([\w.]+)", module.read_text(), re.MULTILINE)


def test_no_test_module_imports_another() -> None:
    """What two test modules need lies in `support` or `oracles`, which need no test module either."""
    for module in MODULES:
        for name in imported(module):
            parts = name.split(".")
            assert parts[0], f"{module}: a relative import"
            assert not any(part.startswith("test_") or part == "conftest" for part in parts), (module, name)


def test_every_folder_of_tests_mirrors_a_room() -> None:
    """A folder has the name of a room of the server or of the admin side, or is one of the named others."""
    rooms = {path.stem for path in (ROOT / "mirrorlistd").iterdir()}
    admin = {path.stem for path in (ROOT / "snapshot" / "mirrorlist_snapshot").iterdir()}
    prober = {path.stem for path in (ROOT / "snapshot" / "mirrorlist_admin").iterdir()}
    others = {"admin", "clients", "data", "debian", "deployment", "ground", "project", "snapshot"}
    for folder in (path for path in TESTS.iterdir() if path.is_dir() and path.name != "__pycache__"):
        assert folder.name in rooms | others | SHARED, folder
    for folder in (path for path in (TESTS / "snapshot").iterdir() if path.is_dir() and path.name != "__pycache__"):
        assert folder.name in admin, folder
    for folder in (path for path in (TESTS / "admin").iterdir() if path.is_dir() and path.name != "__pycache__"):
        assert folder.name in prober, folder


@pytest.mark.parametrize("folder", sorted(SHARED))
def test_shared_code_is_a_package_without_tests(folder: str) -> None:
    """`support` and `oracles` and the folders inside are packages, and pytest collects nothing from them."""
    for path in [TESTS / folder, *(TESTS / folder).rglob("*/")]:
        if path.name != "__pycache__":
            assert (path / "__init__.py").read_text().startswith('"""'), path
            assert not list(path.glob("test_*.py")), path
