"""What pages tell of the health of public mirrors: as data, and in a few words. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorlist_snapshot.duration import in_words
from mirrorlistd.answering.health_words import instant, left_out

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from mirrorlist_snapshot.health import MirrorHealth
    from mirrorlist_snapshot.model import Snapshot
    from mirrorlistd.web.pages.public import Carried, PublicMirror

_WHOLE = 100


def health_data(health: MirrorHealth | None, repositories: Collection[str]) -> dict[str, object] | None:
    """Return the health of a mirror as data, with the lags of some repositories; None if it was never observed.

    Times are seconds since 1970 UTC, lags seconds.
    """
    if health is None:
        return None
    return {
        "checked": health.checked,
        "families": list(health.families),
        "weight": health.weight,
        "lag": {name: lag for name, lag in health.lags.items() if name in repositories},
        "down": [
            {"url": one.url, "family": one.family or None, "since": one.since, "reason": one.reason}
            for one in health.down
        ],
        "old": [
            {
                "category": one.unit.category,
                "file": one.unit.path,
                "state": str(one.state),
                "offered": one.offered,
                "since": one.since,
                "lag": one.lag,
                "reason": one.reason,
            }
            for one in health.old
        ],
    }


def in_few_words(mirror: PublicMirror) -> str:
    """Return how a mirror is: `current`, `up to 13 h behind`, `https down since ...`, and what else matters."""
    if mirror.health is None:
        return "not checked yet"
    return "; ".join(_words(mirror, mirror.health))


def lag_in_words(mirror: PublicMirror, repository: str) -> str:
    """Return how far a mirror is behind with a repository."""
    lag = mirror.health.lags.get(repository) if mirror.health else None
    if lag is None:
        return "not checked yet"
    return f"{in_words(lag)} behind" if lag else "current"


def _words(mirror: PublicMirror, health: MirrorHealth) -> Iterator[str]:
    down = [one for one in health.down if one.family == 0]
    for one in down:
        yield f"{one.url.partition('://')[0]} down since {instant(one.since)}"
    gone = {one.url for one in down}
    if any(url not in gone for urls in mirror.urls.values() for url in urls):
        behind = max(health.lags.values(), default=None)
        missing = sum(not one.offered for one in health.old)
        if behind is not None or missing:
            yield f"up to {in_words(behind)} behind" if behind else "current"
        if missing:
            yield f"left out of {missing} {'place' if missing == 1 else 'places'}"
    if health.families in {(4,), (6,)}:
        yield f"IPv{health.families[0]} only"
    if health.weight < _WHOLE:
        yield f"back since a short time, at {health.weight} % of its bandwidth"


def why_lacking(snapshot: Snapshot, carried: Carried, mirror: PublicMirror) -> str:
    """Return why a mirror does not carry all of a repository, if that was observed, else nothing."""
    has = carried.carriers.get(mirror.number, ())
    for place in carried.repository.directories:
        if place.arch not in has:
            reason = left_out(mirror.health, snapshot.categories[place.category].name, place.path)
            if reason:
                return reason.removeprefix("left out: ")
    return ""
