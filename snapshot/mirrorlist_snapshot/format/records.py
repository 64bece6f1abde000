"""The small sections, one pair of functions each: model -> msgpack, msgpack -> model.

Keys and defaults are those of FORMAT.md. This module checks types; `check` checks values.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, cast

from mirrorlist_snapshot.errors import SnapshotError
from mirrorlist_snapshot.format.packed import (
    Budget,
    Fields,
    array_of_maps,
    pack_array,
    pack_item,
    texts,
    unpack_item,
    without,
)
from mirrorlist_snapshot.model import (
    BOTH_FAMILIES,
    DEFAULT_BANDWIDTH,
    MAX_CATEGORIES,
    MAX_CLIENT_ASNS,
    MAX_CLIENT_NETBLOCKS,
    MAX_CONTENTS,
    MAX_MIRRORS,
    MAX_REPOSITORIES,
    MAX_REPOSITORY_DIRECTORIES,
    NOTHING_ABOUT,
    About,
    Category,
    CategoryKind,
    ClientNetblock,
    Content,
    Families,
    Mirror,
    Overrides,
    Repository,
    RepositoryDirectory,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_COUNTRIES: Final = 26 * 26
"""Distinct codes of two capital letters."""
_CATEGORY: Final[dict[str, Any]] = {"kind": str(CategoryKind.LISTED), "top": "", "part_of": None}
_MIRROR: Final[dict[str, Any]] = {
    "country": None,
    "bandwidth": DEFAULT_BANDWIDTH,
    "asns": (),
    "netblocks": (),
    "exclusive": (),
    "private": False,
    "fallback": False,
    "active": True,
    "allowed": (),
    "denied": (),
    "contents": [],
    "continent": None,
    "worldwide": False,
    "also": (),
    "about": {},
}
_CONTENT: Final[dict[str, Any]] = {"category": 0, "families": int(BOTH_FAMILIES)}
_ABOUT_TEXTS: Final = ("sponsor", "sponsor_url", "sponsor_logo", "city", "notes")
_ABOUT: Final[dict[str, Any]] = {**dict.fromkeys(_ABOUT_TEXTS, ""), "latitude": None, "longitude": None}
_STEPS: Final = 10_000
"""Steps in a degree of latitude or longitude; the number is that of the steps from the south pole or from 180° west."""
_SOUTH: Final = 90
_WEST: Final = 180
_REPOSITORY: Final[dict[str, Any]] = {"disabled": False}
_DIRECTORY: Final[dict[str, Any]] = {"arch": "", "category": 0, "path": ""}
_OVERRIDES: Final[dict[str, Any]] = {"continents": {}, "neighbours": {}, "never": {}}


def pack_meta(generator: str, observed: int) -> bytes:
    """Section meta."""
    return pack_item("meta", without({"generator": "", "observed": 0}, {"generator": generator, "observed": observed}))


def unpack_meta(data: memoryview) -> tuple[str, int]:
    """Section meta: the generator, and when mirrors were observed."""
    fields = Fields("meta", unpack_item("meta", data))
    return fields.text("generator", ""), fields.number("observed", 0)


def pack_categories(categories: tuple[Category, ...]) -> bytes:
    """Section Category."""
    return pack_array(
        "category",
        (
            without(_CATEGORY, {"name": one.name, "kind": str(one.kind), "top": one.top, "part_of": one.part_of})
            for one in categories
        ),
    )


def unpack_categories(data: memoryview) -> tuple[Category, ...]:
    """Section Category."""
    return tuple(
        Category(
            name=one.text("name"),
            kind=_kind(one.text("kind", _CATEGORY["kind"])),
            top=one.text("top", ""),
            part_of=one.optional_number("part_of"),
        )
        for one in array_of_maps("category", data, MAX_CATEGORIES)
    )


def _kind(word: str) -> CategoryKind:
    try:
        return CategoryKind(word)
    except ValueError:
        raise SnapshotError("listed or open as kind of a category", repr(word), "upgrade mirrorlistd") from None


def pack_mirrors(mirrors: tuple[Mirror, ...]) -> bytes:
    """Section Mirrors."""
    return pack_array("mirror", map(_pack_mirror, mirrors))


def _pack_mirror(mirror: Mirror) -> dict[str, Any]:
    return without(
        _MIRROR,
        {
            "name": mirror.name,
            "country": mirror.country,
            "bandwidth": mirror.bandwidth,
            "asns": mirror.asns,
            "netblocks": tuple(netblock.prefix for netblock in mirror.netblocks),
            "exclusive": tuple(number for number, netblock in enumerate(mirror.netblocks) if netblock.exclusive),
            "private": mirror.private,
            "fallback": mirror.fallback,
            "active": mirror.active,
            "allowed": mirror.allowed_countries,
            "denied": mirror.denied_countries,
            "contents": [
                without(
                    _CONTENT, {"category": content.category, "urls": content.urls, "families": int(content.families)}
                )
                for content in mirror.contents
            ],
            "continent": mirror.continent,
            "worldwide": mirror.worldwide,
            "also": mirror.also_countries,
            "about": _pack_about(mirror.about),
        },
    )


def _pack_about(about: About) -> dict[str, Any]:
    return without(
        _ABOUT,
        {
            **{key: getattr(about, key) for key in _ABOUT_TEXTS},
            "latitude": None if about.latitude is None else round((about.latitude + _SOUTH) * _STEPS),
            "longitude": None if about.longitude is None else round((about.longitude + _WEST) * _STEPS),
        },
    )


def unpack_mirrors(data: memoryview) -> tuple[Mirror, ...]:
    """Section Mirrors."""
    asns = Budget("AS numbers of mirrors", MAX_CLIENT_ASNS)
    netblocks = Budget("netblocks of mirrors", MAX_CLIENT_NETBLOCKS)
    contents = Budget("contents of mirrors", MAX_CONTENTS)
    return tuple(
        Mirror(
            name=one.text("name"),
            country=one.optional_text("country"),
            bandwidth=one.number("bandwidth", DEFAULT_BANDWIDTH),
            asns=asns.spend(one.numbers("asns")),
            netblocks=_netblocks(netblocks.spend(one.texts("netblocks")), frozenset(one.numbers("exclusive"))),
            private=one.flag("private", default=False),
            fallback=one.flag("fallback", default=False),
            active=one.flag("active", default=True),
            allowed_countries=_countries(one, "allowed"),
            denied_countries=_countries(one, "denied"),
            contents=tuple(
                Content(category=content.number("category", 0), urls=content.texts("urls"), families=_families(content))
                for content in one.maps("contents", contents)
            ),
            continent=one.optional_text("continent"),
            worldwide=one.flag("worldwide", default=False),
            also_countries=_countries(one, "also"),
            about=_unpack_about(one.inner("about")),
        )
        for one in array_of_maps("mirror", data, MAX_MIRRORS)
    )


def _families(content: Fields) -> Families:
    bits = content.number("families", _CONTENT["families"])
    if not 1 <= bits <= BOTH_FAMILIES:
        raise SnapshotError("families of URLs as 1, 2 or 3", str(bits), "upgrade mirrorlistd")
    return Families(bits)


def _unpack_about(fields: Fields | None) -> About:
    if fields is None:
        return NOTHING_ABOUT
    return About(
        **{key: fields.text(key, "") for key in _ABOUT_TEXTS},
        latitude=_degrees(fields, "latitude", _SOUTH),
        longitude=_degrees(fields, "longitude", _WEST),
    )


def _degrees(fields: Fields, key: str, most: int) -> float | None:
    """Return degrees of latitude or longitude, at most `most` to either side of zero."""
    steps = fields.optional_number(key)
    if steps is None:
        return None
    if steps > 2 * most * _STEPS:
        raise SnapshotError(f"at most {2 * most * _STEPS} as {key}", str(steps))
    return round(steps / _STEPS - most, 4)


def _countries(mirror: Fields, key: str) -> tuple[str, ...]:
    """Return a mirror's array of countries; equal codes are one object."""
    countries = mirror.texts(key)
    if len(countries) > MAX_COUNTRIES:
        raise SnapshotError(f"at most {MAX_COUNTRIES} countries as {key}", str(len(countries)))
    return tuple(map(sys.intern, countries))


