"""Claims of `answer`: the bytes of every answer, whatever is asked, and memory that changes nothing."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlist_snapshot.tiers import CONTINENT, COUNTRY, FALLBACK, GLOBAL, NEIGHBOURS, NETBLOCK
from mirrorlistd.answering.answer import Answer, answer
from mirrorlistd.memo import Memo
from mirrorlistd.render import FORMATS
from support.worlds import DE, FR, JP, NOWHERE, US, again, ask, at, decider, hosts, mirror, network, urls

if TYPE_CHECKING:
    from mirrorlistd.answering.decider import Decider

BUILT = 1_700_000_000
TEXT = ((b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"private, no-store"))
JSON = ((b"content-type", b"application/json"), (b"cache-control", b"private, no-store"))
ONE = network(
    {"a": mirror("DE", categories={"c": ["http://a/base/", "https://a/base/", "rsync://a/mod/"]})},
    repositories={
        "r": {"category": "c"},
        "deep": {"category": "c", "path": "dists/stäble"},
        "arched": {"category": "c", "path": "{arch}/os", "arches": ["x86_64", "noarch"]},
        "alias": {"alias": "arched"},
        "off": {"category": "c", "disabled": True},
    },
)
HEAD = b"# repo = r country = DE continent = EU\n"


@pytest.mark.parametrize(
    ("query", "client", "body"),
    [
        ("repo=r", DE, HEAD + b"https://a/base/\n"),
        ("repo=r", None, b"# repo = r\nhttps://a/base/\n"),
        ("repo=r", NOWHERE, b"# repo = r\nhttps://a/base/\n"),
        ("arch=amd64&repo=r&countme=1", DE, HEAD + b"https://a/base/\n"),
        ("repo=r&format=text", DE, HEAD + b"https://a/base/\n"),
        ("repo=r&comments=0", DE, b"https://a/base/\n"),
        ("repo=r&time=1", DE, HEAD + b"# database creation time: 1700000000\nhttps://a/base/\n"),
        ("repo=r&time=1&comments=0", DE, b"https://a/base/\n"),
        ("repo=r&time=0", DE, HEAD + b"https://a/base/\n"),
        ("repo=r&protocol=http", DE, HEAD + b"http://a/base/\n"),
        ("repo=r&protocol=rsync,http,https", DE, HEAD + b"https://a/base/\nhttp://a/base/\nrsync://a/mod/\n"),
        ("repo=r&protocol=ftp,rsync", DE, HEAD + b"rsync://a/mod/\n"),
        ("repo=r&country=de", FR, b"# repo = r country = DE\nhttps://a/base/\n"),
        (
            "repo=r&country=pl,de,global",
            FR,
            b"# repo = r country = PL country = DE country = global\nhttps://a/base/\n",
        ),
        (f"repo=r&ip={FR}", DE, b"# repo = r country = FR continent = EU\nhttps://a/base/\n"),
        ("repo=deep", None, b"# repo = deep\nhttps://a/base/dists/st%C3%A4ble/\n"),
        ("repo=arched&arch=noarch", None, b"# repo = arched arch = noarch\nhttps://a/base/noarch/os/\n"),
        ("repo=alias&arch=x86_64", None, b"# repo = arched arch = x86_64\nhttps://a/base/x86_64/os/\n"),
        ("path=c", None, b"# path = c/\nhttps://a/base/\n"),
        ("path=/c//x/", None, b"# path = c/x/\nhttps://a/base/x/\n"),
        ("path=c/x", None, b"# path = c/x\nhttps://a/base/x\n"),
        ("path=c/%C3%A4+%25%20x", None, b"# path = c/%C3%A4+%25%20x\nhttps://a/base/%C3%A4+%25%20x\n"),
        ("path=c/%ff", None, b"# path = c/%FF\nhttps://a/base/%FF\n"),
    ],
)
def test_text_lists_byte_for_byte(query: str, client: str | None, body: bytes) -> None:
    """One comment line of canonical values, the creation time if asked for, URLs that end as directories do, LF."""
    reply = ask(decider(ONE), query, client)
    assert (reply.status, reply.headers, reply.body) == (200, TEXT, body)
    assert reply.format == "text"


def test_json_byte_for_byte() -> None:
    """An array at the top level, the best first, one LF at the end; `comments`, `time` change nothing in it."""
    world = decider(ONE | {"mirrors": ONE["mirrors"] | {"b": mirror("FR", categories={"c": "http://b/"})}})
    body = (
        b'[{"url":"https://a/base/x/","prio":0,"country":"DE","tier":"country"},'
        b'{"url":"http://b/x/","prio":1,"country":"FR","tier":"continent"}]\n'
    )
    for query in ("path=c/x/&format=json", "path=c/x/&format=JSON&time=1", "path=c/x/&comments=0&format=json"):
        reply = ask(world, query, DE)
        assert (reply.status, reply.headers, reply.body, reply.format) == (200, JSON, body, "json")
    both = json.loads(ask(world, "repo=r&format=json&protocol=http,https", DE).body)
    assert [(row["url"], row["prio"]) for row in both] == [
        ("https://a/base/", 0),
        ("http://a/base/", 1),
        ("http://b/", 2),
    ]


@pytest.mark.parametrize(
    ("query", "status", "line"),
    [
        (
            "",
            400,
            "name what you want: repo=NAME (and arch=ARCH), or path=DIRECTORY; known repositories: arched deep r",
        ),
        ("repo=arched", 400, "repository arched needs arch=; architectures: noarch x86_64"),
        ("repo=r&limit=0", 400, "limit= takes a whole number from 1 to 100, as in limit=20"),
        ("repo=r&ip=localhost", 400, "ip= takes one IPv4 or IPv6 address, as in ip=192.0.2.1 or ip=2001:db8::1"),
        (
            "repo=r&country=Germany",
            400,
            (
                "country= takes two-letter codes or `global`, separated by commas, as in country=DE,FR;"
                " did you mean country=DE?"
            ),
        ),
        (
            "repo=r&format=xml",
            400,
            f"unknown format; write format={' or format='.join(FORMATS)}",
        ),
        (
            "path=c/../x",
            400,
            "a path holds a `.` or `..` segment; write the path itself, as in path=pub/debian/dists",
        ),
        ("repo=off", 403, "repository off is disabled"),
        ("repo=nope", 404, "no such repository; known repositories: arched deep r"),
        ("path=d", 404, "no such path; known repositories: arched deep r"),
        (
            "repo=arched&arch=sparc",
            404,
            "repository arched has no such architecture; architectures: noarch x86_64",
        ),
        ("repo=r&protocol=ftp", 404, "no mirror offers this by the protocols asked for"),
    ],
)
def test_errors_are_one_line_for_people(query: str, status: int, line: str) -> None:
    """What is wrong and what would be right, in one line of text, uncached; the same when JSON was asked for."""
    for more in ("", "&format=json"):
        reply = ask(decider(ONE), query + (more if "format" not in query else ""), DE)
        assert reply == Answer(status, TEXT, f"{line}\n".encode(), 0, "text")


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"allowed_countries": ["FR"]}, "no mirror is offered to your network or country for this"),
        ({"active": False}, "no mirror is offered to your network or country for this"),
        (
            {"private": True, "netblocks": ["192.0.2.0/24"]},
            "no mirror carries this",
        ),
        ({"categories": {"c": "rsync://a/c/"}}, "no mirror carries this by http or https; try protocol="),
        ({"categories": {"c": {"urls": ["https://a/c/"], "exclude": ["x"]}}}, "no mirror carries this"),
    ],
)
def test_nobody_is_404_with_the_reason(fields: dict[str, Any], line: str) -> None:
    """There is no 200 without a URL: who is left without a mirror is told why, without a name."""
    reply = ask(decider(network({"a": mirror("DE", **fields)})), "path=c/x/", DE)
    assert (reply.status, reply.body.decode()) == (404, f"{line}\n")


@pytest.mark.parametrize(("asked", "given_lines"), [("", 20), ("&limit=1", 1), ("&limit=7", 7), ("&limit=100", 30)])
def test_limit(asked: str, given_lines: int) -> None:
    """As many mirrors as asked for, 20 unasked, all where there are fewer; each once."""
    world = decider(network({f"m{number}": mirror("DE") for number in range(30)}))
    found = hosts(ask(world, f"repo=r{asked}", DE))
    assert len(found) == len(set(found)) == given_lines


def test_limit_counts_mirrors_not_lines() -> None:
    """A mirror brings all of its URLs, next to one another, the best first."""
    mirrors = {
        f"m{number}": mirror("DE", categories={"c": [f"https://m{number}/", f"http://m{number}/"]})
        for number in range(9)
    }
    lines = urls(ask(decider(network(mirrors)), "repo=r&limit=3&protocol=http,https", DE))
    assert len(lines) == 6
    assert all(
        (first, second) == (f"https://{first[8:]}", f"http://{first[8:]}")
        for first, second in zip(lines[::2], lines[1::2], strict=True)
    )


def test_settings_are_the_defaults_of_a_list() -> None:
    """The operator's limit holds where the client names none; the operator's minimum decides on far mirrors."""
    source = network({"near": mirror("DE"), "far": mirror("JP"), "farther": mirror("US")})
    assert len(hosts(ask(decider(source, limit=2), "repo=r", DE))) == 2
    assert len(hosts(ask(decider(source, limit=2), "repo=r&limit=3", DE))) == 3
    assert hosts(ask(decider(source, minimum=1), "repo=r", DE)) == ["near"]
    assert set(hosts(ask(decider(source, minimum=2), "repo=r", DE))) == {"near", "far", "farther"}


RICH = network(
    {
        "mirror-0": mirror("DE", netblocks=["198.51.100.0/25"], bandwidth=1000),
        "mirror-1": mirror("DE", private=True, netblocks=["198.51.100.1/32"]),
        "mirror-2": mirror("FR", denied_countries=["US"]),
        "mirror-3": mirror("FR", allowed_countries=["FR", "DE"], asns=[7018]),
        "mirror-4": mirror("JP", categories={"c": ["https://mirror-4/", "http://mirror-4/"]}),
        "mirror-5": mirror("US", fallback=True),
        "mirror-6": mirror(None, categories={"c": {"urls": ["https://mirror-6/"], "exclude": ["x"]}}),
        "mirror-7": mirror("IL", categories={"l": {"urls": ["https://mirror-7/"], "directories": ["x/y"]}}),
        "mirror-8": mirror("PL", active=False),
    },
    categories={"c": {}, "l": {"kind": "listed", "directories": ["", "x"]}},
    repositories={
        "r": {"category": "c"},
        "listed": {"category": "l", "path": "x/y"},
        "arched": {"category": "c", "path": "x/{arch}", "arches": ["a1", "a2"]},
        "alias": {"alias": "arched"},
        "off": {"category": "c", "disabled": True},
    },
    overrides={
        "continents": {"IL": "EU"},
        "neighbours": {"DE": [["FR"], ["PL", "IL"]]},
        "never_served": {"JP": ["FR"]},
    },
)
WORLD = decider(RICH)
GOOD = {
    b"repo": [b"r", b"listed", b"arched", b"alias", b"off", b"x"],
    b"arch": [b"a1", b"a2", b"x"],
    b"path": [b"c", b"c/x/", b"c/%ff%20%22", b"l/x", b"l/x/y/%3Cfile%26", b"/", b"l/z"],
    b"file": [b"x", b"x/y/", b"%ff%3E", b"repodata/repomd.xml"],
    b"country": [b"DE", b"de,fr", b"global", b"QQ", b"IL,global"],
    b"protocol": [b"http", b"https", b"http,https", b"rsync"],
    b"limit": [b"1", b"3", b"100"],
    b"ip": [b"198.51.100.1", b"198.51.100.3", b"::1"],
    b"format": [b"json", b"text", b"JSON", b"apt", b"pacman", b"metalink", b"metalink4", b"redirect", b"sha256"],
    b"hashed": [b"sha256"],
}
"""Values that mean something, by parameter; b"x" and b"l/z" are nobody's names."""
SWITCHES = [b"netblock", b"redirect", b"time", b"comments", b"junk", b"REPO"]
BAD = st.binary(max_size=12) | st.sampled_from(
    [b"", b"%", b"=", b"%0d%0a", b"%00", b"\r\n", b"<script>", b"../..", b"c/%0ax", b"c/\xff", b"0", b"1", b"text"]
)
SENSIBLE = st.one_of(*(st.sampled_from([b"%b=%b" % (name, value) for value in GOOD[name]]) for name in GOOD))
ODD = st.tuples(st.sampled_from([*GOOD, *SWITCHES]), BAD).map(b"=".join)
QUERIES = (
    st.lists(SENSIBLE, min_size=1, max_size=5).map(b"&".join)
    | st.lists(SENSIBLE | ODD, max_size=5).map(b"&".join)
    | st.binary(max_size=200)
)
CLIENTS = st.sampled_from([None, DE, FR, US, JP, NOWHERE, "2001:db8::1"])

