"""What the prober says: text for people on a terminal, one JSON object a line elsewhere."""

from __future__ import annotations

import json
from collections import Counter as Tally
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from mirrorlist_admin.prober.in_force import is_away
from mirrorlist_admin.store.rows import Subject
from mirrorlist_snapshot.console import RED, YELLOW, show, show_bytes
from mirrorlist_snapshot.freshness.observed import Freshness, Reachability

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mirrorlist_admin.network import AskedMirror
    from mirrorlist_admin.prober.cycle import RunDone
    from mirrorlist_admin.prober.known import Known
    from mirrorlist_admin.store.rows import Event
    from mirrorlist_snapshot.console import Console

_SHOWN: Final = 20
"""Events of a run that people are shown; JSON has all."""


class Reporter:
    """Tells what happens."""

    def __init__(self, console: Console, *, as_json: bool) -> None:
        self._console = console
        self._json = as_json

    def progress(self, done: int, mirrors: int, requests: int) -> None:
        """Tell how far a run has got."""
        self._console.progress(f"{done} of {mirrors} mirrors, {requests} requests")

    def trouble(self, text: str) -> None:
        """Tell of something that went wrong and is tried again."""
        if self._json:
            self._line({"event": "trouble", "text": text})
        else:
            self._console.note(text, RED)

    def note(self, name: str, **facts: Any) -> None:  # noqa: ANN401 - facts for JSON
        """Tell of something that was done."""
        if self._json:
            self._line({"event": name, **facts})
        else:
            self._console.say(f"{name}: " + ", ".join(f"{key} {value}" for key, value in facts.items()))

    def run(self, done: RunDone) -> None:
        """Tell of a run and its events."""
        self._console.clear()
        row = done.row
        if self._json:
            for event in done.conclusion.events:
                self._line({"event": str(event.subject), **asdict(event)})
            self._line({"event": "run ended", **asdict(row)})
            return
        for event in done.conclusion.events[:_SHOWN]:
            self._console.say(_sentence(event), YELLOW if event.subject in {Subject.RUN, Subject.MASTER} else None)
        if (more := len(done.conclusion.events) - _SHOWN) > 0:
            self._console.say(f"... and {more} more events")
        verdict = f"void: {row.void}" if row.void else f"{row.changes} changes, {row.held} held back"
        seconds = row.ended - row.began
        self._console.say(f"{row.mirrors} mirrors, {row.requests} requests, {seconds} s: {verdict}")

    def verdicts(self, mirrors: Iterable[AskedMirror], known: Known) -> None:
        """Tell the verdict of every mirror."""
        rows = list(_verdicts(mirrors, known))
        if self._json:
            for row in rows:
                self._line({"event": "verdict", **row})
            return
        width = max((len(row["mirror"]) for row in rows), default=0)
        lines = [f"{row['mirror']:<{width}}  {row['state']:<8} {row['why']}".rstrip() for row in rows]
        show("\n".join(lines))

    def _line(self, value: dict[str, Any]) -> None:
        value = {"time": datetime.now(UTC).isoformat(timespec="seconds"), **value}
        show_bytes(json.dumps(value).encode() + b"\n")


def _sentence(event: Event) -> str:
    time = datetime.fromtimestamp(event.at, UTC).strftime("%H:%M:%S")
    what = " ".join(word for word in (event.mirror, event.category, event.name) if word)
    change = f"{event.before} -> {event.after}" if event.before else event.after
    why = "; ".join(text for text in (event.cause, event.evidence) if text)
    return f"{time} {what or event.subject}: {change}" + (f" ({why})" if why else "")


def _verdicts(mirrors: Iterable[AskedMirror], known: Known) -> Iterator[dict[str, str]]:
    """Yield mirror, state and why, for each mirror that is asked."""
    for mirror in mirrors:
        urls = known.url_states.get(mirror.name, {}).values()
        units = known.unit_states.get(mirror.name, {}).values()
        bad = [state for state in units if state.state is not Freshness.FRESH]
        failing = [state for state in urls if state.state is not Reachability.UP]
        if not urls:
            yield {"mirror": mirror.name, "state": "unknown", "why": "nothing could be concluded; offered as declared"}
        elif is_away(known, mirror.name):
            yield {"mirror": mirror.name, "state": "down", "why": failing[0].reason}
        elif bad:
            worst = max(bad, key=lambda state: (_RANK[state.state], state.lag))
            more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
            why = f"{worst.category} {worst.unit}: {worst.reason}{more}"
            yield {"mirror": mirror.name, "state": str(worst.state), "why": why}
        elif failing:
            why = f"{failing[0].url} v{failing[0].family}: {failing[0].reason}"
            yield {"mirror": mirror.name, "state": "partly", "why": why}
        else:
            yield {"mirror": mirror.name, "state": "fresh" if units else "up", "why": ""}


_RANK: Final = {Freshness.FRESH: 0, Freshness.LATE: 1, Freshness.STALE: 2, Freshness.MISSING: 3}


def states(known: Known) -> Tally[tuple[str, str]]:
    """Count (kind, state): kind is `mirror`, `url` or `unit`."""
    found: Tally[tuple[str, str]] = Tally()
    for mirror, urls in known.url_states.items():
        if urls:
            found["mirror", "down" if is_away(known, mirror) else "up"] += 1
        for url in urls.values():
            found["url", str(url.state)] += 1
    for units in known.unit_states.values():
        for unit in units.values():
            found["unit", str(unit.state)] += 1
    return found
