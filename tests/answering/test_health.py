"""What was observed of mirrors: lists follow it, and explanations say so with the time and the reason."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from mirrorlist_snapshot.freshness.observed import Freshness, Reachability
from mirrorlistd.answering.explain import explain
from mirrorlistd.answering.explain_text import text
from mirrorlistd.answering.health_words import instant
from support.explanations import explained
from support.observed import NOW, seen, unit, url
from support.worlds import DE, ask, at, decider, hosts, mirror, network

if TYPE_CHECKING:
    from mirrorlist_snapshot.freshness.observed import Observations
    from mirrorlistd.answering.decider import Decider

SINCE = instant(NOW - 600)
OLD = "f of yesterday"
KEEPS = mirror("DE", categories={"c": {"urls": ["https://keeps/c/"], "include": ["y"]}})


def world(observations: Observations) -> Decider:
    """Four German mirrors of everything; a fifth one carries `y` alone."""
    mirrors = {name: mirror("DE") for name in ("one", "two", "three", "four")} | {"keeps": KEEPS}
    return decider(network(mirrors), seen=observations)


def reasons(world: Decider, query: str) -> dict[str, str]:
    """Mirror -> why it is left out, and, for a mirror in the list, what is said of it."""
    found = explained(world, query)
    assert [row["mirror"] for row in found["list"]] == hosts(ask(world, query, DE))
    said = {row["mirror"]: row["said"] for row in found["list"] if row["said"]}
    return said | {row["mirror"]: row["reason"] for row in found["left_out"]}


def test_what_is_left_out_and_why() -> None:
    """Stale, missing and down mirrors are left out with their reason; a late one stays, and its row says so."""
    found = reasons(
        world(
            seen(
                unit("one", "x/f", Freshness.STALE, reason=OLD),
                unit("two", "x/f", Freshness.MISSING),
                url("three", "https://three/c/", reason="connection refused"),
                unit("four", "x/f", Freshness.LATE, reason=OLD),
            )
        ),
        "path=c/x/deep/",
    )
    assert found == {
        "one": f"left out: stale since {SINCE} ({OLD})",
        "two": f"left out: missing since {SINCE} (x/f)",
        "three": f"left out: https down since {SINCE} (connection refused)",
        "four": f"late since {SINCE} ({OLD})",
        "keeps": "its include or exclude prefixes leave this path out",
    }


def test_a_reason_is_given_only_where_it_holds() -> None:
    """Beside a stale directory the mirror is in the list without a word; below a fresh one inside of it, too."""
    fresh = unit("one", "x/new/f", Freshness.FRESH)
    found = world(seen(unit("one", "x/f"), fresh, unit("keeps", "x/f", Freshness.MISSING)))
    for path in ("c/y/", "c/xy/", "c/x/new/", "c/x/new/g"):
        assert "one" not in reasons(found, f"path={path}"), path
    assert reasons(found, "path=c/x/g")["one"].startswith("left out: stale")
    assert reasons(found, "path=c/y/") == {}


def test_the_last_mirrors_are_told() -> None:
    """A mirror that stays because nobody has a newer version is in the list, and its row says why."""
    names = ("one", "two", "three", "four")
    found = reasons(world(seen(*(unit(name, "x/f", reason=OLD) for name in names))), "path=c/x/")
    assert found["one"] == f"stale since {SINCE} ({OLD}); offered, as no mirror has a newer version"
    assert set(found) == {*names, "keeps"}


def test_a_protocol_that_is_down_is_told() -> None:
    """Asked for a protocol whose URL is down, a mirror that serves others is left out with that reason."""
    urls = ["https://both/c/", "http://both/c/"]
    plain = mirror("DE", categories={"c": urls[1].replace("both", "plain")})
    source = network({"both": mirror("DE", categories={"c": urls}), "plain": plain, "other": mirror("DE")})
    rows = seen(url("both", urls[0], reason="certificate expired"), url("both", urls[1], Reachability.UP))
    found = reasons(decider(source, seen=rows), "repo=r&protocol=https")
    assert found == {
        "both": f"left out: https down since {SINCE} (certificate expired)",
        "plain": "no URL of a wanted protocol",
    }


def test_strangers_are_told_nothing_of_others() -> None:
    """Only insiders see why mirrors are left out, and remarks about those in the list."""
    observed = world(seen(unit("one", "x/f", reason=OLD), unit("two", "x/f", Freshness.LATE, reason=OLD)))
    found = explain(observed, b"path=c/x/", at(DE), Random(0), full=False)
    assert OLD not in text(found)
    insiders = text(explain(observed, b"path=c/x/", at(DE), Random(0), full=True))
    assert f"one: left out: stale since {SINCE} ({OLD})" in insiders
    assert f"late since {SINCE} ({OLD})" in insiders
