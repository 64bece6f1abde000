"""What merging observations takes at the design point: reading the prober's file, applying it, compiling, encoding.

Run as `.venv/bin/python bench/freshness.py [--scale 0.1]`. Every mirror has a row for each of its URLs over both
address families and for each unit of its categories. Some are down, late, stale or missing, in two ways: by chance, and
most mirrors of some units at once, as after a release.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import time
from contextlib import closing
from dataclasses import astuple
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from corpus import BUILT, DESIGN, SEED, records
from mirrorlist_snapshot.compiler import compile_snapshot
from mirrorlist_snapshot.format import decode, encode
from mirrorlist_snapshot.freshness.merging import apply
from mirrorlist_snapshot.freshness.observations_file import TABLES, VERSION, read_observations
from mirrorlist_snapshot.freshness.observed import Freshness, Reachability, UnitObservation, UrlObservation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from corpus import Size
    from mirrorlist_snapshot.records import NetworkRecords

_STATES: Final = (
    *[Freshness.FRESH] * 90,
    *[Freshness.LATE] * 6,
    *[Freshness.STALE] * 3,
    *[Freshness.MISSING] * 1,
)
_DOWN: Final = 0.02
_RELEASED: Final = 0.05
"""Part of the units that changed just now: one mirror in five has the new version, the others are late or stale."""


def _urls(made: NetworkRecords, random: Random) -> Iterator[UrlObservation]:
    for mirror in made.mirrors:
        down = random.random() < _DOWN
        for content in mirror.contents:
            for url in content.urls:
                for family in (4, 6):
                    yield UrlObservation(
                        mirror=mirror.name,
                        category=content.category,
                        url=url,
                        family=family,
                        state=Reachability.DOWN if down or random.random() < _DOWN else Reachability.UP,
                        since=BUILT - 9_000,
                        checked=BUILT - 60,
                        reason="connection refused" if down else "",
                    )


def _units(made: NetworkRecords, size: Size, random: Random) -> Iterator[UnitObservation]:
    carriers = {
        category: [one.name for one in made.mirrors if any(part.category == category for part in one.contents)]
        for category in made.directories
    }
    for _, _, category, path in size.names():
        released = random.random() < _RELEASED
        for name in carriers[category]:
            state = random.choice(_STATES)
            if released:
                state = random.choice((Freshness.FRESH, *[Freshness.LATE] * 2, *[Freshness.STALE] * 2))
            lag = {Freshness.FRESH: 0, Freshness.LATE: 50_000}.get(state, 100_000)
            yield UnitObservation(
                mirror=name,
                category=category,
                unit=f"{path}/repodata/repomd.xml",
                state=state,
                since=BUILT - 9_000,
                checked=BUILT - 60,
                lag=lag,
                version=f"{lag:064x}",
                reason="" if state is Freshness.FRESH else "repomd.xml of 2026-11-28 03:00, superseded 27 h ago",
            )


def write(path: Path, made: NetworkRecords, size: Size) -> None:
    """Write the prober's file for a network."""
    random = Random(SEED)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(TABLES)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("INSERT INTO run VALUES (?)", (BUILT,))
        connection.executemany("INSERT INTO url_state VALUES (?,?,?,?,?,?,?,?)", map(astuple, _urls(made, random)))
        connection.executemany(
            "INSERT INTO unit_state VALUES (?,?,?,?,?,?,?,?,?)", map(astuple, _units(made, size, random))
        )
        connection.executemany(
            "INSERT INTO unit_directory VALUES (?,?,?)",
            [(category, f"{path}/repodata/repomd.xml", path) for _, _, category, path in size.names()],
        )


def main() -> int:
    """Print the processor time of each step."""
    parser = argparse.ArgumentParser(description="Measure merging observations with the sources.")
    parser.add_argument("--scale", type=float, default=1.0, metavar="PART", help="1, 0.1 or 0.01 (default: 1)")
    size = DESIGN.scaled(parser.parse_args().scale)
    made = records(size)
    with TemporaryDirectory() as folder:
        file = Path(folder, "observations.db")
        write(file, made, size)
        spent = [time.process_time()]
        observations = read_observations(file)
        spent.append(time.process_time())
        merged = apply(made, observations)
        spent.append(time.process_time())
        snapshot = compile_snapshot(merged.records, serial=1, built=BUILT, generator="bench/freshness.py")
        spent.append(time.process_time())
        data = encode(snapshot)
        spent.append(time.process_time())
        decode(data)
        spent.append(time.process_time())
    plain = encode(compile_snapshot(made, serial=1, built=BUILT, generator="bench/freshness.py"))
    spent.append(time.process_time())
    steps = ("read the file", "apply", "compile", "encode", "decode", "compile and encode without observations")
    print(f"{len(observations.units):,} units, {len(observations.urls):,} URLs, {len(merged.kept):,} kept")
    for step, start, end in zip(steps, spent, spent[1:], strict=False):
        print(f"{end - start:6.2f} s  {step}")
    print(f"{len(data):,} bytes, {len(plain):,} without; {len(snapshot.sets):,} carrier sets")
    return 0


if __name__ == "__main__":
    sys.exit(main())
