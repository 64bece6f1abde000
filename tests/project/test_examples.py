"""The examples: real mirrors, compiled into the built-in default; everyone starts by copying them."""

from __future__ import annotations

import tomllib
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest

from mirrorlist_snapshot.compiler import compile_snapshot
from mirrorlist_snapshot.countries import CONTINENT_OF
from mirrorlist_snapshot.format import decode, encode
from mirrorlist_snapshot.source import json_schema, read_sources
from mirrorlist_snapshot.tiers import COUNTRY, NEIGHBOURS, tier_map
from support.paths import ROOT

EXAMPLES = ROOT / "snapshot" / "examples"
MIRRORS = {"debian": 311, "ubuntu": 573, "cran": 99, "pypi": 23}
"""Real mirrors in each file."""


def document(name: str) -> dict[str, Any]:
    """The data of an example."""
    return tomllib.loads((EXAMPLES / f"{name}.toml").read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*MIRRORS, "overrides"])
def test_example_fits_the_json_schema(name: str) -> None:
    """What editors are told about the format is true of the examples."""
    jsonschema.validate(document(name), json_schema())


@pytest.mark.parametrize("name", MIRRORS)
def test_example_compiles_alone(name: str) -> None:
    """Each list of mirrors is a description of its own, without mistakes or warnings."""
    records, warnings = read_sources([EXAMPLES / f"{name}.toml"])
    assert warnings == ()
    snapshot = compile_snapshot(records, serial=1, built=1, generator="test")
    assert len(snapshot.mirrors) == MIRRORS[name]
    assert any(repository.name == name for repository in snapshot.repositories)
    assert name in snapshot.aliases.values()


@pytest.mark.slow
def test_examples_compile_together_with_the_overrides() -> None:
    """The folder is one description: a thousand mirrors, five repositories, no name in two files."""
    records, warnings = read_sources([EXAMPLES])
    assert warnings == ()
    snapshot = decode(encode(compile_snapshot(records, serial=1, built=1, generator="test")))
    assert len(snapshot.mirrors) == sum(MIRRORS.values())
    assert [one.name for one in snapshot.repositories] == ["cran", "debian", "pypi", "ubuntu", "ubuntu-ports"]
    assert snapshot.repositories[2].directories[0].path == "simple"
    tiers = tier_map(snapshot, "NL", "EU")
    countries = {
        tier: {one.country for one, code in zip(snapshot.mirrors, tiers, strict=True) if code == tier}
        for tier in (COUNTRY, NEIGHBOURS)
    }
    assert countries == {COUNTRY: {"NL"}, NEIGHBOURS: {"BE", "DE"}}


@pytest.mark.parametrize("name", MIRRORS)
def test_mirrors_are_named_after_their_urls(name: str) -> None:
    """A mirror's name is its host and path, so that the lists can be compiled together and a name says where it is."""
    for mirror, description in document(name)["mirrors"].items():
        for url in description["categories"].values():
            parts = urlsplit(url)
            assert mirror == f"{parts.hostname}{parts.path}".rstrip("/")


def test_ports_are_not_offered_for_the_archive() -> None:
    """Trees of other architectures are a category of their own: a client of the archive must not get one."""
    for mirror in read_sources([EXAMPLES / "ubuntu.toml"])[0].mirrors:
        (content,) = mirror.contents
        assert ("ubuntu-ports" in content.urls[0]) == (content.category == "ubuntu-ports")


def test_overrides_change_something() -> None:
    """No override repeats what the built-in table says, and every neighbour is another country."""
    overrides = document("overrides")["overrides"]
    assert all(CONTINENT_OF[country] != continent for country, continent in overrides["continents"].items())
    for country, groups in overrides["neighbours"].items():
        neighbours = [one for group in groups for one in group]
        assert country not in neighbours
        assert len(set(neighbours)) == len(neighbours)


@pytest.mark.slow
def test_the_built_in_default_is_compiled_from_the_examples() -> None:
    """mirrorlistd/default.mls is what `make default` makes of the examples as they are."""
    data = (ROOT / "mirrorlistd" / "default.mls").read_bytes()
    default = decode(data)
    records, _ = read_sources([EXAMPLES])
    again = compile_snapshot(records, serial=default.serial, built=default.built, generator=default.generator)
    assert encode(again) == data, "run `make default`"
