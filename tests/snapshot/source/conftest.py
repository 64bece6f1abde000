"""Fixtures of the tests of sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for the whole module: Hypothesis runs the body of a test many times."""
    return tmp_path_factory.mktemp("mirrormanager")
