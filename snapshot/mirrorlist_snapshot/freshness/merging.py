"""Merge what was observed with what the sources declare: which mirror is offered for what. Pure.

The rules: a URL that is down over every address family that was asked is not offered, and a mirror whose URLs of a
category are all down does not carry it. A mirror with a stale or missing unit is not offered for the directories for
which the unit stands. What was never observed is offered as declared. Freshness alone never leaves a unit without a
mirror: if none has it fresh or late, those with the newest version stay.

No declared field changes, and observed fields depend on declared ones and the observations alone: merging twice gives
the same as merging once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.freshness.health_rows import health_of
from mirrorlist_snapshot.freshness.last_carriers import kept_carriers
from mirrorlist_snapshot.freshness.observed import Freshness, Reachability, UnitObservation
from mirrorlist_snapshot.freshness.unit_files import with_versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mirrorlist_snapshot.freshness.observed import Observations, UrlObservation
    from mirrorlist_snapshot.records import ContentRecord, NetworkRecords

NOT_OFFERED: Final = frozenset({Freshness.STALE, Freshness.MISSING})
"""States of a unit that take a mirror out of its directories."""
_Key = tuple[str, str]
"""(mirror, category)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The result of `apply`."""

    records: NetworkRecords
    """The same object if nothing was observed."""
    kept: tuple[UnitObservation, ...]
    """Stale or missing units whose mirrors are offered all the same, because no mirror has them fresh or late.

    Somebody should be told: the master may be ahead of everyone, or the unit may be wrong.
    """


def apply(records: NetworkRecords, observations: Observations) -> Merged:
    """Return the records with the observed fields set by the observations."""
    if not (observations.urls or observations.units or observations.mirrors):
        return Merged(records=records, kept=())
    declared = {(mirror.name, content.category): content for mirror in records.mirrors for content in mirror.contents}
    down = _down_urls(declared, observations.urls)
    units = [
        row
        for row in observations.units
        if (row.mirror, row.category) in declared and observations.covers.get((row.category, row.unit))
    ]
    left_out = [row for row in units if row.state in NOT_OFFERED]
    kept = kept_carriers(records, left_out, observations.covers, down) if left_out else frozenset[UnitObservation]()
    offered = _offered(units, kept, observations.covers)
    weights = {row.mirror: row.weight for row in observations.mirrors}
    health = health_of(records, observations, units, kept)
    mirrors = tuple(
        replace(
            mirror,
            contents=tuple(
                replace(
                    content,
                    down_urls=down.get((mirror.name, content.category), ()),
                    observed_directories=offered.get((mirror.name, content.category), ()),
                )
                for content in mirror.contents
            ),
            weight=weights.get(mirror.name, 100),
            health=health.get(mirror.name),
        )
        for mirror in records.mirrors
    )
    staying = [row for row in units if row.state not in NOT_OFFERED or row in kept]
    files = with_versions(records.files, staying, observations.versions)
    return Merged(
        records=replace(records, mirrors=mirrors, files=files, observed=observations.taken),
        kept=tuple(sorted(kept, key=lambda row: (row.category, row.unit, row.mirror))),
    )


def same_lists(one: NetworkRecords, other: NetworkRecords) -> bool:
    """Whether two merged descriptions give the same lists, whatever else they tell about the mirrors' health."""
    return _without_health(one) == _without_health(other)


def _without_health(records: NetworkRecords) -> NetworkRecords:
    return replace(records, observed=0, mirrors=tuple(replace(mirror, health=None) for mirror in records.mirrors))


def _down_urls(declared: Mapping[_Key, ContentRecord], urls: Iterable[UrlObservation]) -> dict[_Key, tuple[str, ...]]:
    """Return the URLs of each content that are down over every family that was asked."""
    states: dict[tuple[str, str, str], bool] = {}
    for row in urls:
        key = row.mirror, row.category, row.url
        states[key] = states.get(key, True) and row.state is Reachability.DOWN
    return {
        key: found
        for key, content in declared.items()
        if (found := tuple(sorted(url for url in content.urls if states.get((*key, url)))))
    }


def _offered(
    units: Iterable[UnitObservation], kept: frozenset[UnitObservation], covers: Mapping[_Key, tuple[str, ...]]
) -> dict[_Key, tuple[tuple[str, bool], ...]]:
    """Return for each content from which something is taken out: the directories at which that begins and ends."""
    found: dict[_Key, dict[str, bool]] = {}
    for row in units:
        directories = found.setdefault((row.mirror, row.category), {})
        stays = row.state not in NOT_OFFERED or row in kept
        for directory in covers[row.category, row.unit]:
            # Two units may stand for one directory: it is offered if both are good.
            directories[directory] = stays and directories.get(directory, True)
    return {key: _changes(directories) for key, directories in found.items() if not all(directories.values())}


def _changes(directories: Mapping[str, bool]) -> tuple[tuple[str, bool], ...]:
    """Return the directories whose value differs from that of the nearest one above, which is True at the top."""
    values: dict[str, bool] = {}
    for path in sorted(directories, key=lambda path: (len(path), path)):
        if directories[path] is not _value_above(path, values):
            values[path] = directories[path]
    return tuple(values.items())


def _value_above(path: str, values: Mapping[str, bool]) -> bool:
    while path:
        path = path.rpartition("/")[0]
        if path in values:
            return values[path]
    return True