PATH = rb"([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-F]{2})+"
URL = rb"(https?|rsync)://mirror-[0-9]/([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-F]{2})*"
COMMENT = (
    rb"# (repo = [a-z]+( arch = a[12])?( file = %(path)b)?|path = %(path)b)"
    rb"( country = ([A-Z]{2}|global))*( continent = [A-Z]{2})?\n(# database creation time: 1700000000\n)?"
).replace(b"%(path)b", PATH)
TEXT_LIST = re.compile(rb"(%b)?(%b\n)+" % (COMMENT, URL))
OTHER_SHAPES = {
    "apt": re.compile(rb"(%b)?(%b\tpriority:[1-9]\n)+" % (COMMENT, URL)),
    "pacman": re.compile(rb"(%b)?(Server = (?=[^\n]*/\$arch(/[^\n]*)?\n)%b\n)+" % (COMMENT, URL)),
    **{name: re.compile(rb"[0-9a-f]+  [^\n]+\n") for name in ("md5", "sha1", "sha256", "sha512")},
    "redirect": re.compile(rb"%b\n" % URL),
    "metalink": re.compile(rb"<\?xml [^\r\t]+</metalink>\n"),
    "metalink4": re.compile(rb"<\?xml [^\r\t]+</metalink>\n"),
}


