"""Where a list or a redirect may lead: not to services of this machine or this link, unless the user is there, too.

All servers of these tests are on loopback, so `near` says which of their addresses stand for such ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mirrorlistd.fetch import reach
from mirrorlistd.fetch.reach import is_near
from support.downloads import FILE, Net, reasons
from support.mirrors import StaticMirror

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.process, pytest.mark.network]


@pytest.fixture
def near(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let these addresses alone, of all, be near."""

    def only(*addresses: str) -> None:
        def judge(address: str) -> bool:
            is_near(address)  # a name is no address
            return address in addresses

        monkeypatch.setattr(reach, "is_near", judge)

    return only


@pytest.mark.parametrize("document", ["mirrorlist", "metalink", "meta4"])
def test_a_list_leads_to_no_near_address(net: Callable[..., Net], near: Callable[..., None], document: str) -> None:
    """The mirror is left before it hears anything; the next one gives the file."""
    near("127.0.0.3")
    world = net("ok", "ok")
    result = world.fetch(getattr(world, document)(), path=FILE if document == "mirrorlist" else None)
    assert (reasons(result), result.mirrors) == (["address"], (world.urls[1],))
    assert world.mirrors[0].requests == []


def test_a_redirect_leads_to_no_near_address(net: Callable[..., Net], near: Callable[..., None]) -> None:
    """Of a mirror, and of the server of lists."""
    near("127.0.0.9")
    world = net("redirect", "ok")
    with StaticMirror(world.tree, host="127.0.0.9") as service:
        world.mirrors[0].location = service.url
        assert reasons(world.fetch(world.meta4())) == ["address"]
        with StaticMirror(world.lists, host="127.0.0.8", mode="redirect", location=service.url) as hub:
            assert reasons(world.fails(f"{hub.url}file.meta4")) == ["address"]
        assert service.requests == []


def test_a_name_is_judged_by_its_addresses(net: Callable[..., Net], near: Callable[..., None]) -> None:
    """`localhost` in a list is this machine, whatever it is called."""
    near("127.0.0.1", "::1")
    world = net("ok", "ok")
    world.write("mirrorlist", f"http://localhost:{world.mirrors[0].port}/\n{world.mirrors[1].url}\n")
    assert reasons(world.fetch(f"{world.hub.url}mirrorlist", path=FILE)) == ["address"]


def test_who_begins_at_a_near_address_may_go_on_to_others(net: Callable[..., Net], near: Callable[..., None]) -> None:
    """The user's own server of lists on this machine may name mirrors on it."""
    near("127.0.0.2", "127.0.0.3")
    world = net("ok")
    assert world.fetch(world.meta4()).abandoned == ()


def test_behind_a_proxy_names_are_the_proxys(
    net: Callable[..., Net], near: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name is not looked up here, where it may not even exist; an address in a URL is judged as ever."""
    near("127.0.0.1", "::1", "127.0.0.3")
    world = net("ok", "ok")
    with StaticMirror(world.tree, host="127.0.0.9") as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.2")
        world.write("mirrorlist", f"{world.mirrors[0].url}\nhttp://localhost:1/\n")
        assert reasons(world.fetch(f"{world.hub.url}mirrorlist", path=FILE)) == ["address"]
        assert proxy.requests


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("193.0.6.139", False),
        ("10.1.2.3", False),
        ("192.168.1.1", False),
        ("fd00::1", False),
        ("2001:67c:2e8::1", False),
        ("64:ff9b::10.1.2.3", False),
        ("127.0.0.9", True),
        ("::1", True),
        ("0.0.0.0", True),
        ("::", True),
        ("169.254.1.1", True),
        ("fe80::1%eth0", True),
        ("224.0.0.1", True),
        ("::ffff:127.0.0.1", True),
        ("64:ff9b::7f00:1", True),
        ("2002:7f00:1::", True),
        ("2001:0:1:2:3:4:80ff:fffe", True),
    ],
)
def test_which_addresses_are_near(address: str, expected: bool) -> None:
    """Loopback, link-local, multicast and none at all, also inside IPv6; private networks are not."""
    assert is_near(address) is expected
