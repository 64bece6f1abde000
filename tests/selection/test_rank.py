"""Selection: the rules as a table, and the real thing against the slow model of `rules` on random networks."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlist_snapshot.tiers import CONTINENT, COUNTRY, FALLBACK, GLOBAL, NETBLOCK, PRIVATE, tier_map
from mirrorlistd.selection.draw import mask_of, shuffled
from mirrorlistd.selection.index import Index
from mirrorlistd.selection.rank import Ranking, Region
from oracles.rules import CONTINENT as CONTINENT_OF
from oracles.rules import Asked, Expected, fits, tiers
from support.distributions import chi_square, unlikely
from support.mirror_networks import COUNTRIES, networks
from support.worlds import DE, FR, JP, NOWHERE, US, ask, compiled, decider, hosts, mirror, network


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    source=networks(),
    country=st.none() | COUNTRIES,
    asn=st.sampled_from([0, 680, 7018, 1]),
    countries=st.lists(COUNTRIES, unique=True, max_size=2),
    everywhere=st.integers(0, 5),
    netblock=st.booleans(),
    behalf=st.booleans(),
    limit=st.integers(1, 20),
    minimum=st.integers(0, 8),
    data=st.data(),
)
def test_lists_are_those_of_the_rules(
    source: dict[str, Any],
    country: str | None,
    asn: int,
    countries: list[str],
    everywhere: int,
    netblock: bool,
    behalf: bool,
    limit: int,
    minimum: int,
    data: st.DataObject,
) -> None:
    """Whatever the network and whoever asks for whatever: the list could have been drawn by the rules' own words."""
    address = DE
    known = data.draw(st.sampled_from([None, CONTINENT_OF.get(country or "")]), label="continent in the database")
    world = decider(source, minimum=minimum, places={address: (country, known, asn)})
    overrides = source["overrides"]["continents"]
    continent = (overrides.get(country) or known or CONTINENT_OF.get(country or "")) if country else known
    asked = Asked(
        country=country,
        continent=continent,
        asn=asn,
        address=address,
        countries=tuple(countries),
        everywhere=everywhere == 0,
        netblock=netblock,
        behalf=behalf,
        limit=limit,
        minimum=minimum,
    )
    codes = [*countries, *(["global"] if asked.everywhere else [])]
    query = f"repo=r&limit={limit}&country={','.join(codes)}" + ("" if netblock else "&netblock=0")
    reply = ask(world, query + (f"&ip={address}" if behalf else ""), FR if behalf else address)
    expected = tiers(source, asked)
    if reply.status == 404:
        assert not expected.tiers
        assert not expected.fallback
    else:
        assert fits(hosts(reply), expected, limit), (hosts(reply), expected)


@settings(max_examples=60, deadline=None)
@given(source=networks(), country=st.none() | COUNTRIES, continent=st.sampled_from([None, "EU", "AS", "NA"]))
def test_masks_are_those_of_the_tier_map(source: dict[str, Any], country: str | None, continent: str | None) -> None:
    """What is computed for one mirror of each kind is what the country rules say of every mirror."""
    index = Index(compiled(source))
    codes = tier_map(index.snapshot, country, continent)
    region = Region.of(index, country, continent)
    masks = {code: mask_of(number for number, own in enumerate(codes) if own == code) for code in {*codes}}
    assert region.near == tuple((code, masks[code]) for code in sorted(masks) if code <= CONTINENT)
    assert (region.far, region.last) == (masks.get(GLOBAL, 0), masks.get(FALLBACK, 0))
    assert region.private == masks.get(PRIVATE, 0)
    assert region.offered == mask_of(number for number, code in enumerate(codes) if code < FALLBACK)


def test_the_model_can_say_no() -> None:
    """The model refuses wrong order, repetitions, strangers, missing mirrors and a fallback that is not last."""
    expected = Expected([{"a", "b"}, {"c"}], {"z"})
    assert fits(["b", "a", "c", "z"], expected, 4)
    for wrong in (
        ["c", "a", "b", "z"],
        ["a", "a", "c", "z"],
        ["a", "b", "x", "z"],
        ["a", "b", "z"],
        ["z", "a", "b", "c"],
    ):
        assert not fits(wrong, expected, 4), wrong


def test_tiers_fill_in_order() -> None:
    """Own netblock, own AS, country, neighbours, continent; the world only below the minimum; the fallback last."""
    source = network(
        {
            "world": mirror("JP"),
            "last": mirror("JP", fallback=True),
            "continent": mirror("PL"),
            "second-group": mirror("US"),
            "first-group": mirror("FR"),
            "country": mirror("DE"),
            "as": mirror("JP", asns=[680]),
            "block24": mirror("JP", netblocks=["198.51.100.0/24"]),
            "block32": mirror("JP", netblocks=["198.51.100.1/32"]),
        },
        overrides={"neighbours": {"DE": [["FR"], ["US"]]}},
    )
    order = ["block32", "block24", "as", "country", "first-group", "second-group", "continent", "world", "last"]
    assert hosts(ask(decider(source, minimum=8), "repo=r", DE)) == order
    assert hosts(ask(decider(source, minimum=7), "repo=r", DE)) == [name for name in order if name != "world"]
    assert hosts(ask(decider(source), "repo=r&limit=3", DE)) == ["block32", "block24", "last"]
    assert hosts(ask(decider(source), "repo=r&limit=1", DE)) == ["block32"]


