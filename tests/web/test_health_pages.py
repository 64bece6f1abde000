"""Pages tell how public mirrors are: from the same snapshot as the lists, so that they cannot disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mirrorlist_snapshot.freshness.observed import Freshness, MirrorObservation, Reachability
from mirrorlistd.answering.health_words import instant
from support.observed import NOW, seen, unit, url
from support.readers import HOSTILE, Page, browser, service
from support.worlds import DE, mirror, network

if TYPE_CHECKING:
    from mirrorlist_snapshot.freshness.observed import Observations

HTML = {"accept": "text/html"}
JSON = {"accept": "application/json"}
SINCE = instant(NOW - 600)
SOURCE = network(
    {
        "behind": mirror("DE"),
        "current": mirror("DE", categories={"c": ["https://current/c/", "http://current/c/"]}),
        "dead": mirror("DE"),
        "new": mirror("DE"),
        "returning": mirror("DE"),
        "stale": mirror("DE"),
        "secret-campus": mirror("DE", private=True, netblocks=["203.0.113.0/24"]),
    },
    repositories={
        "r": {"category": "c", "path": "r"},
        "s": {"category": "c", "path": "s/{arch}", "arches": ["arm", "x86"]},
        "gone": {"category": "c", "path": "gone", "disabled": True},
    },
)
SEEN = seen(
    unit("behind", "r/f", Freshness.LATE, lag=50_000, reason="f of yesterday"),
    unit("current", "r/f", Freshness.FRESH),
    unit("current", "s/arm/f", Freshness.FRESH),
    unit("current", "gone/f", Freshness.FRESH),
    url("current", "http://current/c/", reason="connection refused"),
    url("current", "https://current/c/", Reachability.UP),
    url("dead", "https://dead/c/", reason="timeout"),
    MirrorObservation(mirror="returning", weight=25, until=NOW),
    unit("returning", "r/f", Freshness.FRESH, checked=NOW + 60),
    unit("stale", "s/x86/f", Freshness.STALE, lag=200_000, reason="f of last week"),
    unit("secret-campus", "r/f", Freshness.STALE, reason="secret"),
)


def get(path: str, headers: dict[str, str], observations: Observations = SEEN) -> Any:
    """Ask a server whose snapshot has these observations."""
    reply = browser(DE, service(source=SOURCE, seen=observations)).get(path, headers=headers)
    assert reply.status_code == 200
    return reply


def test_mirrors_in_words() -> None:
    """Each public mirror's row says how it is; the page says when that was seen; private mirrors are not on it."""
    page = get("/mirrors", HTML)
    text = Page(page.text).text
    for words in (
        "up to 13 h behind",
        f"http down since {SINCE}; current; IPv4 only",
        f"https down since {SINCE}",
        "not checked yet",
        "current; back since a short time, at 25 % of its bandwidth",
        "up to 2 days behind; left out of 1 place",
        f"Mirrors were last observed {instant(NOW)}",
    ):
        assert words in text, words
    assert f'title="checked {instant(NOW + 60)}"' in page.text
    assert "secret" not in page.text


def test_mirrors_as_data() -> None:
    """The JSON has the times, lags, URLs and files; lags of enabled repositories only."""
    found = get("/mirrors", JSON).json()
    health = {row["mirror"]: row["health"] for row in found["mirrors"]}
    assert found["observed"] == NOW
    assert health["new"] is None
    down = {"url": "http://current/c/", "family": None, "since": NOW - 600, "reason": "connection refused"}
    assert health["current"] == {
        "checked": NOW,
        "families": [4],
        "weight": 100,
        "lag": {"r": 0, "s": 0},
        "down": [down],
        "old": [],
    }
    assert health["behind"]["lag"] == {"r": 50_000}
    late = {"state": "late", "offered": True, "since": NOW - 600, "lag": 50_000, "reason": "f of yesterday"}
    assert health["behind"]["old"] == [{"category": "c", "file": "r/f"} | late]
    assert "secret" not in str(found)


def test_a_repository_tells_who_is_behind_and_who_lacks_it() -> None:
    """Carriers have their lag in this repository; those that are left out have the reason."""
    text = Page(get("/repos/r", HTML).text).text
    assert "13 h behind" in text
    assert f"dead: https down since {SINCE} (timeout)" in text
    text = Page(get("/repos/s", HTML).text).text
    assert f"stale: stale since {SINCE} (f of last week)" in text
    found = get("/repos/s", JSON).json()
    lags = {row["mirror"]: (row["health"] or {}).get("lag") for row in found["mirrors"]}
    assert lags == {"behind": {}, "current": {"s": 0}, "new": None, "returning": {}, "stale": {"s": 200_000}}
    assert found["observed"] == NOW


def test_a_strangers_words_are_text() -> None:
    """What a mirror's server said is escaped."""
    found = seen(unit("stale", "r/f", reason=HOSTILE), url("dead", "https://dead/c/", reason=HOSTILE))
    for path in ("/mirrors", "/repos/r"):
        page = get(path, HTML, found)
        assert "<script>alert(1)" not in page.text
        assert not any(tag == "a" and "onclick" in attributes for tag, attributes in Page(page.text).elements)


@pytest.mark.parametrize("path", ["/mirrors", "/repos/r"])
def test_without_observations_nothing_is_claimed(path: str) -> None:
    """A snapshot that was compiled without observations says nothing of being in sync."""
    page = get(path, HTML, seen())
    assert "In sync" not in page.text
    assert "not checked" not in page.text
    assert get(path, JSON, seen()).json()["observed"] is None
