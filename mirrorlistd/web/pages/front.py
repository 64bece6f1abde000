"""The front page: what the server knows about its reader, where the mirrors are, and the reader's list.

It answers "why is my mirror far away?" with facts. The form keeps what was entered, right or wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote

from mirrorlist_snapshot.tiers import CONTINENT, COUNTRY, FIRST_REASON
from mirrorlistd.answering.explain import describe_place, explain
from mirrorlistd.answering.plan import ResolvedQuery
from mirrorlistd.render import tiers_of
from mirrorlistd.selection.draw import members
from mirrorlistd.web.pages import world_map
from mirrorlistd.web.pages.html import html
from mirrorlistd.web.pages.world_map import Shade

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

    from mirrorlist_snapshot.model import Repository
    from mirrorlistd.answering.answer import Client
    from mirrorlistd.answering.decider import Decider
    from mirrorlistd.selection.index import Place
    from mirrorlistd.web.pages.public import PublicMirror

_NEARNESS: Final = {
    "netblock": "{} network",
    "asn": "{} network",
    "country": "{} country",
    "neighbours": "neighbour country",
    "continent": "{} continent",
    "global": "elsewhere",
    "fallback": "last resort",
}
"""Tier -> its words; {} is `your` or `that`."""
_RARE: Final = ("path", "file", "protocol", "limit", "netblock")
"""Parameters whose fields appear only when they are given."""
_LEVELS: Final = ("country", "neighbours", "continent", "global", "")
"""Level of the map -> the tier whose words it has; the last is for mirrors that a rule withholds from the reader."""
_FAR, _KEPT_AWAY = 3, 4


@dataclass
class Row:
    """One level of nearness: a row of the table beside the map, and its legend."""

    level: int
    words: str
    mirrors: int = 0
    countries: dict[str, int] = field(default_factory=dict[str, int])
    """Country code, or nothing for none -> mirrors."""


def front_page(
    decider: Decider, mirrors: Sequence[PublicMirror], query_string: bytes, client: Client, random: Random
) -> str:
    """Render `/`. The query string takes the same parameters as `/mirrorlist`.

    Without a repository or path the first repository is shown, and without a valid architecture the first one: the
    form cannot offer the architectures of a repository before it is chosen.
    """
    snapshot = decider.index.snapshot
    offered = [repository for repository in snapshot.repositories if not repository.disabled]
    given = _given(query_string)
    list_query = query_string
    if "path" not in given and "repo" not in given and offered:
        given["repo"] = offered[0].name
        list_query += f"&repo={quote(given['repo'])}".encode()
    name = given.get("repo", "")
    name = snapshot.aliases.get(name, name)
    arches = _arches(offered, name)
    if arches and given.get("arch") not in arches:
        given["arch"] = arches[0]
        list_query += f"&arch={quote(given['arch'])}".encode()
    explanation: dict[str, Any] = explain(decider, list_query, client.address, random, full=False)
    near = _nearness(explanation)
    rows = _rows(decider, mirrors, b"" if "error" in explanation else list_query, client, near)
    shades = _shades(rows)
    seen_from = explanation["place"]
    return html(
        "front.html",
        snapshot,
        repositories=[repository.name for repository in offered],
        chosen=name,
        arches=arches,
        given=given,
        rare=[parameter for parameter in _RARE if parameter in given],
        explanation=explanation,
        near=near,
        you=describe_place(decider, client.address, client.place, ()),
        address=client.address.text if client.address else None,
        continents=world_map.CONTINENTS,
        mirrors=len(mirrors),
        rows=rows,
        land=world_map.land(shades, seen_from["country"]),
        views=world_map.views(shades, seen_from["continent"]),
    )


def _shades(rows: Sequence[Row]) -> dict[str, Shade]:
    """Return the map's countries: each has the colour of its nearest mirrors and a circle for all of them."""
    shades: dict[str, Shade] = {}
    for row in rows:
        for code, count in row.countries.items():
            near = shades.get(code) or Shade(0, row.level, row.words)
            shades[code] = Shade(near.mirrors + count, near.level, near.words)
    shades.pop("", None)
    return shades


def _rows(
    decider: Decider, mirrors: Sequence[PublicMirror], list_query: bytes, client: Client, near: Mapping[str, str]
) -> list[Row]:
    """Count the public mirrors in the requested carrier set, or all for no query, by nearness and country."""
    resolved = decider.resolve_query(list_query)
    rows = [Row(level, near[tier] if tier else "not offered there") for level, tier in enumerate(_LEVELS)]
    far = rows[_FAR]
    if isinstance(resolved, ResolvedQuery):
        place = decider.place(resolved.query.ip) if resolved.query.ip else client.place
        levels = _levels(decider, resolved, place)
        if not resolved.query.everywhere:  # lists with enough nearer mirrors do not have these
            far.words = "elsewhere"
    else:
        levels = dict.fromkeys((mirror.number for mirror in mirrors), _FAR)
        far.words = "anywhere"
    for mirror in mirrors:
        if mirror.number in levels:
            row = rows[levels[mirror.number]]
            row.mirrors += 1
            row.countries[mirror.country or ""] = row.countries.get(mirror.country or "", 0) + 1
    for row in rows:
        row.countries = dict(sorted(row.countries.items(), key=lambda item: (-item[1], item[0])))
    return [row for row in rows if row.mirrors]


def _levels(decider: Decider, resolved: ResolvedQuery, place: Place) -> dict[int, int]:
    """Return the level of each mirror in the requested carrier set, by the ranking that lists are drawn from."""
    carriers = resolved.carriers.mask
    tiers = decider.tiers(place, resolved.question._replace(private=resolved.query.ip is None))
    ranked = tiers_of(tiers.for_content(carriers).rank(carriers))
    barred = decider.codes(place)
    return {
        mirror: _level(ranked[mirror]) if mirror in ranked else _KEPT_AWAY if barred[mirror] >= FIRST_REASON else _FAR
        for mirror in members(carriers)
    }


def _level(code: int) -> int:
    if code <= COUNTRY:
        return 0
    if code < CONTINENT:
        return 1
    return 2 if code == CONTINENT else _FAR


def _given(query_string: bytes) -> dict[str, str]:
    """Return all parameters as they were given, valid or not, decoded as `request.query` decodes them."""
    text = query_string.replace(b"+", b"%2B").decode("utf-8", "replace")
    return dict(parse_qsl(text, errors="replace"))


def _arches(offered: list[Repository], name: str) -> list[str]:
    return [
        directory.arch
        for repository in offered
        if repository.name == name
        for directory in repository.directories
        if directory.arch
    ]


def _nearness(explanation: Mapping[str, Any]) -> dict[str, str]:
    """Return the words of tiers, relative to the reader, the address in `ip`, or the countries in `country`."""
    whose = "that" if explanation["client"]["on_behalf"] else "your"
    words = {tier: word.format(whose) for tier, word in _NEARNESS.items()}
    if explanation.get("by_country"):
        words |= {"country": "country asked for", "continent": "same continent", "global": "anywhere"}
    return words
