"""The countries whose answers change: two snapshots compared by the mirrors that clients are offered.

A country's answer for a directory is the set of its candidates: name, tier, weight, URLs. It comes from the country
half of the rules of docs/selection.md (`tiers`) and the carrier set; networks and autonomous systems, which come on top
for single clients, are compared as fields of mirrors. Sets of mirrors are integers here, one bit a mirror, numbered by
name over both snapshots: 400 repositories in 250 countries are then 100,000 steps, not 50,000,000.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from mirrorlist_snapshot.countries import CONTINENT_OF
from mirrorlist_snapshot.model import CategoryKind
from mirrorlist_snapshot.tiers import FALLBACK, GLOBAL, continent_of, tier_map

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirrorlist_snapshot.model import RepositoryDirectory, Snapshot

MINIMUM: Final = 5
"""Mirrors below which tier 6 is added: the server's default (docs/selection.md, Tiers)."""


def changed_answers(old: Snapshot, new: Snapshot) -> list[dict[str, Any]]:
    """Return each repository and architecture of both snapshots with the countries (sorted codes) whose answers differ.

    Repositories of one snapshot only are left out: they are reported as added or removed.
    """
    names = sorted({mirror.name for snapshot in (old, new) for mirror in snapshot.mirrors})
    bits = {name: number for number, name in enumerate(names)}
    sides = _SnapshotAnswers(old, bits), _SnapshotAnswers(new, bits)

    @cache
    def altered(first: tuple[int, int], second: tuple[int, int]) -> int:
        """Return the mirrors that are candidates on both sides, but differently."""
        before, after = sides[0].candidates(*first).offers, sides[1].candidates(*second).offers
        return sum(1 << bit for bit in before.keys() & after.keys() if before[bit] != after[bit])

    @cache
    def differ(
        old_place: RepositoryDirectory | None, new_place: RepositoryDirectory | None, maps: tuple[int, int]
    ) -> bool:
        before, after = sides[0].answer(old_place, maps[0]), sides[1].answer(new_place, maps[1])
        if before != after or old_place is None or new_place is None or not before:
            return before != after
        moved = old_place.path != new_place.path
        return moved or bool(before & altered((old_place.category, maps[0]), (new_place.category, maps[1])))

    changes: list[dict[str, Any]] = []
    for repository, arch in sorted(sides[0].places.keys() & sides[1].places.keys()):
        places = sides[0].places[repository, arch], sides[1].places[repository, arch]
        countries = [
            country
            for country in sorted(CONTINENT_OF)
            if differ(*places, (sides[0].map_of[country], sides[1].map_of[country]))
        ]
        if countries:
            changes.append({"repository": repository, "arch": arch, "countries": countries})
    return changes


@dataclass(frozen=True, slots=True)
class _Candidates:
    """The mirrors of one category that the countries of one tier map can be offered."""

    near: int
    """Tiers 3 to 5."""
    far: int
    """Tier 6."""
    last: int
    """Tier 7."""
    offers: Mapping[int, tuple[int, int, tuple[str, ...]]]
    """Bit -> tier code, weight, URLs."""


class _SnapshotAnswers:
    """The answers of one of the two snapshots, computed once each."""

    def __init__(self, snapshot: Snapshot, bits: Mapping[str, int]) -> None:
        self._snapshot = snapshot
        self._bits = [bits[mirror.name] for mirror in snapshot.mirrors]
        self._candidates: dict[tuple[int, int], _Candidates] = {}
        self._carriers: dict[int, int] = {}
        maps: dict[bytes, int] = {}
        self.map_of: dict[str, int] = {}
        """Country -> number of its tier map. Most countries without mirrors share that of their continent."""
        for country in CONTINENT_OF:
            found = tier_map(snapshot, country, continent_of(country, None, snapshot.overrides))
            self.map_of[country] = maps.setdefault(found, len(maps))
        self._maps = list(maps)
        self.places: dict[tuple[str, str], RepositoryDirectory | None] = {
            (one.name, place.arch): None if one.disabled else place
            for one in snapshot.repositories
            for place in one.directories
        }
        """Repository and architecture -> directory, None if the repository is disabled."""

    def answer(self, place: RepositoryDirectory | None, tiers: int) -> int:
        """Return the mirrors that the countries of a tier map get for a directory; 0 if there is no list."""
        if place is None:
            return 0
        carriers, offered = self._carrying(place), self.candidates(place.category, tiers)
        near = carriers & offered.near
        far = carriers & offered.far if near.bit_count() < MINIMUM else 0
        return near | far | carriers & offered.last

    def _carrying(self, place: RepositoryDirectory) -> int:
        directories, path = self._snapshot.directories, place.path.encode()
        is_open = self._snapshot.categories[place.category].kind is CategoryKind.OPEN
        number = (directories.nearest if is_open else directories.find)(place.category, path)
        if number is None:
            return 0
        if number not in self._carriers:
            self._carriers[number] = sum(1 << self._bits[mirror] for mirror in self._snapshot.sets.members(number))
        return self._carriers[number]

    def candidates(self, category: int, tiers: int) -> _Candidates:
        """Return the mirrors of a category that the countries of a tier map can be offered."""
        key = category, tiers
        if key not in self._candidates:
            self._candidates[key] = self._find_candidates(category, self._maps[tiers])
        return self._candidates[key]

    def _find_candidates(self, category: int, codes: bytes) -> _Candidates:
        offers = {
            self._bits[number]: (codes[number], mirror.bandwidth, content.urls)
            for number, mirror in enumerate(self._snapshot.mirrors)
            if codes[number] <= FALLBACK
            for content in mirror.contents
            if content.category == category
        }
        return _Candidates(
            near=sum(1 << bit for bit, offer in offers.items() if offer[0] < GLOBAL),
            far=sum(1 << bit for bit, offer in offers.items() if offer[0] == GLOBAL),
            last=sum(1 << bit for bit, offer in offers.items() if offer[0] == FALLBACK),
            offers=offers,
        )