@pytest.mark.parametrize(
    ("query", "client", "expected"),
    [
        ("repo=r&country=FR", DE, {"fr"}),
        ("repo=r&country=fr,us", DE, {"fr", "us"}),
        ("repo=r&country=PL", DE, {"de", "fr"}),
        ("repo=r&country=BR", JP, {"de", "fr", "us"}),
        ("repo=r&country=QQ", DE, {"de", "fr", "us"}),
        ("repo=r&country=global", DE, {"de", "fr", "us"}),
        ("repo=r&country=global,DE", JP, {"de", "fr", "us"}),
    ],
)
def test_country_asks_for_others(query: str, client: str, expected: set[str]) -> None:
    """`country=` gives those countries alone; else their continents; else the client's own tiers.

    See docs/prior-defects.md, Defect 9.
    """
    source = network({"de": mirror("DE"), "fr": mirror("FR"), "us": mirror("US"), "last": mirror("US", fallback=True)})
    assert set(hosts(ask(decider(source), query, client))) - {"last"} == expected


def test_exclusive_netblock() -> None:
    """An exclusive mirror is the whole list; one that does not carry the content leaves the normal tiers in force."""
    blocks = [{"prefix": "198.51.100.0/24", "exclusive": True}]
    source = network(
        {
            "campus": mirror("DE", private=True, netblocks=blocks),
            "wider": mirror("DE", netblocks=[{"prefix": "198.0.0.0/8", "exclusive": True}]),
            "public": mirror("DE"),
            "last": mirror("DE", fallback=True),
        },
        repositories={"r": {"category": "c"}, "other": {"category": "d"}},
        categories={"c": {}, "d": {}},
    )
    source["mirrors"]["public"]["categories"] = {"c": "https://public/c/", "d": "https://public/d/"}
    world = decider(source)
    assert hosts(ask(world, "repo=r", DE)) == ["campus"]
    assert set(hosts(ask(world, "repo=other", DE))) == {"public"}
    assert set(hosts(ask(world, "repo=r&netblock=0", DE))) == {"wider", "public", "last"}


def test_private_mirrors_never_leak() -> None:
    """Only a client in the mirror's network sees it; nobody sees it by asking on behalf of somebody in there."""
    source = network(
        {"private": mirror("DE", private=True, netblocks=["198.51.100.1/32"], asns=[7018]), "public": mirror("DE")}
    )
    world = decider(source)
    assert hosts(ask(world, "repo=r", DE))[0] == "private"
    assert hosts(ask(world, "repo=r", US))[0] == "private"  # its AS
    assert hosts(ask(world, f"repo=r&ip={DE}", DE))[0] == "private"
    for query, client in ((f"repo=r&ip={DE}", FR), ("repo=r&country=DE", FR), ("repo=r&country=global", DE)):
        assert hosts(ask(world, query, client)) == ["public"]
    assert hosts(ask(world, "repo=r", FR)) == ["public"]


def test_unknown_place() -> None:
    """Nobody knows where the client is: the whole world, but no mirror that serves listed countries only."""
    source = network(
        {
            "anyone": mirror("DE"),
            "only-de": mirror("DE", allowed_countries=["DE"]),
            "not-fr": mirror("US", denied_countries=["FR"]),
        }
    )
    for client in (None, NOWHERE):
        assert set(hosts(ask(decider(source), "repo=r", client))) == {"anyone", "not-fr"}


@pytest.mark.slow
@pytest.mark.parametrize(("weights", "count"), [([1, 1], 2), ([100, 1000, 10_000, 500], 4), ([*range(1, 101)], 5)])
def test_first_places_follow_the_weights(weights: list[int], count: int) -> None:
    """Over many exact draws the share of first places equals the weights."""
    random, draws = Random(20261122), 20_000
    first = Counter(shuffled((1 << len(weights)) - 1, count, weights, random)[0] for _ in range(draws))
    assert not unlikely(chi_square(first, dict(enumerate(weights)), draws), len(weights) - 1)


@pytest.mark.slow
@pytest.mark.parametrize("size", [4, 100])
def test_later_places_are_drawn_from_the_rest(size: int) -> None:
    """The second place, given the first, is again proportional to weight: a shuffle without replacement."""
    weights = [1000 if number == 0 else 1 + number % 7 for number in range(size)]
    random = Random(1)
    seconds: Counter[int] = Counter()
    while seconds.total() < 20_000:
        first, second = shuffled((1 << size) - 1, 2, weights, random)
        if first == 0:
            seconds[second] += 1
    rest = {number: weight for number, weight in enumerate(weights) if number != 0}
    assert not unlikely(chi_square(seconds, rest, seconds.total()), size - 2)


def ranking(*tiers: tuple[int, int], fallback: int = 0) -> Ranking:
    """The candidates of an answer: codes and masks."""
    return Ranking(tiers, fallback)


def test_equal_seeds_equal_lists() -> None:
    """The random source is the only chance there is."""
    weights = [100] * 60 + [7] * 20
    choice = ranking((COUNTRY, mask_of(range(60))), (CONTINENT, mask_of(range(60, 80))))
    assert choice.draw(70, weights, Random(3)) == choice.draw(70, weights, Random(3))
    assert choice.draw(70, weights, Random(3)) != choice.draw(70, weights, Random(4))


def test_the_tier_of_the_first_mirror_is_counted() -> None:
    """Statistics say which tier answered: the first that has mirrors, else the last resort, else none."""
    world = decider(network({"own": mirror("JP", netblocks=[f"{DE}/32"]), "far": mirror("US")}))
    assert ask(world, "repo=r", DE).tier == NETBLOCK
    assert ask(world, "repo=r&netblock=0", DE).tier == ask(world, "repo=r", FR).tier == GLOBAL
    assert ask(world, "repo=r&country=US", FR).tier == COUNTRY
    assert ask(decider(network({"last": mirror("US", fallback=True)})), "repo=r", DE).tier == FALLBACK
    assert ask(decider(network({"none": mirror("US", denied_countries=["DE"])})), "repo=r", DE).tier == 0
    assert ranking().code(0) == 0
