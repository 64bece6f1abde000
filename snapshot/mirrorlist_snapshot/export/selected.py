"""What is exported: the mirrors that are on, and private ones only if they are asked for. Pure.

Contacts are in no snapshot, so no format can have them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.model import CategoryKind
from mirrorlist_snapshot.tiers import mirror_continent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mirrorlist_snapshot.health import MirrorHealth
    from mirrorlist_snapshot.model import About, Families, Mirror, RepositoryDirectory, Snapshot


PACMAN_LAYOUT: Final = "$repo/os/$arch"
"""Arch Linux' own; pacman replaces the variables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """What a mirror has of one category."""

    urls: tuple[str, ...]
    """One for each protocol, https first."""
    arches: tuple[str, ...]
    """The architectures of the category's repositories that it carries, sorted; empty where they have none."""
    families: Families


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedMirror:
    """A mirror; the fields mean what they mean in `model.Mirror`."""

    name: str
    country: str | None
    continent: str | None
    """Of its country, or the one that is stated; overrides applied."""
    worldwide: bool
    also_countries: tuple[str, ...]
    bandwidth: int
    private: bool
    fallback: bool
    about: About
    trees: Mapping[str, Tree]
    """By the name of the category."""
    health: MirrorHealth | None

    @property
    def only(self) -> Tree:
        """The tree of a format that has one."""
        (tree,) = self.trees.values()
        return tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """The mirrors of an export, by name."""

    serial: int
    built: int
    mirrors: Sequence[ExportedMirror]
    layout: str = PACMAN_LAYOUT
    """What pacman appends to a URL."""


def select(snapshot: Snapshot, *, private: bool) -> Selected:
    """Return the mirrors that are on and have a category; private ones only with `private`."""
    arches = _arches(snapshot)
    mirrors = [
        ExportedMirror(
            name=mirror.name,
            country=mirror.country,
            continent=mirror_continent(mirror, snapshot.overrides),
            worldwide=mirror.worldwide,
            also_countries=mirror.also_countries,
            bandwidth=mirror.bandwidth,
            private=mirror.private,
            fallback=mirror.fallback,
            about=mirror.about,
            trees=_trees(snapshot, number, mirror, arches),
            health=snapshot.health.get(number),
        )
        for number, mirror in enumerate(snapshot.mirrors)
        if mirror.active and mirror.contents and (private or not mirror.private)
    ]
    return Selected(serial=snapshot.serial, built=snapshot.built, mirrors=sorted(mirrors, key=lambda one: one.name))


def only(selected: Selected, category: str) -> Selected:
    """Return the mirrors of one category, with what they have of it."""
    mirrors = [replace(one, trees={category: one.trees[category]}) for one in selected.mirrors if category in one.trees]
    return replace(selected, mirrors=mirrors)


def _trees(
    snapshot: Snapshot, number: int, mirror: Mirror, arches: Mapping[str, Mapping[str, frozenset[int]]]
) -> dict[str, Tree]:
    whole = {snapshot.whole(content.category).name: content for content in mirror.contents}
    return {
        name: Tree(
            urls=content.urls,
            families=content.families,
            arches=tuple(sorted(arch for arch, carriers in arches.get(name, {}).items() if number in carriers)),
        )
        for name, content in sorted(whole.items())
    }


def _arches(snapshot: Snapshot) -> dict[str, dict[str, frozenset[int]]]:
    """Return category -> architecture -> the mirrors that carry it in some repository."""
    found: dict[str, dict[str, frozenset[int]]] = {}
    for repository in snapshot.repositories:
        for place in repository.directories:
            if place.arch:
                arches = found.setdefault(snapshot.whole(place.category).name, {})
                arches[place.arch] = arches.get(place.arch, frozenset()) | _carriers(snapshot, place)
    return found


def _carriers(snapshot: Snapshot, place: RepositoryDirectory) -> frozenset[int]:
    directories, path = snapshot.directories, place.path.encode()
    is_open = snapshot.categories[place.category].kind is CategoryKind.OPEN
    number = directories.nearest(place.category, path) if is_open else directories.find(place.category, path)
    return frozenset() if number is None else snapshot.sets[number]
