"""What each page shows: HTML, or plain values for JSON. Public mirrors alone."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from starlette.exceptions import HTTPException

from mirrorlist_admin.store import schema
from mirrorlist_admin.views.mirrors import State, mirror_statuses, report_json
from mirrorlist_admin.views.propagation import read_propagation, repositories
from mirrorlist_admin.views.timeline import event_json, events_of, fact_json, facts_at, network_events
from mirrorlist_admin.web.chart import draw
from mirrorlist_admin.web.html import html
from mirrorlist_snapshot.freshness.observed import Freshness

if TYPE_CHECKING:
    from mirrorlist_admin.store import Store

_EVENTS: Final = 100
"""Events on a page."""
_ALL_EVENTS: Final = 100_000
"""Events from which the state at a moment is computed."""
_UNITS: Final = 200
"""Index files on the page of a mirror that are fresh; all others are shown."""
_NOTICES: Final = 3
_OTHERS: Final = tuple(state for state in State if state is not State.FRESH)
_NOTICE_AGE: Final = 86_400
MEANINGS: Final = (
    (State.FRESH, "everything answers, and every repository is as new as it should be"),
    (State.LATE, "a repository is older than it should be; the mirror is still offered"),
    (State.RETURNING, "it was down, and gets part of its traffic until an hour has passed"),
    (State.SUSPECT, "something failed once or twice; the mirror is still offered"),
    (State.PARTLY_DOWN, "one of its URLs, or IPv4 or IPv6, does not answer; the others are offered"),
    (State.OUT_OF_DATE, "a repository is too old, or missing; the mirror is not offered for it"),
    (State.DOWN, "nothing answers; the mirror is in no list, and comes back by itself after two good answers"),
    (State.MAINTENANCE, "its admins have announced it; it comes back by itself"),
    (State.NOT_OBSERVED, "nobody has looked yet; the mirror is offered as declared"),
    (State.INACTIVE, "the operators of this network have switched it off"),
)
"""State -> what it means for the mirror's admin."""


def all_mirrors(store: Store, now: int, form: str, filters: dict[str, str]) -> str | dict[str, Any]:
    """All mirrors, the worst first, or those with a state and in a country."""
    found = mirror_statuses(store, now, private=False)
    chosen = [
        one for one in found if filters["state"] in {"", one.state} and filters["country"].upper() in {"", one.country}
    ]
    taken = store.taken()
    if form == "json":
        return {"now": now, "taken": taken, "mirrors": [one.as_json() for one in chosen]}
    counts = Counter(one.state for one in found)
    worst = list(State)
    chosen.sort(key=lambda one: (worst.index(one.state), one.mirror))
    given = {name: value for name, value in filters.items() if value}
    return html(
        "mirrors.html",
        now=now,
        page="/mirrors",
        mirrors=chosen,
        total=len(found),
        counts={state.value: counts[state] for state in (State.FRESH, *_OTHERS) if counts[state]},
        taken=taken,
        notices=[event for event in network_events(store, most=_NOTICES) if event.at > now - _NOTICE_AGE],
        filters={**filters, "country": filters["country"].upper()},
        query=f"{urlencode(given)}&" if given else "",
        states=[state.value for state in State],
        countries=sorted({one.country for one in found if one.country}),
        meanings=MEANINGS,
    )


def one_mirror(  # noqa: PLR0913, PLR0917 - the parts of the request
    store: Store, now: int, form: str, name: str, at: int | None, before: int | None
) -> str | dict[str, Any]:
    """One mirror: state, URLs, repositories, events up to `before`, and what held `at` a moment."""
    found = mirror_statuses(store, now, private=False, only=name)
    if not found:
        raise HTTPException(404, "no such mirror")
    events = events_of(store, name, before=before, most=_EVENTS + 1)
    facts = facts_at(events_of(store, name, before=at, most=_ALL_EVENTS), at) if at is not None else []
    urls = store.read(schema.URL_STATE, "WHERE mirror = ? ORDER BY category, url, family", name)
    units = store.read(schema.UNIT_STATE, "WHERE mirror = ? ORDER BY state = 'fresh', lag DESC, category, unit", name)
    reports = store.read(schema.CHECK_IN, "WHERE mirror = ?", name)
    report = reports[0] if reports else None
    if form == "json":
        return found[0].as_json() | {
            "now": now,
            "urls": urls,
            "index_files": units,
            "report": report and report_json(report),
            "events": [event_json(event) for event in events[:_EVENTS]],
            "at": {"time": at, "facts": [fact_json(fact) for fact in facts]} if at is not None else None,
        }
    names: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for row in repositories(store):
        names.setdefault((row.category, row.unit), []).append((row.repository, row.arch))
    named = [(unit, names.get((unit.category, unit.unit), [])) for unit in units]
    fresh = [one for one in named if one[0].state is Freshness.FRESH]
    return html(
        "mirror.html",
        now=now,
        page="/mirrors",
        one=found[0],
        report=report,
        urls=urls,
        reasons=any(url.reason for url in urls),
        units=[one for one in named if one[0].state is not Freshness.FRESH],
        fresh=fresh[:_UNITS],
        more=max(0, len(fresh) - _UNITS),
        events=events[:_EVENTS],
        older=events[_EVENTS].at if len(events) > _EVENTS else 0,
        at=at,
        at_text=time.strftime("%Y-%m-%d %H:%M", time.gmtime(at)) if at is not None else "",
        facts=facts,
    )


def all_repositories(store: Store, now: int, form: str) -> str | dict[str, Any]:
    """All repositories that have an index file."""
    newest = {
        (category, unit): int(first_seen)
        for category, unit, first_seen in store.query(
            "SELECT category, unit, max(first_seen) FROM unit_version GROUP BY category, unit"
        )
    }
    rows: dict[str, tuple[list[str], int]] = {}
    for row in repositories(store):
        arches, published = rows.get(row.repository, ([], 0))
        rows[row.repository] = [*arches, row.arch], max(published, newest.get((row.category, row.unit), 0))
    if form == "json":
        found = [{"repository": name, "arches": arches, "published": at} for name, (arches, at) in rows.items()]
        return {"now": now, "repositories": found}
    return html(
        "repositories.html", now=now, page="/repos", rows=[(name, arches, at) for name, (arches, at) in rows.items()]
    )


def one_repository(store: Store, now: int, form: str, name: str, arch: str | None) -> str | dict[str, Any]:
    """The propagation of one repository, for one architecture, by default the first."""
    rows = [row for row in repositories(store) if row.repository == name]
    row = next((row for row in rows if arch is None or row.arch == arch), None)
    if row is None:
        raise HTTPException(404, "no such repository, or no such architecture of it")
    found = read_propagation(store, row, now)
    if form == "json":
        return {"now": now} | found.as_json()
    chart = draw(found.spreads, found.mirrors, now)
    return html("repository.html", now=now, page="/repos", found=found, chart=chart, arches=[row.arch for row in rows])
