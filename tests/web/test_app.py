"""Claims of `app` and `pages`: every route of the ASGI application, asked as any ASGI server would ask."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from mirrorlist_snapshot.format import encode
from mirrorlistd.config import Config
from mirrorlistd.errors import ConfigError, StateError
from mirrorlistd.state.service import Service
from mirrorlistd.web.app import create_app
from support.readers import HOSTILE, SOURCE, Page, browser, service
from support.worlds import DE, FR, JP, compiled, mirror, network

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mirrorlistd.web.app import App

LOCAL = "127.0.0.1"


class Reply(NamedTuple):
    """What an ASGI application sent."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def ask(
    app: App,
    path: str,
    query: bytes = b"",
    headers: Iterable[tuple[bytes, bytes]] = (),
    **scope: Any,
) -> Reply:
    """Ask with a scope made by hand, for bytes that no client library would send; no `client` unless given."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    full = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": list(headers),
        "server": None,
    }
    asyncio.run(app(full | scope, receive, send))
    start, *rest = sent
    return Reply(start["status"], start["headers"], b"".join(message["body"] for message in rest))


@pytest.mark.parametrize("path", ["/mirrorlist", "/debian/mirrorlist", "/a/b//mirrorlist", "//mirrorlist"])
def test_any_path_that_ends_in_mirrorlist(path: str) -> None:
    """Whatever is before it in the path, the list is the same."""
    reply = ask(create_app(service()), path, b"repo=r&limit=1", client=(DE, 1))
    assert (reply.status, reply.body) == (200, b"# repo = r country = DE continent = EU\nhttps://near/c/\n")
    assert reply.headers == [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"cache-control", b"private, no-store"),
        (b"content-length", b"55"),
    ]


@pytest.mark.parametrize(
    "path",
    ["/mirrorlist/", "/mirrorlists", "/xmirrorlist", "/mirrorlist.txt", "/repos/", "/healthz/", "/r", "/x"],
)
def test_nothing_else_is_there_and_nothing_is_redirected(path: str) -> None:
    """404 in plain text with a hint; no slash is added or taken away by a redirect."""
    for method in ("GET", "POST"):
        reply = browser().request(method, path)
        assert reply.status_code == 404
        assert reply.headers["content-type"] == "text/plain; charset=utf-8"
        assert reply.text == "Not Found; try / or /mirrorlist?repo=NAME\n"


@pytest.mark.parametrize("path", ["/mirrorlist?repo=r", "/mirrorlist?repo=x", "/mirrorlist", "/x/mirrorlist?repo=gone"])
def test_head_is_get_without_the_body(path: str) -> None:
    """The same status and headers, the length of the body that is not sent."""
    got, headed = (browser().request(method, path) for method in ("GET", "HEAD"))
    assert headed.status_code == got.status_code
    assert headed.headers == got.headers
    assert headed.headers["content-length"] == str(len(got.content))
    assert headed.content == b""
    query = path.partition("?")[2].encode()
    assert ask(create_app(service()), "/mirrorlist", query, method="HEAD").body == b""


@pytest.mark.parametrize("path", ["/", "/repos", "/explain?repo=r", "/healthz", "/readyz", "/metrics"])
def test_head_of_the_other_pages(path: str) -> None:
    """They can be asked for by HEAD, too."""
    got, headed = (browser().request(method, path) for method in ("GET", "HEAD"))
    assert (got.status_code, headed.status_code) == (200, 200)
    assert headed.headers["content-type"] == got.headers["content-type"]
    assert headed.content == b""


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get"])
def test_other_methods_are_405(method: str) -> None:
    """A list is read, never written: 405 names the methods, in one line."""
    reply = ask(create_app(service()), "/mirrorlist", b"repo=r", method=method)
    assert reply.status == 405
    assert (b"allow", b"GET, HEAD") in reply.headers
    assert reply.body == b"only GET and HEAD; write /mirrorlist?repo=NAME\n"
    for path in ("/", "/repos", "/explain", "/healthz", "/readyz", "/metrics"):
        preflight = method == "OPTIONS" and path == "/repos"
        assert ask(create_app(service()), path, method=method).status == (204 if preflight else 405)


@pytest.mark.parametrize(
    "headers",
    [
        {"range": "bytes=10-"},
        {"range": "bytes=10-", "if-range": "Wed, 01 Jan 2020 00:00:00 GMT"},
        {"if-none-match": "*"},
        {"if-modified-since": "Wed, 01 Jan 2070 00:00:00 GMT"},
        {"accept-encoding": "gzip, br, zstd, deflate"},
        {"accept-encoding": "identity;q=0"},
        {"upgrade": "h2c", "connection": "Upgrade, HTTP2-Settings", "http2-settings": "AAMAAABk"},
        {"accept": "application/metalink4+xml"},
        {"accept": "application/json"},
        {"user-agent": ""},
        {"host": "evil.example"},
        {"host": "["},
        {"cookie": "a=b", "authorization": "Basic eDp5"},
    ],
)
def test_lists_are_always_whole_and_plain(headers: Mapping[str, str]) -> None:
    """Whatever the headers say: 200, all bytes, uncompressed, no validator, nothing built from them.

    See docs/client-compatibility.md.
    """
    plain = browser().get("/mirrorlist?repo=r&limit=1")
    reply = browser().get("/mirrorlist?repo=r&limit=1", headers=dict(headers))
    assert (reply.status_code, reply.content, reply.headers) == (200, plain.content, plain.headers)
    assert set(reply.headers) == {"content-type", "cache-control", "content-length"}


def test_html_has_security_headers_and_its_style_is_the_allowed_one() -> None:
    """Nothing loads but the one style, whose hash in the policy is that of the bytes served; nothing is a script."""
    reply = browser().get("/")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["x-frame-options"] == "DENY"
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert reply.headers["cache-control"] == "private, no-store"
    policy = dict(rule.strip().partition(" ")[::2] for rule in reply.headers["content-security-policy"].split(";"))
    (style,) = re.findall(r"<style>(.*?)</style>", reply.content.decode(), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    elements = Page(reply.text).elements
    assert not {tag for tag, _ in elements} & {"script", "link", "img", "iframe", "base", "object"}
    assert not [name for _, attributes in elements for name in attributes if name == "style" or name.startswith("on")]


@pytest.mark.parametrize(
    "name", ["repo", "arch", "path", "ip", "country", "protocol", "limit", "format", "junk", HOSTILE]
)
def test_html_escapes_whatever_is_asked(name: str) -> None:
    """A hostile value, or name, adds no element, no attribute and no link to the page; where it is shown it is text."""
    reply = browser().get(f"/?{'' if name == 'repo' else 'repo=arched&'}{quote(name)}={quote(HOSTILE)}")
    assert reply.status_code == 200
    page = Page(reply.text)
    clean = [Page(browser().get(f"/?{query}").text) for query in ("repo=arched", "repo=r&ip=x")]  # a list, an error
    shapes = {(tag, *sorted(attributes)) for plain in clean for tag, attributes in plain.elements}
    assert {(tag, *sorted(attributes)) for tag, attributes in page.elements} <= shapes
    assert "javascript" not in " ".join(link or "" for link in page.values("a", "href"))
    shown = {*page.values("input", "value"), *page.values("option", "value")}
    assert (HOSTILE in shown) == (name not in {"arch", "format", "junk", HOSTILE})
    assert "<script" not in reply.text


def test_html_shows_what_the_server_thinks() -> None:
    """Address, country, continent and network of the reader, the repositories, the list, links to the same list."""
    page = Page(browser(DE).get("/?repo=r&country=fr&limit=1").text)
    counts = ("2 public mirrors, 2 repositories.", "Snapshot 1, as of 2023-11-14 22:13 UTC.")
    for words in (f"Address{DE} ", "CountryGermany (DE) ", "ContinentEurope ", "NetworkAS680 ", *counts):
        assert words in page.text
    assert "hidden" not in page.text
    assert "gone" not in page.text
    assert page.links[:5] == [
        "/mirrorlist?repo=r&country=FR&limit=1",
        "/mirrorlist?repo=r&country=FR&limit=1&format=json",
        "/explain?repo=r&country=FR&limit=1",
        "/repos/r",
        "https://next/c/",
    ]
    chosen = [attributes for tag, attributes in page.elements if tag == "option" and "selected" in attributes]
    assert len(chosen) == 1


@pytest.mark.parametrize("query", ["", "?utm_source=x", "?country=FR", f"?ip={FR}", "?repo=&path="])
def test_html_without_a_repository_shows_the_first(query: str) -> None:
    """A request without a repository, or with half of one, gets a list."""
    page = Page(browser(DE).get(f"/{query}").text)
    assert page.links[0] == f"/mirrorlist?repo=arched&arch=aarch64{LINKED.get(query, '')}"
    assert "https://next/c/aarch64/" in page.values("a", "href")


LINKED = {"?country=FR": "&country=FR", f"?ip={FR}": f"&ip={FR}"}
"""What of a query is found again in the page's links."""


