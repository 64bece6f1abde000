"""The state of each mirror in one word, with its reason: the table of `status`, and of the page of all mirrors.

A mirror has the worst state that anything of it has. What was never observed is offered as declared, and is called so.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from mirrorlist_admin.store import schema
from mirrorlist_snapshot.freshness.observed import Freshness, Reachability

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mirrorlist_admin.store import Store
    from mirrorlist_admin.store.checkin_rows import CheckIn
    from mirrorlist_admin.store.rows import DeclaredMirror
    from mirrorlist_snapshot.freshness.observed import MirrorObservation, UnitObservation, UrlObservation


class State(StrEnum):
    """The state of a mirror, the worst first."""

    MAINTENANCE = "maintenance"
    """It wants no clients, by its own word."""
    DOWN = "down"
    """None of its URLs answers: it is in no list."""
    OUT_OF_DATE = "out of date"
    """Some of its repositories are stale or missing: it is not in their lists."""
    PARTLY_DOWN = "partly down"
    """Some of its URLs, or one address family, do not answer."""
    SUSPECT = "suspect"
    """Something failed once or twice; it is still offered."""
    LATE = "late"
    """Some of its repositories are older than they should be; it is still offered."""
    RETURNING = "returning"
    """It has come back, and gets part of its traffic."""
    FRESH = "fresh"
    NOT_OBSERVED = "not observed"
    """Nothing is known of it: it is offered as declared."""
    INACTIVE = "switched off"
    """The operators have switched it off."""


OFFERED: Final = frozenset(
    {State.PARTLY_DOWN, State.SUSPECT, State.LATE, State.RETURNING, State.FRESH, State.NOT_OBSERVED}
)
"""States in which a mirror is in the lists of everything that it carries."""
_UNIT_ORDER: Final = (Freshness.MISSING, Freshness.STALE, Freshness.LATE, Freshness.FRESH)


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorStatus:
    """One mirror. All times are seconds since 1970 UTC, 0 for never."""

    mirror: str
    country: str
    bandwidth: int
    """Mbit/s."""
    private: bool
    state: State
    why: str
    """One line for people; empty if all is well."""
    lag: int
    """Seconds since the oldest of its versions was superseded; 0 if all are current."""
    checked: int
    """When it was last asked, or reported, with a result."""
    families: Mapping[int, str]
    """4 and 6 -> `up`, `partly`, `suspect` or `down`, over all URLs that were observed."""
    schemes: tuple[str, ...]
    """Schemes of its URLs, in the order of the alphabet."""
    units: Mapping[str, int]
    """State -> number of its index files with that state."""
    weight: int
    """Percent of its bandwidth that counts."""
    reported: int
    """When it last reported."""

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self) | {"families": {f"ipv{family}": state for family, state in self.families.items()}}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Units:
    """The units of one mirror, counted."""

    counts: Mapping[str, int]
    lag: int
    checked: int
    worst: UnitObservation | None


def mirror_statuses(store: Store, now: int, *, private: bool, only: str | None = None) -> list[MirrorStatus]:
    """Return the mirrors, or one of them, in the order of their names; private ones only if asked for."""
    one, values = ("", ()) if only is None else ("WHERE mirror = ?", (only,))
    declared = [row for row in store.read(schema.DECLARED_MIRROR, one, *values) if private or not row.private]
    urls: dict[str, list[UrlObservation]] = {}
    for url in store.read(schema.URL_STATE, one, *values):
        urls.setdefault(url.mirror, []).append(url)
    schemes: dict[str, set[str]] = {}
    for row in store.read(schema.DECLARED_URL, one, *values):
        schemes.setdefault(row.mirror, set()).add(row.url.partition(":")[0])
    units = _units(store, one, values)
    weights = {row.mirror: row for row in store.read(schema.MIRROR_STATE, one, *values)}
    reports = {row.mirror: row for row in store.read(schema.CHECK_IN, one, *values)}
    return [
        _status(
            mirror,
            now,
            urls.get(mirror.mirror, []),
            units.get(mirror.mirror),
            weights.get(mirror.mirror),
            reports.get(mirror.mirror),
            tuple(sorted(schemes.get(mirror.mirror, ()))),
        )
        for mirror in declared
    ]


def report_json(report: CheckIn) -> dict[str, Any]:
    """Return what everyone may know of a mirror's reports, as plain values."""
    return {
        "received": report.received,
        "down_until": report.down_until,
        "reason": report.reason,
        "syncing": report.syncing,
        "distrusted_until": report.distrusted_until,
        "limit": report.limit,
    }


