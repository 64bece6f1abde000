"""Section health: what was observed of each mirror, unpacked one mirror at a time.

Every item is checked when the table is opened, and unpacked again at each look-up: a server keeps the bytes only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from mirrorlist_snapshot.errors import SnapshotError
from mirrorlist_snapshot.format.container import MAX_TIME
from mirrorlist_snapshot.format.packed import CONTROL, Budget, Fields, array_items, pack_array, unpack_item, without
from mirrorlist_snapshot.health import MAX_ROWS, DownUrl, Freshness, MirrorHealth, OldUnit

if TYPE_CHECKING:
    from collections.abc import Sequence

EMPTY: Final = memoryview(b"\x90")
"""An array of no items: the section that is left out."""
_STATES: Final = {str(state): state for state in Freshness if state is not Freshness.FRESH}
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
    "category": 0,
    "state": str(Freshness.STALE),
    "offered": False,
    "since": 0,
    "lag": 0,
    "reason": "",
}


class HealthTable(Mapping[int, MirrorHealth]):
    """Mirror number -> health, over the section's bytes."""

    __slots__ = ("_categories", "_items", "_repositories", "data")

    def __init__(
        self, data: memoryview, categories: Sequence[str], repositories: Sequence[str], *, mirrors: int
    ) -> None:
        """Open the table; the names are those of the snapshot, by number. Raise SnapshotError for a wrong value."""
        self.data = data
        self._categories = categories
        self._repositories = repositories
        self._items: dict[int, memoryview] = {}
        budget, last = Budget("rows of health", MAX_ROWS), -1
        for item in array_items("health", data, mirrors):
            fields = Fields("health", unpack_item("health", item))
            number = fields.number("mirror", 0)
            if not last < number < mirrors:
                raise SnapshotError(f"health of ascending mirrors below {mirrors}", f"{number} after {last}")
            self._read(fields, budget)
            self._items[number] = item
            last = number

    @classmethod
    def build(
        cls, health: Mapping[int, MirrorHealth], categories: Sequence[str], repositories: Sequence[str], *, mirrors: int
    ) -> HealthTable:
        """Build a table from any mapping; raise SnapshotError for what a reader would refuse."""
        packer = _Packer(categories, repositories)
        data = pack_array("health", (packer.mirror(number, one) for number, one in sorted(health.items())))
        return cls(memoryview(data), categories, repositories, mirrors=mirrors)

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
        return MirrorHealth(
            checked=_time(fields.number("checked", 0)),
            families=families,
            weight=_at_most("weight", fields.number("weight", 100), 100),
            until=_time(fields.number("until", 0)),
            lags={_named("repository", self._repositories, number): found[number] for number in sorted(found)},
            down=tuple(map(self._down, fields.maps("down", budget))),
            old=tuple(map(self._old, fields.maps("old", budget))),
        )

    def _down(self, fields: Fields) -> DownUrl:
        family = fields.number("family", 0)
        if family not in {0, 4, 6}:
            raise SnapshotError("0, 4 or 6 as family of health", str(family))
        return DownUrl(
            category=_named("category", self._categories, fields.number("category", 0)),
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
            category=_named("category", self._categories, fields.number("category", 0)),
            unit=_text(fields.text("unit")),
            directories=tuple(map(_text, fields.texts("directories"))),
            state=_STATES[state],
            offered=fields.flag("offered", default=False),
            since=_time(fields.number("since", 0)),
            lag=_time(fields.number("lag", 0)),
            reason=_text(fields.text("reason", "")),
        )


class _Packer:
    """Packs health with numbers instead of names."""

    def __init__(self, categories: Sequence[str], repositories: Sequence[str]) -> None:
        self._categories = {name: number for number, name in enumerate(categories)}
        self._repositories = {name: number for number, name in enumerate(repositories)}

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
        category = _number("category", self._categories, one.category)
        values = {"url": one.url, "family": one.family, "since": one.since, "reason": one.reason}
        return without(_DOWN, {"category": category, **values})

    def _old(self, one: OldUnit) -> dict[str, Any]:
        values = {
            "unit": one.unit,
            "directories": one.directories,
            "state": str(one.state),
            "offered": one.offered,
            "since": one.since,
            "lag": one.lag,
            "reason": one.reason,
        }
        return without(_OLD, {"category": _number("category", self._categories, one.category), **values})


def _named(kind: str, names: Sequence[str], number: int) -> str:
    if number >= len(names):
        raise SnapshotError(f"health of a {kind} below {len(names)}", str(number))
    return names[number]


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
