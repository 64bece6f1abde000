"""Formats of lines: CSV, mirmon, Debian's masterlist, pacman. Pure."""

from __future__ import annotations

import csv as csv_module
import io
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.country_names import english_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mirrorlist_snapshot.export.selected import ExportedMirror, Selected

_PROTOCOLS: Final = ("https", "http", "ftp", "rsync")
_COLUMNS: Final = (
    *("mirror", "country", "continent", "worldwide", "also_countries", "city", "latitude", "longitude", "bandwidth"),
    *("private", "fallback", "sponsor", "sponsor_url", "notes", "category", "arches", *_PROTOCOLS),
)
_FORMULA: Final = ("=", "+", "-", "@")
"""Signs at the start of a cell that spreadsheets take for a formula, which could do anything."""


def csv(selected: Selected) -> str:
    """Return a table with a row for each mirror and category; lists have spaces between their items."""
    file = io.StringIO()
    writer = csv_module.writer(file, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for mirror in selected.mirrors:
        about = mirror.about
        for category, tree in mirror.trees.items():
            urls = {url.partition(":")[0]: url for url in tree.urls}
            writer.writerow(
                [
                    *(mirror.name, mirror.country or "", mirror.continent or "", _flag(mirror.worldwide)),
                    *(" ".join(mirror.also_countries), _cell(about.city), about.latitude, about.longitude),
                    *(mirror.bandwidth, _flag(mirror.private), _flag(mirror.fallback)),
                    *(_cell(about.sponsor), about.sponsor_url, _cell(about.notes), category, " ".join(tree.arches)),
                    *(urls.get(protocol, "") for protocol in _PROTOCOLS),
                ]
            )
    return file.getvalue()


def _flag(value: bool) -> str:  # noqa: FBT001 - the value to be written
    return "true" if value else "false"


def _cell(text: str) -> str:
    """Return a text that strangers may have written, so that a spreadsheet does not take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def mirmon(selected: Selected) -> str:
    """Return a `mirror_list` of mirmon, style plain: a line for each mirror. A country that is not known is `zz`."""
    rows = [((one.country or "zz").lower(), one.only.urls[0]) for one in selected.mirrors]
    return "".join(f"{country} {url}\n" for country, url in sorted(rows))


def debian_masterlist(selected: Selected) -> str:
    """Return a paragraph for each host of a mirror, in the form of Debian's Mirrors.masterlist.

    A worldwide mirror has the type GeoDNS and no country, as deb.debian.org has there.
    """
    paragraphs = [paragraph for mirror in selected.mirrors for paragraph in _paragraphs(mirror)]
    return "\n".join("".join(f"{name}: {value}\n" for name, value in paragraph) for paragraph in paragraphs)


def _paragraphs(mirror: ExportedMirror) -> Iterator[list[tuple[str, str]]]:
    hosts: dict[str, list[tuple[str, str]]] = {}
    for url in mirror.only.urls:
        protocol, _, rest = url.partition("://")
        host, slash, path = rest.partition("/")
        hosts.setdefault(host, []).append((f"Archive-{protocol}", slash + path))
    about = mirror.about
    for host, archives in hosts.items():
        fields = [("Site", host), ("Type", "GeoDNS" if mirror.worldwide else "leaf")]
        if mirror.only.arches:
            fields.append(("Archive-architecture", " ".join(mirror.only.arches)))
        fields += archives
        if mirror.country and not mirror.worldwide:
            fields.append(("Country", f"{mirror.country} {english_name(mirror.country)}"))
        if about.city:
            fields.append(("Location", about.city))
        if about.sponsor:
            fields.append(("Sponsor", f"{about.sponsor} {about.sponsor_url}".rstrip()))
        if about.notes:
            fields.append(("Comment", about.notes))
        yield fields


def pacman(selected: Selected) -> str:
    """Return a mirrorlist of pacman: URLs of http and https below the name of their country, worldwide ones first."""
    countries: dict[str, list[str]] = {}
    for mirror in selected.mirrors:
        name = "Worldwide" if mirror.worldwide or not mirror.country else english_name(mirror.country)
        urls = (url for url in mirror.only.urls if url.startswith(("https:", "http:")))
        countries.setdefault(name, []).extend(f"Server = {url}{selected.layout}\n" for url in urls)
    ordered = sorted(countries.items(), key=lambda item: (item[0] != "Worldwide", item[0]))
    return "\n".join(_section(name, servers) for name, servers in ordered if servers)


def _section(name: str, servers: Iterable[str]) -> str:
    return f"## {name}\n{''.join(servers)}"
