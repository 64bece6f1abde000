"""Propagation: how long a new version of a repository takes to reach the mirrors. Pure, but for `read_propagation`.

A mirror has a version from the moment when it was first seen with it, or with a later one. Shares are of the public
mirrors that are expected to have the unit. Versions that were there before the first run are left out: nobody saw them
spread. Times are rounded up to 5 minutes, which is how often mirrors are asked.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from mirrorlist_admin.store import schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mirrorlist_admin.store import Store
    from mirrorlist_admin.store.rows import Arrival, DeclaredMirror, RepositoryUnit, UnitVersion

RESOLUTION: Final = 300
"""Seconds."""
QUANTILES: Final = (50, 90, 99)
"""Percent of the mirrors."""
_VERSIONS: Final = 10
"""Versions that are shown."""
_SLOWEST: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One point of a curve, which is level up to the next one."""

    after: int
    """Seconds after the publication."""
    mirrors: float
    """Fraction of the mirrors that have the version."""
    capacity: float
    """Fraction of their bandwidth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The propagation of one version."""

    sha256: str
    published: int
    superseded: int
    """0: it is the current one."""
    curve: tuple[Step, ...]
    """Begins with a step at 0."""
    reached: Mapping[int, int | None]
    """Percent of the mirrors -> seconds after the publication when so many had it; None: not yet, or never."""
    have: int
    """Mirrors that have it, or a later one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Straggler:
    """A mirror that took long for the current version, or does not have it yet."""

    mirror: str
    country: str
    after: int | None
    """Seconds after the publication; None: it does not have it yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Propagation:
    """A repository's index file, and how its versions spread."""

    repository: str
    arch: str
    category: str
    unit: str
    mirrors: int
    """Public mirrors that are expected to have it."""
    spreads: tuple[Spread, ...]
    """The newest version first."""
    slowest: tuple[Straggler, ...]
    """For the newest version: those without it, then the last ones to get it."""

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        found = asdict(self)
        for spread in found["spreads"]:
            spread["reached"] = {f"t{percent}": after for percent, after in spread["reached"].items()}
        return found


def repositories(store: Store) -> list[RepositoryUnit]:
    """Return what has a unit: repository and architecture, in order."""
    return store.read(schema.REPOSITORY_UNIT)


def read_propagation(store: Store, row: RepositoryUnit, now: int) -> Propagation:
    """Read and compute the propagation of one repository and architecture."""
    key = (row.category, row.unit)
    where = "WHERE category = ? AND unit = ?"
    expected = {one.mirror for one in store.read(schema.EXPECTED_UNIT, where, *key)}
    public = store.read(schema.DECLARED_MIRROR, "WHERE private = 0 AND active = 1 ORDER BY mirror")
    mirrors = [mirror for mirror in public if mirror.mirror in expected]
    began = int(store.query("SELECT coalesce(min(began), 0) FROM probe_run")[0][0])
    since = f"{where} AND first_seen >= ? ORDER BY first_seen DESC LIMIT ?"
    newest = store.read(schema.UNIT_VERSION, since, *key, began, _VERSIONS)
    arrivals = store.read(schema.ARRIVAL, where, *key)
    spreads = spread(newest, mirrors, arrivals, now)
    return Propagation(
        repository=row.repository,
        arch=row.arch,
        category=row.category,
        unit=row.unit,
        mirrors=len(mirrors),
        spreads=spreads,
        slowest=_slowest(newest, mirrors, arrivals),
    )


def spread(
    versions: Sequence[UnitVersion], mirrors: Sequence[DeclaredMirror], arrivals: Iterable[Arrival], now: int
) -> tuple[Spread, ...]:
    """Return how each of some versions, newest first, spread among the mirrors."""
    seen = _seen(arrivals)
    spreads: list[Spread] = []
    for number, version in enumerate(versions):
        later = [one.sha256 for one in versions[: number + 1]]
        got: list[tuple[int, int]] = []
        for mirror in mirrors:
            at = min((seen[sha256, mirror.mirror] for sha256 in later if (sha256, mirror.mirror) in seen), default=None)
            if at is not None and at <= now:
                got.append((_rounded(at - version.first_seen), mirror.bandwidth))
        got.sort()
        spreads.append(
            Spread(
                sha256=version.sha256,
                published=version.first_seen,
                superseded=version.superseded,
                curve=_curve(got, mirrors),
                reached={percent: _reached(got, len(mirrors), percent) for percent in QUANTILES},
                have=len(got),
            )
        )
    return tuple(spreads)


def _seen(arrivals: Iterable[Arrival]) -> dict[tuple[str, str], int]:
    return {(arrival.sha256, arrival.mirror): arrival.seen for arrival in arrivals}


def _rounded(seconds: int) -> int:
    """Round up to the resolution; a mirror that was seen before the master has it at once."""
    return max(0, -(-seconds // RESOLUTION) * RESOLUTION)


def _curve(got: Sequence[tuple[int, int]], mirrors: Sequence[DeclaredMirror]) -> tuple[Step, ...]:
    """Add up (seconds after the publication, bandwidth), which are in order."""
    all_of_it = sum(mirror.bandwidth for mirror in mirrors) or 1
    steps = {0: (0, 0)}
    capacity = 0
    for count, (after, bandwidth) in enumerate(got, 1):
        capacity += bandwidth
        steps[after] = (count, capacity)
    return tuple(
        Step(after=after, mirrors=count / (len(mirrors) or 1), capacity=capacity / all_of_it)
        for after, (count, capacity) in steps.items()
    )


def _reached(got: Sequence[tuple[int, int]], mirrors: int, percent: int) -> int | None:
    """Return when a share of the mirrors had a version; the share is rounded up to whole mirrors."""
    needed = -(-mirrors * percent // 100)
    return got[needed - 1][0] if 0 < needed <= len(got) else None


def _slowest(
    versions: Sequence[UnitVersion], mirrors: Sequence[DeclaredMirror], arrivals: Iterable[Arrival]
) -> tuple[Straggler, ...]:
    if not versions:
        return ()
    seen, current = _seen(arrivals), versions[0]
    found = [
        Straggler(
            mirror=mirror.mirror,
            country=mirror.country,
            after=None if at is None else _rounded(at - current.first_seen),
        )
        for mirror in mirrors
        for at in [seen.get((current.sha256, mirror.mirror))]
    ]
    late = [one for one in found if one.after is None or one.after > 0]
    late.sort(key=lambda one: (one.after is not None, -(one.after or 0), one.mirror))
    return tuple(late[:_SLOWEST])