def check_shape(reply: Answer) -> None:
    """Hold an answer against everything that is true of every answer."""
    assert reply.status in {200, 302, 400, 403, 404}
    for name, value in reply.headers:  # nothing that a client sends can end a header or begin another
        assert re.fullmatch(rb"[a-z0-9-]+", name)
        assert value.decode("ascii").isprintable()
    if reply.format in OTHER_SHAPES:
        assert reply.status == (302 if reply.format == "redirect" else 200)
        assert OTHER_SHAPES[reply.format].fullmatch(reply.body), reply.body
        if "metalink" in reply.format:
            tree = ET.fromstring(reply.body)
            assert all(re.fullmatch(URL, (url.text or "").encode()) for url in tree.iterfind(".//{*}url"))
        return
    assert reply.body.endswith(b"\n")
    assert reply.body[:-1].replace(b"\n", b"").decode("ascii").isprintable()  # so no CR, TAB or NUL either
    assert not re.search(rb"\n\n|^\n|^[ \t]|\n[ \t]", reply.body)
    if reply.status != 200:
        assert reply.headers == TEXT
        assert reply.body.count(b"\n") == 1
        assert reply.tier == 0
    elif reply.format == "json":
        rows = json.loads(reply.body)
        assert [row["prio"] for row in rows] == list(range(len(rows)))
        assert rows
        assert all(re.fullmatch(URL, row["url"].encode()) for row in rows)
    else:
        assert TEXT_LIST.fullmatch(reply.body), reply.body
        assert reply.tier > 0