@pytest.mark.parametrize("query", ["repo=nothing", "repo=r&limit=x", "ip=foo", "path=../x", "repo=gone", "x=%FF"])
def test_html_knows_the_reader_even_in_an_error(query: str) -> None:
    """A wrong question does not make the reader's country unknown."""
    page = Page(browser(DE).get(f"/?{query}").text)
    assert "CountryGermany (DE) ContinentEurope NetworkAS680" in page.text
    assert ("error" in page.values("p", "class")) == (not query.startswith("x="))


def fields(page: Page) -> dict[str | None, str | None]:
    """Name of each field of the form -> its value."""
    found: dict[str | None, str | None] = {}
    select = None
    for tag, attributes in page.elements:
        if tag == "input":
            found[attributes["name"]] = attributes["value"]
        elif tag == "select":
            select = attributes["name"]
        elif tag == "option" and "selected" in attributes:
            found[select] = attributes["value"]
    return found


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("repo=r&ip=foo", {"repo": "r", "ip": "foo", "country": ""}),
        ("repo=old", {"repo": "r", "ip": "", "country": ""}),
        ("repo=nothing", {"repo": "nothing", "ip": "", "country": ""}),
        ("repo=gone&country=de,%20fr", {"repo": "gone", "ip": "", "country": "de, fr"}),
        ("repo=r&ip=1%2B1&country=a+b", {"repo": "r", "ip": "1+1", "country": "a+b"}),
        ("repo=r&limit=x&protocol=http", {"repo": "r", "ip": "", "country": "", "limit": "x", "protocol": "http"}),
        ("path=../x", {"repo": "", "ip": "", "country": "", "path": "../x"}),
        ("repo=arched&arch=x86_64&ip=foo", {"repo": "arched", "arch": "x86_64", "ip": "foo", "country": ""}),
        (f"repo=r&ip={FR}&country=fr", {"repo": "r", "ip": FR, "country": "fr"}),
    ],
)
def test_the_form_keeps_what_was_given(query: str, kept: dict[str, str]) -> None:
    """Right or wrong values stay in the form; and every field names its parameter, as the errors do."""
    page = Page(browser(DE).get(f"/?{query}").text)
    assert fields(page) == kept
    for name in kept:
        assert f"({name})" in page.text


