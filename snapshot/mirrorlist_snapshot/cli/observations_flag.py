"""`compile --observations`: what the prober saw decides which mirrors are offered for what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mirrorlist_snapshot.cli.shared import CommandError, console
from mirrorlist_snapshot.console import YELLOW, printable
from mirrorlist_snapshot.duration import in_words
from mirrorlist_snapshot.errors import Complaint, ObservationsError
from mirrorlist_snapshot.freshness.merging import apply
from mirrorlist_snapshot.freshness.observations_file import read_observations
from mirrorlist_snapshot.report.text import plural

if TYPE_CHECKING:
    import argparse

    from mirrorlist_snapshot.freshness.merging import Merged
    from mirrorlist_snapshot.health import MirrorHealth
    from mirrorlist_snapshot.records import NetworkRecords

EPILOG: Final = """\
--observations reads what `mirrorlist-admin probe` saw: FILE is observations.db in its folder --state. URLs that are
down are left out, and mirrors whose files are stale or missing are left out of the directories that these files stand
for. What was never observed is offered as the sources say. If no mirror has a current file, those with the newest stay.
"""
_NAMED: Final = 5
_OLD: Final = 86_400
"""Seconds: probing runs every few minutes; after a day without a run it has probably stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The result of merging observations with the sources."""

    records: NetworkRecords
    complaints: tuple[Complaint, ...]
    """Warnings; they have been shown."""
    facts: dict[str, Any]
    """For --json."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flag to the verb."""
    group = parser.add_argument_group("observations")
    group.add_argument(
        "--observations",
        metavar="FILE",
        type=Path,
        help="leave out what the prober found down or out of date: its observations.db",
    )


def merge(path: Path, records: NetworkRecords, built: int) -> Observed:
    """Merge the records with the prober's file; `built` is the snapshot's time, in seconds since 1970 UTC."""
    try:
        observations = read_observations(path)
    except ObservationsError as failure:
        raise CommandError(str(failure)) from failure
    merged = apply(records, observations)
    complaints = tuple(
        Complaint(file=str(path), line=None, key="", message=text, warning=True)
        for text in [*_age(built - observations.taken, observations.taken), *_kept(merged)]
    )
    for complaint in complaints:
        console().say(str(complaint), YELLOW)
    health = {mirror.name: mirror.health for mirror in merged.records.mirrors if mirror.health}
    left_out = sorted(name for name, one in health.items() if _is_left_out(one))
    console().say(
        f"observations: {plural(len(health), 'mirror')} observed, "
        f"{len(left_out) or 'none'} left out, wholly or for some directories"
    )
    kept = [{"mirror": row.mirror, "category": row.category, "unit": row.unit} for row in merged.kept]
    facts = {"taken": observations.taken, "observed": len(health), "left_out": left_out, "kept": kept}
    return Observed(records=merged.records, complaints=complaints, facts=facts)


def _age(seconds: int, taken: int) -> list[str]:
    if not taken:
        return ["no run of the prober has ended yet; mirrors are offered as the sources say"]
    if seconds > _OLD:
        return [f"the prober's last run ended {in_words(seconds)} ago; is it still running?"]
    return []


def _kept(merged: Merged) -> list[str]:
    """Return a warning for each unit that no mirror has fresh."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in merged.kept:
        found.setdefault((row.category, row.unit), []).append(row.mirror)
    return [
        f"{printable(category)}: {printable(unit)} is out of date or missing on every mirror; these stay in the lists: "
        + ", ".join(names[:_NAMED])
        + (f" and {len(names) - _NAMED} more" if names[_NAMED:] else "")
        for (category, unit), names in found.items()
    ]


def _is_left_out(health: MirrorHealth) -> bool:
    return any(not row.offered for row in health.old) or any(row.family == 0 for row in health.down)
