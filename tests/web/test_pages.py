"""Claims of `pages`: what everyone may see of mirrors, in every form, and nothing else."""

from __future__ import annotations

import gc
import json
import re
from collections import Counter
from dataclasses import replace
from typing import Any
from weakref import ref

import pytest

from mirrorlistd.answering.decider import Decider
from mirrorlistd.answering.plan import AnswerSettings
from mirrorlistd.selection.index import Index
from mirrorlistd.selection.status_file import parse
from mirrorlistd.web.pages import world_map
from mirrorlistd.web.pages.world_map import Shade
from support.readers import HOSTILE, Page, browser, service
from support.worlds import DE, FR, JP, ask, compiled, decider, hosts, mirror, network

HTML = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
SOURCE = network(
    {
        "alpha.example": mirror(
            "DE", bandwidth=1000, categories={"c": ["https://alpha.example/c/", "rsync://alpha/c/"]}
        ),
        "beta.example": mirror(
            "FR",
            categories={"c": "http://Beta.example:8080/c/", "d": "https://beta.example/d/"},
            about={
                "sponsor": {"name": "Beta <b>& Sons</b>", "url": "https://sponsor.example/?a=1&b=2"},
                "city": "Paris",
                "latitude": 48.8566,
                "longitude": 2,
                "notes": "10 Gbit/s",
                "contact": "secret-contact@beta.example",
                "extra": {"rack": "secret-rack"},
            },
        ),
        "gamma.example": mirror("JP", categories={"c": {"urls": ["https://gamma/c/"], "exclude": ["x"]}}),
        "secret-campus": mirror("DE", private=True, netblocks=["203.0.113.0/24"]),
        "secret-as": mirror("DE", private=True, asns=[680], about={"sponsor": "secret-sponsor"}),
        "secret-off": mirror("US", active=False),
    },
    categories={"c": {}, "d": {}},
    repositories={
        "r": {"category": "c"},
        "x": {"category": "c", "path": "x/{arch}", "arches": ["arm", "x86"]},
        "d": {"category": "d"},
        "old": {"alias": "x"},
        "gone": {"category": "c", "disabled": True},
    },
)
USING = service(source=SOURCE)
PATHS = [
    *("/", "/?repo=x&arch=arm", f"/?repo=r&ip={FR}", "/?repo=r&country=US", "/?repo=nothing", "/repos", "/mirrors"),
    *(
        "/mirrors?repo=r",
        "/mirrors?country=de",
        "/mirrors?country=US",
        "/repos/r",
        "/repos/x",
        "/repos/old",
        "/repos/d",
    ),
]


def get(path: str, form: str = "html", peer: str = DE, using: Any = None) -> Any:
    """Ask for a page as a browser does, or for data."""
    accept = HTML if form == "html" else {"accept": "application/json"} if form == "json" else {}
    return browser(peer, using or USING).get(path, headers=accept)