@pytest.mark.parametrize("arch", ["", "&arch=", "&arch=sparc", "&arch=amd64"])
def test_another_repository_needs_no_architecture(arch: str) -> None:
    """A repository with architectures shows the list of its first one, and offers the others."""
    page = Page(browser(DE).get(f"/?repo=arched{arch}&ip=").text)
    assert "error" not in page.values("p", "class")
    assert fields(page)["arch"] == "aarch64"
    assert page.values("option", "value")[-2:] == ["aarch64", "x86_64"]
    assert page.links[0] == "/mirrorlist?repo=arched&arch=aarch64"


def test_html_tells_the_reader_from_the_address_asked_for() -> None:
    """Both are shown, each with its own place; the tiers are seen from the one that the list is for."""
    page = Page(browser(DE).get(f"/?repo=r&ip={FR}").text)
    you, _, other = page.text.partition("What it knows about the address you entered")
    assert "".join(f"Address{DE} CountryGermany (DE) ContinentEurope NetworkAS680".split()) in "".join(you.split())
    that = f"Address{FR} CountryFrance (FR) ContinentEurope The list for that address"
    assert "".join(that.split()) in "".join(other.split())
    assert "that country" in other
    assert "your country" in Page(browser(DE).get("/?repo=r").text).text


def test_html_says_how_near_in_words() -> None:
    """Every tier has words; with `country=` they speak of the countries asked for."""
    source = network(
        {
            "a": mirror("DE", netblocks=["198.51.100.0/24"]),
            "b": mirror("US", asns=[680]),
            "c": mirror("DE"),
            "d": mirror("PL"),
            "e": mirror("FR"),
            "f": mirror("JP"),
            "g": mirror("JP", fallback=True),
        },
        overrides={"neighbours": {"DE": [["PL"]]}},
    )
    using = service(source=source)
    near = re.compile(r"<td>\d</td><td>([^<]+)</td>")
    own = "your network,your network,your country,neighbour country,your continent,last resort"
    assert near.findall(browser(DE, using).get("/?repo=r").text) == own.split(",")
    assert near.findall(browser(JP, using).get("/?repo=r").text)[0] == "your network"
    alone = service(source=network({"f": mirror("JP")}))
    assert near.findall(browser(DE, alone).get("/?repo=r").text) == ["elsewhere"]
    for country, words in (("JP", "country asked for"), ("KR", "same continent"), ("global", "anywhere")):
        assert set(near.findall(browser(DE, using).get(f"/?repo=r&country={country}").text)) == {words}


