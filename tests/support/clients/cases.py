"""A snippet, a repository, a client: what nearly every test of this folder does with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from support.clients.drivers import CLIENTS, Case, tools
from support.clients.page import read_page
from support.clients.programs import need
from support.clients.world import GOOD, named

if TYPE_CHECKING:
    from pathlib import Path

    from support.clients.world import World
SNIPPETS: Final = read_page()


def prepare(key: str, net: World, root: Path, defect: str = GOOD, repository: str | None = None) -> Case:
    """Fill a snippet in for a repository whose first mirror has a defect, or for a named one."""
    snippet = SNIPPETS[key]
    need(*tools(snippet.client, snippet.repository))
    text = snippet.filled(net.url, repository or named(snippet.repository, defect), root)
    return Case(text, snippet.file, root, net.site)


def fetch(key: str, net: World, root: Path, defect: str = GOOD) -> bytes:
    """Run a snippet's client; give what arrived."""
    return CLIENTS[SNIPPETS[key].client].run(prepare(key, net, root, defect))
