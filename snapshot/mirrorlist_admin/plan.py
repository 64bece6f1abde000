"""What to ask a mirror in a run: few requests, the most telling first. Pure.

    every run         each URL and family whether it answers, by the stamp or the busiest unit
    every run         two units, longest unseen first
    what is due       units that the master has changed, that a stamp or sample puts in doubt, or that a report names
    weekly            a name that does not exist

An allowance bounds what a mirror is asked in any hour, whatever the reasons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mirrorlist_admin.network import MirrorContent, Unit
    from mirrorlist_admin.store.rows import MirrorProbe, UnitProbe, UrlProbe

HOURLY: Final = 300
"""Requests that a mirror is sent in any hour at most."""
BURST: Final = 156
"""The allowance's size: a full sweep of 150 units and what a run asks besides."""
DRIP: Final = (HOURLY - BURST) / 3600
"""Requests a second by which the allowance fills: BURST + 3600 s of it are HOURLY."""
MOST_URLS: Final = 9
"""URLs and families asked in one run; with the samples and a negative probe 12 requests."""
SAMPLES: Final = 2
WEEK: Final = 7 * 86_400
UNCONDITIONAL_EVERY: Final = 24
"""Of so many requests for a unit, one is unconditional, against caches that lie."""
LONGEST_PAUSE: Final = 3 * 3600
"""Seconds between two questions for a unit that the mirror does not get."""


def allowance(mirror: MirrorProbe, now: int) -> float:
    """Return how many requests the mirror may be sent now."""
    return min(BURST, mirror.allowance + max(0, now - mirror.allowance_at) * DRIP)


def next_due(step: int, now: int, every: int) -> int:
    """Return when to ask again for a changed unit, after it was asked for in vain `step` times: 2, 4, 8 ... runs on."""
    return now + min(LONGEST_PAUSE, every << min(step, 20))


def alive_asks(
    contents: Sequence[MirrorContent], urls: Mapping[tuple[str, str, int], UrlProbe], busiest: Mapping[str, Unit]
) -> list[tuple[UrlProbe, Unit | None]]:
    """Return each URL and family that is to be asked whether it answers, with the unit to ask for; None: the top.

    `busiest` is the unit of each category that changes most. Beyond MOST_URLS those take turns that were asked last;
    each host and family is asked in any case, as a host that does not answer fails for all its URLs.
    """
    by_category = {content.category: content for content in contents}
    probes = sorted(urls.values(), key=lambda probe: (probe.asked, probe.category, probe.url, probe.family))
    chosen: list[UrlProbe] = []
    hosts: set[tuple[str, int]] = set()
    for probe in probes:
        host = (host_of(probe.url), probe.family)
        if host not in hosts:
            hosts.add(host)
            chosen.append(probe)
    chosen = [*chosen, *(probe for probe in probes if probe not in chosen)][:MOST_URLS]
    return [(probe, _telling(by_category[probe.category], busiest)) for probe in chosen]


def host_of(url: str) -> str:
    """Return scheme, host and port of a URL."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def _telling(content: MirrorContent, busiest: Mapping[str, Unit]) -> Unit | None:
    if content.stamp is not None:
        return content.stamp
    unit = busiest.get(content.category)
    return unit if unit in content.units else next(iter(content.units), None)


def unit_asks(
    units: Iterable[Unit],
    known: Callable[[tuple[str, str]], UnitProbe | None],
    due: Mapping[tuple[str, str], int],
    now: int,
) -> tuple[list[Unit], list[Unit]]:
    """Return (the units that are due, the samples).

    A unit that was never asked for is due. `due` are those that others ask for. Samples are those longest unseen.
    """
    wanted: list[tuple[int, Unit]] = []
    rest: list[tuple[int, Unit]] = []
    for unit in units:
        probe = known(unit.key)
        asked_for = due.get(unit.key, 0)
        at = min((time for time in (probe.due if probe else 1, asked_for) if time), default=0)
        if at and at <= now:
            wanted.append((at, unit))
        elif probe is not None:
            rest.append((probe.asked, unit))
    wanted.sort(key=lambda one: one[0])
    rest.sort(key=lambda one: one[0])
    return [unit for _, unit in wanted], [unit for _, unit in rest[:SAMPLES]]


def conditional(unit: Unit | None, probe: UnitProbe | None) -> tuple[str, str]:
    """Return the validators for a request; empty ones every so often, and if nothing is known."""
    if unit is None or probe is None or not probe.sha256 or probe.absent:
        return "", ""
    if probe.conditional + 1 >= UNCONDITIONAL_EVERY:
        return "", ""
    return probe.etag, probe.modified


def is_rsync(url: str) -> bool:
    """Whether a URL is asked by the program rsync: rarely."""
    return url.startswith("rsync:")


def rsync_is_due(probe: UrlProbe, now: int) -> bool:
    """Whether a URL of rsync is asked in a run: once a week, and in each run while it fails or comes back."""
    return bool(probe.failures or probe.answering_since) or now - probe.asked >= WEEK


def good_urls(content: MirrorContent, urls: Mapping[tuple[str, str, int], UrlProbe]) -> Iterator[UrlProbe]:
    """Yield the URLs and families of a category by which units can be asked for: those without failures first."""
    found = [probe for probe in urls.values() if probe.category == content.category and not is_rsync(probe.url)]
    yield from sorted(found, key=lambda probe: (probe.failures, content.urls.index(probe.url), probe.family))
