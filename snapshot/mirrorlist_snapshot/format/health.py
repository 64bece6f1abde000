"""Sections units and health: what was observed of each mirror, unpacked one mirror at a time.

Every item is checked when the table is opened, and unpacked again at each look-up: of the mirrors, a server keeps the
bytes only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mirrorlist_snapshot.errors import SnapshotError
from mirrorlist_snapshot.format.container import MAX_TIME
from mirrorlist_snapshot.format.packed import (
    CONTROL,
    Budget,
    Fields,
    array_items,
    array_of_maps,
    pack_array,
    unpack_item,
    without,
)
from mirrorlist_snapshot.health import MAX_ROWS, MAX_UNITS, DownUrl, Freshness, MirrorHealth, OldUnit, Unit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from mirrorlist_snapshot.model import Category, Repository

T = TypeVar("T")

EMPTY: Final = memoryview(b"\x90")
"""An array of no items: a section that is left out."""
_STATES: Final = {str(state): state for state in Freshness if state is not Freshness.FRESH}
_UNIT: Final[dict[str, Any]] = {"category": 0, "directories": ()}
_MIRROR: Final[dict[str, Any]] = {
    "checked": 0,
    "families": (),
    "weight": 100,
    "until": 0,
    "current": [],
    "lagging": [],
    "lags": [],
    "down": [],
    "old": [],
}
_DOWN: Final[dict[str, Any]] = {"category": 0, "family": 0, "since": 0, "reason": ""}
_OLD: Final[dict[str, Any]] = {
    "unit": 0,
    "state": str(Freshness.STALE),
    "offered": False,
    "since": 0,
    "lag": 0,
    "reason": "",
}


@dataclass(frozen=True, slots=True)
class Names:
    """What health refers to by number."""

    categories: Sequence[str]
    repositories: Sequence[str]
    mirrors: int
    """How many there are."""

    @classmethod
    def of(cls, categories: Sequence[Category], repositories: Sequence[Repository], mirrors: int) -> Self:
        """Take the names of a snapshot's records."""
        return cls([one.name for one in categories], [one.name for one in repositories], mirrors)


class HealthTable(Mapping[int, MirrorHealth]):
    """Mirror number -> health, over the sections' bytes."""

    __slots__ = ("_items", "_names", "_units", "data", "units_data")

    def __init__(self, data: memoryview, units: memoryview, names: Names) -> None:
        """Open the table over its sections, which stay in use; raise SnapshotError for a wrong value."""
        self.data = data
        self.units_data = units
        self._names = names
        self._units = tuple(_units(units, names))
        self._items: dict[int, memoryview] = {}
        budget, last = Budget("rows of health", MAX_ROWS), -1
        for item in array_items("health", data, names.mirrors):
            fields = Fields("health", unpack_item("health", item))
            number = fields.number("mirror", 0)
            if not last < number < names.mirrors:
                raise SnapshotError(f"health of ascending mirrors below {names.mirrors}", f"{number} after {last}")
            self._read(fields, budget)
            self._items[number] = item
            last = number

    @classmethod
    def build(cls, health: Mapping[int, MirrorHealth], names: Names) -> Self:
        """Build a table from any mapping; raise SnapshotError for what a reader would refuse."""
        packer = _Packer(names)
        data = pack_array("health", [packer.mirror(number, one) for number, one in sorted(health.items())])
        return cls(memoryview(data), memoryview(packer.units()), names)

    def __getitem__(self, mirror: int) -> MirrorHealth:
        return self._read(Fields("health", unpack_item("health", self._items[mirror])), Budget("rows", MAX_ROWS))

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[int]:
        return iter(self._items)

    def _read(self, fields: Fields, budget: Budget) -> MirrorHealth:
        families = fields.numbers("families")
        if families not in {(), (4,), (6,), (4, 6)}:
            raise SnapshotError("4 and 6 as families of health", str(families))
        lagging, lags = budget.spend(fields.numbers("lagging")), fields.numbers("lags")
        if len(lagging) != len(lags):
            raise SnapshotError(f"{len(lagging)} lags of health", str(len(lags)))
        found = dict.fromkeys(budget.spend(fields.numbers("current")), 0)
        found |= dict(zip(lagging, map(_time, lags), strict=True))
        repositories = self._names.repositories
        return MirrorHealth(
            checked=_time(fields.number("checked", 0)),
            families=families,
            weight=_at_most("weight", fields.number("weight", 100), 100),
            until=_time(fields.number("until", 0)),
            lags={_of("repository", repositories, number): found[number] for number in sorted(found)},
            down=tuple(map(self._down, fields.maps("down", budget))),
            old=tuple(map(self._old, fields.maps("old", budget))),
        )

    def _down(self, fields: Fields) -> DownUrl:
        family = fields.number("family", 0)
        if family not in {0, 4, 6}:
            raise SnapshotError("0, 4 or 6 as family of health", str(family))
        return DownUrl(
            category=_of("category", self._names.categories, fields.number("category", 0)),
            url=_text(fields.text("url")),
            family=family,
            since=_time(fields.number("since", 0)),
            reason=_text(fields.text("reason", "")),
        )

    def _old(self, fields: Fields) -> OldUnit:
        state = fields.text("state", str(Freshness.STALE))
        if state not in _STATES:
            raise SnapshotError(f"one of {', '.join(_STATES)} as state of health", repr(state))
        return OldUnit(
            unit=_of("unit", self._units, fields.number("unit", 0)),
            state=_STATES[state],
            offered=fields.flag("offered", default=False),
            since=_time(fields.number("since", 0)),
            lag=_time(fields.number("lag", 0)),
            reason=_text(fields.text("reason", "")),
        )


