"""A store that looks like a week of a real network: mirrors in every state, events, propagation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Final

from mirrorlist_admin.checkin.counter import first_check_in
from mirrorlist_admin.store import Store, schema
from mirrorlist_admin.store.rows import (
    Arrival,
    DeclaredMirror,
    DeclaredUrl,
    Event,
    ExpectedUnit,
    RepositoryUnit,
    Run,
    Subject,
    UnitVersion,
    WatchedUnit,
)
from mirrorlist_snapshot.freshness.observed import (
    Freshness,
    MirrorObservation,
    Reachability,
    UnitObservation,
    UrlObservation,
)

if TYPE_CHECKING:
    from pathlib import Path

HOUR, DAY = 3600, 86_400
ARCHES: Final = ("x86_64", "aarch64", "ppc64le")
STATES: Final = (
    "fresh",
    "down",
    "stale",
    "v6",
    "suspect",
    "late",
    "returning",
    "maintenance",
    "unseen",
    "private",
    "off",
)
"""The first mirrors are in these states, and are called so: `down.example.de`; all others are fresh."""
BAD_UNITS: Final = 3
"""Index files of `stale` and `late` that are so."""
HOSTILE: Final = "new disks <b>&amp; more</b>\u202e\x1b[31m"
"""The reason of `maintenance`, which its admin wrote."""


@dataclass(frozen=True)
class Example:
    """What all rows of one example share."""

    store: Store
    now: int
    random: Random
    units: tuple[str, ...]
    versions: tuple[tuple[str, int], ...]
    """SHA-256 and birth of the versions of every unit, the newest first."""


def fill(folder: Path, now: int, *, mirrors: int = 60, repositories: int = 4) -> None:
    """Write such a store."""
    named = [(f"epel-{number}", arch, f"{number}/{arch}") for number in range(8, 8 + repositories) for arch in ARCHES]
    units = tuple(f"{directory}/repodata/repomd.xml" for *_, directory in named)
    ages = (5 * HOUR, 30 * HOUR, 70 * HOUR)
    versions = tuple((f"{number:064x}", now - age) for number, age in enumerate(ages))
    with Store(folder) as store, store.transaction():
        example = Example(store, now, Random(7), units, versions)
        _write_master(example)
        store.write(
            schema.REPOSITORY_UNIT,
            [
                RepositoryUnit(
                    repository=name,
                    arch=arch,
                    category="epel",
                    directory=directory,
                    unit=unit,
                    fresh=12 * HOUR,
                    max_lag=DAY,
                )
                for (name, arch, directory), unit in zip(named, units, strict=True)
            ],
        )
        for number in range(mirrors):
            _write_mirror(example, number)


def _write_master(example: Example) -> None:
    """Write what the master has, and the runs."""
    store, now, versions = example.store, example.now, example.versions
    store.set_taken(now - 130)
    began = now - 7 * DAY
    store.write(schema.RUN, [Run(began=began, ended=began + 60, void="", requests=1, mirrors=1, changes=0, held=0)])
    cause = "only 1 of 5 reference hosts answers"
    store.add_events(
        [_event(example, "", Subject.RUN, "run", ("", "void"), (cause, "the prober's own network"), 2 * HOUR)]
    )
    for unit in example.units:
        watched = WatchedUnit(
            category="epel", unit=unit, kind="repomd", current=versions[0][0], checked=now, etag="", modified=""
        )
        store.write(schema.UNIT, [watched])
        for number, (sha256, born) in enumerate(versions):
            superseded = versions[number - 1][1] if number else 0
            version = UnitVersion(
                category="epel",
                unit=unit,
                sha256=sha256,
                size=3000,
                stated=0,
                first_seen=born,
                superseded=superseded,
            )
            store.write(schema.UNIT_VERSION, [version])


def _write_mirror(example: Example, number: int) -> None:
    """Write all rows of one mirror."""
    state = STATES[number] if number < len(STATES) else "fresh"
    country = example.random.choice(("de", "fr", "us"))
    name = f"{STATES[number] if number < len(STATES) else f'mirror{number}'}.example.{country}"
    declared = DeclaredMirror(
        mirror=name,
        country=country.upper(),
        bandwidth=example.random.choice((100, 1000, 10_000)),
        private=int(state == "private"),
        active=int(state != "off"),
    )
    example.store.write(schema.DECLARED_MIRROR, [declared])
    urls = [f"{scheme}://{name}/epel/" for scheme in ("https", "rsync")]
    example.store.write(schema.DECLARED_URL, [DeclaredUrl(mirror=name, category="epel", url=url) for url in urls])
    expected = [ExpectedUnit(mirror=name, category="epel", unit=unit) for unit in example.units]
    example.store.write(schema.EXPECTED_UNIT, expected)
    if state != "unseen":
        _write_urls(example, name, state, urls[0])
        _write_units(example, name, state)
        _write_arrivals(example, name, state)
        _write_mirror_rows(example, name, state)


def _write_urls(example: Example, name: str, state: str, url: str) -> None:
    """Write the state of the URL over both families, and its events."""
    now = example.now
    first = _event(example, name, Subject.URL, f"{url} v4", ("", "up"), ("first answer", "200 in 31 ms"), 7 * DAY)
    example.store.add_events([first])
    for family in (4, 6):
        down = state == "down" or (state == "v6" and family == 6)
        suspect = state == "suspect" and family == 4
        reach = Reachability.DOWN if down else Reachability.SUSPECT if suspect else Reachability.UP
        reason = "connection refused" if down or suspect else ""
        row = UrlObservation(
            mirror=name,
            category="epel",
            url=url,
            family=family,
            state=reach,
            since=now - 3 * HOUR,
            checked=now - 130,
            reason=reason,
        )
        example.store.write(schema.URL_STATE, [row])
        if down:
            what = f"{url} v{family}"
            failed = _event(
                example, name, Subject.URL, what, ("up", "suspect"), ("first failure", reason), 3 * HOUR + 85
            )
            third = ("third failure in 85 s", f"{reason} by 192.0.2.1")
            gone = _event(example, name, Subject.URL, what, ("suspect", "down"), third, 3 * HOUR)
            example.store.add_events([failed, gone])


def _write_units(example: Example, name: str, state: str) -> None:
    """Write the states of all index files, and an event for the first that is stale."""
    now = example.now
    lag = {"stale": 27 * HOUR, "late": 14 * HOUR}.get(state, 0)
    bad = {"stale": Freshness.STALE, "late": Freshness.LATE}.get(state, Freshness.FRESH)
    for place, unit in enumerate(example.units):
        counts = lag and place < BAD_UNITS
        row = UnitObservation(
            mirror=name,
            category="epel",
            unit=unit,
            state=bad if counts else Freshness.FRESH,
            since=now - 2 * HOUR,
            checked=now - 130,
            lag=lag if counts else 0,
            version=example.versions[bool(counts)][0],
            reason=f"repomd.xml of 2026-11-28 03:00, superseded {lag // HOUR} h ago" if counts else "",
        )
        example.store.write(schema.UNIT_STATE, [row])
    if state == "stale":
        why = ("lag over 24 h", "repomd.xml of 2026-11-28 03:00")
        example.store.add_events(
            [_event(example, name, Subject.UNIT, example.units[0], ("late", "stale"), why, 2 * HOUR)]
        )


def _write_arrivals(example: Example, name: str, state: str) -> None:
    """Write when the mirror got each version."""
    for number, (sha256, born) in enumerate(example.versions):
        seen = born + int(example.random.lognormvariate(8.3, 0.9))
        if seen < example.now and (number or state not in {"stale", "down"}):
            rows = [
                Arrival(category="epel", unit=unit, sha256=sha256, mirror=name, seen=seen) for unit in example.units
            ]
            example.store.write(schema.ARRIVAL, rows)


def _write_mirror_rows(example: Example, name: str, state: str) -> None:
    """Write what holds for the mirror as a whole."""
    now, row = example.now, first_check_in(name)
    if state == "returning":
        example.store.write(schema.MIRROR_STATE, [MirrorObservation(mirror=name, weight=40, until=now + HOUR)])
    elif state == "maintenance":
        row = replace(row, serial=5, received=now - DAY, down_until=now + 2 * HOUR, reason=HOSTILE)
        example.store.write(schema.CHECK_IN, [row])
    elif state == "stale":
        row = replace(row, serial=5, received=now - HOUR, distrusted_until=now + 23 * HOUR)
        example.store.write(schema.CHECK_IN, [row])
        why = ("a report was wrong: reports do not count for a day", "version 1f3a was reported")
        wrong = _event(example, name, Subject.REPORT, example.units[1], ("reported", "wrong"), why, HOUR)
        example.store.add_events([wrong])


def _event(
    example: Example,
    mirror: str,
    subject: Subject,
    name: str,
    states: tuple[str, str],
    why: tuple[str, str],
    age: int,
) -> Event:
    return Event(
        at=example.now - age,
        mirror=mirror,
        category="epel" if mirror else "",
        subject=subject,
        name=name,
        before=states[0],
        after=states[1],
        cause=why[0],
        evidence=why[1],
        by="prober",
    )
