"""What mirrors report counts as seen, as far as `checkin` lets it: put in force inside the run's transaction.

The brake has no say: it doubts what we see, and a report is what a mirror says of itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mirrorlist_admin.checkin.settling import settle
from mirrorlist_admin.prober.happened import Happened
from mirrorlist_admin.prober.in_force import InForce
from mirrorlist_admin.store.rows import Arrival
from mirrorlist_admin.verdict.freshness import ABSENCES, judge
from mirrorlist_admin.verdict.seen import never_seen

if TYPE_CHECKING:
    from mirrorlist_admin.checkin.judgement import Word
    from mirrorlist_admin.network import Network, Unit
    from mirrorlist_admin.prober.known import Known, UnitKey
    from mirrorlist_admin.prober.watcher import MastersSeen
    from mirrorlist_admin.store import Store
    from mirrorlist_admin.verdict.freshness import Judgement


def take_reports(store: Store, network: Network, known: Known, masters: MastersSeen, now: int) -> tuple[Happened, int]:
    """Take what reports say that counts; return the events and the number of changes."""
    happened = Happened(now, by="check-in")
    in_force = InForce(known, happened, frozenset())
    units: dict[str, dict[UnitKey, Unit]] = {}
    judgements: dict[str, dict[UnitKey, Judgement]] = {}
    for word in settle(store, now).words:
        key = word.category, word.unit
        unit, current = network.units.get(key), known.current(key)
        if unit is None:
            continue
        _take_word(known, unit, word)
        if current is None or masters.doubts(key):
            continue
        judgement = judge(known.probes[word.mirror][unit.key], known.versions[key], current, unit)
        if judgement is not None:
            units.setdefault(word.mirror, {})[unit.key] = unit
            judgements.setdefault(word.mirror, {})[unit.key] = judgement
    known.write_probes()
    for mirror, found in judgements.items():
        in_force.put_units(mirror, units[mirror], found)
    return happened, in_force.changes


def _take_word(known: Known, unit: Unit, word: Word) -> None:
    before = known.probes[word.mirror].get(unit.key) or never_seen(word.mirror, word.category, word.unit)
    current = known.current(unit.key)
    is_current = current is not None and word.sha256 == current.sha256
    changed = replace(before, asked=word.at, absent=0 if word.sha256 else ABSENCES)
    if word.sha256 and word.sha256 != before.sha256:
        # The validators belong to other bytes.
        changed = replace(changed, sha256=word.sha256, size=word.size, stated=0, etag="", modified="", ahead_since=0)
        if is_current:
            arrival = Arrival(
                category=word.category, unit=word.unit, sha256=word.sha256, mirror=word.mirror, seen=word.at
            )
            known.put_arrivals([arrival])
    known.put_probe(replace(changed, due=0, step=0) if is_current else changed, unit.key)
