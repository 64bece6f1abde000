"""Why a mirror is on a list or is not: the one reason that an explanation gives for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracles.rules import CONTINENT as CONTINENT_OF
from oracles.rules import Asked, tiers
from support.explanations import explained
from support.mirror_networks import networks
from support.worlds import DE, decider, mirror, network

if TYPE_CHECKING:
    from mirrorlistd.answering.decider import Decider


def reasons(world: Decider, query: str = "repo=r", client: str | None = DE) -> dict[str, str]:
    """Mirror -> why it was left out."""
    return {row["mirror"]: row["reason"] for row in explained(world, query, client)["left_out"]}


@given(
    source=networks(),
    asn=st.sampled_from([0, 680]),
    country=st.none() | st.sampled_from(sorted(CONTINENT_OF)),
    limit=st.integers(1, 6),
)
@settings(max_examples=100, deadline=None)
def test_reasons_agree_with_the_rules(source: dict[str, Any], asn: int, country: str | None, limit: int) -> None:
    """Left out for want of room is exactly who, by the rules' own words, could have stood in a longer list."""
    continent = source["overrides"]["continents"].get(country) or CONTINENT_OF.get(country or "")
    world = decider(source, places={DE: (country, None, asn)})
    expected = tiers(source, Asked(country=country, continent=continent, asn=asn, address=DE))
    eligible = set().union(*expected.tiers) | expected.fallback
    found = explained(world, f"repo=r&limit={limit}")
    listed = {row["mirror"] for row in found["list"]}
    no_room = {row["mirror"] for row in found["left_out"] if row["reason"].startswith("beyond the limit")}
    assert no_room == eligible - listed
    assert {tier["mirrors"] for tier in found["tiers"]} <= {
        len(names) for names in [*expected.tiers, expected.fallback]
    }


PUBLIC = mirror("DE")


FAR = mirror("JP")


OWN = ["198.51.100.0/24"]


