"""The default preset: docs/selection.md and docs/http-api.md describe it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.countries import CONTINENT_CODES, CONTINENT_OF
from mirrorlist_snapshot.model import BANDWIDTH_RANGE
from mirrorlist_snapshot.tiers import continent_of
from mirrorlistd.presets.preset import Preset
from mirrorlistd.render import TEXT_HEADERS, Rendered
from mirrorlistd.request.query import parse_query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mirrorlistd.presets.preset import Refused
    from mirrorlistd.request.query import Query
    from mirrorlistd.selection.index import Index, Target
    from mirrorlistd.selection.rank import Question, Tiers


def _comment(_: Query, target: Target) -> tuple[bytes, bytes]:
    return target.label, b"\n"


def _words(index: Index, tiers: Tiers, question: Question, _: int) -> Callable[[int], bytes]:
    """Write the countries and continents that were used, in canonical codes."""
    if tiers.by_country:
        reach = tiers.reach  # the function must not refer to `tiers`, which refers to it
        return lambda mask: b"".join(dict.fromkeys(_used(index, question, reach & mask)))
    country, continent = tiers.place[:2]
    words = (_word("country", country) if country else b"") + (_word("continent", continent) if continent else b"")
    return lambda _: words


def _word(kind: str, code: str) -> bytes:
    return f" {kind} = {code}".encode()


def _used(index: Index, question: Question, mask: int) -> Iterator[bytes]:
    """Yield what of `country=` the mirrors of a mask are in; a code without mirrors is not claimed."""
    countries = {code for code in question.countries if index.serving_country(code) & mask}
    for code in question.countries:
        continent = code if code in CONTINENT_CODES else continent_of(code, None, index.snapshot.overrides)
        if code in countries or (question.everywhere and code in CONTINENT_OF):
            yield _word("country", code)
        elif (
            continent is not None and (code == continent or not countries) and index.serving_continent(continent) & mask
        ):
            yield _word("continent", continent)
    if question.everywhere:
        yield _word("country", "global")


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
    words=_words,
    refusals=_refusals,
)
