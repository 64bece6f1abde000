"""What all tests of real clients share: the repositories, the mirrors, the server; built once per test process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.clients.repositories import build_all
from support.clients.world import world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.clients.world import World


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that every mirror serves."""
    top = tmp_path_factory.mktemp("clients")
    build_all(top / "site", top / "work")
    return top / "site"


@pytest.fixture(scope="session")
def shared_world(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The mirrors and the server, for as long as the tests run."""
    with world(site, tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def net(shared_world: World) -> World:
    """The same, with the mirrors' memory of earlier tests erased."""
    for mirror in (*shared_world.first.values(), shared_world.second, shared_world.third):
        mirror.requests.clear()
    return shared_world
