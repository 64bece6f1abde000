"""Makes `mirrorlistd/web/pages/templates/world.json`, the shapes of countries that the front page colours.

It stands here because tests hold the file against it; a server never runs it. To make the file anew:

    npm pack world-atlas@2.0.2 && tar xf world-atlas-2.0.2.tgz
    .venv/bin/python tests/support/world_map.py package mirrorlistd/web/pages/templates/world.json

Shapes and borders are those of Natural Earth 4.1 (public domain), as the npm package world-atlas carries them in
TopoJSON; names and codes of countries are CLDR's, from Babel. Three things are ours: which code a shape has where the
data has none, and which parts of a country have a code of their own; the projection (Natural Earth's: familiar, roomy
at the latitudes where mirrors are); and that what would be smaller than a finger is a dot.

Arcs are simplified one by one and neighbours share them, so no gaps open between countries.
"""

from __future__ import annotations

import heapq
import json
import sys
from dataclasses import dataclass
from itertools import pairwise
from math import floor, radians
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from babel import Locale
from babel.core import get_global

from mirrorlist_snapshot.countries import CONTINENT_OF

if TYPE_CHECKING:
    from collections.abc import Sequence

    Point = tuple[float, float]
    Ring = tuple[int, ...]
    """Numbers of arcs; ~n is arc n backwards."""

WIDTH: Final = 2_000
"""Units from one edge of the map to the other; a phone has 360 pixels, a desk 1,000."""
EDGE: Final = -168.95
"""Longitude at which the map is cut: through Bering Strait, so that no country is torn."""
NORTH, SOUTH = 83.7, -58.0
"""Latitudes that are shown, degrees: Antarctica has no mirrors worth a third of the map."""
DETAIL: Final = 2.5
"""A corner stays if the triangle with its neighbours is larger: square units."""
SMALLEST_ISLAND: Final = 5.0
"""Smaller islands are left out: square units."""
SMALLEST_COUNTRY: Final = 60.0
"""What is smaller is a dot, too, where it matters: square units."""

UNCLAIMED: Final = ("Siachen Glacier",)
"""Shapes that are left out: no country's in the data."""
AT_THE_EDGE: Final = ("AQ",)
"""Countries that the map cuts off: a dot says where they would be."""
UNCODED: Final = {"Kosovo": "XK", "N. Cyprus": "CY", "Somaliland": "SO", "Indian Ocean Ter.": "CC"}
"""Shapes without a number in the data -> ISO's code for the place."""
PARTS: Final = {
    "FR": {"GF": (-56, 1, -51, 7), "GP": (-62, 15, -60, 17), "MQ": (-62, 14, -60, 15), "RE": (55, -22, 56, -20)}
    | {"YT": (44, -14, 46, -12)},
    "NO": {"SJ": (-10, 70, 35, 82)},
    "NL": {"BQ": (-69, 11, -62, 18)},
    "AU": {"CX": (105, -11, 106, -10), "CC": (96, -13, 97, -11)},
}
"""Country in the data -> parts with a code of their own: west, south, east, north of where each lies, degrees."""
ELSEWHERE: Final = {
    "BV": (3.4, -54.4),
    "CC": (96.8, -12.2),
    "CX": (105.6, -10.5),
    "GI": (-5.35, 36.14),
    "TK": (188.2, -9.2),
    "TV": (179.2, -8.5),
    "UM": (-160.0, 0.0),
    "BQ": (-68.3, 12.2),
    "AQ": (0.0, -57.0),
    "GF": (-53.0, 4.0),
    "GP": (-61.5, 16.2),
    "MQ": (-61.0, 14.6),
    "RE": (55.5, -21.1),
    "YT": (45.2, -12.8),
    "SJ": (16.0, 78.5),
}
"""Places that the data does not have at this scale: longitude, latitude. Antarctica's is at the map's edge."""
VIEWS: Final = {
    "EU": (-24, 34, 44, 70.5),
    "AS": (28, -11, 148, 56),
    "NA": (-150, 7, -52, 68),
    "SA": (-88, -56, -33, 13),
    "AF": (-20, -36, 54, 38),
    "OC": (112, -48, 182, 0),
}
"""Continent -> what a close view of it shows at least: west, south, east, north, degrees."""
SIDES: Final = 1.5
"""Width of each close view by its height: beside the world it is as high."""


def projected(longitude: float, latitude: float) -> Point:
    """Project to units from the map's top left: Patterson's Natural Earth projection."""
    x, y = _natural_earth(longitude, latitude)
    left, _ = _natural_earth(EDGE, 0)
    _, top = _natural_earth(0, NORTH)
    scale = WIDTH / (-2 * left)
    return (x - left) * scale, (top - y) * scale


