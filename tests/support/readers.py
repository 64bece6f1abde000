"""Those who read pages: a small service, a client with an address of its own, and what is in the page it got."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from starlette.testclient import TestClient

from mirrorlistd.request.client_address import Trust
from mirrorlistd.state.service import Service
from mirrorlistd.web.app import create_app
from support.worlds import DE, decider, mirror, network, state_of

if TYPE_CHECKING:
    from mirrorlist_snapshot.freshness.observed import Observations

SOURCE = network(
    {
        "near": mirror("DE", categories={"c": ["https://near/c/", "http://near/c/"]}),
        "next": mirror("FR"),
        "hidden": mirror("DE", private=True, netblocks=["203.0.113.0/24"]),
        "off": mirror("US", active=False),
    },
    repositories={
        "r": {"category": "c"},
        "arched": {"category": "c", "path": "{arch}", "arches": ["x86_64", "aarch64"]},
        "old": {"alias": "r"},
        "gone": {"category": "c", "disabled": True},
    },
)
HOSTILE = "\"'><script>alert(1)</script><a href='javascript:x' onclick=x>&amp;{{7*7}}{% raw %}"
"""What nobody should be able to put into a page."""


def service(
    *trusted: str,
    header: str = "x-forwarded-for",
    access_log: bool = False,
    source: dict[str, Any] | None = None,
    seen: Observations | None = None,
) -> Service:
    """A service with a state: the network above, loopback as the insiders, these trusted proxies."""
    trust = Trust.parse(trusted, header)
    return Service(
        state=state_of(decider(source or SOURCE, seen=seen), trust, ["127.0.0.0/8", "::1"], access_log=access_log)
    )


def browser(peer: str = DE, using: Service | None = None) -> TestClient:
    """A client with an address of its own; redirects are not followed."""
    return TestClient(create_app(using or service()), client=(peer, 50_000), follow_redirects=False)


class Page(HTMLParser):
    """The elements of a page, in order, with their attributes; and its text without line ends."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect an element."""
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Collect text."""
        self.text += data.replace("\n", " ")

    def values(self, tag: str, name: str) -> list[str | None]:
        """One attribute of every element of a name that has it."""
        return [attributes[name] for element, attributes in self.elements if element == tag and name in attributes]

    @property
    def links(self) -> list[str | None]:
        """Where it links to, but for the pages that all pages link to, and places on itself."""
        return [link for link in self.values("a", "href") if link not in {"/", "/repos", "/mirrors", "#countries"}]
