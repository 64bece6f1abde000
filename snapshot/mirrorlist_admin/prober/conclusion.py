"""What a run concludes: verdicts, then the brake, then what is in force.

Nothing is concluded before the brake has spoken; all that follows is written in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirrorlist_admin.brake import AskedUrl, Doubt, Removal, doubt, not_alive, too_many, within_budget
from mirrorlist_admin.prober.happened import Happened
from mirrorlist_admin.prober.in_force import NOT_OFFERED, InForce, Item, judged_units, url_name
from mirrorlist_admin.store.rows import HeldRemoval, Subject
from mirrorlist_admin.verdict.freshness import judge
from mirrorlist_admin.verdict.reach import may_return, returned
from mirrorlist_admin.verdict.seen import compared, due_at_limits
from mirrorlist_snapshot.freshness.observed import Reachability

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mirrorlist_admin.network import Network, Unit
    from mirrorlist_admin.prober.known import Known, UnitKey
    from mirrorlist_admin.prober.mirror_run import MirrorRun
    from mirrorlist_admin.prober.watcher import MastersSeen
    from mirrorlist_admin.store.rows import Event, UrlProbe
    from mirrorlist_admin.verdict.freshness import Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a run saw."""

    network: Network
    runs: Sequence[MirrorRun]
    masters: MastersSeen
    references: Sequence[bool]
    """Whether each reference host answered."""


@dataclass(slots=True)
class Conclusion:
    """What a run came to."""

    void: str = ""
    """Why nothing was concluded."""
    changes: int = 0
    """Changes of what is in force."""
    held: int = 0
    """Removals that the brake holds back."""
    events: list[Event] = field(default_factory=list["Event"])


def conclude(seen: Seen, known: Known, now: int, *, confirm: bool = False) -> Conclusion:
    """Conclude from a run, inside a transaction. `confirm`: a person says that the brake shall hold nothing back."""
    happened = Happened(now)
    void, doubts = "", Doubt()
    if not confirm:
        void = not_alive(list(seen.masters.answered.values()), seen.references) or _cannot_ask(seen.runs) or ""
        doubts = Doubt() if void else doubt(_asked(known, seen.runs))
        void = void or doubts.run
    _keep_answers(known, seen.runs)
    for category, trouble in seen.masters.troubles.items():
        master, cause = seen.network.masters[category], "its units are not judged"
        happened.add(Subject.MASTER, category=category, name=master, after="not judged", cause=cause, evidence=trouble)
    if void:
        cause = "the brake: nothing is concluded from this run"
        happened.add(Subject.RUN, after="void", cause=cause, evidence=void)
        return Conclusion(void=void, events=happened.events)
    for reason in [*doubts.families.values(), *doubts.asns.values()]:
        cause = "the brake: these failures do not count"
        happened.add(Subject.RUN, after="partly void", cause=cause, evidence=reason)
    judgements: dict[str, dict[UnitKey, Judgement]] = {}
    for run in seen.runs:
        _take(known, run, doubts)
        judgements[run.mirror.name] = _judged(seen, known, run)
        _let_return(known, run, now)
        for key, text in run.odd.items():
            about = {"mirror": run.mirror.name, "category": key[0], "name": url_name(key)}
            happened.add(Subject.URL, **about, after="odd", cause="negative probe", evidence=text)
    held = frozenset[Item]() if confirm else _held(seen, known, judgements)
    in_force = InForce(known, happened, held)
    for run in seen.runs:
        in_force.put(run, judgements[run.mirror.name])
    _hold(known, held, happened)
    return Conclusion(changes=in_force.changes, held=len(held), events=happened.events)


def _asked(known: Known, runs: Sequence[MirrorRun]) -> list[AskedUrl]:
    """Return the URLs whose failures would be new."""
    return [
        AskedUrl(mirror=run.mirror.name, family=key[2], asns=run.mirror.asns, failed=key in run.stumbled)
        for run in runs
        for key in run.asked
        if (before := known.urls.get(run.mirror.name, {}).get(key)) is None
        or (before.state is Reachability.UP and not before.failures)
    ]


def _cannot_ask(runs: Sequence[MirrorRun]) -> str | None:
    """Return why many mirrors could not be asked, by a fault that may be ours; None if few."""
    unasked = [run for run in runs if run.unsure and not run.asked - run.failed]
    if not too_many(len(unasked), len(runs)):
        return None
    return f"{len(unasked)} of {len(runs)} mirrors could not be asked: {unasked[0].unsure[0].evidence}"