@given(query=QUERIES, client=CLIENTS, seed=st.integers(0, 3))
@settings(max_examples=1000, deadline=None)
def test_any_bytes_get_a_list_or_a_line(query: bytes, client: str | None, seed: int) -> None:
    """Nothing raises, nothing is empty, nothing breaks a line: every answer is one of the few shapes there are."""
    check_shape(answer(WORLD, query, at(client) if client else None, Random(seed)))


@given(query=QUERIES)
@settings(max_examples=400, deadline=None)
def test_no_answer_repeats_what_was_asked(query: bytes) -> None:
    """A value of the client's own, in any parameter but a path that is served, appears nowhere in the answer."""
    for name in (b"repo", b"arch", b"country", b"protocol", b"limit", b"ip", b"format", b"junk", b"Qv7Xw"):
        reply = answer(WORLD, query + b"&" + name + b"=Qv7Xw", None, Random(0))
        assert b"qv7xw" not in reply.body.lower()
    for path in (b"Qv7Xw", b"Qv7Xw/%2e%2e", b"l/Qv7Xw/x"):
        reply = answer(WORLD, b"repo=r&path=" + path, None, Random(0))
        assert reply.status in {400, 404}
        assert b"qv7xw" not in reply.body.lower()


def forgetful(world: Decider) -> Decider:
    """A decider whose memos hold one entry each: it forgets between any two steps."""
    for name in type(world).__slots__:
        if isinstance(getattr(world, name), Memo):
            setattr(world, name, Memo(1))
    return world


