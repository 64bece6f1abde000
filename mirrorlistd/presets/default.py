"""The default preset: docs/selection.md and docs/http-api.md describe it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.model import BANDWIDTH_RANGE
from mirrorlistd.presets.preset import Preset
from mirrorlistd.render import TEXT_HEADERS, Rendered
from mirrorlistd.request.query import parse_query

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirrorlistd.presets.preset import Refused
    from mirrorlistd.request.query import Query
    from mirrorlistd.selection.index import Index, Target
    from mirrorlistd.selection.rank import Ranking, RankInput


def _comment(query: Query, target: Target, rank_input: RankInput, _: Ranking) -> bytes:
    """Return the comment line: what the list is of, and for which country, in canonical names and codes."""
    words = [target.label]
    place = rank_input.place
    if query.countries or query.everywhere:
        words += [b"country = " + country.encode() for country in query.countries]
        words += [b"country = global"] if query.everywhere else []
    else:
        words += [b"country = " + place.country.encode()] if place.country else []
        words += [b"continent = " + place.continent.encode()] if place.continent else []
    return b" ".join(words) + b"\n"


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