@pytest.mark.parametrize(
    ("fields", "query", "reason"),
    [
        ({"active": False}, "repo=r", "inactive: switched off in the sources"),
        (
            {"categories": {"c": {"urls": ["https://m/"], "include": ["x"]}}},
            "repo=r",
            "its include or exclude prefixes leave this path out",
        ),
        (
            {"categories": {"c": {"urls": ["https://m/"], "exclude": ["x"]}}},
            "path=c/x/y",
            "its include or exclude prefixes leave this path out",
        ),
        ({"categories": {"other": "https://m/"}}, "repo=r", "does not carry the category c"),
        (
            {"categories": {"l": {"urls": ["https://m/"], "directories": ["old"]}}},
            "path=l/new/",
            "not up to date for this directory, or its include or exclude prefixes leave it out",
        ),
        ({}, "path=l/new/", "does not carry the category l"),
        ({"categories": {"c": "rsync://m/c/"}}, "repo=r", "no URL of a wanted protocol"),
        ({}, "repo=r&protocol=http", "no URL of a wanted protocol"),
        ({"denied_countries": ["DE"]}, "repo=r", "denied: the mirror denies the client's country"),
        (
            {"allowed_countries": ["FR"]},
            "repo=r",
            "not allowed: the client's country is not among those the mirror serves",
        ),
        (
            {"country": "TR"},
            "repo=r",
            "excluded pair: an override never serves the client's country from the mirror's",
        ),
        (
            {"private": True, "netblocks": ["192.0.2.0/24"]},
            "repo=r",
            "private: offered only to its own networks",
        ),
        ({"private": True, "asns": [64500]}, "repo=r", "private: offered only to its own networks"),
        (
            {"private": True, "netblocks": OWN},
            "repo=r&netblock=0",
            "private: in its own networks, but not with country=, netblock=0 or another client's ip=",
        ),
        (
            {"private": True, "asns": [680]},
            "repo=r&country=DE",
            "private: in its own networks, but not with country=, netblock=0 or another client's ip=",
        ),
        ({"country": "JP"}, "repo=r", "far away, and at least 2 nearer mirrors were found"),
        ({"country": None}, "repo=r", "far away, and at least 2 nearer mirrors were found"),
        ({"country": "JP"}, "repo=r&country=DE", "not in the countries asked for"),
        ({"country": "JP"}, "repo=r&country=BE", "not in the countries asked for"),
        # Nobody is in the countries asked for, nor on their continents: the client's own tiers decided.
        ({"country": "JP"}, "repo=r&country=BR", "far away, and at least 2 nearer mirrors were found"),
        ({"fallback": True}, "repo=r&country=DE", "fallback: not with country="),
        ({"country": "FR"}, "repo=r&limit=2", "beyond the limit of 2: tier continent, share 100.0 %"),
        ({"country": "PL"}, "repo=r&limit=1", "beyond the limit of 1: tier neighbours 1st group, share 100.0 %"),
        ({"fallback": True}, "repo=r&limit=1", "beyond the limit of 1: tier fallback, share 100.0 %"),
        ({"bandwidth": 1}, "repo=r&limit=2", "beyond the limit of 2: tier country, share 0.0 %"),
    ],
)
def test_every_reason(fields: dict[str, Any], query: str, reason: str) -> None:
    """Of two plain German mirrors and one more, the one more is left out, and this is why."""
    fields = {"country": "DE"} | fields
    source = network(
        {"one": PUBLIC, "two": PUBLIC, "m": {key: value for key, value in fields.items() if value is not None}},
        categories={"c": {}, "other": {}, "l": {"kind": "listed", "directories": ["new", "old"]}},
        overrides={"never_served": {"DE": ["TR"]}, "neighbours": {"DE": ["PL"]}},
    )
    for name in ("one", "two"):
        source["mirrors"][name]["bandwidth"] = 10_000
        source["mirrors"][name]["categories"] = {
            "c": [f"https://{name}/c/", f"http://{name}/c/"],
            "l": {"urls": [f"https://{name}/l/"], "directories": ["new"]},
        }
    world = decider(source, minimum=2)
    found = explained(world, query)
    assert {row["mirror"]: row["reason"] for row in found["left_out"]}["m"] == reason
    assert found["status"] == 200


def test_reason_on_behalf_of_another() -> None:
    """Asked for a client inside, but not by it: the private mirror is left out, and the reason says how to see it."""
    world = decider(network({"p": mirror("DE", private=True, netblocks=OWN), "a": PUBLIC}))
    assert "another client's ip=" in reasons(world, f"repo=r&ip={DE}", "192.0.2.1")["p"]
    assert reasons(world, f"repo=r&ip={DE}", DE) == {}


def test_reason_exclusive() -> None:
    """Where an exclusive netblock serves the client, it is the reason for everybody else, private or far."""
    source = network(
        {
            "campus": mirror("DE", netblocks=[{"prefix": "198.51.100.0/24", "exclusive": True}]),
            "a": PUBLIC,
            "p": mirror("DE", private=True, netblocks=OWN),
            "f": mirror("DE", fallback=True),
            "off": mirror("DE", active=False),
        }
    )
    found = explained(decider(source), "repo=r")
    assert found["exclusive"] is True
    assert [row["mirror"] for row in found["list"]] == ["campus"]
    why = "an exclusive netblock serves this client"
    assert reasons(decider(source)) == {"a": why, "p": why, "f": why, "off": "inactive: switched off in the sources"}


def test_the_first_reason_is_the_weightier() -> None:
    """A mirror that is off, lacks the content and denies the country is off; one on, lacking and denying, lacks it."""
    elsewhere = {"categories": {"c": {"urls": ["https://m/"], "include": ["x"]}}, "denied_countries": ["DE"]}
    source = network({"off": mirror("DE", active=False, **elsewhere), "on": mirror("DE", **elsewhere), "a": PUBLIC})
    assert reasons(decider(source)) == {
        "off": "inactive: switched off in the sources",
        "on": "its include or exclude prefixes leave this path out",
    }
