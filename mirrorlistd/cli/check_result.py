"""The result of a monitoring check, from the facts of a server's /readyz. Pure.

Levels and their numbers are those of the Monitoring Plugins' guidelines, for Nagios, Icinga and others.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


MANY_FAILURES: Final = 5
"""Failed pulls in a row that make a warning. The alert for Prometheus has the same number."""

LASTING: Final = ("refused", "local")
"""Results of a pull that do not mend themselves: the store's object is refused, or the file cannot be written."""


class Level(IntEnum):
    """An exit status."""

    OK = 0
    WARNING = 1
    """The server answers, and an operator should look."""
    CRITICAL = 2
    """The server does not answer, or is not ready."""
    UNKNOWN = 3
    """The check itself is wrong."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Level, problems, and the line that a plugin prints."""

    level: Level
    problems: tuple[str, ...]
    """One clause each; empty where all is well."""
    line: str
    """One line, with performance data."""


def judge(facts: Mapping[str, Any], max_age: float | None = None) -> CheckResult:
    """Judge the facts of /readyz; `max_age`, in seconds, replaces the server's own --max-age."""
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
    """Return the result for a server that does not answer."""
    return CheckResult(Level.CRITICAL, (error,), f"MIRRORLISTD CRITICAL - {error}")


def _warnings(facts: Mapping[str, Any], max_age: float | None) -> Iterator[str]:
    yield from _age(facts, max_age)
    if facts.get("last_good"):
        yield f"the last good copy is served{_because(facts, 'snapshot_error')}"
    if _part(facts, "last_reload").get("result") == "failed" and not facts.get("refused"):
        yield f"the last reload failed{_because(facts, 'reload_error')}"
    if refused := facts.get("refused"):
        yield f"refused, the old ones are in use: {', '.join(refused)}{_because(facts, 'reload_error')}"
    if _part(facts, "status").get("failed"):
        yield f"the status file does not apply as it is{_because(facts, 'status_error')}"
    pull = _part(facts, "pull")
    if pull.get("result") in LASTING:
        yield f"the last pull failed: {pull.get('result')}{_because(facts, 'pull_error')}"
    elif (failures := pull.get("failures_in_a_row", 0)) >= MANY_FAILURES:
        yield f"{failures} pulls in a row have failed: {pull.get('result')}{_because(facts, 'pull_error')}"
    workers = _part(facts, "workers")
    if workers.get("up") != workers.get("all"):
        yield f"{workers.get('up')} of {workers.get('all')} workers are up"
    if len(serials := workers.get("serials") or ()) > 1:
        yield f"workers serve different snapshots: serials {', '.join(map(str, serials))}"


def _age(facts: Mapping[str, Any], max_age: float | None) -> Iterator[str]:
    if ahead := facts.get("seconds_ahead"):
        yield f"the snapshot was built {ahead} s in the future: a clock is wrong"
    elif facts.get("age_seconds", 0) > max_age if max_age else facts.get("stale"):
        yield f"the snapshot is stale: more than {max_age or facts.get('max_age_seconds'):g} s old"


def _part(facts: Mapping[str, Any], key: str) -> dict[str, Any]:
    return facts.get(key) or {}


def _because(facts: Mapping[str, Any], key: str) -> str:
    """Return the reason in one line, without `|`, which would begin performance data; only insiders see reasons."""
    reason = str(facts.get(key) or "").replace("\n", "; ").replace("|", "/")
    return f" ({reason})" if reason else ""
