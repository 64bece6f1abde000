"""What `export` writes is read by the importer of its format, and clients get the same mirrors as before."""

from __future__ import annotations

import json

import pytest

from mirrorlist_snapshot.export import FORMATS, select
from mirrorlist_snapshot.export.selected import only
from support.mirror_lists import imported, source_of
from support.worlds import ask, compiled, decider, mirror, network

SOURCE = network(
    {
        "de.example": mirror(
            "DE",
            bandwidth=1000,
            categories={"c": ["https://de.example/c/", "http://de.example/c/"], "d": "https://de.example/d/"},
            about={"sponsor": {"name": "First e.V.", "url": "https://first.example/"}, "city": "Berlin"},
        ),
        "fr.example": mirror("FR", also_countries=["BR"], categories={"c": "https://fr.example/c/"}),
        "us.example": mirror("US", categories={"c": "https://us.example/x/c/"}),
        "jp.example": mirror("JP", categories={"c": "https://jp.example/c/"}),
        "za.example": mirror("ZA", categories={"c": "https://za.example/c/"}),
        "cdn.example": mirror(None, worldwide=True, categories={"c": "https://cdn.example/c/"}),
    },
    categories={"c": {}, "d": {}},
    repositories={"c": {"category": "c"}, "d": {"category": "d"}},
)
PLACES = {
    f"192.0.2.{number}": (country, continent, 0)
    for number, (country, continent) in enumerate(
        {"DE": "EU", "FR": "EU", "US": "NA", "JP": "AS", "BR": "SA", "ZA": "AF"}.items()
    )
}
LOST = {"mirmon": {"cdn.example", "BR"}, "debian": {"BR"}, "pacman": {"BR"}, "arch-status": {"BR"}}
"""What a format has no word for: the whole world, and other countries."""


def first(source: dict[str, object], repository: str) -> dict[str, set[str]]:
    """Country -> the mirrors of the first tier."""
    world = decider(source, places=PLACES)
    found: dict[str, set[str]] = {}
    for address, (country, *_) in PLACES.items():
        rows = json.loads(ask(world, f"repo={repository}&format=json&limit=100", address).body)
        found[country] = {row["url"].split("/")[2] for row in rows if row["tier"] == rows[0]["tier"]}
    return found


@pytest.mark.parametrize("kind", ["csv", "mirmon", "debian", "pacman", "arch-status"])
def test_exports_are_imported(kind: str) -> None:
    """Every mirror is back in its country, with its URLs, but for what the format cannot say."""
    selected = select(compiled(SOURCE), private=False)
    text = FORMATS[kind].write(only(selected, "c") if FORMATS[kind].one_tree else selected)
    back = source_of(imported(kind, {"list": text}, category="c", columns={}))
    lost = LOST.get(kind, set())
    before, after = first(SOURCE, "c"), first(back, "c")
    for country in before.keys() - lost:
        assert after[country] - lost == before[country] - lost, country


def test_a_table_is_a_whole_source() -> None:
    """The CSV of `export` gives back categories, bandwidth and sponsors, too."""
    text = FORMATS["csv"].write(select(compiled(SOURCE), private=False))
    found = imported("csv", {"mirrors.csv": text}, columns={})
    assert found.not_taken == ()
    back = source_of(found)
    assert back["categories"].keys() == {"c", "d"}
    assert back["mirrors"].keys() == SOURCE["mirrors"].keys()
    one = back["mirrors"]["de.example"]
    assert one["categories"] == SOURCE["mirrors"]["de.example"]["categories"]
    assert (one["bandwidth"], one["about"]) == (1000, SOURCE["mirrors"]["de.example"]["about"])
    assert first(back, "d") == first(SOURCE, "d")