@pytest.mark.parametrize("form", ["html", "json", "text"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("peer", [DE, JP, "127.0.0.1"])
def test_no_page_tells_of_what_is_not_public(path: str, form: str, peer: str) -> None:
    """Private and inactive mirrors, networks and disabled repositories are in no page, in no form, for no client.

    But the front page, whose list is its reader's own: there a private mirror may show to its own network alone.
    """
    reply = get(path, form, peer)
    assert reply.status_code == 200
    own = (peer == DE and path.startswith("/?")) or path == "/"
    for word in ("secret-campus", "secret-off", "203.0.113", *(() if own else ("secret", "680"))):
        assert word not in reply.text
    if path != "/repos" or form != "json":  # there it is said to be disabled
        assert "gone" not in reply.text


def test_public_mirrors_as_data() -> None:
    """Names, places, hosts with unusual ports, every URL: what a firewall needs; nothing else."""
    found = get("/mirrors", "json").json()
    assert set(found) == {"serial", "built", "observed", "mirrors"}
    assert found["observed"] is None
    assert found["mirrors"][1] == {
        "mirror": "beta.example",
        "country": "FR",
        "continent": "EU",
        "worldwide": False,
        "also_countries": [],
        "bandwidth": 100,
        "hosts": ["beta.example", "beta.example:8080"],
        "urls": {"c": ["http://beta.example:8080/c/"], "d": ["https://beta.example/d/"]},
        "health": None,
        "about": {
            "sponsor": "Beta <b>& Sons</b>",
            "sponsor_url": "https://sponsor.example/?a=1&b=2",
            "city": "Paris",
            "latitude": 48.8566,
            "longitude": 2,
            "notes": "10 Gbit/s",
        },
    }
    assert [row["mirror"] for row in found["mirrors"]] == ["alpha.example", "beta.example", "gamma.example"]
    assert get("/mirrors", "text").text == "alpha\nalpha.example\nbeta.example\nbeta.example:8080\ngamma\n"
    assert get("/mirrors?format=json", "html").json() == found


def test_what_is_known_of_a_mirror_is_on_its_page() -> None:
    """Sponsor with a link, city and notes are shown, escaped; of a worldwide mirror, that it is one."""
    text = get("/mirrors").text
    assert (
        '<a href="https://sponsor.example/?a=1&amp;b=2" rel="nofollow">Beta &lt;b&gt;&amp; Sons&lt;/b&gt;</a>' in text
    )
    assert "Paris" in text
    assert "10 Gbit/s" in text
    using = service(source=network({"cdn": mirror(None, worldwide=True), "asia": mirror(None, continent="AS")}))
    text = get("/mirrors", using=using).text
    assert "worldwide" in text
    assert "<td>AS</td>" in text
    rows = get("/mirrors", "json", using=using).json()["mirrors"]
    assert [(row["mirror"], row["worldwide"], row["continent"]) for row in rows] == [
        ("asia", False, "AS"),
        ("cdn", True, None),
    ]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("repo=r", ["alpha.example", "beta.example", "gamma.example"]),
        ("repo=x", ["alpha.example", "beta.example"]),
        ("repo=old&country=FR", ["beta.example"]),
        ("country=jp", ["gamma.example"]),
        ("country=EU", ["alpha.example", "beta.example"]),
        ("country=uk", []),
        ("country=US", []),
        ("repo=&country=", ["alpha.example", "beta.example", "gamma.example"]),
    ],
)
def test_public_mirrors_of_a_repository_or_a_country(query: str, names: list[str]) -> None:
    """The same ones in every form; the links to the other forms keep what was asked."""
    assert [row["mirror"] for row in get(f"/mirrors?{query}", "json").json()["mirrors"]] == names
    page = Page(get(f"/mirrors?{query}").text)
    assert page.values("tr", "id") == names
    links = [link for link in page.links if link and link.endswith("format=json")]
    assert [row["mirror"] for row in get(links[0] or "").json()["mirrors"]] == names
    assert ("No public mirror" in page.text) == (not names)


ONE_CODE = "country= takes the two-letter code of one country or continent"


