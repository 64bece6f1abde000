"""Mirrors with some architectures of a category: who is offered for what, whatever shares a directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.report.overview import inspect
from support.worlds import ask, compiled, decider, hosts, mirror, network

if TYPE_CHECKING:
    from collections.abc import Mapping

ARCHES = ("amd64", "arm64", "riscv64")
FILE = {"path": "dists/Release", "timestamp": 1_700_000_000, "size": 7, "sha256": "ab" * 32}


def has(*arches: str, name: str) -> dict[str, Any]:
    """A mirror that has these architectures only."""
    return mirror("DE", categories={"c": {"urls": [f"https://{name}/c/"], "arches": list(arches)}})


DEBIAN = network(
    {"all": mirror("DE"), "two": has("amd64", "arm64", name="two"), "one": has("riscv64", name="one")},
    repositories={"debian": {"category": "c", "arches": list(ARCHES), "files": [FILE]}, "old": {"alias": "debian"}},
)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("repo=debian", {"all", "two", "one"}),
        ("repo=debian&arch=amd64", {"all", "two"}),
        ("repo=debian&arch=riscv64", {"all", "one"}),
        ("repo=old&arch=riscv64", {"all", "one"}),
        ("repo=debian&arch=riscv64&file=pool/a.deb", {"all", "one"}),
        ("repo=debian&arch=riscv64&file=dists/", {"all", "one"}),
        ("path=c/pool/a.deb", {"all", "two", "one"}),
        ("path=c/", {"all", "two", "one"}),
    ],
)
def test_a_tree_that_architectures_share(query: str, expected: set[str]) -> None:
    """A client that names an architecture gets the mirrors that have it; by path, or without, all mirrors."""
    assert set(hosts(ask(decider(DEBIAN), query))) == expected


def test_comments_and_errors_of_a_shared_tree() -> None:
    """The comment names the architecture that was asked for; an unknown one is answered with those that there are."""
    world = decider(DEBIAN)
    assert ask(world, "repo=debian").body.startswith(b"# repo = debian\n")
    assert ask(world, "repo=debian&arch=arm64").body.startswith(b"# repo = debian arch = arm64\n")
    unknown = ask(world, "repo=debian&arch=s390x")
    assert (unknown.status, b"architectures: amd64 arm64 riscv64" in unknown.body) == (404, True)


def test_metalinks_of_a_shared_tree() -> None:
    """The details of a file are known for each architecture, and its mirrors are those that have it."""
    reply = ask(decider(DEBIAN), "repo=debian&arch=riscv64&file=dists/Release&format=metalink")
    assert reply.status == 200
    assert b"ab" * 32 in reply.body
    assert b"https://one/c/dists/Release" in reply.body
    assert b"https://two/" not in reply.body


def test_people_see_one_category() -> None:
    """The parts of a category are in no report: they are how a snapshot says it, not what an operator wrote."""
    data = snapshot_format.encode(compiled(DEBIAN))
    facts = inspect(data, now=0)
    assert {place["category"] for one in facts["repositories"] for place in one["directories"]} == {"c"}
    assert {tuple(one["categories"]) for one in facts["mirrors"]} == {("c",)}


def test_directories_of_an_architecture_are_left_out_by_path_too() -> None:
    """Where an architecture has its own directory, a mirror without it is not offered for that path either."""
    source = network(
        {"all": mirror("DE"), "arm": has("arm64", name="arm")},
        repositories={"r": {"category": "c", "path": "9/{arch}/os", "arches": ["amd64", "arm64"]}},
    )
    world = decider(source)
    assert set(hosts(ask(world, "path=c/9/amd64/os/x.rpm"))) == {"all"}
    assert set(hosts(ask(world, "repo=r&arch=arm64"))) == {"all", "arm"}
    assert set(hosts(ask(world, "path=c/9/"))) == {"all", "arm"}
    assert len(compiled(source).categories) == 1


PATHS = ["", "a", "a/b", "{arch}", "a/{arch}", "a/{arch}/os"]


@st.composite
def networks(draw: st.DrawFn) -> dict[str, Any]:
    """Repositories that share directories or not, listed or open, and mirrors with some of the architectures."""
    arches = st.lists(st.sampled_from(ARCHES), min_size=1, unique=True)
    repositories = {
        f"r{number}": {"category": "c", "path": draw(st.sampled_from(PATHS)), "arches": draw(arches)}
        for number in range(draw(st.integers(1, 3)))
    }
    listed = draw(st.booleans())
    mirrors: dict[str, Any] = {"base": mirror("DE"), "partial": has(*draw(arches), name="partial")}
    for number in range(draw(st.integers(0, 3))):
        mirrors[f"m{number}"] = has(*draw(arches), name=f"m{number}") if draw(st.booleans()) else mirror("DE")
    directories = sorted({place for one in repositories.values() for place in places(one).values()})
    return network(
        mirrors,
        categories={"c": {"kind": "listed", "directories": directories} if listed else {}},
        repositories=repositories,
    )


def places(repository: Mapping[str, Any]) -> dict[str, str]:
    """Architecture -> directory of a repository."""
    return {arch: repository["path"].replace("{arch}", arch) for arch in repository["arches"]}


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(source=networks())
def test_an_architecture_has_the_mirrors_that_have_it(source: dict[str, Any]) -> None:
    """In any network, a repository's list for an architecture has exactly the mirrors that state it, or state none."""
    stated = {
        name: content.get("arches") if isinstance(content := one["categories"]["c"], dict) else None
        for name, one in source["mirrors"].items()
    }
    world = decider(source)
    for name, repository in source["repositories"].items():
        for arch in repository["arches"]:
            expected = {host for host, arches in stated.items() if arches is None or arch in arches}
            assert set(hosts(ask(world, f"repo={name}&arch={arch}&limit=100"))) == expected
