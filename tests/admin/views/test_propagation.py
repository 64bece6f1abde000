"""Propagation: curves and quantiles from arrivals, against a slow model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from mirrorlist_admin.store import Store, schema
from mirrorlist_admin.store.rows import Arrival, DeclaredMirror, RepositoryUnit, Run, UnitVersion
from mirrorlist_admin.views.propagation import QUANTILES, RESOLUTION, read_propagation, spread
from support.observed_networks import NOW, observed_network, sha

if TYPE_CHECKING:
    from pathlib import Path

NAMES = tuple(f"m{number}" for number in range(7))
MIRRORS = tuple(
    DeclaredMirror(mirror=name, country="DE", bandwidth=100 * (number + 1), private=0, active=1)
    for number, name in enumerate(NAMES)
)
BIRTHS = (20_000, 10_000, 0)
"""When the versions v0 (the newest), v1 and v2 appeared."""


def version(number: int) -> UnitVersion:
    """One version of the unit."""
    superseded = BIRTHS[number - 1] if number else 0
    return UnitVersion(
        category="c", unit="u", sha256=f"v{number}", size=1, stated=0, first_seen=BIRTHS[number], superseded=superseded
    )


SEEN = st.dictionaries(st.tuples(st.sampled_from(("v0", "v1", "v2")), st.sampled_from(NAMES)), st.integers(0, 40_000))


@given(SEEN, st.integers(0, 50_000))
def test_curves_and_quantiles_follow_the_model(seen: dict[tuple[str, str], int], now: int) -> None:
    """A mirror has a version from when it was seen with it or a later one; counts, shares and quantiles follow."""
    arrivals = [
        Arrival(category="c", unit="u", sha256=sha256, mirror=mirror, seen=at) for (sha256, mirror), at in seen.items()
    ]
    spreads = spread([version(number) for number in range(3)], MIRRORS, arrivals, now)
    for number, found in enumerate(spreads):
        waits: dict[str, int] = {}
        for name in NAMES:
            times = [seen[f"v{later}", name] for later in range(number + 1) if (f"v{later}", name) in seen]
            if times and min(times) <= now:
                waits[name] = max(0, math.ceil((min(times) - BIRTHS[number]) / RESOLUTION) * RESOLUTION)
        assert found.have == len(waits)
        for step in found.curve:
            have = [name for name, wait in waits.items() if wait <= step.after]
            assert math.isclose(step.mirrors, len(have) / 7)
            assert math.isclose(step.capacity, sum(100 * (NAMES.index(name) + 1) for name in have) / 2800)
        assert [step.after for step in found.curve] == sorted({0, *waits.values()})
        for percent in QUANTILES:
            first = [
                wait for wait in sorted(waits.values()) if sum(w <= wait for w in waits.values()) * 100 >= 7 * percent
            ]
            assert found.reached[percent] == (first[0] if first else None)


def test_versions_from_before_the_first_run_are_left_out(tmp_path: Path) -> None:
    """When probing begins, every mirror is first seen at that moment: that is no propagation."""
    network = observed_network(tmp_path, 1)
    network.add_mirror("m.example")
    unit = network.units[0]
    with network.store() as store:
        row: RepositoryUnit = store.read(schema.REPOSITORY_UNIT)[0]
        arrived = Arrival(category="epel", unit=unit, sha256=sha(unit, 2), mirror="m.example", seen=NOW - 100)
        store.write(schema.ARRIVAL, [arrived])
        assert len(read_propagation(store, row, NOW).spreads) == 3
        begun(store, NOW - 700)
        found = read_propagation(store, row, NOW)
        assert [one.sha256 for one in found.spreads] == [sha(unit, 2)]
        assert found.spreads[0].reached == {50: 600, 90: 600, 99: 600}
        begun(store, NOW - 500)
        assert len(read_propagation(store, row, NOW).spreads) == 1, "the earliest run counts"


def begun(store: Store, at: int) -> None:
    """Let a run have begun."""
    store.write(schema.RUN, [Run(began=at, ended=at + 1, void="", requests=0, mirrors=0, changes=0, held=0)])