def _keep_answers(known: Known, runs: Sequence[MirrorRun]) -> None:
    """Keep the answers about units, which are true whatever the prober's own network is like, and what was asked."""
    for run in runs:
        for key, probe in run.units.items():
            known.put_probe(compared(probe, known.versions[key], known.current(key)), key)
        known.put_mirror(run.probe)
    known.write_probes()


def _take(known: Known, run: MirrorRun, doubts: Doubt) -> None:
    """Take what was seen of URLs, except failures that are doubted."""
    name = run.mirror.name
    doubted = bool(set(run.mirror.asns) & doubts.asns.keys())
    before = known.urls.get(name, {})
    for key in before.keys() - run.urls.keys():
        known.forget_url(name, key)
    for key, probe in run.urls.items():
        if key in run.failed and (doubted or key[2] in doubts.families):
            continue
        if before.get(key) != probe:
            known.put_url(probe)


def _judged(seen: Seen, known: Known, run: MirrorRun) -> dict[UnitKey, Judgement]:
    """Judge the units that a mirror gave an answer about; forget those that it is not expected to have any more."""
    name, expected = run.mirror.name, judged_units(run.mirror)
    kept = expected.keys() | {stamp.key for stamp in seen.network.stamps.values()}
    for key in (known.probes.get(name, {}).keys() | known.unit_states.get(name, {}).keys()) - kept:
        known.forget_unit(name, key)
    found: dict[UnitKey, Judgement] = {}
    for key in run.units:
        unit, current = expected.get(key), known.current(key)
        probe = known.probes.get(name, {}).get(key)
        if unit is None or current is None or probe is None or seen.masters.doubts(key):
            continue
        judgement = judge(probe, known.versions[key], current, unit)
        if judgement is not None:
            found[key] = judgement
            known.put_probe(due_at_limits(probe, unit, judgement.lag), key)
    known.write_probes()
    return found


def _let_return(known: Known, run: MirrorRun, now: int) -> None:
    """Bring back the URLs that answered often enough, if what they hold has been looked at since."""
    name = run.mirror.name
    for key, probe in list(known.urls.get(name, {}).items()):
        if key not in run.asked or key in run.failed or not may_return(probe, now):
            continue
        units = [unit for content in run.mirror.contents if content.category == key[0] for unit in content.units]
        if all(_looked_at(known, name, unit, probe) for unit in units):
            known.put_url(returned(probe, now))


def _looked_at(known: Known, mirror: str, unit: Unit, url: UrlProbe) -> bool:
    probe, current = known.probes.get(mirror, {}).get(unit.key), known.current(unit.key)
    return current is None or (
        probe is not None and (probe.asked >= url.answering_since or probe.sha256 == current.sha256)
    )


def _held(seen: Seen, known: Known, judgements: Mapping[str, Mapping[UnitKey, Judgement]]) -> frozenset[Item]:
    """Return what this run would take away and the brake holds back."""
    removals: list[Removal] = []
    for run in seen.runs:
        name = run.mirror.name
        states, units = known.url_states.get(name, {}), known.unit_states.get(name, {})
        down = [
            key
            for key, probe in known.urls.get(name, {}).items()
            if key in run.failed
            and probe.state is Reachability.DOWN
            and (key not in states or states[key].state is not Reachability.DOWN)
        ]
        old = [
            (key, judgement)
            for key, judgement in judgements[name].items()
            if judgement.state in NOT_OFFERED and (key not in units or units[key].state not in NOT_OFFERED)
        ]
        items = [(key[0], str(Subject.URL), url_name(key)) for key in down]
        items += [(key[0], str(Subject.UNIT), key[1]) for key, _ in old]
        if items:
            badness = 1e9 * len(down) + sum(1 + judgement.lag / 86_400 for _, judgement in old)
            removals.append(Removal(mirror=name, badness=badness, items=tuple(items)))
    capacity = {mirror.name: (mirror.country, mirror.bandwidth) for mirror in seen.network.mirrors.values()}
    return within_budget(removals, capacity, known.held.keys())


def _hold(known: Known, held: frozenset[Item], happened: Happened) -> None:
    """Note what is held back, with an event for what was not before."""
    earlier = known.held
    rows: dict[Item, HeldRemoval] = {}
    for item in sorted(held):
        mirror, category, subject, name = item
        rows[item] = earlier.get(item) or HeldRemoval(
            mirror=mirror, category=category, subject=Subject(subject), name=name, since=happened.at
        )
        if item not in earlier:
            happened.add(
                Subject(subject),
                mirror=mirror,
                category=category,
                name=name,
                after="held back",
                cause="the brake: a run takes away 3 mirrors or 5 % of the capacity at most",
                evidence="it takes effect when the next run confirms it, or by `probe --confirm`",
            )
    known.set_held(rows)
