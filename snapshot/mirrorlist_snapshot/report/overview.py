"""An overview of one snapshot: serial, age, counts, repositories, mirrors, sections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.model import CategoryKind
from mirrorlist_snapshot.report.text import ago, count, moment, plural, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mirrorlist_snapshot.model import Mirror, Netblocks, Repository, RepositoryDirectory, Snapshot

_FLAGS = ("inactive", "private", "fallback")


def inspect(data: bytes | memoryview, *, now: int) -> dict[str, Any]:
    """Describe a snapshot file; `now` is in seconds since 1970 UTC. Raise SnapshotError for an invalid file."""
    snapshot = snapshot_format.decode(data)
    header = snapshot_format.header(data)
    return {
        "serial": snapshot.serial,
        "built": snapshot.built,
        "age": now - snapshot.built,
        "digest": header.digest,
        "generator": snapshot.generator,
        "format_version": header.version,
        "signed": header.signed,
        "key_id": header.key_id,
        "bytes": header.length,
        "counts": _counts(snapshot),
        "sections": [{"name": name, "bytes": size} for name, size in snapshot_format.sections(data)],
        "categories": [
            {"name": one.name, "kind": str(one.kind), "top": one.top, "mirrors": _offering(snapshot, number)}
            for number, one in enumerate(snapshot.categories)
        ],
        "repositories": [_repository(snapshot, one) for one in snapshot.repositories],
        "mirrors": [_mirror(snapshot, one) for one in snapshot.mirrors],
    }


def _counts(snapshot: Snapshot) -> dict[str, int]:
    overrides = snapshot.overrides
    return {
        "categories": len(snapshot.categories),
        "mirrors": len(snapshot.mirrors),
        "active_mirrors": sum(mirror.active for mirror in snapshot.mirrors),
        "repositories": len(snapshot.repositories),
        "disabled_repositories": sum(repository.disabled for repository in snapshot.repositories),
        "aliases": len(snapshot.aliases),
        "directories": len(snapshot.directories),
        "carrier_sets": len(snapshot.sets),
        "files": len(snapshot.files),
        "client_netblocks": sum(len(mirror.netblocks) for mirror in snapshot.mirrors),
        "continent_overrides": len(overrides.continents),
        "neighbour_overrides": len(overrides.neighbours),
        "never_served_overrides": len(overrides.never_served),
        "country_ranges": _ranges(snapshot.country_netblocks),
        "asn_ranges": _ranges(snapshot.asn_netblocks),
    }


def _ranges(netblocks: Netblocks) -> int:
    return sum(value != 0 for table in (netblocks.v4, netblocks.v6) for _, value in table)


def _offering(snapshot: Snapshot, category: int) -> int:
    """Count the active mirrors that have URLs for a category."""
    return sum(
        mirror.active and any(content.category == category for content in mirror.contents)
        for mirror in snapshot.mirrors
    )


def _repository(snapshot: Snapshot, repository: Repository) -> dict[str, Any]:
    return {
        "name": repository.name,
        "disabled": repository.disabled,
        "aliases": sorted(alias for alias, name in snapshot.aliases.items() if name == repository.name),
        "directories": [
            {
                "arch": place.arch,
                "category": snapshot.whole(place.category).name,
                "path": place.path,
                "mirrors": _carrying(snapshot, place),
            }
            for place in repository.directories
        ],
    }


def _carrying(snapshot: Snapshot, place: RepositoryDirectory) -> int:
    """Count the active mirrors that carry a directory."""
    look_up = (
        snapshot.directories.nearest
        if snapshot.categories[place.category].kind is CategoryKind.OPEN
        else snapshot.directories.find
    )
    number = look_up(place.category, place.path.encode())
    return 0 if number is None else sum(snapshot.mirrors[one].active for one in snapshot.sets.members(number))


def _mirror(snapshot: Snapshot, mirror: Mirror) -> dict[str, Any]:
    return {
        "name": mirror.name,
        "country": mirror.country,
        "continent": mirror.continent,
        "worldwide": mirror.worldwide,
        "also_countries": list(mirror.also_countries),
        "bandwidth": mirror.bandwidth,
        "categories": list(dict.fromkeys(snapshot.whole(content.category).name for content in mirror.contents)),
        "active": mirror.active,
        "private": mirror.private,
        "fallback": mirror.fallback,
        "asns": list(mirror.asns),
        "netblocks": [netblock.prefix for netblock in mirror.netblocks],
        "exclusive_netblocks": [netblock.prefix for netblock in mirror.netblocks if netblock.exclusive],
        "allowed_countries": list(mirror.allowed_countries),
        "denied_countries": list(mirror.denied_countries),
        "about": mirror.about.stated(),
    }


def inspect_text(found: Mapping[str, Any]) -> str:
    """Return the result of `inspect` as text."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    counts = found["counts"]
    signed = f"signed by key {found['key_id']} (not checked)" if found["signed"] else "unsigned"
    yield f"serial     {found['serial']}"
    yield f"built      {moment(found['built'])} ({ago(found['age'])}) by {found['generator'] or 'unknown'}"
    yield f"format     version {found['format_version']}, {count(found['bytes'])} bytes, {signed}"
    yield f"digest     {found['digest']}"
    yield f"holds      {plural(counts['mirrors'], 'mirror')} ({count(counts['active_mirrors'])} active)"
    for key, one, many in _NOUNS:
        if counts[key]:
            yield f"           {plural(counts[key], one, many)}"
    yield from ("", "repositories")
    yield from table(
        ("NAME", "ARCH", "CATEGORY:/PATH", "MIRRORS", "ALIASES", ""), list(_repository_rows(found["repositories"]))
    )
    yield from ("", "mirrors")
    yield from table(("NAME", "COUNTRY", "MBIT/S", "CATEGORIES", "FLAGS"), list(map(_mirror_row, found["mirrors"])))
    yield from ("", "sections")
    yield from table(("NAME", "BYTES"), [(one["name"], count(one["bytes"])) for one in found["sections"]])


