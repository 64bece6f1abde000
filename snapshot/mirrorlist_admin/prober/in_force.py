"""What is in force: the verdicts that the brake lets through, with an event for each change. Inside a transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mirrorlist_admin.store.rows import Subject
from mirrorlist_snapshot.duration import in_words
from mirrorlist_snapshot.freshness.observed import (
    Freshness,
    MirrorObservation,
    Reachability,
    UnitObservation,
    UrlObservation,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirrorlist_admin.network import AskedMirror, Unit
    from mirrorlist_admin.prober.happened import Happened
    from mirrorlist_admin.prober.known import Known, UnitKey, UrlKey
    from mirrorlist_admin.prober.mirror_run import MirrorRun
    from mirrorlist_admin.store.rows import UrlProbe
    from mirrorlist_admin.verdict.freshness import Judgement

Item = tuple[str, str, str, str]
"""What a run would take away: (mirror, category, subject, name)."""
NOT_OFFERED: Final = {Freshness.STALE, Freshness.MISSING}
COMING_BACK: Final = 3600
"""Seconds in which the weight of a mirror that came back rises to all of it."""
FIRST_WEIGHT: Final = 10
"""Percent."""


def url_name(key: UrlKey) -> str:
    """Return the name of a URL and family in events."""
    return f"{key[1]} v{key[2]}"


def judged_units(mirror: AskedMirror) -> dict[UnitKey, Unit]:
    """Return the units by which a mirror is judged: also the stamp of a category without others."""
    found = {unit.key: unit for content in mirror.contents for unit in content.units}
    for content in mirror.contents:
        if content.stamp is not None and content.stamp.directories:
            found[content.stamp.key] = content.stamp
    return found


def is_away(known: Known, mirror: str) -> bool:
    """Whether no URL of a mirror that was asked is in force."""
    states = known.url_states.get(mirror, {}).values()
    return bool(states) and all(state.state is Reachability.DOWN for state in states)


@dataclass(slots=True)
class InForce:
    """Puts verdicts in force."""

    known: Known
    happened: Happened
    held: frozenset[Item]
    """What the brake holds back."""
    changes: int = 0

    def put(self, run: MirrorRun, judgements: Mapping[UnitKey, Judgement]) -> None:
        """Put what a run found about one mirror in force."""
        was_away = is_away(self.known, run.mirror.name)
        for key, probe in self.known.urls.get(run.mirror.name, {}).items():
            if probe.asked:
                self._put_url(run, key, probe)
        self.put_units(run.mirror.name, judged_units(run.mirror), judgements)
        self._weigh(run.mirror.name, was_away=was_away)

    def _put_url(self, run: MirrorRun, key: UrlKey, probe: UrlProbe) -> None:
        name, now = run.mirror.name, self.happened.at
        old = self.known.url_states.get(name, {}).get(key)
        before = old.state if old is not None else Reachability.UP
        state = probe.state
        if (name, key[0], Subject.URL, url_name(key)) in self.held:
            state = Reachability.SUSPECT
        if old is not None and before is state and key not in run.asked:
            return
        self.known.put_url_state(
            UrlObservation(
                mirror=name,
                category=key[0],
                url=key[1],
                family=key[2],
                state=state,
                since=old.since if old is not None and before is state else now,
                checked=probe.asked,
                reason="" if state is Reachability.UP else probe.evidence,
            )
        )
        if before is state:
            return
        self.changes += 1
        self.happened.add(
            Subject.URL,
            mirror=name,
            category=key[0],
            name=url_name(key),
            before=before,
            after=state,
            cause=_url_cause(probe, state),
            evidence=probe.evidence,
        )

    def put_units(self, mirror: str, units: Mapping[UnitKey, Unit], judgements: Mapping[UnitKey, Judgement]) -> None:
        """Put verdicts about units of a mirror in force."""
        states: list[tuple[UnitKey, UnitObservation]] = []
        for key, judgement in judgements.items():
            if (mirror, key[0], Subject.UNIT, key[1]) in self.held:
                continue
            probe = self.known.probes[mirror][key]
            old = self.known.unit_states.get(mirror, {}).get(key)
            before = old.state if old is not None else Freshness.FRESH
            state = UnitObservation(
                mirror=mirror,
                category=key[0],
                unit=key[1],
                state=judgement.state,
                since=old.since if old is not None and before is judgement.state else self.happened.at,
                checked=probe.asked,
                lag=judgement.lag,
                version="" if judgement.state is Freshness.MISSING else probe.sha256,
                reason=judgement.reason,
            )
            states.append((key, state))
            if before is not judgement.state:
                self.changes += 1
                self.happened.add(
                    Subject.UNIT,
                    mirror=mirror,
                    category=key[0],
                    name=key[1],
                    before=before,
                    after=judgement.state,
                    cause=_unit_cause(units[key], judgement),
                    evidence=judgement.reason,
                )
        self.known.put_unit_states(states)

    def _weigh(self, name: str, *, was_away: bool) -> None:
        """Let the weight of a mirror that came back rise."""
        now, away, add = self.happened.at, is_away(self.known, name), self.happened.add
        probe = self.known.mirror(name, now)
        if probe.back_since > now:  # the clock was set back
            probe = replace(probe, back_since=now)
        if away and not was_away:
            add(Subject.MIRROR, mirror=name, before="up", after="down", cause="no URL of it answers")
        if was_away and not away:
            probe = replace(probe, back_since=now)
            cause = f"it comes back with {FIRST_WEIGHT} % of its weight"
            add(Subject.MIRROR, mirror=name, before="down", after="up", cause=cause)
        state = None
        if away:
            probe = replace(probe, back_since=0)
        elif probe.back_since and now - probe.back_since >= COMING_BACK:
            add(
                Subject.MIRROR,
                mirror=name,
                name="weight",
                before=f"{FIRST_WEIGHT}%",
                after="100%",
                cause="an hour has passed",
            )
            probe = replace(probe, back_since=0)
        elif probe.back_since:
            weight = FIRST_WEIGHT + (100 - FIRST_WEIGHT) * max(0, now - probe.back_since) // COMING_BACK
            state = MirrorObservation(mirror=name, weight=weight, until=probe.back_since + COMING_BACK)
        self.known.put_mirror(probe)
        self.known.put_mirror_state(name, state)


def _url_cause(probe: UrlProbe, state: Reachability) -> str:
    if state is Reachability.DOWN:
        return f"{probe.failures} failures in {probe.asked - probe.first_failure} s"
    if state is Reachability.SUSPECT:
        return "a failure; it is tried again"
    return "it answers again"


def _unit_cause(unit: Unit, judgement: Judgement) -> str:
    return {
        Freshness.FRESH: f"not older than {in_words(unit.fresh)} (fresh)",
        Freshness.LATE: f"older than {in_words(unit.fresh)} (fresh)",
        Freshness.STALE: f"older than {in_words(unit.max_lag)} (max_lag), or never the master's",
        Freshness.MISSING: "two answers without it",
    }[judgement.state]
