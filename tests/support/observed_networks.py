"""A small observed network in a store: a master with three versions of each unit, and mirrors."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mirrorlist_admin.store import Store, schema
from mirrorlist_admin.store.rows import (
    DeclaredMirror,
    DeclaredUrl,
    ExpectedUnit,
    RepositoryUnit,
    UnitProbe,
    UnitStart,
    UnitVersion,
    WatchedUnit,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NOW = 1_795_946_400
"""2026-11-29 10:00:00 UTC."""
DAY = 86_400
BORN = (NOW - 10 * DAY, NOW - DAY, NOW - 600)
"""When the old, the previous and the current version of each unit appeared on the master."""


def content(unit: str, version: int) -> bytes:
    """The bytes of a version of a unit: 0 old, 1 previous, 2 current; anything else is unknown to the master."""
    return f"<repomd {unit} {version}/>".encode() * 40


def sha(unit: str, version: int) -> str:
    """Its SHA-256."""
    return hashlib.sha256(content(unit, version)).hexdigest()


@dataclass
class Network:
    """An observed network of one category."""

    folder: Path
    units: tuple[str, ...]
    category: str = "epel"
    mirrors: list[str] = field(default_factory=list)

    def store(self) -> Store:
        """Open the store; the caller closes it."""
        return Store(self.folder)

    def add_mirror(self, name: str, version: int = 1, *, private: bool = False, country: str = "DE") -> None:
        """Add a mirror that was seen with one version of all units a minute after it appeared."""
        self.mirrors.append(name)
        with self.store() as store, store.transaction():
            store.write(
                schema.DECLARED_MIRROR,
                [DeclaredMirror(mirror=name, country=country, bandwidth=1000, private=int(private), active=1)],
            )
            url = f"https://{name}/{self.category}/"
            store.write(schema.DECLARED_URL, [DeclaredUrl(mirror=name, category=self.category, url=url)])
            store.write(
                schema.EXPECTED_UNIT,
                [ExpectedUnit(mirror=name, category=self.category, unit=unit) for unit in self.units],
            )
        if not private:
            self.see(name, self.units, version, BORN[version] + 60)

    def see(self, mirror: str, units: Iterable[str], version: int, at: int, *, absent: int = 0) -> None:
        """Let the prober have seen a version of units at a mirror."""
        with self.store() as store, store.transaction():
            store.write(schema.UNIT_PROBE, [self.probe(mirror, unit, version, at, absent=absent) for unit in units])

    def probe(self, mirror: str, unit: str, version: int, at: int, *, absent: int = 0) -> UnitProbe:
        """A row of what was seen."""
        return UnitProbe(
            mirror=mirror,
            category=self.category,
            unit=unit,
            asked=at,
            due=0,
            step=0,
            etag="",
            modified="",
            conditional=0,
            sha256="" if absent else sha(unit, version),
            size=len(content(unit, version)),
            stated=0,
            absent=absent,
            ahead_since=0,
        )

    def files(self, version: int, units: Iterable[str] | None = None) -> dict[str, Any]:
        """The units of a report that claims a version."""
        return {
            unit: {"sha256": sha(unit, version), "size": len(content(unit, version)), "time": NOW}
            for unit in (self.units if units is None else units)
        }


def observed_network(folder: Path, units: int = 6) -> Network:
    """Make a store whose master has three versions of some units, which are repositories of their own."""
    network = Network(folder, tuple(f"{number}/repodata/repomd.xml" for number in range(units)))
    category = network.category
    with network.store() as store, store.transaction():
        store.write(
            schema.UNIT,
            [
                WatchedUnit(
                    category=category,
                    unit=unit,
                    kind="repomd",
                    current=sha(unit, 2),
                    checked=NOW,
                    etag="",
                    modified="",
                )
                for unit in network.units
            ],
        )
        store.write(
            schema.UNIT_VERSION,
            [
                UnitVersion(
                    category=category,
                    unit=unit,
                    sha256=sha(unit, version),
                    size=len(content(unit, version)),
                    stated=0,
                    first_seen=BORN[version],
                    superseded=BORN[version + 1] if version < 2 else 0,
                )
                for unit in network.units
                for version in range(3)
            ],
        )
        store.write(
            schema.UNIT_START,
            [
                UnitStart(
                    category=category, unit=unit, sha256=sha(unit, version), kept=NOW, data=content(unit, version)
                )
                for unit in network.units
                for version in range(3)
            ],
        )
        store.write(
            schema.REPOSITORY_UNIT,
            [
                RepositoryUnit(
                    repository=f"epel-{unit.partition('/')[0]}",
                    arch="",
                    category=category,
                    directory=unit.partition("/")[0],
                    unit=unit,
                    fresh=12 * 3600,
                    max_lag=24 * 3600,
                )
                for unit in network.units
            ],
        )
    return network
