"""Sources of some hundred kilobytes whose rules once took minutes: each value is looked at a bounded number of times.

The limit of time is for a hang: before, each of these took a minute at least, and now about a second.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mirrorlist_snapshot.compiler import compile_snapshot
from mirrorlist_snapshot.errors import SnapshotError, SourceError
from mirrorlist_snapshot.source import read_sources

if TYPE_CHECKING:
    from pathlib import Path

    from mirrorlist_snapshot.errors import Complaint
    from mirrorlist_snapshot.model import Snapshot

pytestmark = [pytest.mark.slow, pytest.mark.timeout(45)]

MANY = 3_000


def description(**more: object) -> dict[str, object]:
    """One mirror, one repository, and more."""
    mirror = {"country": "DE", "categories": {"c": "https://m.example.org/"}}
    return {"categories": {"c": {}}, "repositories": {"r": {"category": "c"}}, "mirrors": {"m": mirror}} | more


def compiled(folder: Path, document: object) -> tuple[Snapshot, tuple[Complaint, ...]]:
    """The snapshot of a document, and its warnings."""
    (folder / "a.json").write_text(json.dumps(document))
    records, warnings = read_sources([folder / "a.json"])
    return compile_snapshot(records, serial=1, built=1, generator=""), warnings


def test_a_long_chain_of_aliases_is_followed_once(tmp_path: Path) -> None:
    """Every alias of an alias of an alias leads to the repository at the end."""
    aliases = {f"r{number}": {"alias": f"r{number - 1}" if number else "r"} for number in range(MANY)}
    snapshot, _ = compiled(tmp_path, description(repositories={"r": {"category": "c"}} | aliases))
    assert snapshot.aliases == dict.fromkeys(sorted(aliases), "r")


def test_a_long_loop_of_aliases_is_one_short_complaint(tmp_path: Path) -> None:
    """It names the first alias and some that follow."""
    aliases = {f"r{number}": {"alias": f"r{(number + 1) % MANY}"} for number in range(MANY)}
    with pytest.raises(SourceError) as caught:
        compiled(tmp_path, description(repositories=aliases))
    (found,) = caught.value.complaints
    assert found.message.startswith("the aliases form a loop: r0 -> r1 -> ")
    assert found.message.endswith("-> ... -> r0")


def test_many_prefixes_of_a_mirror_are_compared_by_look_up(tmp_path: Path) -> None:
    """Ten thousand directories that a mirror includes, each below one of ten thousand that it excludes."""
    content = {
        "urls": "https://m.example.org/",
        "include": [f"a{number}/x" for number in range(10_000)],
        "exclude": [f"a{number}" for number in reversed(range(10_000))],
    }
    _, warnings = compiled(tmp_path, description(mirrors={"m": {"country": "DE", "categories": {"c": content}}}))
    assert any("excludes everything that it includes" in one.message for one in warnings)


def test_repositories_that_no_mirror_carries_are_found_by_rules_not_by_mirrors(tmp_path: Path) -> None:
    """Three thousand repositories, and as many mirrors that all include the same other directory."""
    mirrors = {
        f"m{number}": {"country": "DE", "categories": {"c": {"urls": f"https://m{number}/", "include": "x"}}}
        for number in range(MANY)
    }
    repositories = {f"r{number}": {"category": "c", "path": f"p{number}"} for number in range(MANY)}
    _, warnings = compiled(tmp_path, description(mirrors=mirrors, repositories=repositories))
    assert sum("no mirror carries it" in one.message for one in warnings) >= 999


def test_many_netblocks_inside_many_equal_ones_are_refused(tmp_path: Path) -> None:
    """Three thousand mirrors with one network, around as many networks: nine million matches took gigabytes."""
    mirrors = {
        f"m{number}": {
            "country": "DE",
            "netblocks": [
                {"prefix": "10.0.0.0/8", "exclusive": True},
                f"10.{number >> 8}.{number & 255}.0/25",
            ],
            "categories": {"c": f"https://m{number}.example.org/"},
        }
        for number in range(MANY)
    }
    with pytest.raises(SnapshotError, match="netblocks, each counted with those around it"):
        compiled(tmp_path, description(mirrors=mirrors))
