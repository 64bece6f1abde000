"""CPAN: `MIRRORED.BY`, and `mirrors.json`.

ftp.example.org:
  dst_http         = "http://ftp.example.org/CPAN/"
  dst_rsync        = "ftp.example.org::CPAN"
  dst_location     = "Berlin, Germany, Europe (52.5 13.4)"
  dst_bandwidth    = "1Gbps"
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.importers import columns
from mirrorlist_snapshot.importers.about import about
from mirrorlist_snapshot.importers.entries import Content, Entry, not_taken
from mirrorlist_snapshot.importers.one_tree import one_tree
from mirrorlist_snapshot.importers.places import place_named
from mirrorlist_snapshot.importers.records import structured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlist_snapshot.importers.entries import Findings, ImportedFile, ImportOptions

_SITE: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]*):?")
_FIELD: Final = re.compile(r"\s+(\w+)\s*=\s*\"(.*)\"?")
_JSON: Final = {
    "name": "name",
    "country": "ccode",
    "http": "http",
    "ftp": "ftp",
    "rsync": "rsync",
    "sponsor": "org",
    "city": "city",
    "latitude": "latitude",
    "longitude": "longitude",
    "notes": "note",
}
_KEPT: Final = ("frequency", "dst_timezone", "dst_src", "dst_loadbal")


@dataclass(slots=True)
class _Site:
    line: int
    name: str
    facts: dict[str, str] = field(default_factory=dict[str, str])

    def get(self, *names: str) -> str:
        return next((fact for name in names if (fact := self.facts.get(name, ""))), "")


def read(files: Sequence[ImportedFile], options: ImportOptions) -> Findings:
    """Yield the mirrors of the files, which may be in either form."""
    for file in files:
        if file.text.lstrip()[:1] in {"{", "["}:
            for record in structured(file):
                entry, lost = columns.entry_of(file, record, _JSON, options)
                yield entry
                yield from lost
        else:
            yield from _sites(file, options)
    yield one_tree(files, options)


def _sites(file: ImportedFile, options: ImportOptions) -> Findings:
    site: _Site | None = None
    for number, line in enumerate(file.text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if match := _SITE.fullmatch(line.rstrip()):
            if site is not None:
                yield _entry(file, site, options)
            site = _Site(number, match[1])
        elif site is not None and (match := _FIELD.fullmatch(line.rstrip())):
            site.facts[match[1]] = match[2].rstrip('"').strip()
        else:
            yield not_taken(file, number, site.name if site else "", 'the line is neither `HOST:` nor `KEY = "VALUE"`')
    if site is not None:
        yield _entry(file, site, options)


def _entry(file: ImportedFile, site: _Site, options: ImportOptions) -> Entry:
    place = re.fullmatch(r"(.*?)\s*(?:\(([-0-9.]+)[\s,]+([-0-9.]+)\))?\s*", site.get("dst_location"))
    parts = [part.strip() for part in (place[1] if place else site.get("dst_location")).split(",") if part.strip()]
    # City, area, country, continent: the country is the last part but one that is a country.
    named = [part for part in parts if (found := place_named(part)) and found.country]
    text = named[-1] if named else (parts[-1] if parts else "")
    found = place_named(text)
    located = place is not None and not (found and found.worldwide)
    urls = [site.get("dst_http"), site.get("dst_ftp", "dst_directory"), site.get("dst_rsync")]
    return Entry(
        file=file.name,
        line=site.line,
        name=site.name,
        contents={options.category: Content([_url(url) for url in urls if url])},
        places=[text],
        settings={"bandwidth": site.get("dst_bandwidth")},
        about=about(
            sponsor={"name": site.get("dst_organisation", "dst_organization").strip("; ")},
            contact=site.get("dst_contact"),
            city=parts[0] if located and len(parts) > 1 else "",
            latitude=_degrees(place[2]) if place and located else None,
            longitude=_degrees(place[3]) if place and located else None,
            notes=site.get("dst_notes"),
            extra={key: site.get(key) for key in _KEPT},
        ),
    )


def _url(text: str) -> str:
    """Return a URL: in old files `host:/path` is ftp, and rsync stands without its protocol."""
    if "://" in text or "::" in text:
        return re.sub(r"\A(\w+://[^/:]+):(?=/)", r"\1", text)
    host, colon, path = text.partition(":/")
    return f"ftp://{host}/{path}" if colon else f"rsync://{text}"


def _degrees(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
