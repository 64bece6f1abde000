"""A bad first mirror is survived wherever the client can, and wrong bytes are noticed where it has hashes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from support.clients.cases import fetch
from support.clients.programs import ProgramError
from support.clients.repositories import HELLO

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from support.clients.world import World

pytestmark = [pytest.mark.process, pytest.mark.network, pytest.mark.root]

_PLAIN: Final = ("refused", "reset", "404", "500", "truncated")
SURVIVED: Final[Mapping[str, tuple[str, ...]]] = {
    "dnf-metalink": (*_PLAIN, "stalled", "corrupt", "corrupt-index"),
    "dnf-mirrorlist": _PLAIN,
    "zypper-metalink": (*_PLAIN, "corrupt-index"),
    "zypper-mirrorlist": (*_PLAIN, "corrupt-index"),
    "apt-path": (*_PLAIN, "stalled"),
    "apt-query": _PLAIN,
    "ostree-mirrorlist": (*_PLAIN, "corrupt"),
    "pacman-file": (*_PLAIN, "stalled"),
    "aria2-redirect": (*_PLAIN, "stalled"),
    "aria2-metalink": _PLAIN,
    "curl-mirrorlist": (*_PLAIN, "stalled"),
    "mirrorlist-fetch-redirect": (*_PLAIN, "corrupt"),
    "mirrorlist-fetch-metalink": (*_PLAIN, "corrupt"),
    "mirrorlist-fetch-mirrorlist": (*_PLAIN, "stalled"),
}
"""Snippet -> defects of the first mirror. zypper and ostree wait for a silent mirror for minutes."""

NOTICED: Final[Mapping[str, tuple[str, ...]]] = {
    "dnf-mirrorlist": ("corrupt-index",),
    "zypper-metalink": ("corrupt",),
    "zypper-mirrorlist": ("corrupt",),
    "apt-path": ("corrupt",),
    "pacman-file": ("corrupt",),
    "aria2-redirect": ("corrupt",),
    "aria2-metalink": ("corrupt",),
}
"""Snippet -> defects that the client notices, and then gives up."""


def _pairs(table: Mapping[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(key, defect) for key, defects in table.items() for defect in defects]


@pytest.mark.parametrize(("key", "defect"), _pairs(SURVIVED))
def test_survived(key: str, defect: str, net: World, tmp_path: Path) -> None:
    """A client that has asked a bad first mirror gets the right bytes from another one."""
    assert fetch(key, net, tmp_path, defect) == HELLO
    assert net.first[defect].requests or defect == "refused"
    assert net.served(net.second) or net.served(net.third)


@pytest.mark.parametrize(("key", "defect"), _pairs(NOTICED))
def test_noticed(key: str, defect: str, net: World, tmp_path: Path) -> None:
    """A client that does not survive wrong bytes fails, and says so: nobody installs them."""
    with pytest.raises(ProgramError):
        fetch(key, net, tmp_path, defect)
    assert net.first[defect].requests
