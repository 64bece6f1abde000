"""The public pages: what they show, what they never show, and their headers."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from mirrorlist_admin.store import Store, schema
from mirrorlist_admin.views.mirrors import State
from mirrorlist_admin.web.app import create_app
from mirrorlist_admin.web.bodies import MEANINGS
from support.observed_example import HOSTILE, HOUR, STATES, fill

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = 1_795_946_400
"""2026-11-29 10:00:00 UTC."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with mirrors in every state."""
    made = tmp_path_factory.mktemp("state")
    fill(made, NOW, mirrors=20)
    return made


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    """A reader."""
    with TestClient(create_app(folder, lambda: NOW)) as made:
        yield made


@pytest.fixture(scope="module")
def names(client: TestClient) -> dict[str, str]:
    """State -> the mirror that is named after it."""
    found = [mirror["mirror"] for mirror in client.get("/mirrors?format=json").json()["mirrors"]]
    return {name.partition(".")[0]: name for name in found}


def pages(names: dict[str, str]) -> list[str]:
    """Every page."""
    one = [f"/mirrors/{name}" for name in names.values()]
    return ["/mirrors", "/mirrors?state=down&country=DE", "/repos", "/repos/epel-9", "/repos/epel-9?arch=aarch64", *one]


def test_every_state_is_shown_with_its_reason(client: TestClient, names: dict[str, str]) -> None:
    """Each mirror has the state that it is named after; what is not as it should be has a reason."""
    found = {
        mirror["mirror"].partition(".")[0]: mirror for mirror in client.get("/mirrors?format=json").json()["mirrors"]
    }
    expected = {
        "fresh": "fresh",
        "down": "down",
        "stale": "out of date",
        "v6": "partly down",
        "suspect": "suspect",
        "late": "late",
        "returning": "returning",
        "maintenance": "maintenance",
        "unseen": "not observed",
        "off": "switched off",
    }
    assert {name: found[name]["state"] for name in expected} == expected
    assert found["v6"]["families"] == {"ipv4": "up", "ipv6": "down"}
    assert found["stale"]["why"] == (
        "8/aarch64/repodata/repomd.xml: repomd.xml of 2026-11-28 03:00, superseded 27 h ago, and 2 more"
    )
    assert {bool(found[name]["why"]) for name in expected if name not in {"fresh", "unseen"}} == {True}
    assert found["stale"]["lag"] == 27 * HOUR
    page = client.get("/mirrors").text
    assert page.index(names["down"]) < page.index(names["late"]) < page.index(names["fresh"])


def test_private_mirrors_are_on_no_page(client: TestClient, names: dict[str, str], folder: Path) -> None:
    """Neither their names nor that there are any: their page is the same 404 as that of a name that nobody has."""
    with Store(folder, read_only=True) as store:
        private = [row.mirror for row in store.read(schema.DECLARED_MIRROR, "WHERE private = 1")]
    assert len(private) == 1
    for path in pages(names):
        for form in ("", "?format=json" if "?" not in path else "&format=json"):
            assert "private.example" not in client.get(path + form).text, path
    refused, unknown = client.get(f"/mirrors/{private[0]}"), client.get("/mirrors/nobody.example")
    assert (refused.status_code, refused.text) == (unknown.status_code, unknown.text)
    assert refused.status_code == 404


def test_the_timeline_answers_why_it_was_out(client: TestClient, names: dict[str, str]) -> None:
    """At a moment during the failure the page says what was down, since when and by which rule; before, nothing."""
    during = client.get(f"/mirrors/{names['down']}?at=2026-11-29+07:30&format=json").json()["at"]["facts"]
    assert {(fact["what"][-2:], fact["state"], fact["out"], fact["cause"]) for fact in during} == {
        ("v4", "down", True, "third failure in 85 s"),
        ("v6", "down", True, "third failure in 85 s"),
    }
    assert client.get(f"/mirrors/{names['down']}?at=2026-11-28+07:30&format=json").json()["at"]["facts"] == []
    for at in ("1970-01-01+00:00", "0001-01-01+00:00", "9999-12-31+23:59"):
        assert client.get(f"/mirrors/{names['down']}?at={at}").status_code == 200
    assert "nothing was known against it" in client.get(f"/mirrors/{names['down']}?at=1970-01-01+00:00").text
    page = client.get(f"/mirrors/{names['down']}?at=2026-11-29T07:30Z").text
    assert "was down since" in page
    assert "third failure in 85 s" in page


def test_a_wrong_report_is_on_the_mirrors_page(client: TestClient, names: dict[str, str]) -> None:
    """A mirror whose report was found wrong sees that, until when it counts, and the evidence."""
    page = client.get(f"/mirrors/{names['stale']}").text
    assert "A report of it was wrong" in page
    assert "version 1f3a was reported" in page


