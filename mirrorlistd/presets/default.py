"""The default preset: docs/selection.md and docs/http-api.md describe it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.countries import CONTINENT_CODES, CONTINENT_OF
from mirrorlist_snapshot.model import BANDWIDTH_RANGE
from mirrorlist_snapshot.tiers import continent_of, serves_continent, serves_country
from mirrorlistd.presets.preset import Preset
from mirrorlistd.render import TEXT_HEADERS, Rendered
from mirrorlistd.request.query import parse_query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mirrorlistd.presets.preset import Refused
    from mirrorlistd.request.query import Query
    from mirrorlistd.selection.index import Index, Target
    from mirrorlistd.selection.rank import Ranking, RankInput


def _comment(query: Query, target: Target, rank_input: RankInput, ranking: Ranking) -> bytes:
    """Return the comment line: the content, and the countries and continents that were used, in canonical codes."""
    words = [target.label]
    place = rank_input.place
    if ranking.by_country:
        words += dict.fromkeys(_used(query, rank_input, ranking))
    else:
        words += [b"country = " + place.country.encode()] if place.country else []
        words += [b"continent = " + place.continent.encode()] if place.continent else []
    return b" ".join(words) + b"\n"


def _used(query: Query, rank_input: RankInput, ranking: Ranking) -> Iterator[bytes]:
    """Yield what of `country=` the mirrors of the list come from; a code without mirrors is not claimed."""
    snapshot = rank_input.index.snapshot
    mirrors = [snapshot.mirrors[number] for tier in ranking.tiers for number in tier.mirrors]
    countries = {code for code in query.countries if any(serves_country(mirror, code) for mirror in mirrors)}
    for code in query.countries:
        continent = code if code in CONTINENT_CODES else continent_of(code, None, snapshot.overrides)
        if code in countries or (query.everywhere and code in CONTINENT_OF):
            yield b"country = " + code.encode()
        elif (
            continent is not None
            and (code == continent or not countries)
            and any(serves_continent(mirror, continent, snapshot.overrides) for mirror in mirrors)
        ):
            yield b"continent = " + continent.encode()
    if query.everywhere:
        yield b"country = global"


def _refusals(_: Index) -> Callable[[Refused], Rendered]:
    return _refuse


def _refuse(refused: Refused) -> Rendered:
    error = refused.error
    return Rendered(error.reason.status, TEXT_HEADERS, error.message.encode() + b"\n")


DEFAULT: Final = Preset(
    name="default",
    limit=20,
    heaviest=BANDWIDTH_RANGE[1],
    bare_metalinks=True,
    read=parse_query,
    comment=_comment,
    refusals=_refusals,
)
