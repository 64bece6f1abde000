"""What is known of one mirror after each answer. It works on copies: nothing is concluded here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mirrorlist_admin import plan
from mirrorlist_admin.exchange import ABSENT, NOT_MODIFIED, Failure, Purpose
from mirrorlist_admin.prober.mirror_run import MirrorRun
from mirrorlist_admin.store.rows import Arrival
from mirrorlist_admin.verdict.reach import after_failure, after_good_answer
from mirrorlist_admin.verdict.seen import after_answer, compared, never_seen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlist_admin.exchange import Answer, Listing
    from mirrorlist_admin.network import AskedMirror, Unit
    from mirrorlist_admin.prober.known import Known, UnitKey, UrlKey
    from mirrorlist_admin.prober.mirror_run import AskingRules
    from mirrorlist_admin.store.rows import UnitProbe

EVERYTHING: Final = Failure(
    cause="answers everything",
    evidence="answers 200 for a name that does not exist: nothing that it says can be believed",
)


class Taking:
    """Takes answers of one mirror."""

    def __init__(self, mirror: AskedMirror, known: Known, rules: AskingRules, now: int) -> None:
        self._known = known
        self._rules = rules
        self._probes = known.probes.get(mirror.name, {})
        self.seen = MirrorRun(mirror, known.mirror(mirror.name, now), dict(known.urls.get(mirror.name, {})))
        self.wave_failed: set[UrlKey] = set()
        """URLs that have failed since the last pause: further failures there say nothing new."""
        self.doubted: dict[str, bool] = {}
        """Category -> whether all of its units are in doubt, or only those that are not current."""

    def take(self, purpose: Purpose, key: UrlKey, unit: Unit | None, answer: Answer, *, counts: bool) -> None:
        """Take an answer that is no failure."""
        wrong = ""
        if unit is not None:
            wrong = self._take_unit(unit, answer)
        if wrong and purpose is Purpose.ALIVE and answer.status not in ABSENT:
            # Not even the file that is asked for to see whether anybody is there: a parked domain, a login page.
            self.fail(key, Failure(cause="wrong content", evidence=wrong), answer.at)
            return
        probe = self.seen.urls[key]
        if probe.cause == EVERYTHING.cause:
            return  # only the negative probe can clear that
        self.seen.urls[key] = after_good_answer(probe, answer.at, counts=counts)
        self.seen.asked.add(key)
        self.seen.failed.discard(key)

    def _take_unit(self, unit: Unit, answer: Answer) -> str:
        """Take what an answer says about a unit; return what is wrong with it."""
        before = self.unit(unit.key) or never_seen(self.seen.mirror.name, *unit.key)
        if answer.status == NOT_MODIFIED and not before.sha256:
            return ""
        after, wrong = after_answer(before, unit.kind, answer)
        versions, current = self._known.versions[unit.key], self._known.current(unit.key)
        after = compared(after, versions, current)
        at = answer.at
        if current is not None and after.sha256 == current.sha256 and not after.absent:
            after = replace(after, due=0, step=0)
            if before.sha256 != after.sha256:
                self._arrived(unit, current.sha256, at)
                self._learn_lag(before, at - current.first_seen)
        elif before.sha256 != after.sha256:
            after = replace(after, step=1, due=plan.next_due(1, at, self._rules.every))
        elif before.due <= at:  # and not a sample that came before its turn
            after = replace(after, step=after.step + 1, due=plan.next_due(after.step + 1, at, self._rules.every))
        self.seen.units[unit.key] = after
        moved = before.sha256 and (before.sha256 != after.sha256)
        worse = before.sha256 and after.absent > before.absent
        if moved or worse:
            self.doubted[unit.category] = self.doubted.get(unit.category, False) or bool(worse)
        return wrong

    def _arrived(self, unit: Unit, sha256: str, at: int) -> None:
        self.seen.arrivals.append(
            Arrival(category=unit.category, unit=unit.path, sha256=sha256, mirror=self.seen.mirror.name, seen=at)
        )

    def _learn_lag(self, before: UnitProbe, lag: int) -> None:
        """Learn how long the mirror needs after a change of the master, from changes that were watched."""
        if before.sha256 and before.asked:
            usual = self.seen.probe.usual_lag
            self.seen.probe = replace(
                self.seen.probe, usual_lag=(3 * usual + max(0, lag)) // 4 if usual else max(0, lag)
            )

    def take_negative(self, key: UrlKey, answer: Answer) -> None:
        """Take the answer about a name that does not exist."""
        probe = self.seen.urls[key]
        if answer.status == 200:  # noqa: PLR2004 - OK
            self.fail(key, EVERYTHING, answer.at)
            self.seen.odd[key] = EVERYTHING.evidence
        elif answer.status:
            probe = replace(probe, negative=answer.at)
            self.seen.urls[key] = (
                after_good_answer(probe, answer.at, counts=True) if probe.cause == EVERYTHING.cause else probe
            )
            if probe.cause == EVERYTHING.cause:
                self.seen.failed.discard(key)

    def fail(self, key: UrlKey, failure: Failure, at: int) -> None:
        """Take a failure: of the host, and then of all its URLs of the family, or of one URL."""
        host = plan.host_of(key[1])
        for other in list(self.seen.urls):
            same_host = failure.host and plan.host_of(other[1]) == host and other[2] == key[2]
            if (other == key or same_host) and other not in self.wave_failed:
                self.wave_failed.add(other)
                self.seen.urls[other] = after_failure(self.seen.urls[other], failure, at, self._rules.down)
                self.seen.failed.add(other)
                self.seen.stumbled.add(other)
                self.seen.asked.add(other)

    def unit(self, key: UnitKey) -> UnitProbe | None:
        """Return what is known of a unit, with what this run saw."""
        return self.seen.units.get(key) or self._probes.get(key)

    def take_listing(self, key: UrlKey, units: Sequence[Unit], listing: Listing) -> None:
        """Take what an rsync daemon listed."""
        if listing.failure is not None:
            if listing.failure.certain:
                self.fail(key, listing.failure, listing.at)
            else:
                self.seen.unsure.append(listing.failure)
            return
        self.seen.urls[key] = after_good_answer(self.seen.urls[key], listing.at, counts=True)
        self.seen.asked.add(key)
        self.seen.failed.discard(key)
        for unit in units:
            probe = self.unit(unit.key)
            if probe is not None and probe.sha256 and not probe.absent and listing.sizes.get(unit.path) != probe.size:
                # The trees that HTTP and rsync serve differ, or have changed since: HTTP decides, soon.
                self.seen.units[unit.key] = replace(probe, due=listing.at)