_NOUNS = (
    ("categories", "category", "categories"),
    ("repositories", "repository", "repositories"),
    ("disabled_repositories", "of them disabled", "of them disabled"),
    ("aliases", "alias", "aliases"),
    ("directories", "directory", "directories"),
    ("carrier_sets", "distinct set of carriers", "distinct sets of carriers"),
    ("files", "file with details", "files with details"),
    ("client_netblocks", "client netblock", None),
    ("continent_overrides", "continent override", None),
    ("neighbour_overrides", "country with neighbours", "countries with neighbours"),
    ("never_served_overrides", "country never served by certain others", "countries never served by certain others"),
    ("country_ranges", "address range with a country of its own", "address ranges with a country of their own"),
    ("asn_ranges", "address range of an autonomous system", "address ranges of autonomous systems"),
)


def _repository_rows(repositories: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    for one in repositories:
        for place in one["directories"]:
            where = f"{place['category']}:/{place['path']}"
            flag = "disabled" if one["disabled"] else ""
            yield one["name"], place["arch"], where, count(place["mirrors"]), " ".join(one["aliases"]), flag


def _mirror_row(mirror: dict[str, Any]) -> tuple[str, ...]:
    flags = [flag for flag in _FLAGS if (not mirror["active"] if flag == "inactive" else mirror[flag])]
    flags += [f"AS{asn}" for asn in mirror["asns"]]
    if mirror["netblocks"]:
        exclusive = len(mirror["exclusive_netblocks"])
        flags.append(plural(len(mirror["netblocks"]), "netblock") + (f" ({exclusive} exclusive)" if exclusive else ""))
    if mirror["allowed_countries"]:
        flags.append(f"only {','.join(mirror['allowed_countries'])}")
    if mirror["denied_countries"]:
        flags.append(f"not {','.join(mirror['denied_countries'])}")
    if mirror["also_countries"]:
        flags.append(f"also {','.join(mirror['also_countries'])}")
    country = mirror["country"] or ("worldwide" if mirror["worldwide"] else mirror["continent"]) or "-"
    return mirror["name"], country, count(mirror["bandwidth"]), " ".join(mirror["categories"]), ", ".join(flags)
