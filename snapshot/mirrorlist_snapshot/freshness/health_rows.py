"""What people are told of each mirror: what is left out or late, since when and why; last check; lags. Pure."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Final, TypeVar

from mirrorlist_snapshot.freshness.observed import Freshness, Reachability, UnitObservation, UrlObservation
from mirrorlist_snapshot.health import DownUrl, MirrorHealth, OldUnit, Unit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from mirrorlist_snapshot.freshness.observed import Observations
    from mirrorlist_snapshot.records import NetworkRecords

Row = TypeVar("Row", UrlObservation, UnitObservation)

_LONGEST_REASON: Final = 200
"""Characters."""
_MOST: Final = 800_000
"""Bytes of the old units of one mirror: a snapshot holds a megabyte for each mirror. What is beyond is left out."""
_ROW: Final = 64
"""Bytes of an old unit without its reason, at most."""
_Key = tuple[str, str]
_OUT: Final = {Freshness.STALE, Freshness.MISSING}


def health_of(
    records: NetworkRecords, seen: Observations, units: Sequence[UnitObservation], kept: Collection[UnitObservation]
) -> dict[str, MirrorHealth]:
    """Return the health of every mirror of which something was observed.

    `units` are those that can decide something, `kept` those of them whose mirrors stay although they are stale.
    """
    declared = {
        (mirror.name, content.category, url)
        for mirror in records.mirrors
        for content in mirror.contents
        for url in content.urls
    }
    urls_of = _by_mirror(row for row in seen.urls if (row.mirror, row.category, row.url) in declared)
    units_of = _by_mirror(units)
    weights = {row.mirror: row for row in seen.mirrors}
    repositories = _repositories(records, seen.covers)
    found: dict[str, MirrorHealth] = {}
    for mirror in records.mirrors:
        urls, own = urls_of.get(mirror.name, []), units_of.get(mirror.name, [])
        weight = weights.get(mirror.name)
        if urls or own or weight:
            found[mirror.name] = MirrorHealth(
                checked=max([0, *(row.checked for row in urls), *(row.checked for row in own)]),
                families=tuple(sorted({row.family for row in urls if row.state is not Reachability.DOWN})),
                weight=100 if weight is None else weight.weight,
                until=0 if weight is None else weight.until,
                lags=_lags(own, repositories),
                down=tuple(_down(urls)),
                old=tuple(_within_limit(_old(own, kept, seen.covers))),
            )
    return found


def _by_mirror(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.mirror, []).append(row)
    return found


def _down(urls: Iterable[UrlObservation]) -> Iterator[DownUrl]:
    """Yield one row for a URL that is down over every family, or one for each family over which it is down."""
    ordered = sorted(urls, key=attrgetter("category", "url", "family"))
    for (category, url), group in groupby(ordered, key=attrgetter("category", "url")):
        rows = list(group)
        down = [row for row in rows if row.state is Reachability.DOWN]
        if len(down) < len(rows):
            for row in down:
                reason = _line(row.reason)
                yield DownUrl(category=category, url=url, family=row.family, since=row.since, reason=reason)
        else:
            reasons = dict.fromkeys(_line(row.reason) for row in rows)
            since = max(row.since for row in rows)
            yield DownUrl(category=category, url=url, family=0, since=since, reason="; ".join(filter(None, reasons)))


def _old(
    units: Iterable[UnitObservation], kept: Collection[UnitObservation], covers: Mapping[_Key, tuple[str, ...]]
) -> Iterator[OldUnit]:
    """Yield the units that are not fresh, those that are left out first."""
    rows = [
        OldUnit(
            unit=_unit(row, covers),
            state=row.state,
            offered=row.state not in _OUT or row in kept,
            since=row.since,
            lag=row.lag,
            reason=_line(row.reason),
        )
        for row in units
        if row.state is not Freshness.FRESH
    ]
    yield from sorted(rows, key=attrgetter("offered", "unit.category", "unit.path"))


def _unit(row: UnitObservation, covers: Mapping[_Key, tuple[str, ...]]) -> Unit:
    return Unit(category=row.category, path=row.unit, directories=covers[row.category, row.unit])


def _within_limit(rows: Iterable[OldUnit]) -> Iterator[OldUnit]:
    spent = 0
    for row in rows:
        spent += len(row.reason.encode()) + _ROW
        if spent > _MOST:
            return
        yield row


def _lags(units: Iterable[UnitObservation], repositories: Mapping[_Key, Sequence[str]]) -> dict[str, int]:
    """Return the worst lag of each repository; one that is missing has none."""
    found: dict[str, int] = {}
    for row in units:
        if row.state is not Freshness.MISSING:
            for name in repositories.get((row.category, row.unit), ()):
                found[name] = max(found.get(name, 0), row.lag)
    return dict(sorted(found.items()))


def _repositories(records: NetworkRecords, covers: Mapping[_Key, tuple[str, ...]]) -> dict[_Key, list[str]]:
    """Return (category, unit) -> the repositories whose freshness it tells.

    These are the units of the directory at or nearest above a repository's directory; without one, all that are below.
    """
    units_at: dict[_Key, list[str]] = {}
    for (category, unit), directories in covers.items():
        for directory in directories:
            units_at.setdefault((category, directory), []).append(unit)
    found: dict[_Key, set[str]] = {}
    for repository in records.repositories:
        for place in repository.directories:
            for unit in _units_of(place.category, place.path, units_at):
                found.setdefault((place.category, unit), set()).add(repository.name)
    return {key: sorted(names) for key, names in found.items()}


def _units_of(category: str, path: str, units_at: Mapping[_Key, list[str]]) -> Iterable[str]:
    above = path
    while (category, above) not in units_at and above:
        above = above.rpartition("/")[0]
    if (category, above) in units_at:
        return units_at[category, above]
    start = f"{path}/" if path else ""
    return [
        unit
        for (other, directory), units in units_at.items()
        if other == category and directory.startswith(start)
        for unit in units
    ]


def _line(text: str) -> str:
    """Return a reason as one printable line; parts of it may be a stranger's words."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:_LONGEST_REASON]
