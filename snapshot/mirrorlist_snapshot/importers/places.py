"""Places as mirror lists write them: a country's code or name, a continent, or the whole world."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.country_names import continent_named, country_written, is_continent

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORLD: Final = frozenset(
    ("world", "worldwide", "world-wide", "global", "international", "anycast", "cdn", "any", "all", "geo", "0-cloud")
)


_CONTINENTS: Final = {
    "AF": "Africa",
    "AN": "Antarctica",
    "AS": "Asia",
    "EU": "Europe",
    "NA": "North America",
    "OC": "Oceania",
    "SA": "South America",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mirror is; one of the three is set, or none if nothing is known."""

    country: str | None = None
    """ISO 3166-1 code."""
    continent: str | None = None
    worldwide: bool = False


def place_named(text: str) -> Place | None:
    """Return the place that a text names exactly; None if it names none that is known. An empty text is no place."""
    text = " ".join(text.split())
    if not text or text in {"-", "--", "??", "XX", "xx"}:
        return Place()
    for form in _forms(text):
        if form.casefold() in _WORLD:
            return Place(worldwide=True)
        if is_continent(form):
            return Place(continent=form.upper() if form.upper() in _CONTINENTS else continent_named(form))
        if named := country_written(form):
            return Place(country=named)
    return None


def country_named_exactly(text: str) -> str | None:
    """Return the code of the country that a text names exactly, by code or name; None if it names none."""
    place = place_named(text)
    return place.country if place else None


def as_continent(text: str) -> str:
    """Return the text of a field that can only be a continent so that its code is read as one: AF is a country, too."""
    return _CONTINENTS.get(text.strip().upper(), text)


def city_in(text: str) -> str:
    """Return what stands before the country in a place such as `Berlin, Germany`; empty if there is nothing."""
    city, _, country = text.rpartition(",")
    return city.strip() if len(country.strip()) > len("CA") and country_named_exactly(country) else ""


def _forms(text: str) -> Iterator[str]:
    """Yield a text and what it may stand for: without remarks in brackets, in the order of speech, the country only."""
    yield text
    plain = re.sub(r"\s*[(\[].*?[)\]]\s*", " ", text).strip()
    plain = re.sub(r"\s*\bCDN\b", "", plain, flags=re.IGNORECASE).strip() or plain
    yield plain
    head, *rest = [part.strip() for part in plain.split(",")]
    if rest:
        yield f"{' '.join(rest)} {head}"  # "Korea, Republic of"
        # "Berlin, Germany": but "Los Angeles, CA" and "Atlanta, Georgia" are in the United States.
        yield from (part for part in (rest[-1], head) if len(part) > len("CA") and part.casefold() != "georgia")
    if " - " in plain:
        yield plain.partition(" - ")[0]
    if re.search(r"\b(?:global|worldwide|anycast)\b", plain, re.IGNORECASE):
        yield "worldwide"