@pytest.mark.parametrize(("written", "code", "name"), [("uk", "GB", "United Kingdom"), ("EL", "GR", "Greece")])
def test_countries_as_people_write_them(written: str, code: str, name: str) -> None:
    """UK and EL are understood, and the page shows which country that is; each form has the same mirrors."""
    using = service(source=network({"one": mirror(code), "two": mirror("DE")}))
    for country in (written, code):
        page = Page(get(f"/mirrors?country={country}", using=using).text)
        assert page.values("tr", "id") == ["one"]
        assert f"{code} {name}" in page.text
        assert get(f"/mirrors?country={country}", "text", using=using).text == "one\n"
    europe = Page(get("/mirrors?country=eu", using=using).text)
    assert europe.values("tr", "id") == ["one", "two"]
    assert "EU Europe" in europe.text


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        (
            "/mirrors?country=germany",
            400,
            f"{ONE_CODE}; did you mean DE?",
        ),
        (
            "/mirrors?country=deu",
            400,
            f"{ONE_CODE}; did you mean DE?",
        ),
        (
            "/mirrors?country=C%C3%B4te%20d'Ivoire",
            400,
            f"{ONE_CODE}; did you mean CI?",
        ),
        (
            "/mirrors?country=Europe",
            400,
            f"{ONE_CODE}; did you mean EU?",
        ),
        (
            "/mirrors?country=QQ",
            400,
            f"{ONE_CODE}, as in country=PL",
        ),
        ("/mirrors?format=xml", 400, "format= takes text or html or json"),
        ("/repos/r?format=text", 400, "format= takes html or json"),
        ("/mirrors?repo=nope", 404, "no such repository"),
        ("/repos/nope", 404, "no such repository"),
        ("/repos/gone", 403, "repository gone is disabled"),
        ("/mirrors?repo=gone", 403, "repository gone is disabled"),
        ("/repos/r/x", 404, "Not Found"),
        (f"/mirrors?repo={HOSTILE}", 404, "no such repository"),
    ],
)
def test_errors_are_a_line_of_text(path: str, status: int, words: str) -> None:
    """Whatever form was wanted, and never with the words that were asked."""
    for form in ("html", "json"):
        reply = get(path, form)
        assert (reply.status_code, reply.headers["content-type"]) == (status, "text/plain; charset=utf-8")
        assert reply.text.startswith(words)
        assert "script" not in reply.text


def test_lists_under_mirrors_stay_lists() -> None:
    """`/mirrors/NAME.txt` is apt's list, `/mirrors` is the page."""
    assert get("/mirrors/r.txt").text.endswith("priority:1\n") or "priority" in get("/mirrors/r.txt").text
    assert get("/mirrors").headers["content-type"] == "text/html; charset=utf-8"


def test_one_repository() -> None:
    """Who carries it, with how much of it; who carries its category but not all of it; how to ask for it."""
    found = get("/repos/x", "json").json()
    assert found["directories"] == {arch: {"category": "c", "path": f"x/{arch}"} for arch in ("arm", "x86")}
    assert (found["repo"], found["aliases"]) == ("x", ["old"])
    assert [(row["mirror"], row["arches"]) for row in found["mirrors"]] == [
        ("alpha.example", ["arm", "x86"]),
        ("beta.example", ["arm", "x86"]),
    ]
    assert found["mirrors"][1]["urls"] == {"c": ["http://beta.example:8080/c/"]}
    page = Page(get("/repos/x").text)
    assert "2 public mirrors in 2 countries, 1.1 Gbit/s in all." in page.text
    _, _, lacking = page.text.partition("Mirrors that do not carry all of it now")
    assert "gamma.example" in lacking
    assert page.text.count("100.0\xa0%") == 2
    for link in ("/mirrorlist?repo=x&arch=arm", "/mirrors/x/arm.txt", "/?repo=x&arch=arm", "/explain?repo=x&arch=arm"):
        assert link in page.links
        assert get(link).status_code == 200
    assert get("/repos/old").content == get("/repos/x").content
    assert "do not carry" not in get("/repos/d").text


def test_shares_are_those_of_lists() -> None:
    """A mirror's share in its country is how often lists for a client there begin with it; the last resort has none."""
    source = network(
        {
            "a": mirror("DE", bandwidth=300),
            "b": mirror("DE", bandwidth=100),
            "c": mirror("DE", fallback=True),
            "d": mirror("DE", private=True, netblocks=["203.0.113.0/24"], bandwidth=900),
            "e": mirror(None),
        }
    )
    text = get("/repos/r", using=service(source=source)).text
    rows = re.findall(r'<th scope="row">(.)</th>.*?<td class="number share">(.*?)</td>', text)
    assert rows == [("a", "75.0&nbsp;%"), ("b", "25.0&nbsp;%"), ("c", "last resort"), ("e", "–")]  # noqa: RUF001 - as shown
    using = decider(source)
    first = Counter(hosts(ask(using, "repo=r", DE, seed))[0] for seed in range(400))
    assert set(first) == {"a", "b"}
    assert 250 < first["a"] < 350


