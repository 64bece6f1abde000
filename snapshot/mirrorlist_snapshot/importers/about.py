"""The table `about` of an imported mirror: what the list says about it, checked value by value."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from mirrorlist_snapshot.source import rules

if TYPE_CHECKING:
    from collections.abc import Callable

_RULES: Final[dict[str, Callable[[str], str] | Callable[[float], float]]] = {
    "name": rules.about_text,
    "url": rules.link,
    "logo": rules.link,
    "city": rules.about_text,
    "notes": rules.about_text,
    "contact": rules.about_text,
    "latitude": partial(rules.degrees, 90),
    "longitude": partial(rules.degrees, 180),
}


_MAX_DEPTH: Final = 5
"""Nested tables and lists in `extra`; what is nested deeper is kept as JSON in a text."""


def about(**facts: object) -> dict[str, object]:
    """Return the table `about` of a mirror: the facts that are known; `sponsor` is a table of name, url and logo.

    What has no key of its own goes into `extra`, a table.
    """
    return cast("dict[str, object]", _known(facts))


def checked_about(table: dict[str, object], say: Callable[[str], None]) -> dict[str, object]:
    """Return a table `about` without what no source may have; `say` gets the reason for each such value."""
    found = _checked({key: value for key, value in table.items() if key not in {"extra", "sponsor"}}, say)
    sponsor = _checked(cast("dict[str, object]", table.get("sponsor", {})), say)
    if "name" in sponsor:
        found["sponsor"] = sponsor
    elif sponsor:
        say(f"a sponsor without a name: {', '.join(map(str, sponsor.values()))}")
    if ("latitude" in found) != ("longitude" in found):
        say("one of latitude and longitude is missing")
        found = {key: value for key, value in found.items() if key not in {"latitude", "longitude"}}
    return found | ({"extra": table["extra"]} if "extra" in table else {})


def _checked(table: dict[str, object], say: Callable[[str], None]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in table.items():
        try:
            found[key] = cast("Callable[[object], object]", _RULES[key])(value)
        except rules.RuleError as error:
            say(str(error))
    return found


def _known(value: object, depth: int = 0) -> object:
    """Return a fact without what is empty in it; nothing at all is None. Sources have no null."""
    if isinstance(value, (dict, list)) and depth > _MAX_DEPTH:
        return json.dumps(value)
    if isinstance(value, dict):
        pairs = cast("dict[str, object]", value).items()
        table = {_encodable(key): _known(inner, depth + 1) for key, inner in pairs}
        return {key: inner for key, inner in table.items() if inner not in (None, "", [], {})}
    if isinstance(value, list):
        items = cast("list[object]", value)
        return [inner for item in items if (inner := _known(item, depth + 1)) is not None]
    return " ".join(_encodable(value).split()) if isinstance(value, str) else value


def _encodable(text: str) -> str:
    """Return a text without halves of surrogate pairs, which JSON can hold and a file cannot."""
    return text.encode("utf-8", "replace").decode()
