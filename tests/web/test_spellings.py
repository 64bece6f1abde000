"""The server's own pages have one spelling each: what a proxy guards by its path cannot be had by another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mirrorlistd.request.routes import PAGES
from support.processes import Server, write_snapshot
from support.spellings import spellings
from support.wires import converse, service

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def get(lane: str, target: str) -> tuple[int, bytes]:
    """Status and body."""
    raw = f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode("latin-1")
    ((said, _),) = converse(lane, [[(raw, True)]], service("127.0.0.1"))
    return int(said[9:12]), said.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("lane", ["fast", "asgi"])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_one_spelling(lane: str, page: str) -> None:
    """Encoded in part or whole, doubled slashes, dot segments, case, slashes and parameters at the end: 404."""
    if page in ("/healthz", "/readyz", "/metrics"):
        assert get(lane, page)[0] == get(lane, f"http://x{page}")[0] == 200
    for target in spellings(page):
        assert get(lane, target)[0] == 404, target


@pytest.mark.process
def test_the_page_of_a_repository_has_one_spelling_of_its_folder(tmp_path: Path) -> None:
    """The repository's name alone may be encoded."""
    source = {
        "categories": {"c": {}},
        "repositories": {"r": {"category": "c"}, "c++": {"category": "c"}},
        "mirrors": {"m.example": {"country": "DE", "categories": {"c": "https://m.example/"}}},
    }
    with Server("--snapshot", str(write_snapshot(tmp_path / "mirrors.mls", source))) as server:
        for target in ("/repos/r", "/repos/%72", "/repos/c++", "/repos/c%2B%2b", "http://x/repos/%72"):
            assert server.get(target).status == 200, target
        bad = ["/repos%2Fr", "/%72epos/r", "/repos/r/", "/repos//r", "/repos/./r", "/repos/%2e/r", "/repos/%2572"]
        for target in (*bad, "/repos/%2Fr", "/repos/c%252B%252b"):
            assert server.get(target).status == 404, target
