"""Claims of `explain` and `explain_text`: what is served, why not the rest, to strangers no more than that."""

from __future__ import annotations

import json
import re
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlistd.answering.answer import Answer, RedirectContext, answer
from mirrorlistd.answering.explain import explain, tier_words
from mirrorlistd.answering.explain_text import text
from oracles.rules import CONTINENT as CONTINENT_OF
from support.explanations import explained, explained_in
from support.mirror_networks import networks
from support.worlds import DE, FR, JP, NOWHERE, US, again, ask, at, decider, hosts, mirror, network

FAR = mirror("JP")
OWN = ["198.51.100.0/24"]
ASKS = st.sampled_from(
    ["", "&country=FR", "&country=QQ", "&country=global", "&netblock=0", f"&ip={DE}", "&limit=2", "&protocol=http"]
)


@given(
    source=networks(),
    more=st.lists(ASKS, max_size=3).map("".join),
    client=st.sampled_from([None, DE, FR, US, JP, NOWHERE]),
    minimum=st.integers(0, 6),
    full=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_an_explanation_agrees_with_the_answer(
    source: dict[str, Any],
    more: str,
    client: str | None,
    minimum: int,
    full: bool,
) -> None:
    """Same seed, same list; every mirror stands in the list or, told in full, is left out with a reason, never both."""
    world = decider(source, minimum=minimum)
    query = f"repo=r{more}"
    found = explained(world, query, client, full=full)
    reply = ask(again(world), query, client)
    if "error" in found:  # strangers, where no public mirror carries it
        assert (reply.status, reply.body.decode()) == (found["status"], f"{found['error']}\n")
        assert not full
        return
    listed = [row["mirror"] for row in found["list"]]
    assert found["status"] == reply.status
    assert listed == (hosts(reply) if reply.status == 200 else [])
    assert [row["place"] for row in found["list"]] == list(range(1, len(listed) + 1))
    assert [url for row in found["list"] for url in row["urls"]] == (
        [line for line in reply.body.decode().splitlines() if not line.startswith("#")] if listed else []
    )
    if full:
        left_out = [row["mirror"] for row in found["left_out"]]
        assert sorted(listed + left_out) == sorted(source["mirrors"])
        assert all(row["reason"] for row in found["left_out"])
    else:
        assert "left_out" not in found


SECRETS = network(
    {
        "public-1": mirror("DE", netblocks=["198.51.100.0/24"]),
        "public-2": mirror("FR"),
        "far": FAR,
        "off": mirror("DE", active=False),
        "denies": mirror("DE", denied_countries=["DE", "US"]),
        "private-1": mirror("DE", private=True, netblocks=["198.51.100.0/29"]),
        "private-2": mirror("US", private=True, asns=[7018]),
    }
)


@pytest.mark.parametrize("client", [None, DE, FR, US, JP, NOWHERE])
@pytest.mark.parametrize("more", ["", f"&ip={DE}", f"&ip={US}", "&country=DE", "&limit=1", "&netblock=0"])
def test_strangers_learn_of_no_mirror_outside_their_list(client: str | None, more: str) -> None:
    """Not its name, not a URL of its, not its networks, not that it is there: neither left out, nor in any count."""
    world = decider(SECRETS, minimum=1)
    found = explained(world, f"repo=r{more}", client, full=False)
    listed = {row["mirror"] for row in found["list"]}
    assert listed == set(hosts(ask(world, f"repo=r{more}", client)))
    text = json.dumps(found)
    for name in set(SECRETS["mirrors"]) - listed:
        assert name not in text
    assert "left_out" not in found
    # Neither a count nor a share of what they do not see.
    assert all(set(tier) == {"tier", "group"} for tier in found["tiers"])
    assert not any("share" in row for row in found["list"])
    # A netblock is told only where its mirror is in the list.
    assert set(found["place"]["netblock_prefix_lengths"]) <= {24 for _ in listed & {"public-1"}} | {
        29 for _ in listed & {"private-1"}
    }


def test_a_private_network_is_not_told_to_those_who_ask_for_its_clients() -> None:
    """A stranger cannot map private networks by asking on behalf of one address after the other; an insider can."""
    world = decider(SECRETS)
    inside, outside = f"repo=r&ip={DE}", "repo=r&ip=198.51.100.200"
    for query in (inside, outside):
        assert explained(world, query, JP, full=False)["place"]["netblock_prefix_lengths"] == [24]
    assert explained(world, inside, JP, full=True)["place"]["netblock_prefix_lengths"] == [29, 24]


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 400), ("repo=x", 404), ("repo=r&limit=x", 400), ("path=d", 404), ("repo=r&format=x", 400)],
)
@pytest.mark.parametrize("full", [True, False])
def test_errors_are_explained_with_the_place(query: str, status: int, full: bool) -> None:
    """An error is told in the words of the answer, and who asks and from where all the same."""
    world = decider(SECRETS)
    found = explained(world, query, DE, full=full)
    reply = ask(world, query, DE)
    assert set(found) == {"status", "error", "client", "place"}
    assert (found["status"], f"{found['error']}\n".encode()) == (status, reply.body)
    assert found["client"] == {"address": DE, "on_behalf": False}
    assert (found["place"]["country"], found["place"]["netblock_prefix_lengths"]) == ("DE", [])