@pytest.mark.parametrize("path", ["/mirrors", "/repos", "/repos/r"])
def test_who_has_a_page_gets_304(path: str) -> None:
    """Pages that are the same for everyone have an ETag for each form; a changed snapshot changes it."""
    reply = get(path)
    tag = reply.headers["etag"]
    assert (reply.headers["cache-control"], reply.headers["vary"]) == ("no-cache", "accept")
    again = browser(JP, USING).get(path, headers=HTML | {"if-none-match": f'"x", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert get(path, "json").headers["etag"] != tag
    fewer = SOURCE | {"mirrors": {"alpha.example": SOURCE["mirrors"]["alpha.example"]}}
    assert path == "/repos" or get(path, using=service(source=fewer)).headers["etag"] != tag


def test_a_reload_is_seen_by_the_pages() -> None:
    """What is remembered of one state is not shown of the next."""
    using = service(source=SOURCE)
    asking = browser(DE, using)
    assert "alpha" in asking.get("/mirrors").text
    using.state = service(source=network({"omega": mirror("JP")})).state
    assert asking.get("/mirrors").text == "omega\n"


@pytest.mark.slow
def test_what_is_replaced_is_not_kept_for_a_page() -> None:
    """The pages let go of a state, and of what they have made of it, when the server does, without another request."""
    using = service(source=SOURCE)
    asking = browser(DE, using)
    for path in PATHS:
        assert asking.get(path, headers=HTML).status_code == 200
    assert using.state is not None
    decider = ref(using.state.decider)
    using.state = service(source=network({"omega": mirror("JP")})).state
    gc.collect()
    assert decider() is None


@pytest.mark.slow
def test_firewalls_stay_open_for_a_mirror_that_is_down_for_a_night() -> None:
    """The public list, in every form and choice, is what was published, whatever the status file has meanwhile.

    The pages of repositories, and the map, show who is offered now. No status makes a private mirror public.
    """
    said = parse(
        "s.json",
        json.dumps(
            {
                "alpha.example": "down",
                "gamma.example": "draining",
                "secret-campus": "draining",
                "secret-off": "draining",
            }
        ).encode(),
    )
    published = USING.state
    assert published is not None
    decider = Decider(
        Index(said.apply(published.published), statuses=said.statuses), published.decider.geo, AnswerSettings()
    )
    now = service(source=SOURCE)
    now.state = replace(published, decider=decider, status_file=said)
    for query in ("", "?repo=r", "?repo=x", "?country=DE"):
        for form in ("html", "json", "text"):
            assert get(f"/mirrors{query}", form, using=now).text == get(f"/mirrors{query}", form).text
    assert [row["mirror"] for row in get("/repos/x", "json", using=now).json()["mirrors"]] == ["beta.example"]
    assert "Germany" not in drawn(get("/?repo=r", peer=JP, using=now).text)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/", "/mirrors", "/repos", "/repos/r"])
def test_pages_are_bounded(path: str) -> None:
    """With 700 mirrors of three categories, three URLs each, no page has more than 450 kB."""
    many = {
        f"mirror-{number:03}.some.university.example": mirror(
            ("DE", "FR", "JP", "US", "BR", "ZA", "AU")[number % 7],
            categories={
                name: [f"{way}://mirror-{number:03}.some.university.example/pub/{name}/" for way in WAYS]
                for name in ("c", "d", "e")
            },
        )
        for number in range(700)
    }
    using = service(source=network(many, categories={"c": {}, "d": {}, "e": {}}))
    assert len(get(path, using=using).content) < 450_000


WAYS = ("https", "http", "rsync")


@pytest.mark.slow
def test_a_table_ends() -> None:
    """Of more than 2,000 mirrors the page shows as many and the number of the others; data are whole."""
    using = service(source=network({f"m{number}": mirror("DE") for number in range(2_003)}))
    assert len(get("/mirrors", "json", using=using).json()["mirrors"]) == 2_003
    for path in ("/mirrors", "/repos/r"):
        text = get(path, using=using).text
        assert "And 3 more" in text
        assert text.count('<th scope="row">m') == 2_000


def test_names_are_text() -> None:
    """A mirror may have any name of visible characters: it adds no element to a page."""
    using = service(source=network({"<b>&\"'/x": mirror("DE", categories={"c": "https://a/c/"})}))
    for path in ("/mirrors", "/repos/r"):
        text = get(path, using=using).text
        assert "&lt;b&gt;&amp;&#34;&#39;/<wbr>x" in text
        assert "b" not in {tag for tag, _ in Page(text).elements}


# ------------------------------------------------------------------------------------------------ the map


NEAR = service(
    source=network(
        {
            "a": mirror("DE"),
            "b": mirror("DE"),
            "c": mirror("PL"),
            "d": mirror("FR"),
            "e": mirror("JP"),
            "f": mirror("SG"),
            "g": mirror("BR", denied_countries=["DE"]),
            "h": mirror(None),
            "i": mirror("DE", private=True, asns=[680]),
        },
        overrides={"neighbours": {"DE": [["PL"]]}},
    )
)


def drawn(html: str) -> dict[str, tuple[str, str]]:
    """Country name -> class of its shape, and its tooltip."""
    found = re.findall(r'<path class="([^"]+)" d="[^"]+"><title>([^:]+): ([^<]+)</title>', html)
    return {name: (classes, words) for classes, name, words in found}


def test_the_map_shows_the_readers_tiers() -> None:
    """Each country with public mirrors has the class of its tier; a table has the same; private ones do not count."""
    html = get("/?repo=r", using=NEAR).text
    assert drawn(html) == {
        "Germany": ("l0 here", "2 mirrors, your country"),
        "Poland": ("l1", "1 mirror, neighbour country"),
        "France": ("l2", "1 mirror, your continent"),
        "Japan": ("l3", "1 mirror, elsewhere"),
        "Brazil": ("l4", "1 mirror, not offered there"),
    }
    text = re.sub(r"[ \n]+", " ", Page(html).text)
    for words in ("your country2Germany\xa02", "no country\xa01", "Singapore\xa01", "not offered there1Brazil"):
        assert words in text
    assert html.count('<use href="#land"/>') == 2
    assert "small l3" in html  # Singapore


def test_the_map_agrees_with_the_list() -> None:
    """Who has an exclusive mirror is offered no other: all public ones are elsewhere, the private one is not shown."""
    alone = [{"prefix": "198.51.100.0/24", "exclusive": True}]
    using = service(
        source=network({"a": mirror("DE"), "b": mirror("FR"), "c": mirror("JP", private=True, netblocks=alone)})
    )
    html = get("/?repo=r", using=using).text
    assert "https://c/c/" in Page(html).links  # the reader's own list
    assert {name: classes for name, (classes, _) in drawn(html).items()} == {"Germany": "l3 here", "France": "l3"}


def test_the_map_is_of_the_address_asked_for() -> None:
    """With `ip=` the colours are those of that address; with an error all public mirrors are shown, none as near."""
    assert drawn(get(f"/?repo=r&ip={FR}", using=NEAR).text)["France"] == ("l0 here", "1 mirror, that country")
    lost = drawn(get("/?repo=nothing", using=NEAR).text)
    assert {classes for classes, _ in lost.values()} == {"l3", "l3 here"}
    assert lost["Japan"] == ("l3", "1 mirror, anywhere")
    some = drawn(get("/?repo=r&country=JP", using=NEAR).text)
    assert (some["Japan"], some["France"]) == (("l0", "1 mirror, country asked for"), ("l3", "1 mirror, elsewhere"))


def test_every_view_can_be_drawn() -> None:
    """For a reader on each continent, or none, there are the close view, where one helps, and the world."""
    shades = {"DE": Shade(4, 0, "near")}
    assert [view.name for view in world_map.views(shades, "EU")] == ["Europe", "The world"]
    for continent in (None, "AN", "??"):
        assert [view.name for view in world_map.views(shades, continent)] == ["The world"]
    assert "<circle" not in world_map.views(shades, "OC")[0].circles
    assert compiled(SOURCE).serial == 1