def test_strangers_texts_are_only_text(client: TestClient, names: dict[str, str]) -> None:
    """Markup in a reason is escaped; characters that turn the text or steer a terminal are written out."""
    for path in ("/mirrors", f"/mirrors/{names['maintenance']}"):
        page = client.get(path).text
        assert "<b>" not in page.replace("<b>aarch64</b>", "")
        assert "&lt;b&gt;&amp;amp; more&lt;/b&gt;" in page
        assert "\u202e" not in page
        assert "\x1b" not in page
    assert client.get("/mirrors?format=json").json()["mirrors"]  # JSON has the text as it is
    assert HOSTILE in {one["why"] for one in client.get("/mirrors?format=json").json()["mirrors"]}


def test_only_http_urls_become_links(client: TestClient, names: dict[str, str]) -> None:
    """A URL with another scheme is shown as text."""
    for path in pages(names):
        for target in re.findall(r'href="([^"]*)"', client.get(path).text):
            assert target.startswith(("https://", "/")), target


def test_no_page_loads_anything(client: TestClient, names: dict[str, str]) -> None:
    """The policy allows the page's own style by its hash, no script, no frame; nothing has an inline style."""
    for path in [*pages(names), "/mirrors/nobody.example"]:
        answer = client.get(path)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"<script|<img|<link|\sstyle=|\son\w+=|javascript:", answer.text), path


def test_the_same_as_json_with_etag_and_cors(client: TestClient, names: dict[str, str]) -> None:
    """Programs get JSON by `format` or `Accept`, may read it from any page, and 304 if nothing has changed."""
    for path in ("/mirrors", f"/mirrors/{names['stale']}", "/repos", "/repos/epel-9"):
        answer = client.get(path, headers={"accept": "application/json"})
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.json()["now"] == NOW
        assert client.get(path, headers={"accept": "text/html,application/json"}).text.startswith("<!doctype html>")
        again = client.get(path, headers={"accept": "application/json", "if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_propagation_is_a_picture_and_its_numbers(client: TestClient) -> None:
    """The page has a curve for the mirrors, their bandwidth, and the version before; and the slowest mirrors."""
    page = client.get("/repos/epel-9?arch=x86_64").text
    assert len(re.findall(r'<path class="(?:one|two|old)" d="M0,1000', page)) == 3
    assert 'role="img" aria-label="' in page
    found = client.get("/repos/epel-9?arch=x86_64&format=json").json()
    assert found["mirrors"] == 18
    assert [set(spread["reached"]) for spread in found["spreads"]] == [{"t50", "t90", "t99"}] * 3
    assert {"stale", "down"} <= {one["mirror"].partition(".")[0] for one in found["slowest"] if one["after"] is None}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/mirrors/nobody.example", 404),
        ("/mirrors/", 404),
        ("/repos/nothing", 404),
        ("/repos/epel-9?arch=z80", 404),
        ("/nothing", 404),
        ("/mirrors?format=xml", 400),
        ("/mirrors/down.example?at=yesterday", 400),
        ("/mirrors/down.example?at=2026-02-30+00:00", 400),
        ("/mirrors/%00%ff", 404),
        ("/repos/epel-9?arch=%00", 404),
    ],
)
def test_mistakes_have_a_page(client: TestClient, path: str, status: int) -> None:
    """An unknown name is 404, a wrong parameter 400; both say what is wrong, as JSON for programs."""
    answer = client.get(path)
    assert answer.status_code == status
    assert 'class="error"' in answer.text
    assert set(client.get(path, headers={"accept": "application/json"}).json()) == {"error"}


def test_the_program_for_mirrors_can_be_downloaded(client: TestClient) -> None:
    """`curl -O .../mirrorlist-report` gives the file that is installed as a command."""
    answer = client.get("/mirrorlist-report")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text.startswith("#!/usr/bin/env python3\n")


def test_every_state_has_a_meaning() -> None:
    """The table below the mirrors explains each state once."""
    assert {state for state, _ in MEANINGS} == set(State)
    assert len(STATES) >= len(State)


def test_a_store_that_cannot_be_read_is_503(tmp_path: Path) -> None:
    """A file that something else has damaged gives an error page, not a traceback."""
    fill(tmp_path, NOW, mirrors=1)
    with TestClient(create_app(tmp_path, lambda: NOW)) as client:
        with sqlite3.connect(tmp_path / "observations.db") as damaged:
            damaged.execute("DROP TABLE declared_mirror")
        damaged.close()
        answer = client.get("/mirrors")
        assert (answer.status_code, "the store cannot be read" in answer.text) == (503, True)


def test_before_the_first_run_the_pages_say_so(tmp_path: Path) -> None:
    """An empty store has pages, too."""
    with TestClient(create_app(tmp_path, lambda: NOW)) as client:
        assert "No run of the prober has ended yet" in client.get("/mirrors").text
        assert "No repository has an index file" in client.get("/repos").text
        assert client.get("/healthz").text == "alive\n"
        assert client.get("/", follow_redirects=False).headers["location"] == "/mirrors"