def test_html_of_an_unknown_client() -> None:
    """Without an address, a country or a mirror the page says so."""
    nothing = network({"a": mirror("DE", allowed_countries=["DE"])})
    page = Page(ask(create_app(service(source=nothing)), "/").body.decode())
    assert "Addressunknown Countryunknown Continentunknown" in page.text
    assert "No mirror is offered to you for this." in page.text


@pytest.mark.parametrize("path", ["/", "/repos", "/mirrors", "/explain", "/readyz", "/mirrorlist", "/r/r/x"])
def test_a_query_of_many_parameters_is_refused_on_every_path(path: str) -> None:
    """Splitting it would cost milliseconds."""
    reply = browser().get(f"{path}?{'a=1&' * 100}repo=r")
    assert (reply.status_code, reply.text[:40]) == (400, "the query has too many parameters: at mo")


@pytest.mark.parametrize(
    ("path", "accept", "is_json"),
    [
        ("/repos", "*/*", False),
        ("/repos", "", False),
        ("/repos", "application/json", True),
        ("/repos", "text/plain;q=0.5, application/json", True),
        ("/repos?format=json", "*/*", True),
        ("/repos?format=json", "text/plain", True),
        ("/repos?format=text", "application/json", False),
    ],
)
def test_repositories_in_both_forms(path: str, accept: str, is_json: bool) -> None:
    """Text for pasting behind `/mirrorlist?`, JSON for programs: by `format=`, else by Accept; caches may know."""
    reply = browser().get(path, headers={"accept": accept})
    assert reply.headers["vary"] == "accept"
    if is_json:
        assert reply.headers["content-type"] == "application/json"
        assert reply.json() == [
            {"repo": "arched", "arches": ["aarch64", "x86_64"], "aliases": [], "disabled": False},
            {"repo": "gone", "arches": [], "aliases": [], "disabled": True},
            {"repo": "r", "arches": [], "aliases": ["old"], "disabled": False},
        ]
    else:
        assert reply.headers["content-type"] == "text/plain; charset=utf-8"
        assert reply.text == "repo=arched&arch=aarch64\nrepo=arched&arch=x86_64\nrepo=r\nrepo=old\n"
        for line in reply.text.splitlines():
            assert browser().get(f"/mirrorlist?{line}").status_code == 200


@pytest.mark.parametrize(
    ("peer", "headers", "trusted", "full"),
    [
        (LOCAL, {}, (), True),
        ("127.8.9.10", {}, (), True),
        ("::1", {}, (), True),
        ("::ffff:127.0.0.1", {}, (), True),
        (DE, {}, (), False),
        ("testclient", {}, (), False),
        # A proxy that is not configured as trusted makes strangers look local.
        (LOCAL, {"x-forwarded-for": DE}, (), False),
        (LOCAL, {"x-forwarded-for": LOCAL}, (), False),
        (LOCAL, {"forwarded": "for=127.0.0.1"}, (), False),
        (LOCAL, {"x-real-ip": LOCAL}, (), False),
        (LOCAL, {"via": "1.1 proxy"}, (), False),
        (LOCAL, {"x-forwarded-host": "mirrors.example"}, (), False),
        (LOCAL, {"x-forwarded-proto": "https"}, (), False),
        (DE, {"x-forwarded-for": LOCAL}, (), False),
        # A trusted one names the client; a stranger's own entry is to the left of the true one.
        (LOCAL, {"x-forwarded-for": DE}, (LOCAL,), False),
        (LOCAL, {"x-forwarded-for": f"{LOCAL}, {DE}"}, (LOCAL,), False),
        (LOCAL, {"x-forwarded-for": "127.0.0.5"}, (LOCAL,), True),
        (LOCAL, {"x-forwarded-for": "nonsense"}, (LOCAL,), False),
        (LOCAL, {"x-real-ip": LOCAL}, (LOCAL,), False),
        (LOCAL, {}, (LOCAL,), True),
        ("192.0.2.1", {"x-forwarded-for": LOCAL}, ("192.0.2.1",), True),
        (LOCAL, {"x-forwarded-for": LOCAL}, ("192.0.2.1",), False),
    ],
)
def test_explanations_for_insiders_and_strangers(
    peer: str,
    headers: dict[str, str],
    trusted: tuple[str, ...],
    full: bool,
) -> None:
    """The whole decision for addresses of the configured networks, as far as anybody vouches for them; or the list."""
    reply = browser(peer, service(*trusted)).get("/explain?repo=r", headers=headers)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    assert reply.headers["cache-control"] == "no-store"
    assert ("left_out" in reply.json()) == full
    assert ("hidden" in reply.text) == full
    assert {row["mirror"] for row in reply.json()["list"]} == {"near", "next"}


