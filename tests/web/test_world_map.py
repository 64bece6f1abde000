"""Claims of the map's shapes: the file that the pages draw, and the script that makes it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from mirrorlist_snapshot.countries import CONTINENT_OF
from support.paths import ROOT
from support.world_map import VIEWS, WIDTH, Topology, area, centre, drawn, projected, simplified

FILE = ROOT / "mirrorlistd" / "web" / "pages" / "templates" / "world.json"
MAP: dict[str, Any] = json.loads(FILE.read_text())
SQUARE = [(0, 0), (10, 0), (10, 10), (0, 10), (0, 0)]


def test_the_file_is_compact_and_says_where_it_is_from() -> None:
    """Less than 60 kB, in a page that is sent whole each time; its source and licence are in it."""
    assert FILE.stat().st_size < 60_000
    assert "Natural Earth 4.1, public domain" in MAP["source"]


def test_every_country_is_on_the_map() -> None:
    """Each code that a source may use, Kosovo's and Taiwan's too, has a name, a place on the map, a shape or a dot."""
    assert set(MAP["countries"]) == set(CONTINENT_OF)
    for country in MAP["countries"].values():
        x, y = country["at"]
        assert 0 <= x <= WIDTH
        assert 0 <= y <= MAP["views"][""][3]
        assert country["name"]
        assert country.get("shape") or country["small"]
    assert {"TW", "XK", "EH", "PS"} <= {code for code, one in MAP["countries"].items() if "shape" in one}


@pytest.mark.parametrize("code", sorted(CONTINENT_OF))
def test_shapes_are_closed_paths_within_the_map(code: str) -> None:
    """Every part begins at a place of its own (`M`: after `z` an `m` would be relative), and none spans the map."""
    for part in filter(None, MAP["countries"][code].get("shape", "").split("z")):
        found = re.fullmatch(r"M(-?\d+) ?(-?\d+)l((?: ?-?\d+)+)", part)
        assert found is not None, part
        x, y = int(found[1]), int(found[2])
        moves = [int(number) for number in re.findall(r"-?\d+", found[3])]
        assert len(moves) % 2 == 0
        columns = [x]
        for step in moves[::2]:
            columns.append(columns[-1] + step)
        assert max(columns) - min(columns) < 0.4 * WIDTH
        assert y + sum(moves[1::2]) <= MAP["views"][""][3] + 20


def test_views_show_what_they_should() -> None:
    """Close views are three to two, and hold the capitals of their continents' mirrors."""
    for name, place in (("EU", (13.4, 52.5)), ("AS", (139.7, 35.7)), ("SA", (-46.6, -23.5)), ("OC", (174.8, -41.3))):
        left, top, width, height = MAP["views"][name]
        x, y = projected(*place)
        assert left < x < left + width
        assert top < y < top + height
    for name in VIEWS:
        assert MAP["views"][name][2] / MAP["views"][name][3] == pytest.approx(1.5, abs=0.01)


def test_projection() -> None:
    """West is left, north is up; the map is cut in Bering Strait, so both its sides are far apart."""
    assert projected(-168, 0)[0] == pytest.approx(5, abs=5)
    assert projected(190, 0)[0] == pytest.approx(WIDTH - 6, abs=5)
    assert projected(0, 60)[1] < projected(0, 0)[1] < projected(0, -50)[1]


def test_simplified() -> None:
    """Corners that hardly matter go, ends and corners that matter stay; both ways round give the same."""
    arc = [(0.0, 0.0), (10, 0.1), (20, 0), (30, 40), (40, 0), (50, 0.2), (60, 0)]
    assert simplified(arc) == [(0.0, 0.0), (20, 0), (30, 40), (40, 0), (60, 0)]
    assert simplified(arc[::-1]) == simplified(arc)[::-1]
    assert simplified(arc[:2]) == arc[:2]


def test_geometry() -> None:
    """Areas and centroids of a square, and of what has none."""
    assert area(SQUARE[:-1]) == 100
    assert centre(SQUARE[:-1]) == (5, 5)
    assert centre([(0, 0), (4, 2)]) == (2, 1)
    assert drawn([(0, 0), (0.1, 0), (9.6, 0), (9.6, -5)]) == "M0 0l10 0 0-5z"
    assert drawn([(0, 0), (0.1, 0), (0.2, 0.2)]) == ""


def topology(*shapes: dict[str, Any]) -> Topology:
    """Two halves of a square island of 20 degrees that share a border, as TopoJSON has them."""
    arcs = [[[0, 0], [0, 20]], [[0, 20], [-10, 0], [0, -20], [10, 0]], [[0, 20], [10, 0], [0, -20], [-10, 0]]]
    return Topology.read(
        {
            "transform": {"scale": [1, 1], "translate": [0, 0]},
            "arcs": arcs,
            "objects": {"countries": {"geometries": list(shapes)}},
        }
    )


def shape(name: str, number: str | None, *rings: list[int]) -> dict[str, Any]:
    """A shape of these outer rings."""
    code = {"id": number} if number else {}
    return {"type": "MultiPolygon", "arcs": [[ring] for ring in rings], "properties": {"name": name}} | code


def test_neighbours_share_their_border() -> None:
    """Two countries of one island keep the arc between them, in both directions."""
    found = topology(shape("Cyprus", "196", [0, 1]), shape("Greece", "300", [~0, ~2])).countries()
    assert found == {"CY": [(0, 1)], "GR": [(~0, ~2)]}


def test_what_has_no_code_of_its_own_is_merged() -> None:
    """Two shapes of one code become one ring without the border between them."""
    found = topology(shape("Cyprus", "196", [0, 1]), shape("N. Cyprus", None, [~0, ~2])).countries()
    (ring,) = found["CY"]
    assert sorted(ring) == [~2, 1]


def test_an_unforeseen_shape_is_an_error() -> None:
    """A new shape without a number stops the script with its name, instead of vanishing from the map."""
    with pytest.raises(KeyError, match="Atlantis"):
        topology(shape("Atlantis", None, [0, 1]))


def test_a_part_with_a_code_of_its_own() -> None:
    """French Guiana is not France."""
    guiana = Topology([[(-54.0, 2.0), (-52.0, 2.0), (-52.0, 4.0), (-54.0, 2.0)]], [("FR", [(0,)])])
    assert list(guiana.countries()) == ["GF"]
