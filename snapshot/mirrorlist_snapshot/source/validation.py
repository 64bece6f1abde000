"""Validate one document against the schema; turn each mistake into a complaint in the operator's terms.

One mistake must not hide others. The wrong value alone is removed and the rest is validated again, so that later checks
still see it. Records from which a value was removed are `flawed`: there, a missing value is not reported.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Final, Union, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError

from mirrorlist_snapshot.source import rules
from mirrorlist_snapshot.source.bounded import MAX_COMPLAINTS, MistakeBudget, TooManyMistakesError
from mirrorlist_snapshot.source.schema import SourceDocument
from mirrorlist_snapshot.source.value_types import RULE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pydantic_core import ErrorDetails

    from mirrorlist_snapshot.errors import Complaint
    from mirrorlist_snapshot.source.lines import KeyPath
    from mirrorlist_snapshot.source.reading import Document

_NAMED: Final = 2
"""Keys down to a named record, e.g. `mirrors."ftp.example.org"`."""
_EXPECTED: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "literal_error": "{expected}",
    "string_unicode": "text without halves of surrogate pairs",
}
_FEW: Final = 20
"""Items of a list that are looked at where a record has too many mistakes; no table has as many keys."""
_MOST_COMPARED: Final = 1_000
"""Names with which an unknown one is compared; each takes some ten microseconds."""
_TRUE: Final = {"true", "yes", "on", "y"}
_FALSE: Final = {"false", "no", "off", "n"}
"""Words that YAML 1.1 and people use for booleans; most are text in YAML 1.2."""


@dataclass(frozen=True, slots=True)
class ValidatedDocument:
    """One document after validation."""

    document: Document
    source: SourceDocument
    named: frozenset[KeyPath]
    """Every record that the document names, including removed ones."""
    flawed: frozenset[KeyPath]
    """Records from which a value was removed."""


def validate(document: Document) -> tuple[ValidatedDocument, list[Complaint]]:
    """Validate one document; return it without wrong values, and one complaint for each mistake.

    Of a document with more mistakes than are told of nothing is returned but the names of its records.
    """
    named = frozenset(_records(document.data))
    try:
        return _validate(document, document.data, named, MistakeBudget)
    except TooManyMistakesError:
        return ValidatedDocument(document, SourceDocument(), named, named), list(_first_mistakes(document))


def _validate(
    document: Document, data: object, named: frozenset[KeyPath], budget: Callable[[], MistakeBudget | None]
) -> tuple[ValidatedDocument, list[Complaint]]:
    """Validate data of a document, all or a part, each time within a budget; raise TooManyMistakesError."""
    whole = data
    complaints: list[Complaint] = []
    flawed: set[KeyPath] = set()
    first = True
    while True:
        try:
            source = SourceDocument.model_validate(data, context=budget())
        except ValidationError as error:
            errors = error.errors(include_url=False)
        else:
            return ValidatedDocument(document, source, named, frozenset(flawed)), complaints
        if first:
            data = copy.deepcopy(data)
        offending: set[KeyPath] = set()
        for details in errors:
            path = _existing(whole if first else data, details["loc"])
            offending.add(path)
            flawed.add(path[:_NAMED])
            # Later rounds validate a document with removed values: only complaints of our own rules are reliable.
            if first or details["type"] == RULE:
                complaints.append(document.complaint(_reported(path, details), _sentence(details)))
        data = _without(data, offending)
        first = False


def _first_mistakes(document: Document) -> Iterator[Complaint]:
    """Yield the complaints about one record after the other, until there are as many as are told of."""
    found = 0
    for path, part in _parts(document.data):
        try:
            _, complaints = _validate(document, part, frozenset(), MistakeBudget)
        except TooManyMistakesError:
            _, complaints = _validate(document, _shortened(part), frozenset(), lambda: None)
            complaints.append(document.complaint(path, f"has more than {MAX_COMPLAINTS:,} mistakes"))
        yield from complaints
        found += len(complaints)
        if found > MAX_COMPLAINTS:
            return


def _parts(data: object) -> Iterator[tuple[KeyPath, object]]:
    """Yield the key path of each record, or of what stands in the place of records, and a document of it alone."""
    for section, records in cast("dict[str, object]", data).items() if isinstance(data, dict) else ():
        if isinstance(records, dict) and records:
            for name, record in cast("dict[str, object]", records).items():
                yield (section, name), {section: {name: record}}
        else:
            yield (section,), {section: records}


def _shortened(value: object) -> object:
    """Return a value whose lists and maps, at all levels, are cut to few items: it cannot have too many mistakes."""
    if isinstance(value, dict):
        items = islice(cast("dict[str, object]", value).items(), _FEW)
        return {key: _shortened(inner) for key, inner in items}
    if isinstance(value, list):
        return [_shortened(inner) for inner in cast("list[object]", value)[:_FEW]]
    return value


def did_you_mean(found: str, allowed: Iterable[str]) -> str:
    """Return `; did you mean "x"?`, or the allowed values if they are few, or an empty text."""
    choices = sorted(allowed)
    if close := get_close_matches(found, choices[:_MOST_COMPARED], 1):
        return f"; did you mean {rules.shown(close[0])}?"
    short = len(choices) <= 16  # noqa: PLR2004 - fits two lines
    return f"; allowed: {', '.join(choices)}" if choices and short else ""


def _records(data: object) -> Iterable[KeyPath]:
    if isinstance(data, dict):
        for section, records in cast("dict[str, object]", data).items():
            if isinstance(records, dict):
                yield from ((section, name) for name in cast("dict[str, object]", records))


def _existing(data: object, path: KeyPath) -> KeyPath:
    """Return the part of an error's path that exists in the document: expanded shorthands and missing keys do not."""
    found: list[str | int] = []
    for part in path:
        if isinstance(data, dict) and part in data:
            data = cast("dict[str | int, object]", data)[part]
        elif isinstance(data, list) and isinstance(part, int):
            data = cast("list[object]", data)[part]
        elif isinstance(data, list):
            continue  # a list that is short for a table with this key
        else:
            break
        found.append(part)
    return tuple(found)


