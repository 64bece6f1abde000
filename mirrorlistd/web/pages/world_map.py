"""The map of the world: countries in the colour of how near their mirrors are to the reader.

The shapes are read once (`world.json`, made by `tests/support/world_map.py`); a request joins them with the classes
that the style colours. There are two views of the same shapes: the reader's continent, and the world. The area of a
circle stands for the number of mirrors in a country, the colour for their nearness; a table beside the map has both.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from math import sqrt
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DATA: Final[Mapping[str, Any]] = json.loads(
    resources.files("mirrorlistd.web.pages").joinpath("templates", "world.json").read_text(encoding="utf-8")
)
_COUNTRIES: Final[Mapping[str, Mapping[str, Any]]] = _DATA["countries"]
"""Code -> `name`; `at`, the place of its circle; `shape`, an SVG path, where it is large enough for one."""
_VIEWS: Final[Mapping[str, tuple[int, int, int, int]]] = _DATA["views"]
"""Continent, or nothing for the world -> left, top, width, height."""
CONTINENTS: Final = {
    "AF": "Africa",
    "AN": "Antarctica",
    "AS": "Asia",
    "EU": "Europe",
    "NA": "North America",
    "OC": "Oceania",
    "SA": "South America",
}
"""Code -> name."""
_ONE: Final = 0.0048
"""Radius of the circle of one mirror, in widths of the view."""
_MOST: Final = 0.028
"""Radius of the largest circle, in widths of the view."""


@dataclass(frozen=True, slots=True)
class Shade:
    """How the map shows one country."""

    mirrors: int
    level: int
    """Class of nearness: `l0` is the nearest."""
    words: str
    """The level in words."""


@dataclass(frozen=True, slots=True)
class View:
    """One window on the map."""

    name: str
    box: str
    """The SVG's viewBox."""
    circles: Markup


def country_name(code: str | None) -> str:
    """Return the English name of a country; its code where the map has no such country; empty for None."""
    country = _COUNTRIES.get(code) if code else None
    return country["name"] if country else code or ""


def land(shades: Mapping[str, Shade], here: str | None) -> Markup:
    """Draw every country that has a shape, the reader's own last, so that its outline is above the others."""
    codes = [code for code in _SHAPES if code != here] + [code for code in _SHAPES if code == here]
    return Markup("".join(_country(code, shades.get(code), here=code == here) for code in codes))  # noqa: S704 - escaped


def views(shades: Mapping[str, Shade], continent: str | None) -> list[View]:
    """Return the view of the reader's continent, where the map has one, and that of the world."""
    wanted = {continent or "", ""} & _VIEWS.keys()
    return [
        View(
            CONTINENTS.get(name, "The world"),
            " ".join(map(str, _VIEWS[name])),
            Markup("".join(_circles(shades, *_VIEWS[name]))),  # noqa: S704 - escaped
        )
        for name in sorted(wanted, reverse=True)
    ]


_SHAPES: Final = {
    code: f'd="{country["shape"]}"' for code, country in _COUNTRIES.items() if "shape" in country
}  # not escaped per request: the file is ours


def _country(code: str, shade: Shade | None, *, here: bool) -> str:
    outlined = " here" if here else ""
    if shade is None:
        return f'<path class="no{outlined}" {_SHAPES[code]}/>'
    return f'<path class="l{shade.level}{outlined}" {_SHAPES[code]}>{_title(code, shade)}</path>'


def _circles(shades: Mapping[str, Shade], left: int, top: int, width: int, height: int) -> Iterator[str]:
    """Yield the circles within a view, the largest first: a small one on a large one can be seen."""
    for code, shade in sorted(shades.items(), key=lambda item: -item[1].mirrors):
        if code not in _COUNTRIES:  # a snapshot may have any two letters
            continue
        x, y = _COUNTRIES[code]["at"]
        if left <= x <= left + width and top <= y <= top + height:
            radius = width * min(_ONE * sqrt(shade.mirrors), _MOST)
            # A country too small for a visible shape has its colour around the circle.
            small = f"small l{shade.level}" if "small" in _COUNTRIES[code] else "many"
            yield f'<circle class="{small}" cx="{x}" cy="{y}" r="{radius:.1f}">{_title(code, shade)}</circle>'


def _title(code: str, shade: Shade) -> str:
    many = "mirror" if shade.mirrors == 1 else "mirrors"
    return f"<title>{escape(country_name(code))}: {shade.mirrors} {many}, {escape(shade.words)}</title>"