def _units(data: memoryview, names: Names) -> Iterator[Unit]:
    budget = Budget("directories of units", MAX_UNITS)
    for fields in array_of_maps("unit", data, MAX_UNITS):
        yield Unit(
            category=_of("category", names.categories, fields.number("category", 0)),
            path=_text(fields.text("path")),
            directories=tuple(map(_text, budget.spend(fields.texts("directories")))),
        )


class _Packer:
    """Packs health with numbers instead of names."""

    def __init__(self, names: Names) -> None:
        self._categories = {name: number for number, name in enumerate(names.categories)}
        self._repositories = {name: number for number, name in enumerate(names.repositories)}
        self._units: dict[Unit, int] = {}

    def units(self) -> bytes:
        """Return the section of the units that occurred."""
        return pack_array(
            "unit",
            (
                without(
                    _UNIT,
                    {"category": self._category(one.category), "path": one.path, "directories": one.directories},
                )
                for one in self._units
            ),
        )

    def mirror(self, number: int, health: MirrorHealth) -> dict[str, Any]:
        lags = sorted((_number("repository", self._repositories, name), lag) for name, lag in health.lags.items())
        lagging = [(repository, lag) for repository, lag in lags if lag]
        return {"mirror": number} | without(
            _MIRROR,
            {
                "checked": health.checked,
                "families": health.families,
                "weight": health.weight,
                "until": health.until,
                "current": [repository for repository, lag in lags if not lag],
                "lagging": [repository for repository, _ in lagging],
                "lags": [lag for _, lag in lagging],
                "down": [self._down(one) for one in health.down],
                "old": [self._old(one) for one in health.old],
            },
        )

    def _down(self, one: DownUrl) -> dict[str, Any]:
        values = {"url": one.url, "family": one.family, "since": one.since, "reason": one.reason}
        return without(_DOWN, {"category": self._category(one.category), **values})

    def _old(self, one: OldUnit) -> dict[str, Any]:
        return without(
            _OLD,
            {
                "unit": self._units.setdefault(one.unit, len(self._units)),
                "state": str(one.state),
                "offered": one.offered,
                "since": one.since,
                "lag": one.lag,
                "reason": one.reason,
            },
        )

    def _category(self, name: str) -> int:
        return _number("category", self._categories, name)


def _of(kind: str, known: Sequence[T], number: int) -> T:
    if number >= len(known):
        raise SnapshotError(f"health of a {kind} below {len(known)}", str(number))
    return known[number]


def _number(kind: str, numbers: Mapping[str, int], name: str) -> int:
    if name not in numbers:
        raise SnapshotError(f"health of a {kind} in the snapshot", repr(name))
    return numbers[name]


def _time(value: int) -> int:
    return _at_most("time", value, MAX_TIME)


def _at_most(what: str, value: int, limit: int) -> int:
    if value > limit:
        raise SnapshotError(f"a {what} of health up to {limit}", str(value))
    return value


def _text(text: str) -> str:
    if CONTROL.search(text):
        raise SnapshotError("health in printable characters", repr(text))
    return text
