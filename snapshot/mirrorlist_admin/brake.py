"""The brake: what a run saw is doubted before anything is taken away because of it. Pure.

1. Am I alive? Too few of the master and the reference hosts answer: the run is void.
2. Too many new failures at once: the run is void; in one address family or AS alone: that evidence is void.
3. A run takes away a few mirrors or a small part of the capacity; the rest waits until a second run confirms it.
4. The master went backwards: its units are not judged (`watcher` finds that).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

ENOUGH_ALIVE: Final = 4
"""Of the master and five reference hosts."""
MOST_NEW_FAILURES: Final = 0.4
"""Fraction."""
FEW: Final = 3
"""Mirrors: fewer than that which fail together are no sign of a fault here; so many a run may take away."""
SMALL_PART: Final = 0.05
"""Fraction of the capacity that a run may take away."""


def not_alive(masters: Sequence[bool], references: Sequence[bool]) -> str | None:
    """Return why the prober cannot be trusted to be on the network; None if it can be.

    `masters` and `references` say for each host whether it answered. Masters that are local folders are not among them.
    """
    if not references:
        if masters and not any(masters):
            return "no master answers"
        return None
    answered, asked = sum(masters) + sum(references), len(masters) + len(references)
    needed = min(ENOUGH_ALIVE, asked - 1 if asked > 1 else 1)
    if answered >= needed:
        return None
    return f"only {answered} of {asked} masters and reference hosts answer; {needed} are needed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedUrl:
    """A URL that answered when it was last asked, or was never asked before, and was asked in this run."""

    mirror: str
    family: int
    asns: tuple[int, ...]
    failed: bool
    """Whether it failed at least once in this run, although it may have answered later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Which failures of a run are not believed."""

    run: str = ""
    """Why the run is void; empty if it is not."""
    families: Mapping[int, str] = field(default_factory=dict[int, str])
    """Family -> why its failures are void."""
    asns: Mapping[int, str] = field(default_factory=dict[int, str])


def doubt(urls: Sequence[AskedUrl]) -> Doubt:
    """Judge the new failures of a run."""
    families = {
        family: reason
        for family in (4, 6)
        if (reason := _too_many([url for url in urls if url.family == family], f"over IPv{family} "))
    }
    asked = {url.mirror for url in urls}
    believed = [url for url in urls if url.family not in families]
    if len(families) == 1 and believed and not _too_many(believed, ""):
        return Doubt(families=families)
    reason = _too_many(list(urls), "")
    if not reason:
        return Doubt(families=families)
    failing = {url.mirror for url in urls if url.failed}
    per_asn: defaultdict[int, set[str]] = defaultdict(set)
    for url in urls:
        for asn in url.asns:
            per_asn[asn].add(url.mirror)
    for asn, mirrors in per_asn.items():
        if failing <= mirrors < asked:
            return Doubt(asns={asn: f"{reason}, all in AS{asn}"})
    return Doubt(run=reason)


def too_many(failing: int, asked: int) -> bool:
    """Whether so many of the mirrors that were asked can only fail together by a fault of ours."""
    return failing >= FEW and failing > MOST_NEW_FAILURES * asked


def _too_many(urls: Sequence[AskedUrl], where: str) -> str | None:
    asked = {url.mirror for url in urls}
    failing = {url.mirror for url in urls if url.failed}
    if not too_many(len(failing), len(asked)):
        return None
    return f"{len(failing)} of {len(asked)} mirrors that answered before fail {where}at once".replace("  ", " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A mirror that a run would take something away of."""

    mirror: str
    badness: float
    """The worse, the higher: a mirror that is down is worse than one with old units."""
    items: tuple[tuple[str, str, str], ...]
    """(category, subject, name) of what would be taken away; subjects as in `store.rows`."""


def within_budget(
    removals: Sequence[Removal],
    capacity: Mapping[str, tuple[str, int]],
    confirmed: Collection[tuple[str, str, str, str]],
) -> frozenset[tuple[str, str, str, str]]:
    """Return what is held back: (mirror, category, subject, name).

    `capacity` is (country, Mbit/s) of every mirror. What is in `confirmed` an earlier run has held back.
    """
    total, per_country = Counter[str](), Counter[str]()
    for country, bandwidth in capacity.values():
        total[""] += bandwidth
        per_country[country] += bandwidth
    taken, taken_mirrors = Counter[str](), Counter[str]()
    held: set[tuple[str, str, str, str]] = set()
    for removal in sorted(removals, key=lambda one: (-one.badness, one.mirror)):
        items = {(removal.mirror, *item) for item in removal.items}
        if not (rest := items - set(confirmed)):
            continue
        country, bandwidth = capacity.get(removal.mirror, ("", 0))
        scopes = [("all", total[""])] + ([(f"country {country}", per_country[country])] if country else [])
        fits = all(
            taken_mirrors[scope] + 1 <= FEW or taken[scope] + bandwidth <= SMALL_PART * whole for scope, whole in scopes
        )
        if not fits:
            held |= rest
            continue
        for scope, _ in scopes:
            taken[scope] += bandwidth
            taken_mirrors[scope] += 1
    return frozenset(held)
