"""docs/clients.md: every snippet works as it stands there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.clients.cases import SNIPPETS, fetch
from support.clients.drivers import CLIENTS
from support.clients.repositories import HELLO
from support.clients.world import GOOD

if TYPE_CHECKING:
    from pathlib import Path

    from support.clients.world import World

pytestmark = [pytest.mark.process, pytest.mark.network, pytest.mark.root]


def test_every_client_has_a_snippet() -> None:
    """The page has a snippet for each client that we know, and for no other."""
    assert {snippet.client for snippet in SNIPPETS.values()} == set(CLIENTS)


@pytest.mark.parametrize("key", SNIPPETS)
def test_snippet(key: str, net: World, tmp_path: Path) -> None:
    """A client that is configured by the page's snippet gets the right bytes, from the first mirror alone."""
    assert fetch(key, net, tmp_path) == HELLO
    assert net.served(net.first[GOOD])
    assert not net.served(net.second)
    assert not net.served(net.third)
