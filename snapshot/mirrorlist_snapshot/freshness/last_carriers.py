"""Which stale mirrors stay, because otherwise nobody would be offered for a unit. Pure.

Mirrors that are down, or left out of a directory by the sources, do not count. Mirrors for everybody come first: if
these all lack the unit, some stay whatever a mirror for a few networks or countries has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorlist_snapshot.architectures import split_by_architecture
from mirrorlist_snapshot.freshness.observed import Freshness
from mirrorlist_snapshot.model import CategoryKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mirrorlist_snapshot.freshness.observed import UnitObservation
    from mirrorlist_snapshot.records import ContentRecord, MirrorRecord, NetworkRecords

_Key = tuple[str, str]
_FOR_ALL, _FOR_COUNTRIES, _FOR_NETWORKS = range(3)


def kept_carriers(
    records: NetworkRecords,
    left_out: Iterable[UnitObservation],
    covers: Mapping[_Key, tuple[str, ...]],
    down: Mapping[_Key, Sequence[str]],
) -> frozenset[UnitObservation]:
    """Return those of the observations of stale or missing units whose mirrors stay.

    `down` has the URLs of (mirror, category) that are down.
    """
    by_unit: dict[_Key, dict[str, UnitObservation]] = {}
    for row in left_out:
        by_unit.setdefault((row.category, row.unit), {})[row.mirror] = row
    records = split_by_architecture(records)
    reachable = _reachable(records, {category for category, _ in by_unit}, down)
    listed = {one.name for one in records.categories if one.kind is CategoryKind.LISTED}
    kept: set[UnitObservation] = set()
    for (category, unit), rows in by_unit.items():
        directories = records.directories.get(category, {}) if category in listed else None
        carriers: dict[int, list[str]] = {}
        for mirror, content in reachable.get(category, ()):
            if any(_declared(content, mirror.name, path, directories) for path in covers[category, unit]):
                carriers.setdefault(_audience(mirror), []).append(mirror.name)
        first = carriers[min(carriers)] if carriers else []
        if all(name in rows for name in first):
            kept.update(_newest([rows[name] for name in first]))
    return frozenset(kept)


def _reachable(
    records: NetworkRecords, categories: set[str], down: Mapping[_Key, Sequence[str]]
) -> dict[str, list[tuple[MirrorRecord, ContentRecord]]]:
    """Return category -> the active mirrors of which a URL is up, with what they declare."""
    found: dict[str, list[tuple[MirrorRecord, ContentRecord]]] = {}
    for mirror in records.mirrors:
        for content in mirror.contents:
            out = down.get((mirror.name, content.category), ())
            if mirror.active and content.category in categories and not set(content.urls) <= set(out):
                found.setdefault(content.category, []).append((mirror, content))
    return found


def _audience(mirror: MirrorRecord) -> int:
    if mirror.private:
        return _FOR_NETWORKS
    return _FOR_COUNTRIES if mirror.allowed_countries else _FOR_ALL


def _declared(content: ContentRecord, name: str, path: str, directories: Mapping[str, frozenset[str]] | None) -> bool:
    return (directories is None or name in directories.get(path, ())) and content.allows(path)


def _newest(rows: list[UnitObservation]) -> list[UnitObservation]:
    """Return the observations of the newest version; if it is missing everywhere, all of them."""
    stale = [row for row in rows if row.state is Freshness.STALE]
    if not stale:
        return rows
    lag = min(row.lag for row in stale)
    versions = {row.version for row in stale if row.lag == lag}
    return [row for row in stale if row.version in versions]
