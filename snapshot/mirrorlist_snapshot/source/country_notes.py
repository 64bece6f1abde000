"""Notes about countries that a source names by something else than their code: what each was understood as. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from mirrorlist_snapshot.countries import CONTINENT_OF
from mirrorlist_snapshot.source import rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mirrorlist_snapshot.errors import Complaint
    from mirrorlist_snapshot.source.lines import KeyPath
    from mirrorlist_snapshot.source.reading import Document

_OF_MIRRORS: Final = ("country", "also_countries", "allowed_countries", "denied_countries")
_OF_OVERRIDES: Final = ("continents", "neighbours", "netblocks", "never_served")


def country_notes(documents: Iterable[Document]) -> Iterator[Complaint]:
    """Yield a note for each name of a country in use, at the first place where it is written."""
    found: dict[str, tuple[Document, KeyPath, str]] = {}
    times: dict[str, int] = {}
    for document in documents:
        for path, text in _written(document.data):
            if (code := _understood(text)) is not None:
                found.setdefault(text, (document, path, code))
                times[text] = times.get(text, 0) + 1
    for text, (document, path, code) in found.items():
        more = f", in {times[text]} places" if times[text] > 1 else ""
        yield document.complaint(path, f"{rules.shown(text)} is read as {code}{more}", note=True)


def _understood(text: str) -> str | None:
    """Return the code of a country by its name; None for a code, and for what is no country."""
    if text.isascii() and text.upper() in CONTINENT_OF:
        return None
    try:
        return rules.country(text)
    except rules.RuleError:
        return None


def _written(data: object) -> Iterator[tuple[KeyPath, str]]:
    """Yield the texts that stand where countries stand; a wrong document may have anything in their place."""
    document = _table(data)
    for name, mirror in _table(document.get("mirrors")).items():
        for key in _OF_MIRRORS:
            yield from _texts(_table(mirror).get(key), ("mirrors", name, key))
    overrides = _table(document.get("overrides"))
    for key in _OF_OVERRIDES:
        for name, value in _table(overrides.get(key)).items():
            path = ("overrides", key, name)
            if key != "netblocks":
                yield path, name
            if key != "continents":
                yield from _texts(value, path)


def _table(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _texts(value: object, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for position, item in enumerate(cast("list[object]", value)):
            yield from _texts(item, (*path, position))