def test_place_and_client() -> None:
    """Overrides and the database are told apart, and whose place it is."""
    source = network(
        {"a": mirror("DE", netblocks=OWN)}, overrides={"netblocks": {DE: "IL"}, "continents": {"IL": "EU"}}
    )
    found = explained(decider(source), f"repo=r&ip={DE}", FR)
    assert found["client"] == {"address": DE, "on_behalf": True}
    assert found["place"] == {
        "country": "IL",
        "continent": "EU",
        "asn": 680,
        "netblock_prefix_lengths": [24],
        "database": {"country": "DE", "continent": "EU"},
    }
    nobody = explained(decider(source), "repo=r", None)
    assert nobody["client"] == {"address": None, "on_behalf": False}
    assert nobody["place"]["database"] == {"country": None, "continent": None}
    assert found["serial"] == 1


@pytest.mark.parametrize(
    ("query", "canonical"),
    [
        ("repo=r", "repo=r"),
        ("junk=1&repo=alias&arch=", "repo=alias"),
        ("repo=arched&arch=a%2Bb&format=json&comments=0", "repo=arched&arch=a%2Bb"),
        ("path=c//x%20y+z%2F", "path=c/x%20y+z/"),
        ("path=c/x%2By%26z", "path=c/x%2By%26z"),
        ("repo=r&file=x%2By/", "repo=r&file=x%2By/"),
        ("path=c/x&repo=r", "path=c/x"),
        ("path=/c", "path=c"),
        ("repo=r&file=x//y", "repo=r&file=x/y"),
        ("file=/x/&repo=r", "repo=r&file=x/"),
        ("path=c&file=x/&repo=r", "path=c"),
        ("path=c/%ff", "path=c/%FF"),
        (
            "repo=r&country=fr,global&protocol=http,https&limit=03",
            "repo=r&country=FR,global&protocol=https,http&limit=3",
        ),
        ("repo=r&ip=2001:DB8::1&netblock=0", "repo=r&ip=2001:db8::1&netblock=0"),
    ],
)
def test_the_query_told_asks_for_the_same(query: str, canonical: str) -> None:
    """What the page links to is what the page shows: the same list, with the same seed, for the same client."""
    source = network(
        {"a": mirror("DE", categories={"c": ["https://a/c/", "http://a/c/"]}), "b": mirror("FR"), "c": mirror("JP")},
        repositories={
            "r": {"category": "c"},
            "arched": {"category": "c", "path": "{arch}", "arches": ["a+b", "x"]},
            "alias": {"alias": "r"},
        },
    )
    world = decider(source)
    assert explained(world, query)["asked"]["query"] == canonical
    plain = "&comments=0&format=text"
    first = answer(again(world), f"{query}{plain}".encode(), at(DE), Random(3))
    assert first.status == 200
    assert first == answer(again(world), f"{canonical}{plain}".encode(), at(DE), Random(3))


WEIGHTS = network(
    {
        "heavy": mirror("DE", bandwidth=10_000),
        "light": mirror("DE", bandwidth=1),
        "third": mirror("DE", bandwidth=5_000),
        "poland": mirror("PL", bandwidth=300),
        "dane": mirror("DK"),
        "finn": mirror("FI"),
        "far": mirror("JP", bandwidth=7),
    },
    overrides={"neighbours": {"DE": [["PL"], ["DK"], ["FI"]]}},
)


def test_shares_are_those_of_first_places() -> None:
    """A listed mirror's share is its bandwidth in its tier's; one left out has a share only where it has a tier."""
    found = explained(decider(WEIGHTS), "repo=r&limit=3")
    rows = {row["mirror"]: (row["bandwidth"], row["share"]) for row in found["list"]}
    assert rows == {"heavy": (10_000, 66.7), "light": (1, 0.0), "third": (5_000, 33.3)}
    assert {row["mirror"]: (row["bandwidth"], row["share"]) for row in found["left_out"]} == {
        "poland": (300, 100.0),
        "dane": (100, 100.0),
        "finn": (100, 100.0),
        "far": (7, None),
    }