def test_the_trusted_header_of_an_untrusted_peer_makes_a_stranger() -> None:
    """Whatever the trusted header is called: a peer that sends it without being trusted is an unknown proxy."""
    using = service("192.0.2.1", header="CF-Connecting-IP")
    assert "left_out" in browser(LOCAL, using).get("/explain?repo=r").json()
    assert "left_out" not in browser(LOCAL, using).get("/explain?repo=r", headers={"cf-connecting-ip": DE}).json()


@pytest.mark.parametrize(
    ("query", "status"), [("repo=gone", 403), ("repo=x", 404), ("", 400), ("repo=r&country=QQ&protocol=ftp", 404)]
)
def test_an_explanation_has_the_status_it_tells(query: str, status: int) -> None:
    """That of the list it explains, outside as inside, as JSON and as text."""
    reply = browser(LOCAL).get(f"/explain?{query}")
    assert (reply.status_code, reply.json()["status"]) == (status, status)
    assert browser(LOCAL).get(f"/mirrorlist?{query}").status_code == status
    people = browser(LOCAL).get(f"/explain?{query}&as=text")
    assert people.status_code == status
    assert str(status) in people.text


@pytest.mark.parametrize(
    ("more", "accept", "is_text"),
    [
        ("", "*/*", False),
        ("", "", False),
        ("", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("", "text/plain", True),
        ("", "application/json", False),
        ("", "application/json, text/plain, */*", False),
        ("&as=text", "application/json", True),
        ("&as=json", "text/html", False),
        ("&as=", "text/html", True),
        # The list's format is none of the explanation's.
        ("&format=json", "text/html", True),
        ("&format=text", "*/*", False),
    ],
)
def test_explanations_for_people_and_programs(more: str, accept: str, is_text: bool) -> None:
    """Text for browsers, JSON for programs, or as asked; caches may know, and no browser guesses what it is."""
    reply = browser(LOCAL).get(f"/explain?repo=r{more}", headers={"accept": accept})
    kinds = {True: "text/plain; charset=utf-8", False: "application/json"}
    assert (reply.status_code, reply.headers["content-type"]) == (200, kinds[is_text])
    assert (reply.headers["vary"], reply.headers["x-content-type-options"]) == ("accept", "nosniff")
    assert reply.headers["cache-control"] == "no-store"
    assert ("left out: 2\n" in reply.text) == is_text


def test_an_explanation_of_an_unknown_form() -> None:
    """The answer to `as=yaml` names the forms that exist."""
    reply = browser().get("/explain?repo=r&as=yaml")
    assert (reply.status_code, reply.text) == (400, "as= takes text or json\n")


def test_insiders_ask_for_anyone_in_a_country() -> None:
    """`from=` puts an insider into a country; a stranger is refused, malformed or not, in every form."""
    place = browser(LOCAL).get("/explain?repo=r&from=fr").json()["place"]
    assert (place["country"], place["continent"]) == ("FR", "EU")
    assert browser(LOCAL).get("/explain?repo=r&from=").json()["place"]["country"] is None
    assert browser(LOCAL).get("/explain?repo=r&from=QQ").status_code == 400
    assert browser(LOCAL).get("/explain?repo=r&from=uk").json()["place"]["country"] == "GB"
    for more in ("&from=FR", "&from=UK", "&mirror=near", "&mirror=nothing", "&from=FR&mirror=x&as=text"):
        reply = browser(DE).get(f"/explain?repo=r{more}")
        assert (reply.status_code, reply.headers["content-type"]) == (403, "text/plain; charset=utf-8")
        assert reply.text.startswith("from= and mirror= are for the operators of this server")
    assert browser(DE).get("/explain?repo=r&from=&mirror=").json()["place"]["country"] == "DE"


def test_insiders_ask_for_some_mirrors() -> None:
    """`mirror=` leaves the rows of these, by name or a part of it, as on the command line; a misspelt one is 400."""
    found = browser(LOCAL).get("/explain?repo=r&from=DE&mirror=NEA&mirror=hidden").json()
    assert [row["mirror"] for row in (*found["list"], *found["left_out"])] == ["near", "hidden"]
    assert "hidden" in browser(LOCAL).get("/explain?repo=r&mirror=hidden&as=text").text
    reply = browser(LOCAL).get("/explain?repo=r&mirror=nonsense")
    assert (reply.status_code, reply.text) == (400, "mirror=: no mirror's name contains 'nonsense'\n")
    assert browser(LOCAL).get("/explain?repo=nothing&mirror=x").json()["status"] == 404


@pytest.mark.parametrize(
    ("trusted", "scope", "forwarded", "country"),
    [
        ((), {"client": (DE, 1)}, [], "DE"),
        ((), {"client": (DE, 1)}, [FR.encode()], "DE"),
        ((), {"client": (f"::ffff:{DE}", 1)}, [], "DE"),
        (("192.0.2.1",), {"client": ("192.0.2.1", 1)}, [FR.encode()], "FR"),
        (("192.0.2.0/24",), {"client": ["192.0.2.1", 1]}, [JP.encode(), b" %b , 192.0.2.9" % FR.encode()], "FR"),
        (("192.0.2.1",), {"client": ("192.0.2.1", 1)}, [b"[::1]:80, \xff\xfe"], None),
        (("192.0.2.1",), {"client": (DE, 1)}, [FR.encode()], "DE"),
        # A unix socket's peer has no address: servers say None, or nothing at all.
        (("unix",), {"client": None}, [FR.encode()], "FR"),
        (("unix",), {}, [FR.encode()], "FR"),
        (("unix",), {"client": None}, [], None),
        ((), {"client": None}, [FR.encode()], None),
        ((), {}, [FR.encode()], None),
        (("192.0.2.1",), {}, [FR.encode()], None),
    ],
)
def test_who_asks(trusted: Sequence[str], scope: dict[str, Any], forwarded: list[bytes], country: str | None) -> None:
    """The peer, or whom a trusted proxy names in the one header; on every route, and counted where unreadable."""
    using = service(*trusted)
    app = create_app(using)
    headers = [(b"x-forwarded-for", value) for value in forwarded]
    others = [(b"x-real-ip", JP.encode()), (b"forwarded", b"for=%b" % JP.encode()), (b"true-client-ip", JP.encode())]
    reply = ask(app, "/mirrorlist", b"repo=r", [*others, *headers], **scope)
    assert reply.status == 200
    assert (
        reply.body.splitlines()[0].decode().startswith(f"# repo = r country = {country}" if country else "# repo = r")
    )
    assert (b"country" in reply.body) == bool(country)
    assert using.counters.address_failures == any(b"\xff" in value for value in forwarded)
    explanation = json.loads(ask(app, "/explain", b"repo=r", [*others, *headers], **scope).body)
    assert explanation["place"]["country"] == country
    assert ask(app, "/", b"", [*others, *headers], **scope).status == 200
    assert ask(app, "/readyz", b"", [*others, *headers], **scope).status == 200


def test_ready() -> None:
    """What is served and since when, as fields; alive is another question."""
    using = service()
    reply = browser(using=using).get("/readyz")
    facts = reply.json()
    assert reply.status_code == 200
    assert reply.headers["cache-control"] == "no-store"
    assert facts["age_seconds"] > 86_400
    del facts["age_seconds"]
    assert facts == {
        "ready": True,
        "draining": False,
        "serial": 1,
        "built": 1_700_000_000,
        "mirrors": 3,
        "repositories": 3,
        "last_reload": None,
        "stale": False,
        "max_age_seconds": None,
        "last_good": False,
        "seconds_ahead": 0,
        "refused": [],
        "status": {"down": 0, "draining": 0, "weighted": 0, "unknown": 0, "failed": False},
        "geo": {},
    }
    using.counters.reloaded(ok=True, at=1_700_000_100.7, seconds=0.01234)
    assert browser(using=using).get("/readyz").json()["last_reload"] == {
        "number": 1,
        "result": "ok",
        "at": 1_700_000_100,
        "seconds": 0.012,
    }
    healthy = browser().get("/healthz")
    assert (healthy.status_code, healthy.text, healthy.headers["cache-control"]) == (200, "ok\n", "no-store")


def test_not_ready_before_the_first_state() -> None:
    """Alive, countable, and 503 with a time to come back for whatever needs a snapshot."""
    client = browser(LOCAL, Service())
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()) == (503, {"ready": False, "draining": False})
    assert client.get("/healthz").status_code == 200
    assert client.get("/metrics").status_code == 200
    for path in ("/mirrorlist?repo=r", "/", "/repos", "/explain?repo=r"):
        reply = client.get(path)
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
        assert reply.text == "the first snapshot is not loaded yet\n"
    assert client.head("/mirrorlist?repo=r").status_code == 503


