"""What is asked of whom, by the sources and by what the master has."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mirrorlist_admin import plan
from mirrorlist_admin.network import Network
from mirrorlist_admin.verdict.reach import new_url
from mirrorlist_admin.verdict.seen import never_seen
from mirrorlist_snapshot.source import read_sources

if TYPE_CHECKING:
    from pathlib import Path

URLS = ["https://m.example/c/", "http://m.example/c/", "rsync://m.example/c/", "ftp://m.example/c/"]


def network(folder: Path, known: set[tuple[str, str]], **changes: Any) -> Network:
    """A listed and an open category; mirrors of several sorts."""
    source: dict[str, Any] = {
        "categories": {
            "c": {"kind": "open", "master": "http://master.example/", "stamp": "TIME"},
            "listed": {"kind": "listed", "master": "/srv/listed", "directories": ["a/x"]},
            "bare": {"kind": "open"},
        },
        "repositories": {
            "r": {"category": "c", "path": "r/{arch}", "arches": {"x86_64": {}, "arm": {}}},
            "core": {"category": "c", "path": "core"},
            "a": {"category": "listed", "path": "a/x", "unit": "Own.idx", "fresh": "1h"},
            "b": {"category": "bare", "path": "b"},
        },
        "mirrors": {
            "plain": {"country": "DE", "categories": {"c": {"urls": URLS}, "bare": {"urls": URLS[:1]}}},
            "part": {"country": "DE", "categories": {"c": {"urls": URLS[:1], "exclude": ["r/arm"]}}},
            "lister": {"country": "DE", "categories": {"listed": {"urls": URLS[:1], "directories": ["a/x"]}}},
            "empty": {"country": "DE", "categories": {"listed": {"urls": URLS[:1], "directories": []}}},
            "ftp": {"country": "DE", "categories": {"c": {"urls": URLS[3:]}}},
            "off": {"country": "DE", "active": False, "categories": {"c": {"urls": URLS}}},
            "private": {
                "country": "DE",
                "private": True,
                "netblocks": ["192.0.2.0/24"],
                "categories": {"c": {"urls": URLS}},
            },
        },
    }
    (folder / "net.json").write_text(json.dumps(source | changes))
    return Network(read_sources([folder / "net.json"])[0], known)


KNOWN = {
    ("c", "r/x86_64/repodata/repomd.xml"),
    ("c", "r/arm/repodata/repomd.xml"),
    ("c", "core/core.db"),
    ("listed", "a/x/Own.idx"),
}


def test_who_is_asked_for_what(tmp_path: Path) -> None:
    """Public, active mirrors with URLs that can be asked; the units that they carry by the sources."""
    made = network(tmp_path, KNOWN)
    asked = {
        name: {content.category: [unit.path for unit in content.units] for content in mirror.contents}
        for name, mirror in made.mirrors.items()
    }
    x86, arm = "r/x86_64/repodata/repomd.xml", "r/arm/repodata/repomd.xml"
    assert asked == {
        "plain": {"c": [x86, arm, "core/core.db"], "bare": []},
        "part": {"c": [x86, "core/core.db"]},
        "lister": {"listed": ["a/x/Own.idx"]},
        "empty": {"listed": []},
    }
    assert {content.urls for content in made.mirrors["plain"].contents} == {tuple(URLS[:3]), tuple(URLS[:1])}
    assert {row.mirror for row in made.expected_units()} == {"plain", "part", "lister", "ftp", "off", "private"}


def test_limits_and_kinds_are_the_repositorys(tmp_path: Path) -> None:
    """A unit has the limits of its repository and the kind of its name; a stamp stands for a tree without units."""
    made = network(tmp_path, KNOWN)
    assert (made.units["listed", "a/x/Own.idx"].fresh, made.units["listed", "a/x/Own.idx"].kind) == (3600, "stamp")
    assert made.units["c", "core/core.db"].kind == "pacman"
    assert made.stamps["c"].directories == ()
    assert network(tmp_path, set()).stamps["c"].directories == ("",)


def test_what_cannot_be_judged_is_told(tmp_path: Path) -> None:
    """A category without a master, and a repository whose index the master does not have: each with what to do."""
    told = list(network(tmp_path, KNOWN - {("c", "core/core.db")}).unjudged())
    assert len(told) == 2
    assert "category bare: no `master`" in told[0]
    assert "c:/core: the master has none of repodata/repomd.xml" in told[1]


def test_each_host_and_family_is_asked_in_every_run(tmp_path: Path) -> None:
    """Of twenty URLs of two hosts nine are asked, the longest unasked first, and each host and family among them."""
    content = network(tmp_path, KNOWN).mirrors["plain"].contents[0]
    urls = {
        (content.category, f"https://{host}.example/{number}/", family): new_url(
            "plain", content.category, f"https://{host}.example/{number}/", family
        )
        for host in ("a", "b")
        for number in range(5)
        for family in (4, 6)
    }
    asked = plan.alive_asks([content], urls, {})
    assert len(asked) == plan.MOST_URLS
    assert {(plan.host_of(probe.url), probe.family) for probe, _ in asked} == {
        (f"https://{host}.example", family) for host in ("a", "b") for family in (4, 6)
    }
    assert {unit.path for _, unit in asked if unit} == {"TIME"}


def test_units_are_due_or_sampled(tmp_path: Path) -> None:
    """Never seen, due and asked for by others: now. Two of the others, those longest unseen."""
    units = network(tmp_path, KNOWN).mirrors["plain"].contents[0].units
    probes = {unit.key: never_seen("plain", *unit.key) for unit in units}
    due, samples = plan.unit_asks(units, probes.get, {}, 1000)
    assert (len(due), samples) == (3, [])
    probes = {key: replace(probe, due=0, asked=number) for number, (key, probe) in enumerate(probes.items())}
    assert plan.unit_asks(units, probes.get, {}, 1000) == ([], list(units[:2]))
    assert plan.unit_asks(units, probes.get, {units[2].key: 900}, 1000) == ([units[2]], list(units[:2]))
    assert plan.unit_asks(units, probes.get, {units[2].key: 1001}, 1000)[0] == []