def test_neighbour_groups_are_told_apart() -> None:
    """Each group is a tier of its own, numbered as listed, also where a group before it has no mirror."""
    found = explained(decider(WEIGHTS), "repo=r")
    assert found["tiers"] == [
        {"tier": "country", "group": None, "mirrors": 3},
        {"tier": "neighbours", "group": 1, "mirrors": 1},
        {"tier": "neighbours", "group": 2, "mirrors": 1},
        {"tier": "neighbours", "group": 3, "mirrors": 1},
    ]
    assert {row["mirror"]: row["group"] for row in found["list"][3:]} == {"poland": 1, "dane": 2, "finn": 3}
    assert "tiers      country: 3, neighbours 1st group: 1, neighbours 2nd group: 1, neighbours 3rd group: 1\n" in text(
        found
    )
    without = WEIGHTS | {"mirrors": {key: value for key, value in WEIGHTS["mirrors"].items() if key != "poland"}}
    assert [tier["group"] for tier in explained(decider(without), "repo=r")["tiers"]] == [None, 2, 3]
    assert "\nnot in the list\n" in text(found | {"list": []})  # only some mirrors are to be shown
    strangers = explained(decider(WEIGHTS), "repo=r&limit=4", full=False)["tiers"]
    assert strangers == [{"tier": "country", "group": None}, {"tier": "neighbours", "group": 1}]