def test_draining_is_not_ready_but_serves() -> None:
    """A load balancer sees 503 on /readyz; clients that still come get answers."""
    using = service()
    using.draining = True
    client = browser(using=using)
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["ready"], ready.json()["draining"]) == (503, False, True)
    for path in ("/mirrorlist?repo=r", "/", "/repos", "/explain?repo=r", "/healthz", "/metrics"):
        assert client.get(path).status_code == 200


def test_a_failed_reload_stays_ready_and_its_reason_is_for_insiders() -> None:
    """200 and `failed` for every client: no fleet goes out of rotation. The reason names files: for insiders only."""
    using = service()
    using.counters.reloaded(ok=False, at=1_700_000_200.0, seconds=0.5)
    using.reload_error = "/srv/secret/mirrors.mls: cut off"
    for peer, headers in ((LOCAL, {}), (DE, {}), (LOCAL, {"x-forwarded-for": DE})):
        reply = browser(peer, using).get("/readyz", headers=headers)
        assert (reply.status_code, reply.json()["ready"]) == (200, True)
        assert reply.json()["last_reload"]["result"] == "failed"
        inside = peer == LOCAL and not headers
        assert reply.json().get("reload_error") == (using.reload_error if inside else None)
        assert browser(peer, using).get("/mirrorlist?repo=r", headers=headers).status_code == 200
        for path in ("/", "/metrics", "/explain?repo=r", "/mirrorlist?repo=r"):
            assert "secret" not in browser(peer, using).get(path, headers=headers).text