def _netblocks(prefixes: tuple[str, ...], exclusive: frozenset[int]) -> tuple[ClientNetblock, ...]:
    if exclusive and max(exclusive) >= len(prefixes):
        raise SnapshotError(f"exclusive netblocks among the {len(prefixes)} listed", f"number {max(exclusive)}")
    return tuple(ClientNetblock(prefix=prefix, exclusive=number in exclusive) for number, prefix in enumerate(prefixes))


def pack_repositories(repositories: tuple[Repository, ...]) -> bytes:
    """Section Repos."""
    return pack_array(
        "repository",
        (
            without(
                _REPOSITORY,
                {
                    "name": one.name,
                    "disabled": one.disabled,
                    "directories": [
                        without(_DIRECTORY, {"arch": place.arch, "category": place.category, "path": place.path})
                        for place in one.directories
                    ],
                },
            )
            for one in repositories
        ),
    )


def unpack_repositories(data: memoryview) -> tuple[Repository, ...]:
    """Section Repos."""
    directories = Budget("directories of repositories", MAX_REPOSITORY_DIRECTORIES)
    return tuple(
        Repository(
            name=one.text("name"),
            disabled=one.flag("disabled", default=False),
            directories=tuple(
                RepositoryDirectory(
                    arch=place.text("arch", ""),
                    category=place.number("category", 0),
                    path=place.text("path", ""),
                )
                for place in one.maps("directories", directories)
            ),
        )
        for one in array_of_maps("repository", data, MAX_REPOSITORIES)
    )


