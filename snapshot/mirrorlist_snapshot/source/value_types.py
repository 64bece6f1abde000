"""The types of single values in source documents: a Python type, its rule from `rules`, and its JSON Schema."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar, cast

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from mirrorlist_snapshot.model import MAX_ABOUT_TEXT
from mirrorlist_snapshot.source import rules
from mirrorlist_snapshot.source.bounded import Bounded

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
V = TypeVar("V")

RULE: Final = "rule"
"""The pydantic error type of the rules in `rules`."""


def refused(text: str) -> PydanticCustomError:
    """Return the error of a rule, to be raised by a validator."""
    return PydanticCustomError(RULE, "{text}", {"text": text})


def after(rule: Callable[[V], T]) -> AfterValidator:
    """Apply a rule from `rules` after the type has been checked."""

    def run(value: V) -> T:
        try:
            return rule(value)
        except rules.RuleError as error:
            raise refused(str(error)) from None

    return AfterValidator(run)


def distinct_keys(rule: Callable[[str], str]) -> WrapValidator:
    """Refuse two keys of a map that a rule makes the same, such as `de` and `DE`."""

    def run(value: object, handler: ValidatorFunctionWrapHandler) -> object:
        found = handler(value)
        keys = list(cast("dict[str, object]", value))
        if len(found) < len(keys):
            seen: set[str] = set()
            twice = next(key for key in keys if _seen_before(seen, rule(key)))
            raise refused(f"{rules.shown(twice)} is given twice in different spelling; one of them would be lost")
        return found

    return WrapValidator(run)


def _seen_before(seen: set[str], key: str) -> bool:
    """Whether a key is among those seen; it is from now on."""
    known = key in seen
    seen.add(key)
    return known


def _text_schema(description: str, **more: str | int) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "description": description, **more})


def _hash_schema(kind: str) -> WithJsonSchema:
    return _text_schema(f"{kind} in hexadecimal", pattern=f"^[0-9a-fA-F]{{{rules.HASH_DIGITS[kind]}}}$")


Name = Annotated[
    str,
    after(rules.name),
    _text_schema("A name", pattern="^[A-Za-z0-9_][A-Za-z0-9_.~+:@-]*$", maxLength=rules.MAX_NAME),
]
MirrorName = Annotated[
    str, after(rules.mirror_name), _text_schema("A name", pattern="^[!-~]+$", maxLength=rules.MAX_NAME)
]
Country = Annotated[
    str, after(rules.country), _text_schema("ISO 3166-1 alpha-2 country code, or the country's name", minLength=2)
]
MirrorCountry = Annotated[
    str,
    after(rules.mirror_country),
    _text_schema('ISO 3166-1 alpha-2 country code, the country\'s name, or "auto"', minLength=2),
]
AboutText = Annotated[str, after(rules.about_text), _text_schema("Text in one line", maxLength=MAX_ABOUT_TEXT)]
Link = Annotated[
    str, after(rules.link), _text_schema("http or https URL", pattern="^https?://", maxLength=MAX_ABOUT_TEXT)
]
FileName = Annotated[str, Field(min_length=1, max_length=1000), WithJsonSchema({"type": "string", "minLength": 1})]
Latitude = Annotated[float, after(partial(rules.degrees, 90)), Field(json_schema_extra={"minimum": -90, "maximum": 90})]
Longitude = Annotated[
    float, after(partial(rules.degrees, 180)), Field(json_schema_extra={"minimum": -180, "maximum": 180})
]
Continent = Annotated[
    str, after(rules.continent), _text_schema("AF, AN, AS, EU, NA, OC or SA", pattern="^[A-Za-z]{2}$")
]
Url = Annotated[
    str,
    after(rules.url),
    _text_schema(
        "Base URL, to which paths are appended", pattern="^([hH][tT][tT][pP][sS]?|[fF][tT][pP]|[rR][sS][yY][nN][cC])://"
    ),
]
Master = Annotated[
    str, after(rules.master), _text_schema("http(s) URL, or the absolute path of a local folder", pattern="^/|://")
]
Contact = Annotated[str, after(rules.contact), _text_schema("http(s) URL or mail address")]
Path = Annotated[str, after(rules.path), _text_schema("Path below the category's top", maxLength=rules.MAX_PATH)]
SomePath = Annotated[
    str, after(rules.some_path), _text_schema("Path below the top", minLength=1, maxLength=rules.MAX_PATH)
]
PathTemplate = Annotated[
    str,
    after(rules.path_template),
    _text_schema("Path below the category's top; {arch} stands for the architecture", maxLength=rules.MAX_PATH),
]
Prefix = Annotated[str, after(rules.prefix), _text_schema("IPv4 or IPv6 prefix, e.g. 192.0.2.0/24")]
ClientPrefix = Annotated[
    str, after(rules.client_prefix), _text_schema("IPv4 or IPv6 prefix, e.g. 192.0.2.0/24; not /0")
]
Md5 = Annotated[str, after(partial(rules.digest, "md5")), _hash_schema("md5")]
Sha1 = Annotated[str, after(partial(rules.digest, "sha1")), _hash_schema("sha1")]
Sha256 = Annotated[str, after(partial(rules.digest, "sha256")), _hash_schema("sha256")]
Sha512 = Annotated[str, after(partial(rules.digest, "sha512")), _hash_schema("sha512")]
Timestamp = Annotated[int, after(rules.timestamp), Field(json_schema_extra={"minimum": 0})]
Size = Annotated[int, after(rules.size), Field(json_schema_extra={"minimum": 0})]


def _asn(value: object) -> object:
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        try:
            return rules.asn(value)
        except rules.RuleError as error:
            raise refused(str(error)) from None
    return value


def _lag(value: object) -> object:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise refused('found a number without a unit; write a duration, as in "12h"')
    if not isinstance(value, str):
        return value
    try:
        return rules.lag(value)
    except rules.RuleError as error:
        raise refused(str(error)) from None


Lag = Annotated[
    int,
    BeforeValidator(_lag),
    WithJsonSchema({"type": "string", "pattern": "^ *[0-9]", "description": "A duration, e.g. 12h or 1d12h"}),
]
Asn = Annotated[
    int,
    BeforeValidator(_asn),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": rules.MAX_ASN},
                {"type": "string", "pattern": "^([aA][sS])?[0-9]{1,10}$"},
            ],
            "description": 'AS number, 680 or "AS680"',
        }
    ),
]


class OneOrMore:
    """Annotates a list: a value that is no list is taken for a list of one, in the JSON Schema, too."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate a single value as a list of one, and a long list within bounds."""
        bounded = Bounded().__get_pydantic_core_schema__(source, handler)
        return core_schema.no_info_before_validator_function(as_list, bounded)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Allow an item beside the list."""
        array = handler(schema)
        return {"anyOf": [array["items"], array]}


def as_list(value: object) -> object:
    """Return a value where a list may stand as a list of one; null stays a mistake."""
    return cast("object", value) if isinstance(value, list) or value is None else [value]
