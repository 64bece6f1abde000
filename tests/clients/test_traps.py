"""What is known to go wrong between list servers and real clients, and does not here."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from support.clients.cases import SNIPPETS, fetch, prepare
from support.clients.drivers import CLIENTS, apt_download, apt_get
from support.clients.programs import ProgramError
from support.clients.repositories import HELLO, MACHINE
from support.clients.world import GOOD, description, world
from support.processes import eventually, write_snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from support.clients.world import World

pytestmark = [pytest.mark.process, pytest.mark.network, pytest.mark.root]

MOST_REQUESTS: Final = {"dnf": 12}
"""How often a client asks for a list that does not exist before it gives up; others ask once."""


@pytest.mark.parametrize("key", SNIPPETS)
def test_unknown_repository(key: str, net: World, tmp_path: Path) -> None:
    """A client that asks for a repository that does not exist gives up after few requests, all answered 404."""
    name, client = f"nowhere-{key}", SNIPPETS[key].client
    case = prepare(key, net, tmp_path, repository=name)
    with pytest.raises((ProgramError, FileNotFoundError)):
        CLIENTS[client].run(case)
    statuses = [event["status"] for event in net.asked(name)]
    assert 0 < len(statuses) <= MOST_REQUESTS.get(client, 1)
    assert set(statuses) == {404}


def test_zypper_sorts_the_query(net: World, tmp_path: Path) -> None:
    """Zypper asks with its parameters in another order and gets the same mirrors."""
    assert fetch("zypper-mirrorlist", net, tmp_path) == HELLO
    theirs, ours = f"arch={MACHINE}&repo=epel-9", f"repo=epel-9&arch={MACHINE}"
    assert net.asked(theirs)
    assert net.server.get(f"/mirrorlist?{theirs}").body == net.server.get(f"/mirrorlist?{ours}").body


def test_ostree_offers_another_protocol(net: World, tmp_path: Path) -> None:
    """Ostree offers HTTP/2 in every request; the server answers as ever, and its log has no word about it."""
    before = len(net.log())
    assert fetch("ostree-mirrorlist", net, tmp_path) == HELLO
    events = Counter(event["event"] for event in net.log()[before:])
    assert set(events) == {"request"}


def test_apt_takes_a_changed_list(site: Path, tmp_path: Path) -> None:
    """Apt asks for the rest of the list it has (`Range`), it gets the whole new list, and leaves the old mirror."""
    with world(site, tmp_path / "server") as net:
        assert fetch("apt-path", net, tmp_path / "root") == HELLO
        assert net.served(net.first[GOOD])
        net.first[GOOD].requests.clear()

        write_snapshot(tmp_path / "server/mirrors.mls", description(site, {}, {"FR": net.third.url}), serial=2)
        net.server.send_sighup()
        eventually(lambda: net.server.get("/readyz").json["serial"] == 2, "the new snapshot is served")
        apt_get(tmp_path / "root", "update", "--error-on=any")
        assert apt_download(tmp_path / "root") == HELLO
        assert net.served(net.third)
        assert not net.first[GOOD].requests
        assert not net.second.requests


def test_apt_takes_a_plain_list(net: World, tmp_path: Path) -> None:
    """Apt works with URLs alone, too; then it shuffles them, so that any of the mirrors is asked."""
    case = prepare("apt-query", net, tmp_path)
    assert CLIENTS["apt"].run(replace(case, text=case.text.replace("&format=apt", ""))) == HELLO
