"""Countries of mirrors whose source says `country = "auto"`: those of their hosts' addresses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mirrorlist_snapshot.host_location import HostLocator, RegistryData
from mirrorlist_snapshot.source import rules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirrorlist_snapshot.errors import Complaint
    from mirrorlist_snapshot.host_location import HostPlace
    from mirrorlist_snapshot.source.merging import MergedSources, SourceRecord
    from mirrorlist_snapshot.source.schema import MirrorTable

_FIX: Final = 'write its country, such as country = "DE"'


def place_mirrors(merged: MergedSources, locator: HostLocator | None) -> tuple[MergedSources, list[Complaint]]:
    """Return the sources with countries in place of `auto`, and notes and mistakes: who was placed where, who was not.

    Without a locator the built-in data are used, and no name is resolved. A mirror that could not be placed has no
    country and is flawed. Raise InputFileError for a broken database.
    """
    wanted = {name: _hosts(entry.value) for name, entry in merged.mirrors.items() if entry.value.country == rules.AUTO}
    if not wanted:
        return merged, []
    locator = locator or HostLocator(RegistryData())
    places = locator.locate(host for hosts in wanted.values() for host in hosts)
    mirrors = dict(merged.mirrors)
    complaints: list[Complaint] = []
    for name, hosts in wanted.items():
        entry = mirrors[name]
        country, complaint = _placed(entry, {host: places[host] for host in hosts}, locator)
        complaints.append(complaint)
        value = entry.value.model_copy(update={"country": country})
        mirrors[name] = replace(entry, value=value, flawed=entry.flawed or country is None)
    return replace(merged, mirrors=mirrors), complaints


def _hosts(mirror: MirrorTable) -> list[str]:
    urls = [url for content in mirror.categories.values() for url in content.urls]
    return list(dict.fromkeys(host for url in urls if (host := urlsplit(url).hostname)))


def _placed(
    entry: SourceRecord[MirrorTable], places: Mapping[str, HostPlace], locator: HostLocator
) -> tuple[str | None, Complaint]:
    """Return the country of a mirror and a note of it, or None and what to do."""
    found: dict[str, str] = {}
    for host, place in places.items():
        for country, address in place.countries.items():
            found.setdefault(country, address if address == host else f"{host}, {address}")
    data = locator.data.name
    if len(found) == 1:
        country, where = next(iter(found.items()))
        return country, entry.note(f'"auto" is {country}: {where} by {data}', "country")
    if found:
        several = ", ".join(f"{country} ({where})" for country, where in sorted(found.items()))
        return None, entry.error(
            f'"auto" finds several countries: {several}; {_FIX}, or worldwide = true for a network of caches', "country"
        )
    reasons = [
        f"{host}: " + (place.failure or f"{data} does not know {', '.join(place.addresses[:3])}")
        for host, place in places.items()
    ]
    said = "; ".join(reasons[:3]) or "the mirror has no URL"
    return None, entry.error(f'"auto" finds no country ({said}); {_FIX}', "country")