@pytest.mark.parametrize(
    ("group", "ordinal"),
    [
        (1, "1st"),
        (2, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (11, "11th"),
        (12, "12th"),
        (13, "13th"),
        (21, "21st"),
        (90, "90th"),
    ],
)
def test_ordinals(group: int, ordinal: str) -> None:
    """Groups are counted as people count."""
    assert tier_words({"tier": "neighbours", "group": group}) == f"neighbours {ordinal} group"


@given(source=networks(), country=st.sampled_from(sorted(CONTINENT_OF)), more=st.sampled_from(["", "&netblock=0"]))
@settings(max_examples=60, deadline=None)
def test_anyone_in_a_country_gets_what_an_address_there_gets(source: dict[str, Any], country: str, more: str) -> None:
    """The list of an address of which nothing but its country is known, overrides applied, and its reasons."""
    world = decider(source, places={NOWHERE: (country, None, 0)})
    found = explained_in(world, country.lower(), f"repo=r{more}")
    same = explained(world, f"repo=r{more}", NOWHERE)
    assert found["client"] == {"address": None, "on_behalf": True}
    if not same["place"]["netblock_prefix_lengths"]:
        assert (found["list"], found["left_out"], found["tiers"]) == (same["list"], same["left_out"], same["tiers"])
        assert (found["place"]["country"], found["place"]["continent"]) == (country, same["place"]["continent"])


def test_a_country_wins_over_an_address_and_knows_no_network() -> None:
    """Neither `ip=` nor a mirror's own network or AS makes a difference; an override of the continent does."""
    source = network(
        {"own": mirror("DE", netblocks=OWN, asns=[680]), "p": mirror("DE", private=True, netblocks=OWN), "f": FAR},
        overrides={"continents": {"DE": "AS"}},
    )
    found = explained_in(decider(source), "DE", f"repo=r&ip={JP}")
    assert found["place"] == {
        "country": "DE",
        "continent": "AS",
        "asn": None,
        "netblock_prefix_lengths": [],
        "database": {"country": None, "continent": None},
    }
    assert [(row["mirror"], row["tier"]) for row in found["list"]] == [("own", "country"), ("f", "continent")]
    assert "client     anyone in DE\n" in text(found)


@pytest.mark.parametrize(("country", "meant"), [("poland", "PL"), ("Deutschland", "DE"), ("USA", "US"), ("gbr", "GB")])
def test_a_country_by_its_name_is_answered_with_its_code(country: str, meant: str) -> None:
    """What people write, and what they meant."""
    found = explained_in(decider(SECRETS), country)
    line = "400: from= takes the two-letter code of one country, as in from=PL"
    assert text(found) == f"{line}; did you mean from={meant}?\n"


@pytest.mark.parametrize("country", ["", "europe", "QQ", "P", "\xdf", "\0"])
def test_no_such_country(country: str) -> None:
    """What is no country's code is refused, with an example."""
    found = explained_in(decider(SECRETS), country)
    assert (found["status"], found["client"]["address"]) == (400, None)
    assert text(found) == "400: from= takes the two-letter code of one country, as in from=PL\n"


@given(source=networks(), more=ASKS, client=st.sampled_from([None, DE, NOWHERE]), full=st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_text_has_a_line_for_every_mirror(
    source: dict[str, Any], more: str, client: str | None, full: bool
) -> None:
    """Each row told is one line, in order; without a list it says what clients are answered instead."""
    found = explained(decider(source), f"repo=r{more}", client, full=full)
    lines = text(found).splitlines()
    if "error" in found:  # strangers, where no public mirror carries it
        assert lines == [f"404: {found['error']}"]
        assert not full
        return
    rows = [line for line in lines if line[:3].strip().isdigit()]
    assert [line.split()[-len(row["urls"]) :] for line, row in zip(rows, found["list"], strict=True)] == [
        row["urls"] for row in found["list"]
    ]
    assert all(f"{row['share']:.1f} %" in line for line, row in zip(rows, found["list"], strict=True) if full)
    assert ("the list is empty: clients are answered 404" in lines) == (not rows)
    left_out = found.get("left_out", [])
    assert (f"left out: {len(left_out)}" in lines) == full
    for row in left_out:
        ending = f"{row['bandwidth']} Mbit/s  {row['mirror']}: {row['reason']}"
        assert sum(line.endswith(f" {ending}") for line in lines) == 1
    assert all(line == line.rstrip() for line in lines)


CONTEXTS = st.builds(
    RedirectContext,
    https=st.booleans(),
    accept=st.sampled_from(
        [
            b"",
            b"*/*",
            b"application/metalink4+xml",
            b"application/metalink+xml;q=0.1, */*;q=0.2",
            b"application/metalink4+xml;q=0, application/metalink+xml, */*;q=0.3",
        ]
    ),
    now=st.sampled_from([0.0, 1e9]),
)


def urls_of(reply: Answer) -> list[str]:
    """The mirrors' URLs of an answer in any of the formats below, in order."""
    if reply.format == "redirect":
        links = [value.decode() for name, value in reply.headers if name == b"link"]
        return [link[1 : link.index(">")] for link in links]
    if reply.format == "json":
        return [row["url"] for row in json.loads(reply.body)]
    if reply.format == "text":
        return [line for line in reply.body.decode().splitlines() if not line.startswith("#")]
    return re.findall(r"<url[^>]*>([^<]*)</url>", reply.body.decode())


@given(
    source=networks(),
    query=st.tuples(
        st.sampled_from(["file=x", "file=d/", ""]),
        st.sampled_from(["redirect=1", "format=redirect", "format=json", "format=text", "format=metalink4"]),
        st.sampled_from(["", "protocol=http", "protocol=https,http"]),
        st.sampled_from(["", *(f"ip={address}" for address in (DE, FR, JP, NOWHERE))]),
    ).map("&".join),
    client=st.sampled_from([None, DE, FR, JP, NOWHERE]),
    context=CONTEXTS,
    scheme=st.sampled_from(["keep", "https"]),
)
@settings(max_examples=200, deadline=None)
def test_whose_list_it_is_and_how_it_is_given_is_explained(
    source: dict[str, Any], query: str, client: str | None, context: RedirectContext, scheme: str
) -> None:
    """`ip=`, own address, private mirrors, https, `Accept`: the explanation has what the answer gives."""
    for mirror_of in source["mirrors"].values():
        for category, content in mirror_of["categories"].items():
            urls = content if isinstance(content, list) else [content] if isinstance(content, str) else None
            if urls and len(category) % 2:
                mirror_of["categories"][category] = [*urls, *(url.replace("https:", "http:") for url in urls)]
    world = decider(source, redirect_scheme=scheme)
    address, text_ = at(client) if client else None, f"repo=r&{query}".encode()
    given = answer(again(world), text_, address, Random(3), context)
    found = explain(again(world), text_, address, Random(3), context, full=True)
    assert found["status"] == (200 if given.status == 302 else given.status)
    if given.status in {200, 302}:
        assert found["format"] == given.format
        assert [url for row in found["list"] for url in row["urls"]] == urls_of(given)
    if context.https and given.format == "redirect":
        assert not [url for url in urls_of(given) if not url.startswith("https://")]


def test_a_redirect_is_explained_as_it_is_given() -> None:
    """The steady choice of redirects, mirror by mirror, at the same moment: no other chance than the answer's."""
    world = decider(network({f"m{number}": mirror("DE") for number in range(12)}))
    for now in (1e9, 1e9 + 3600, 1e9 + 7200):
        given = answer(world, b"repo=r&file=x&format=redirect", at(DE), Random(), RedirectContext(now=now))
        found = explain(world, b"repo=r&file=x&format=redirect", at(DE), Random(), RedirectContext(now=now), full=True)
        links = [value.decode() for name, value in given.headers if name == b"link"]
        assert [row["urls"][0] for row in found["list"]] == [link[1 : link.index(">")] for link in links]