def samples(client: TestClient) -> dict[tuple[str, ...], float]:
    """The metrics, parsed: (name, label values...) -> value."""
    reply = client.get("/metrics")
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


def test_metrics_count_answers() -> None:
    """Every answer to a list is counted once, by format and status, in rows that were there before, and by tier."""
    using = service()
    client, operator = browser(using=using), browser(LOCAL, using)
    before = samples(operator)
    for path in ["repo=r"] * 3 + ["repo=r&format=json", "repo=x", "repo=x&format=json", "", "repo=gone"]:
        client.get(f"/mirrorlist?{path}")
    client.head("/mirrorlist?repo=r&country=global")
    for path in ("/", "/repos", "/explain?repo=r", "/nothing"):
        client.get(path)
    after = samples(operator)
    assert set(before) == set(after)
    grown = {key: after[key] - before[key] for key in after if after[key] != before[key]}
    counted = {key[1:]: value for key, value in grown.items() if key[0] == "mirrorlistd_answers_total"}
    assert counted == {
        ("text", "200"): 4,
        ("json", "200"): 1,
        ("text", "404"): 2,
        ("text", "400"): 1,
        ("text", "403"): 1,
    }
    tiers = {key[1]: value for key, value in grown.items() if key[0] == "mirrorlistd_first_tier_total"}
    assert tiers == {"country": 4, "global": 1}
    assert grown["mirrorlistd_answer_seconds_count",] == 9
    assert after["mirrorlistd_snapshot_serial",] == 1
    assert after["mirrorlistd_snapshot_mirrors",] == 4
    assert after["mirrorlistd_snapshot_repositories",] == 3


def test_metrics_count_addresses_that_cannot_be_read() -> None:
    """A proxy that writes nonsense shows in the metrics, not in errors."""
    client = browser("192.0.2.1", service("192.0.2.1"))
    for value in ("unknown", FR, ""):
        assert client.get("/mirrorlist?repo=r", headers={"x-forwarded-for": value}).status_code == 200
    assert samples(client)["mirrorlistd_client_address_failures_total",] == 1