def _natural_earth(longitude: float, latitude: float) -> Point:
    a, b = radians(longitude - EDGE - 180), radians(latitude)
    c = b * b
    d = c * c
    x = a * (0.870700 + c * -0.131979 + d * (-0.013791 + d * (0.003971 * c - 0.001529 * d)))
    return x, b * (1.007226 + c * (0.015085 + d * (-0.044475 + 0.028874 * c - 0.005916 * d)))


def area(ring: Sequence[Point]) -> float:
    """Square units, whichever way round."""
    pairs = zip(ring, [*ring[1:], ring[0]], strict=True)
    return abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairs)) / 2


def centre(ring: Sequence[Point]) -> Point:
    """The centroid of a ring; of one without area, the mean of its corners."""
    sides = [(*one, *other) for one, other in zip(ring, [*ring[1:], ring[0]], strict=True)]
    whole = sum(x1 * y2 - x2 * y1 for x1, y1, x2, y2 in sides) * 3
    if not whole:
        return sum(x for x, _ in ring) / len(ring), sum(y for _, y in ring) / len(ring)
    x = sum((x1 + x2) * (x1 * y2 - x2 * y1) for x1, y1, x2, y2 in sides) / whole
    y = sum((y1 + y2) * (x1 * y2 - x2 * y1) for x1, y1, x2, y2 in sides) / whole
    return x, y


def simplified(arc: Sequence[Point]) -> list[Point]:
    """Take away the corners that matter least (Visvalingam and Whyatt), never an end."""
    before, after = list(range(-1, len(arc) - 1)), list(range(1, len(arc) + 1))
    alive = [True] * len(arc)

    def weight(corner: int) -> float:
        return area([arc[before[corner]], arc[corner], arc[after[corner]]])

    queue = [(weight(corner), corner) for corner in range(1, len(arc) - 1)]
    heapq.heapify(queue)
    while queue and queue[0][0] < DETAIL:
        size, corner = heapq.heappop(queue)
        if not alive[corner] or size < weight(corner):
            continue  # it has been weighed again since
        alive[corner] = False
        after[before[corner]], before[after[corner]] = after[corner], before[corner]
        for near in (before[corner], after[corner]):
            if 0 < near < len(arc) - 1:
                heapq.heappush(queue, (max(size, weight(near)), near))
    return [point for point, kept in zip(arc, alive, strict=True) if kept]


@dataclass(frozen=True)
class Topology:
    """Shapes whose borders are shared: TopoJSON, decoded."""

    arcs: list[list[Point]]
    """Degrees: longitude, latitude."""
    shapes: list[tuple[str, list[Ring]]]
    """Country code and outer rings; lakes and enclaves are drawn by the countries that lie in them."""

    @classmethod
    def read(cls, document: dict[str, Any]) -> Self:
        """Decode the object `countries`; a shape without a code raises KeyError, with its name."""
        scale, translate = document["transform"]["scale"], document["transform"]["translate"]
        arcs: list[list[Point]] = []
        for deltas in document["arcs"]:
            column = row = 0
            arcs.append([])
            for dx, dy in deltas:
                column, row = column + dx, row + dy
                arcs[-1].append((column * scale[0] + translate[0], row * scale[1] + translate[1]))
            arcs[-1] = _untorn(arcs[-1])
        shapes: list[tuple[str, list[Ring]]] = []
        for shape in document["objects"]["countries"]["geometries"]:
            name = shape["properties"]["name"]
            if name in UNCLAIMED:
                continue
            code = get_global("territory_aliases")[shape["id"]][0] if "id" in shape else UNCODED[name]
            polygons = shape["arcs"] if shape["type"] == "MultiPolygon" else [shape["arcs"]]
            shapes.append((code, [tuple(polygon[0]) for polygon in polygons]))
        return cls(arcs, shapes)

    def points(self, ring: Ring, arcs: Sequence[Sequence[Point]]) -> list[Point]:
        """Follow a ring; the last point, which is the first again, is left out."""
        found: list[Point] = []
        for number in ring:
            found += (arcs[number] if number >= 0 else arcs[~number][::-1])[:-1]
        return found

    def countries(self) -> dict[str, list[Ring]]:
        """Country code -> outer rings: parts go to the codes that they have, borders within a country go away."""
        found: dict[str, list[Ring]] = {}
        for code, rings in self.shapes:
            for ring in rings:
                found.setdefault(_part(code, self.points(ring, self.arcs)), []).append(ring)
        return {code: self._outline(rings) for code, rings in found.items()}

    def _outline(self, rings: list[Ring]) -> list[Ring]:
        """Drop arcs that are there both ways, and follow what is left of their rings."""
        arcs = {number for ring in rings for number in ring}
        cut = {ring for ring in rings if any(~number in arcs for number in ring)}
        left = {self._end(number, 0): number for ring in cut for number in ring if ~number not in arcs}
        merged: list[Ring] = []
        while left:
            ring = [left.pop(next(iter(left)))]
            while (end := self._end(ring[-1], -1)) in left:
                ring.append(left.pop(end))
            merged.append(tuple(ring))
        return [ring for ring in rings if ring not in cut] + merged

    def _end(self, number: int, end: int) -> Point:
        return self.arcs[number][end] if number >= 0 else self.arcs[~number][~end]


