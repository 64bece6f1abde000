"""Gentoo's mirrors in XML (`distfiles.xml`, `rsync.xml`): groups by region and country, several URIs a mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorlist_snapshot.importers.about import about
from mirrorlist_snapshot.importers.entries import Content, Entry, not_taken, refuse
from mirrorlist_snapshot.importers.one_tree import one_tree
from mirrorlist_snapshot.importers.places import as_continent, place_named
from mirrorlist_snapshot.importers.xml_elements import root_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mirrorlist_snapshot.importers.entries import Findings, ImportedFile, ImportOptions
    from mirrorlist_snapshot.importers.xml_elements import Element


def read(files: Sequence[ImportedFile], options: ImportOptions) -> Findings:
    """Yield the mirrors of the documents."""
    for file in files:
        groups = list(root_of(file).all("mirrorgroup"))
        if not groups:
            refuse(file, "has no <mirrorgroup> in it")
        for group in groups:
            for mirror in group.all("mirror"):
                yield from _entries(file, group, mirror, options)
                if any(_says(uri, "partial") for uri in mirror.all("uri")):
                    reason = 'partial="y" does not state which part; the mirror is offered for everything'
                    yield not_taken(file, mirror.line, mirror.said("name"), reason)
    yield one_tree(files, options)


def _entries(file: ImportedFile, group: Element, mirror: Element, options: ImportOptions) -> Iterator[Entry]:
    """Yield a mirror: as two if some of its URIs are reachable by IPv4 and others by IPv6 only."""
    by_families: dict[tuple[str, ...], list[str]] = {}
    for uri in mirror.all("uri"):
        families = tuple(family for family in ("ipv4", "ipv6") if _says(uri, family))
        by_families.setdefault(families if len(families) == 1 else (), []).append(uri.text.strip())
    for families, urls in (by_families or {(): []}).items():
        yield _entry(
            file, group, mirror, {options.category: Content(list(filter(None, urls)), families=list(families))}
        )


def _entry(file: ImportedFile, group: Element, mirror: Element, contents: dict[str, Content]) -> Entry:
    places = [group.attributes.get("country", ""), group.attributes.get("countryname", "")]
    places.append(as_continent(group.attributes.get("region", "")))
    latitude, _, longitude = mirror.attributes.get("coordinates", "").partition(",")
    return Entry(
        file=file.name,
        line=mirror.line,
        contents=contents,
        places=[next((text for text in places if place_named(text) and text), places[0])],
        about=about(
            sponsor={"name": mirror.said("name")},
            city=mirror.attributes.get("city", ""),
            latitude=_degrees(latitude),
            longitude=_degrees(longitude),
            extra={"gentoo-bug": mirror.attributes.get("gentoo-bug", "")},
        ),
    )


def _says(uri: Element, name: str) -> bool:
    return uri.attributes.get(name, "").strip().lower() in {"y", "yes"}


def _degrees(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