def without_chance(reply: Answer) -> tuple[object, ...]:
    """What an answer has whichever mirrors are drawn: all but the order, and which ones a limit leaves out."""
    lines = reply.body.splitlines()
    comments = [line for line in lines if line.startswith(b"#")]
    return reply.status, reply.tier, reply.format, comments, len(lines), reply.body.count(b"://")


@given(st.lists(st.tuples(QUERIES, CLIENTS), min_size=1, max_size=8), st.integers(0, 9))
@settings(max_examples=300, deadline=None)
def test_memory_changes_no_answer(requests: list[tuple[bytes, str | None]], seed: int) -> None:
    """Whatever was answered before and to whom: a request gets what it gets without memory, but for chance.

    What memory draws, test_orders holds to the statistics of single draws.
    """
    world = again(WORLD)
    for query, client in requests:
        address = at(client) if client else None
        remembered = without_chance(answer(world, query, address, Random(seed)))
        assert remembered == without_chance(answer(world, query, address, Random(seed)))
        assert remembered == without_chance(answer(forgetful(again(WORLD)), query, address, Random(seed)))


def test_memory_tells_clients_apart() -> None:
    """One query, many clients, in every order: what one was given is not what the next one gets."""
    queries = ["repo=r", "repo=r&netblock=0", f"repo=r&ip={DE}", "repo=r&country=FR", "repo=r&protocol=http,https"]
    asked = [(query, client) for query in queries for client in (DE, FR, US, JP)]

    def lines(world: Decider, query: str, client: str) -> tuple[object, ...]:
        reply = ask(world, query, client, seed=5)
        return reply.status, reply.tier, *sorted(reply.body.splitlines())

    fresh = {pair: lines(decider(RICH), *pair) for pair in asked}
    assert len({*fresh.values()}) > 8
    for order in (asked, [*reversed(asked)], sorted(asked, key=lambda pair: pair[1])):
        world = decider(RICH)
        assert {pair: lines(world, *pair) for pair in order} == fresh


def test_memory_keeps_private_mirrors_private() -> None:
    """A private mirror was just given to its own client; asking on behalf of that client still does not show it."""
    world = decider(RICH)
    for _ in range(2):
        assert hosts(ask(world, "repo=r", DE))[0] == "mirror-1"
        assert hosts(ask(world, f"repo=r&ip={DE}", DE))[0] == "mirror-1"
        assert "mirror-1" not in hosts(ask(world, f"repo=r&ip={DE}", FR))
        assert "mirror-1" not in hosts(ask(world, f"repo=r&ip={DE}", None))
        assert "mirror-1" not in hosts(ask(world, "repo=r&country=DE", DE))


