"""Redirects of single files: which mirror is chosen, seen from the clients."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from support.clients.cases import fetch
from support.clients.repositories import HELLO
from support.clients.world import GOOD, description
from support.processes import Server, write_snapshot

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from support.clients.world import World

pytestmark = [pytest.mark.process, pytest.mark.network, pytest.mark.root]


@contextlib.contextmanager
def served_instead(net: World, source: dict[str, Any], folder: Path) -> Generator[World]:
    """The same mirrors, described in another way by a server of its own."""
    snapshot = write_snapshot(folder / "other.mls", source)
    with Server("--snapshot", str(snapshot), "--access-log") as server:
        yield replace(net, server=server)


def test_mirror_without_the_directory(net: World, tmp_path: Path) -> None:
    """Pip is never sent to a mirror that lacks the directory, however near it is; asked by pip."""
    source = description(net.site, {GOOD: net.first[GOOD].url}, {"DE": net.second.url})
    partial = {"urls": [f"{net.first[GOOD].url}pypi/"], "exclude": ["simple/hello"]}
    source["mirrors"]["first-ok"]["categories"]["pypi"] = partial
    with served_instead(net, source, tmp_path) as other:
        assert fetch("pip-redirect", other, tmp_path) == HELLO
    assert not net.first[GOOD].requests
    assert net.served(net.second)


def test_one_client_keeps_to_one_mirror(net: World, tmp_path: Path) -> None:
    """A client that asks again and again, here curl, is sent to the same one of three equally near mirrors."""
    source = description(net.site, {}, {"DE": net.first[GOOD].url, "FR": net.second.url, "NL": net.third.url})
    for mirror in source["mirrors"].values():
        mirror["country"] = "DE"
    chosen: list[str] = []
    with served_instead(net, source, tmp_path) as other:
        for number in range(12):
            assert fetch("curl-redirect", other, tmp_path / str(number)) == HELLO
            for mirror in (net.first[GOOD], net.second, net.third):
                chosen += [mirror.host for _ in mirror.requests]
                mirror.requests.clear()
    # The choice holds for a window of time, which may end while the test runs.
    assert len(chosen) == 12
    assert sum(before != after for before, after in pairwise(chosen)) <= 1
