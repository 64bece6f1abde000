"""The differences between two snapshots, by name.

Serial, build time and generator are shown but do not count as a difference. Directories, files and netblock ranges, of
which there may be 150,000, are counted; everything else is listed.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from mirrorlist_snapshot.countries import CONTINENT_OF
from mirrorlist_snapshot.report.answers import changed_answers
from mirrorlist_snapshot.report.text import count, moment, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mirrorlist_snapshot.model import Mirror, Netblocks, Snapshot

FieldsByName = dict[str, dict[str, Any]]
"""Name -> fields, of records that are compared one by one."""
_LISTED = ("categories", "mirrors", "repositories", "aliases", "continents", "neighbours", "never_served")
_COUNTED = ("directories", "files", "netblock_countries", "netblock_asns")
_NOT_COMPARED = "answers by netblock or AS are not compared"


def diff(old: Snapshot, new: Snapshot) -> dict[str, Any]:
    """Compare two snapshots.

    `categories`, `mirrors`, `repositories`, `aliases`, `continents`, `neighbours` and `never_served` (these by
    client country) have `added` and `removed` names, and `changed` ones with `fields`: field -> [old, new].
    `directories`, `files`, `netblock_countries` and `netblock_asns` (both address ranges) have three counts. `answers`
    lists, for each repository and architecture, the countries whose answer changes. `same`: no difference at all.
    """
    before, after = _things(old), _things(new)
    result: dict[str, Any] = {kind: _compare(before[kind], after[kind]) for kind in _LISTED} | {
        "directories": _directories(old, new),
        "files": _counts(dict(_files(old)), dict(_files(new))),
        "netblock_countries": _counts(dict(_country_ranges(old)), dict(_country_ranges(new))),
        "netblock_asns": _counts(dict(_ranges(old.asn_netblocks)), dict(_ranges(new.asn_netblocks))),
        "answers": changed_answers(old, new),
    }
    same = not any(any(result[kind].values()) for kind in (*_LISTED, *_COUNTED))
    sides = {
        side: {"serial": one.serial, "built": one.built, "generator": one.generator}
        for side, one in (("old", old), ("new", new))
    }
    return {"same": same and not result["answers"], **sides, **result}


def _compare(old: FieldsByName, new: FieldsByName) -> dict[str, Any]:
    changed = [
        {"name": name, "fields": fields}
        for name in sorted(old.keys() & new.keys())
        if (fields := {key: [old[name][key], new[name][key]] for key in old[name] if old[name][key] != new[name][key]})
    ]
    return {"added": sorted(new.keys() - old.keys()), "removed": sorted(old.keys() - new.keys()), "changed": changed}


def _things(snapshot: Snapshot) -> dict[str, FieldsByName]:
    names = [category.name for category in snapshot.categories]
    overrides = snapshot.overrides
    return {
        "categories": {one.name: {"kind": str(one.kind), "top": one.top} for one in snapshot.categories},
        "mirrors": {one.name: _mirror(one, snapshot) for one in snapshot.mirrors},
        "repositories": {
            one.name: {
                "disabled": one.disabled,
                "directories": {place.arch: f"{names[place.category]}:/{place.path}" for place in one.directories},
            }
            for one in snapshot.repositories
        },
        "aliases": {alias: {"repository": target} for alias, target in snapshot.aliases.items()},
        "continents": {country: {"continent": one} for country, one in overrides.continents.items()},
        "neighbours": {
            country: {"groups": [list(group) for group in groups]} for country, groups in overrides.neighbours.items()
        },
        "never_served": {country: {"countries": list(pairs)} for country, pairs in overrides.never_served.items()},
    }


def _mirror(mirror: Mirror, snapshot: Snapshot) -> dict[str, Any]:
    return {
        "country": mirror.country,
        "continent": mirror.continent,
        "worldwide": mirror.worldwide,
        "also_countries": list(mirror.also_countries),
        "bandwidth": mirror.bandwidth,
        "asns": list(mirror.asns),
        "netblocks": {netblock.prefix: "exclusive" if netblock.exclusive else "" for netblock in mirror.netblocks},
        "private": mirror.private,
        "fallback": mirror.fallback,
        "active": mirror.active,
        "allowed_countries": list(mirror.allowed_countries),
        "denied_countries": list(mirror.denied_countries),
        "urls": {snapshot.whole(content.category).name: list(content.urls) for content in mirror.contents},
        "families": {snapshot.whole(content.category).name: int(content.families) for content in mirror.contents},
        "about": mirror.about.stated(),
    }


def _counts(old: Mapping[Any, Any], new: Mapping[Any, Any]) -> dict[str, int]:
    return {
        "added": sum(key not in old for key in new),
        "removed": sum(key not in new for key in old),
        "changed": sum(key in new and new[key] != value for key, value in old.items()),
    }


def _directories(old: Snapshot, new: Snapshot) -> dict[str, int]:
    """Count the directories whose set of mirrors differs, compared by names."""
    numbers: dict[frozenset[str], int] = {}
    sides: list[dict[tuple[str, bytes], int]] = []
    for snapshot in (old, new):
        names = [mirror.name for mirror in snapshot.mirrors]
        sets = [
            numbers.setdefault(frozenset(names[mirror] for mirror in snapshot.sets.members(number)), len(numbers))
            for number in range(len(snapshot.sets))
        ]
        categories = [category.name for category in snapshot.categories]
        sides.append({(categories[category], path): sets[number] for category, path, number in snapshot.directories})
    return _counts(*sides)


def _files(snapshot: Snapshot) -> Iterator[tuple[tuple[str, bytes], Any]]:
    for key, details in snapshot.files.items():
        yield (snapshot.categories[int.from_bytes(key[:2], "big")].name, key[2:]), asdict(details)


def _country_ranges(snapshot: Snapshot) -> Iterator[tuple[bytes, str]]:
    countries = ("", *snapshot.netblock_countries)
    return ((start, countries[value]) for start, value in _ranges(snapshot.country_netblocks))


def _ranges(netblocks: Netblocks) -> Iterator[tuple[bytes, int]]:
    return chain(netblocks.v4, netblocks.v6)


def diff_text(found: Mapping[str, Any]) -> str:
    """Return the result of `diff` as text: `+` is new, `-` is removed, `~` is changed."""
    # Without any difference there is none in netblocks and AS numbers.
    return "\n".join([*_lines(found), *(() if found["same"] else ("", _NOT_COMPARED))]) + "\n"


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    for side in ("old", "new"):
        one = found[side]
        yield f"{side}: serial {one['serial']}, built {moment(one['built'])} by {one['generator'] or 'unknown'}"
    if found["same"]:
        yield "no differences in content"
    for kind in _LISTED:
        one = found[kind]
        if any(one.values()):
            yield ""
            yield f"{_title(kind)}: {', '.join(f'{len(names)} {how}' for how, names in one.items() if names)}"
            yield from (f"  + {name}" for name in one["added"])
            yield from (f"  - {name}" for name in one["removed"])
            for change in one["changed"]:
                fields = "; ".join(f"{key}: {_show(a)} -> {_show(b)}" for key, (a, b) in change["fields"].items())
                yield f"  ~ {change['name']}: {fields}"
    for kind in _COUNTED:
        if any(found[kind].values()):
            yield ""
            yield f"{_title(kind)}: {', '.join(f'{count(n)} {how}' for how, n in found[kind].items() if n)}"
    if found["answers"]:
        yield ""
        yield "countries whose answers change:"
        for one in found["answers"]:
            countries: list[str] = one["countries"]
            which = "all" if len(countries) == len(CONTINENT_OF) else " ".join(countries)
            name = f"{one['repository']} {one['arch']}".rstrip()
            yield f"  {name}: {plural(len(countries), 'country', 'countries')}: {which}"


def _title(kind: str) -> str:
    return {
        "continents": "continent overrides",
        "neighbours": "neighbour overrides",
        "never_served": "country pairs never served",
        "netblock_countries": "address ranges with a country of their own",
        "netblock_asns": "address ranges of autonomous systems",
    }.get(kind, kind)


def _show(value: object) -> str:
    """Return the value of any field as text: `192.0.2.0/24 exclusive, 198.51.100.0/24`."""
    if isinstance(value, dict):
        items = cast("dict[str, object]", value).items()
        return ", ".join(f"{key} {_words(one)}".strip() for key, one in items) or "none"
    if isinstance(value, list):
        return ", ".join(map(_words, cast("list[object]", value))) or "none"
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None or value == "" else str(value)


def _words(value: object) -> str:
    return " ".join(map(str, cast("list[object]", value))) if isinstance(value, list) else str(value)