def test_own_lifespan_from_a_configuration(tmp_path: Path) -> None:
    """Under another ASGI server the state is loaded at its start, and statistics are whole at its end."""
    path, statistics = tmp_path / "m.mls", tmp_path / "statistics.log"
    path.write_bytes(encode(compiled(SOURCE, serial=77)))
    app = create_app(config=Config(snapshot=path, limit=1, statistics=statistics))
    assert TestClient(app).get("/readyz").status_code == 503
    with TestClient(app) as client:
        assert client.get("/readyz").json()["serial"] == 77
        assert len(client.get("/mirrorlist?repo=r&comments=0").text.splitlines()) == 1
    assert statistics.read_text().count("REPO: r; ARCH: -\n") == 1


def test_own_lifespan_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`uvicorn --factory mirrorlistd.web.app:create_app` needs nothing but MIRRORLISTD_* variables."""
    path = tmp_path / "m.mls"
    path.write_bytes(encode(compiled(SOURCE, serial=78)))
    monkeypatch.setenv("MIRRORLISTD_SNAPSHOT", str(path))
    monkeypatch.setenv("MIRRORLISTD_EXPLAIN_NETWORK", "198.51.100.0/24")
    with TestClient(create_app(), client=(DE, 1)) as client:
        assert client.get("/readyz").json()["serial"] == 78
        assert "left_out" in client.get("/explain?repo=r").json()
    path.unlink()
    with pytest.raises(StateError, match="cannot be read"), TestClient(create_app()):
        pass
    monkeypatch.delenv("MIRRORLISTD_SNAPSHOT")
    with pytest.raises(StateError, match="MIRRORLISTD_DEMO=1"), TestClient(create_app()):
        pass
    monkeypatch.setenv("MIRRORLISTD_DEMO", "1")
    with TestClient(create_app()) as client:
        assert client.get("/readyz").json()["serial"] == 1
    monkeypatch.setenv("MIRRORLISTD_LIMIT", "many")
    with pytest.raises(ConfigError, match="MIRRORLISTD_LIMIT"), TestClient(create_app()):
        pass


def test_own_lifespan_keeps_a_state_that_is_there() -> None:
    """An application with a loaded service serves that one, and loads nothing."""
    using = service()
    state = using.state
    with TestClient(create_app(using, Config(snapshot=Path("/nowhere")))):
        assert using.state is state


PATHS = st.sampled_from(
    ["/", "/mirrorlist", "/x/mirrorlist", "/repos", "/explain", "/healthz", "/readyz", "/metrics", "/x"]
)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from([b"host", b"accept", b"x-forwarded-for", b"range", b"cookie", b"content-length", b"via"]),
        st.binary(max_size=30) | st.sampled_from([b"[", b"[::1", b"a:b:c", b"127.0.0.1", b"application/json", b"-1"]),
    ),
    max_size=3,
)
QUERY_BYTES = st.binary(max_size=60) | st.lists(
    st.tuples(
        st.sampled_from([b"repo", b"arch", b"path", b"ip", b"country", b"format", b"limit", b"from", b"as"]),
        st.binary(max_size=8) | st.sampled_from([b"r", b"arched", b"x86_64", b"c/x", b"json", b"DE", b"1"]),
    ).map(b"=".join),
    max_size=4,
).map(b"&".join)
FUZZED = create_app(service("127.0.0.1", "unix"))


@given(
    path=PATHS,
    query=QUERY_BYTES,
    headers=HEADERS,
    peer=st.sampled_from([None, LOCAL, DE, "fe80::1%eth0", "", "nonsense"]),
    method=st.sampled_from(["GET", "HEAD", "POST"]),
)
@settings(max_examples=300, deadline=None)
def test_no_request_is_an_error_of_ours(
    path: str, query: bytes, headers: list[tuple[bytes, bytes]], peer: str | None, method: str
) -> None:
    """Any bytes as query, as headers and as peer, on any route: an answer below 500, and no exception."""
    reply = ask(FUZZED, path, query, headers, client=(peer, 1) if peer is not None else None, method=method)
    assert reply.status < 500
    assert reply.status not in range(300, 400)
    assert all(not {b"\r", b"\n"} & {bytes([byte]) for byte in value} for _, value in reply.headers)