def _without(data: object, paths: set[KeyPath]) -> object:
    """Return the document without the values at these paths and everything below them."""
    # List items last to first, so that positions stay right; `str` only orders keys against positions.
    for path in sorted(paths, key=lambda path: [(isinstance(part, int), part) for part in path], reverse=True):
        if not path:
            return {}
        inner: Any = data
        for part in path[:-1]:
            inner = inner[part]
        del inner[path[-1]]
    return data


def _reported(path: KeyPath, details: ErrorDetails) -> KeyPath:
    """Return the path that the complaint names; a missing key is named itself."""
    return (*path, details["loc"][-1]) if details["type"] == "missing" else path


def _sentence(details: ErrorDetails) -> str:
    """Return a validation error in plain words: what was found and what is allowed."""
    kind, found = details["type"], cast("object", details["input"])
    key = details["loc"][-1] if details["loc"] else ""
    if kind == RULE:
        return details["msg"]
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return f"unknown key {rules.shown(str(key))}{did_you_mean(str(key), _keys_at(details['loc'][:-1]))}"
    if kind == "too_short":
        return "is empty; give at least one value, or leave the key out"
    if kind == "literal_error" and isinstance(found, str):
        return f"found {rules.shown(found)}; allowed: {details.get('ctx', {}).get('expected', '')}"
    if kind in _EXPECTED:
        expected = _EXPECTED[kind].format(**details.get("ctx", {}))
        return f"found {_described(found)}; expected {expected}{_hint(kind, found)}"
    return f"found {_described(found)}, which cannot be used here"


def _hint(kind: str, found: object) -> str:
    """Return what to write instead, if that is obvious."""
    if kind == "string_type" and isinstance(found, (bool, int, float)):
        return "; put it in quotes"
    if kind == "bool_type" and isinstance(found, str):
        for words, word in ((_TRUE, "true"), (_FALSE, "false")):
            if found.lower() in words:
                return f"; write {word}, without quotes"
    return ""


def _described(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case str():
            return f"the text {rules.shown(value)}"
        case bool():
            return str(value).lower()
        case int():
            return f"the number {rules.number(value)}"
        case float():
            return f"the number {value}"
        case dict():
            return "a table"
        case list():
            return "a list"
        case _:
            return f"the date or time {value}"


def _keys_at(path: KeyPath) -> list[str]:
    """Return the keys that the table at an error's path may have."""
    annotation: object = SourceDocument
    for part in path:
        model = _model(annotation)
        if model is not None and isinstance(part, str):
            fields = {field.alias or name: field for name, field in model.model_fields.items()}
            annotation = fields[part].annotation if part in fields else None
        else:
            annotation = get_args(_plain(annotation))[-1]
    model = _model(annotation)
    return [field.alias or name for name, field in model.model_fields.items()] if model else []


def _model(annotation: object) -> type[BaseModel] | None:
    plain = _plain(annotation)
    return plain if isinstance(plain, type) and issubclass(plain, BaseModel) else None


def _plain(annotation: object) -> object:
    """Return an annotation without validators and without `| None`."""
    while (origin := get_origin(annotation)) in {Annotated, Union, UnionType}:
        arguments = get_args(annotation)
        annotation = arguments[0] if origin is Annotated else next(arg for arg in arguments if arg is not type(None))
    return annotation