def pack_aliases(aliases: Mapping[str, str]) -> bytes:
    """Section Aliases."""
    return pack_item("aliases", dict(sorted(aliases.items())))


def unpack_aliases(data: memoryview) -> dict[str, str]:
    """Section Aliases."""
    return _texts_by_text("aliases", Fields("aliases", unpack_item("aliases", data)).values())


def pack_overrides(overrides: Overrides) -> bytes:
    """Section Override."""
    values = {
        "continents": dict(sorted(overrides.continents.items())),
        "neighbours": dict(sorted(overrides.neighbours.items())),
        "never": dict(sorted(overrides.never_served.items())),
    }
    return pack_item("overrides", without(_OVERRIDES, values))


def unpack_overrides(data: memoryview) -> Overrides:
    """Section Override."""
    fields = Fields("overrides", unpack_item("overrides", data))
    return Overrides(
        continents=_texts_by_text("continents", fields.map("continents")),
        neighbours={country: _groups(groups) for country, groups in fields.map("neighbours").items()},
        never_served={country: texts("never", pairs) for country, pairs in fields.map("never").items()},
    )


def _groups(value: object) -> tuple[tuple[str, ...], ...]:
    if type(value) is not tuple:
        raise SnapshotError("an array of arrays of countries in neighbours", type(value).__name__)
    return tuple(texts("neighbours", group) for group in cast("tuple[object, ...]", value))


def _texts_by_text(place: str, values: dict[str, object]) -> dict[str, str]:
    texts(place, tuple(values.values()))
    return cast("dict[str, str]", values)


def pack_places(countries: tuple[str, ...]) -> bytes:
    """Section Places."""
    return pack_item("netblock countries", countries)


def unpack_places(data: memoryview) -> tuple[str, ...]:
    """Section Places."""
    return texts("netblock countries", unpack_item("netblock countries", data))
