"""Whether a URL answers over one address family: up -> suspect -> down -> up. Pure.

    up       one failure makes it suspect
    suspect  down after 3 failures over at least 60 s; up after a good answer
    down     up after 2 good probes, if what it holds has been judged and it has not changed too often

"Don't know" (an answer that is not certain) never changes a state and is not passed to this module.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mirrorlist_admin.store.rows import UrlProbe
from mirrorlist_snapshot.freshness.observed import Reachability

if TYPE_CHECKING:
    from mirrorlist_admin.exchange import Failure

DAY: Final = 86_400
GOOD_PROBES: Final = 2
"""Good probes in a row that bring a URL back."""
_CALM: Final = 4
"""From this change in a day on, each stay outside doubles."""
_FIRST_STAY: Final = 600
_LONGEST_STAY: Final = 6 * 3600
"""Seconds."""


@dataclass(frozen=True, slots=True)
class DownRule:
    """When a suspect is down."""

    retries: tuple[float, ...] = (20.0, 60.0)
    """Seconds after the first failure at which it is tried again, within the same run."""

    @property
    def failures(self) -> int:
        """Failures in a row that make it down."""
        return len(self.retries) + 1

    @property
    def seconds(self) -> float:
        """The least time from the first of them to the last, in seconds. Times are whole seconds, so one is lost."""
        return max(0.0, max(self.retries, default=0.0) - 1)


DEFAULT_DOWN_RULE: Final = DownRule()


def new_url(mirror: str, category: str, url: str, family: int) -> UrlProbe:
    """Return what is known of a URL that was never asked: it is up until it is seen to be down."""
    return UrlProbe(
        mirror=mirror,
        category=category,
        url=url,
        family=family,
        state=Reachability.UP,
        since=0,
        asked=0,
        good=0,
        failures=0,
        first_failure=0,
        answering_since=0,
        cause="",
        evidence="",
        changes=0,
        changes_since=0,
        outside_until=0,
        negative=0,
    )


def after_failure(probe: UrlProbe, failure: Failure, at: int, rule: DownRule) -> UrlProbe:
    """Return what is known after a failure."""
    first = min(probe.first_failure or at, at)  # the clock may have been set back
    failures = probe.failures + 1
    after = replace(
        probe,
        asked=at,
        good=0,
        failures=failures,
        first_failure=first,
        answering_since=0,
        cause=failure.cause,
        evidence=failure.evidence,
    )
    if probe.state is Reachability.DOWN:
        return after
    if failures >= rule.failures and at - first >= rule.seconds:
        return _changed(after, Reachability.DOWN, at)
    if probe.state is Reachability.UP:
        return replace(after, state=Reachability.SUSPECT, since=at)
    return after


def after_good_answer(probe: UrlProbe, at: int, *, counts: bool) -> UrlProbe:
    """Return what is known after a good answer. Only one that `counts` can bring a URL back: one in each run."""
    after = replace(probe, asked=at, failures=0, first_failure=0, cause="", evidence="")
    if probe.state is Reachability.DOWN:
        good = min(GOOD_PROBES, probe.good + 1) if counts else probe.good
        return replace(after, good=good, answering_since=probe.answering_since or at)
    if probe.state is Reachability.SUSPECT:
        return replace(after, state=Reachability.UP, since=at)
    return after


def may_return(probe: UrlProbe, at: int) -> bool:
    """Whether a URL that is down has answered often enough, and has been outside long enough."""
    return (
        probe.state is Reachability.DOWN
        and probe.good >= GOOD_PROBES
        and (
            at >= probe.outside_until or probe.outside_until - at > _LONGEST_STAY  # the clock was set back
        )
    )


def returned(probe: UrlProbe, at: int) -> UrlProbe:
    """Return a URL that has come back."""
    return replace(_changed(probe, Reachability.UP, at), answering_since=0, good=0)


def _changed(probe: UrlProbe, state: Reachability, at: int) -> UrlProbe:
    same_day = probe.changes and at - probe.changes_since < DAY
    changes = probe.changes + 1 if same_day else 1
    outside = probe.outside_until
    if state is Reachability.DOWN and changes >= _CALM:
        outside = at + min(_LONGEST_STAY, _FIRST_STAY * 2 ** min((changes - _CALM) // 2, 10))
    return replace(
        probe,
        state=state,
        since=at,
        changes=changes,
        changes_since=probe.changes_since if same_day else at,
        outside_until=outside,
    )