def _units(store: Store, one: str, values: tuple[str, ...]) -> dict[str, _Units]:
    """Sum up in SQL: of 150,000 rows almost all are fresh, and one row a mirror is enough of these."""
    others: dict[str, list[UnitObservation]] = {}
    for unit in store.read(schema.UNIT_STATE, f"{one or 'WHERE true'} AND state <> 'fresh'", *values):
        others.setdefault(unit.mirror, []).append(unit)
    found: dict[str, _Units] = {}
    summed = f"SELECT mirror, count(*), max(lag), max(checked) FROM unit_state {one} GROUP BY mirror"  # noqa: S608 - ours
    for mirror, count, lag, checked in store.query(summed, *values):
        bad = others.get(mirror, [])
        counts = Counter(unit.state.value for unit in bad)
        if count > len(bad):
            counts[Freshness.FRESH.value] = count - len(bad)
        found[mirror] = _Units(counts=counts, lag=lag, checked=checked, worst=min(bad, key=_badness, default=None))
    return found


def _badness(unit: UnitObservation) -> tuple[int, int]:
    return _UNIT_ORDER.index(unit.state), -unit.lag


def _status(  # noqa: PLR0913, PLR0917 - one row of each table
    declared: DeclaredMirror,
    now: int,
    urls: Sequence[UrlObservation],
    units: _Units | None,
    weight: MirrorObservation | None,
    report: CheckIn | None,
    schemes: tuple[str, ...],
) -> MirrorStatus:
    percent = weight.weight if weight is not None and (not weight.until or weight.until > now) else 100
    state, why = _judge(declared, now, urls, units, percent, report)
    return MirrorStatus(
        mirror=declared.mirror,
        country=declared.country,
        bandwidth=declared.bandwidth,
        private=bool(declared.private),
        state=state,
        why=why,
        lag=units.lag if units else 0,
        checked=max([units.checked if units else 0, *(url.checked for url in urls)]),
        families={family: _family(states) for family, states in sorted(_by_family(urls).items())},
        schemes=schemes,
        units=dict(units.counts) if units else {},
        weight=percent,
        reported=report.received if report else 0,
    )


def _judge(  # noqa: PLR0913, PLR0917 - one row of each table
    declared: DeclaredMirror,
    now: int,
    urls: Sequence[UrlObservation],
    units: _Units | None,
    percent: int,
    report: CheckIn | None,
) -> tuple[State, str]:
    """Return the worst state, and why."""
    if not declared.active:
        return State.INACTIVE, "the operators have switched it off"
    if report is not None and report.down_until > now:
        return State.MAINTENANCE, report.reason or "maintenance"
    bad = [url for url in urls if url.state is not Reachability.UP]
    down = [url for url in bad if url.state is Reachability.DOWN]
    if urls and len(down) == len(urls):
        return State.DOWN, _reason(down[0])
    worst = units.worst if units else None
    if worst is not None and worst.state is not Freshness.LATE:
        return State.OUT_OF_DATE, _unit_reason(worst, units)
    if down:
        return State.PARTLY_DOWN, _reason(down[0])
    if bad:
        return State.SUSPECT, _reason(bad[0])
    if worst is not None:
        return State.LATE, _unit_reason(worst, units)
    if percent < 100:  # noqa: PLR2004 - percent
        return State.RETURNING, f"back again: {percent} % of its traffic for now"
    return (State.FRESH, "") if urls or units else (State.NOT_OBSERVED, "")


def _reason(url: UrlObservation) -> str:
    return f"{url.url.partition(':')[0]} over IPv{url.family}: {url.reason or url.state}"


def _unit_reason(worst: UnitObservation, units: _Units | None) -> str:
    """Say what the worst unit has, and how many more there are."""
    counts: Mapping[str, int] = units.counts if units else {}
    others = sum(counts.get(state, 0) for state in _UNIT_ORDER[:3]) - 1
    more = f", and {others} more" if others > 0 else ""
    return f"{worst.unit}: {worst.reason or worst.state}{more}"


def _by_family(urls: Sequence[UrlObservation]) -> dict[int, list[Reachability]]:
    families: dict[int, list[Reachability]] = {}
    for url in urls:
        families.setdefault(url.family, []).append(url.state)
    return families


def _family(states: Sequence[Reachability]) -> str:
    if Reachability.DOWN in states:
        return "down" if all(state is Reachability.DOWN for state in states) else "partly"
    return "suspect" if Reachability.SUSPECT in states else "up"
