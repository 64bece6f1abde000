"""What a monitoring system is told of a running server, from what its /readyz says. Pure.

States and their numbers are those of the Monitoring Plugins' guidelines, which Nagios, Icinga and others read.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


MANY_FAILURES: Final = 5
"""Pulls in a row; fewer are a store's bad moment. The alert for Prometheus has the same number."""


class Level(IntEnum):
    """An exit status."""

    OK = 0
    WARNING = 1
    """It serves, and somebody should look."""
    CRITICAL = 2
    """It does not serve."""
    UNKNOWN = 3
    """It could not be asked as it was to be."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How a server is."""

    level: Level
    problems: tuple[str, ...]
    """One clause each; none where all is well."""
    line: str
    """All of it in one line, with performance data."""


def judge(facts: Mapping[str, Any], max_age: float | None = None) -> CheckResult:
    """Judge what /readyz says; `max_age` (seconds) instead of the server's own --max-age."""
    warnings = list(_warnings(facts, max_age))
    down = [] if facts.get("ready") else ["draining" if facts.get("draining") else "not ready"]
    level = Level.CRITICAL if down else Level.WARNING if warnings else Level.OK
    problems = (*down, *warnings)
    age, mirrors = facts.get("age_seconds", 0), facts.get("mirrors", 0)
    limit = max_age or facts.get("max_age_seconds") or ""
    what = f"serial {facts.get('serial')}, {mirrors} mirrors, built {age} s ago"
    data = f"age={age}s;{limit:g} mirrors={mirrors}" if limit else f"age={age}s mirrors={mirrors}"
    return CheckResult(level, problems, f"MIRRORLISTD {level.name} - {'; '.join((*problems, what))} | {data}")


def unreachable(error: str) -> CheckResult:
    """Judge a server that gives no answer."""
    return CheckResult(Level.CRITICAL, (error,), f"MIRRORLISTD CRITICAL - {error}")


def _warnings(facts: Mapping[str, Any], max_age: float | None) -> Iterator[str]:
    age = facts.get("age_seconds", 0)
    if age > max_age if max_age else facts.get("stale"):
        yield f"the snapshot is stale: more than {max_age or facts.get('max_age_seconds'):g} s old"
    if facts.get("last_good"):
        yield f"the last good copy is served{_because(facts, 'snapshot_error')}"
    if _part(facts, "last_reload").get("result") == "failed":
        yield f"the last reload failed{_because(facts, 'reload_error')}"
    if _part(facts, "status").get("failed"):
        yield f"the status file is not used{_because(facts, 'status_error')}"
    pull = _part(facts, "pull")
    if (failures := pull.get("failures_in_a_row", 0)) >= MANY_FAILURES:
        yield f"{failures} pulls in a row have failed: {pull.get('result')}{_because(facts, 'pull_error')}"
    workers = _part(facts, "workers")
    if workers.get("up") != workers.get("all"):
        yield f"{workers.get('up')} of {workers.get('all')} workers are up"


def _part(facts: Mapping[str, Any], key: str) -> dict[str, Any]:
    return facts.get(key) or {}


def _because(facts: Mapping[str, Any], key: str) -> str:
    """The reason, in one line and without what would begin the performance data; only insiders are told it."""
    reason = str(facts.get(key) or "").replace("\n", "; ").replace("|", "/")
    return f" ({reason})" if reason else ""