@pytest.mark.slow
def test_memory_is_bounded() -> None:
    """Strangers who never ask the same thing twice fill no memory: each memo stays within its limit."""
    world = decider(RICH)
    for number in range(5_000):
        country = f"{chr(65 + number % 26)}{chr(65 + number // 26 % 26)},{chr(65 + number // 676)}Q"
        reply = answer(
            world, b"repo=r&country=%b" % country.encode(), at(f"10.0.{number >> 8}.{number & 255}"), Random(1)
        )
        assert reply.status == 200
    for query in (f"repo=r&ip={FR}", "repo=r&format=json", "repo=r&file=f&format=metalink"):
        assert ask(world, query, DE).status == 200
    assert ask(world, "repo=r&redirect=1", DE).status == 302
    assert len(world.memos) == 10
    assert all(0 < len(memo) <= memo.limit for memo in world.memos)
    assert len(world.queries) < 5_000
    before = len(world.queries)
    answer(world, b"repo=r&junk=" + b"x" * 600, None, Random(1))
    assert len(world.queries) == before  # long ones are answered, not kept


def test_consecutive_answers_are_independent() -> None:
    """A remembered choice is drawn anew for every answer: 2 mirrors come in both orders, about equally often."""
    world = decider(network({"a": mirror("DE"), "b": mirror("DE")}))
    random = Random(11)
    first = [answer(world, b"repo=r&comments=0", at(DE), random).body[:9] for _ in range(1000)]
    assert 430 < first.count(b"https://a") < 570
    turns = sum(one != other for one, other in pairwise(first))
    assert 430 < turns < 570


def test_tier_and_format_are_told_for_statistics() -> None:
    """The tier is that of the first mirror, the format that of the body."""
    world = decider(RICH)
    asked = ["repo=r", "repo=r&netblock=0", "repo=r&country=PL", "repo=r&country=global", "repo=listed", "repo=off"]
    assert [ask(world, query, DE).tier for query in asked] == [NETBLOCK, COUNTRY, CONTINENT, GLOBAL, NEIGHBOURS + 1, 0]
    assert [ask(world, f"{query}&format=json", DE).format for query in asked] == ["json"] * 5 + ["text"]
    assert ask(decider(network({"a": mirror("DE", fallback=True)})), "repo=r", DE).tier == FALLBACK
    assert ask(world, "repo=r", "192.0.2.1").tier == GLOBAL


@pytest.mark.parametrize(
    ("country", "expected", "words"),
    [
        ("UK", ["gb"], "country = GB"),
        ("uk,GB", ["gb"], "country = GB"),
        ("EL,FR", ["fr"], "country = FR"),
        ("EU", ["de", "fr", "gb"], "continent = EU"),
        ("eu,JP", ["de", "fr", "gb", "jp"], "continent = EU country = JP"),
        ("OC", ["de", "fr", "gb"], "country = DE continent = EU"),
        ("QQ", ["de", "fr", "gb"], "country = DE continent = EU"),
        ("QQ,FR", ["fr"], "country = FR"),
        ("PL", ["de", "fr", "gb"], "continent = EU"),
        ("PL,FR", ["fr"], "country = FR"),
        ("QQ,global", ["de", "fr", "gb", "jp"], "country = global"),
        ("FR,EU,global", ["de", "fr", "gb", "jp"], "country = FR continent = EU country = global"),
    ],
)
def test_a_country_is_understood_as_people_write_it_and_only_what_was_used_is_claimed(
    country: str, expected: list[str], words: str
) -> None:
    """`UK`, `EL`, continents' codes; a code without mirrors is not in the comment line, in lists of any format."""
    mirrors = {name: mirror(name.upper()) for name in ("de", "fr", "gb", "jp")}
    world = decider(network(mirrors), minimum=1)
    for shape in ("text", "apt"):
        reply = ask(world, f"repo=r&country={country}&format={shape}", DE)
        head, *lines = reply.body.decode().splitlines()
        assert head == f"# repo = r {words}"
        assert sorted(line.split("/")[2] for line in lines) == expected