def _untorn(arc: list[Point]) -> list[Point]:
    """Move an arc to between the map's edges; one that crosses them (an island) goes on beyond."""
    turns = [0.0]
    for (x1, _), (x2, _) in pairwise(arc):
        turns.append(turns[-1] + (360 if x2 - x1 < -180 else -360 if x2 - x1 > 180 else 0))
    whole = [(x + turn, y) for (x, y), turn in zip(arc, turns, strict=True)]
    middle = sum(x for x, _ in whole) / len(whole)
    return [(x - 360 * floor((middle - EDGE) / 360), y) for x, y in whole]


def _part(code: str, ring: list[Point]) -> str:
    for part, (west, south, east, north) in PARTS.get(code, {}).items():
        if all(west <= x <= east and south <= y <= north for x, y in ring):
            return part
    return code


def world(topology: Topology) -> dict[str, Any]:
    """Make what `world.json` holds; every code that sources may use has a shape or a dot."""
    arcs = [simplified([projected(*point) for point in arc]) for arc in topology.arcs]
    names = Locale("en").territories
    bottom = round(projected(0, SOUTH)[1])
    countries: dict[str, dict[str, Any]] = {}
    for code, rings in topology.countries().items():
        if code not in CONTINENT_OF or code in AT_THE_EDGE:
            continue
        shapes = sorted((topology.points(ring, arcs) for ring in rings), key=area, reverse=True)
        x, y = centre(shapes[0])
        countries[code] = {"name": names[code].removesuffix(" SAR China"), "at": [round(x), round(y)]}
        size = sum(map(area, shapes))
        if size < SMALLEST_COUNTRY:
            countries[code]["small"] = True
        if size >= SMALLEST_ISLAND:
            shown = [shape for shape in shapes if shape is shapes[0] or area(shape) >= SMALLEST_ISLAND]
            countries[code]["shape"] = "".join(map(drawn, shown))
    for code in CONTINENT_OF.keys() - countries.keys():
        x, y = projected(*ELSEWHERE[code])
        countries[code] = {"name": names[code], "at": [round(x), round(y)], "small": True}
    views = {continent: _box(box) for continent, box in VIEWS.items()}
    return {
        "source": "Natural Earth 4.1, public domain; names: Unicode CLDR. Made by tests/support/world_map.py",
        "views": {"": [0, 0, WIDTH, bottom]} | views,
        "countries": dict(sorted(countries.items())),
    }


def _box(corners: tuple[float, float, float, float]) -> list[int]:
    west, south, east, north = corners
    middle = (north + south) / 2
    left, right = projected(west, middle)[0], projected(east, middle)[0]
    top, bottom = projected(0, north)[1], projected(0, south)[1]
    width = max(right - left, (bottom - top) * SIDES)
    height = width / SIDES
    return [round((left + right - width) / 2), round((top + bottom - height) / 2), round(width), round(height)]


def drawn(ring: Sequence[Point]) -> str:
    """Write a ring as an SVG path in whole units, relative and without a needless character; nothing if it vanishes."""
    points = [(round(x), round(y)) for x, y in ring]
    points = [point for point, last in zip(points, [points[-1], *points], strict=False) if point != last]
    if len(points) < 3:
        return ""
    moves = [number for (x1, y1), (x2, y2) in pairwise(points) for number in (x2 - x1, y2 - y1)]
    return f"M{_numbers(points[0])}l{_numbers(moves)}z"


def _numbers(numbers: Sequence[int]) -> str:
    """Write numbers apart: a minus sign is enough."""
    return "".join(f"{' ' if place and number >= 0 else ''}{number}" for place, number in enumerate(numbers))


def main() -> None:
    """`world_map.py FOLDER FILE`: read the unpacked package, write the file."""
    package, target = map(Path, sys.argv[1:])
    made = world(Topology.read(json.loads((package / "countries-50m.json").read_text())))
    target.write_text(json.dumps(made, ensure_ascii=False, indent=0, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
