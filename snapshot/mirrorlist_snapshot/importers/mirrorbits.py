"""mirrorbits: what `mirrorbits show NAME` prints and `mirrorbits edit NAME` opens, one or several.

    Name: example.org
    HttpURL: example.org/pub/
    CountryCodes: DE AT
    ContinentOnly: false
    Score: 0
    Enabled: true

An `HttpURL` without a protocol is served by https and http. The first country is where the mirror is. `CountryOnly`
and `ContinentOnly` become lists of allowed countries; with `ASOnly` a mirror is private to its AS. `Score` changes the
share by as many percent.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.countries import CONTINENT_OF
from mirrorlist_snapshot.importers.about import about
from mirrorlist_snapshot.importers.entries import Content, Entry, not_taken
from mirrorlist_snapshot.importers.one_tree import one_tree
from mirrorlist_snapshot.importers.records import Record, as_table, parsed_yaml
from mirrorlist_snapshot.model import DEFAULT_BANDWIDTH

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mirrorlist_snapshot.importers.entries import Findings, ImportedFile, ImportOptions

_START: Final = re.compile(r"^(?=Name:)", re.MULTILINE)
_REMARK: Final = re.compile(r"^Comment:[ \t]*\n?", re.MULTILINE)


def read(files: Sequence[ImportedFile], options: ImportOptions) -> Findings:
    """Yield the mirrors of the files."""
    for file in files:
        for record, remark in _records(file):
            if not record.text("Name") and not record.text("HttpURL"):
                yield not_taken(file, record.line, "", "it has neither `Name:` nor `HttpURL:`", entry=True)
                continue
            yield _entry(file, record, remark, options)
            if record.text("AllowRedirects"):
                reason = "redirects of the mirror itself are followed by clients; the probe reports them"
                yield not_taken(file, record.line, f"{record.text('Name')}.AllowRedirects", reason)
    yield one_tree(files, options)


def _records(file: ImportedFile) -> Iterator[tuple[Record, str]]:
    """Yield each mirror of a file with its remark: `show` prints it below the mirror, in no form of YAML."""
    text = file.text
    starts = [match.start() for match in _START.finditer(text)] or [0]
    starts[0] = 0
    line = 0
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        part, *remark = _REMARK.split(text[start:end], maxsplit=1)
        data = parsed_yaml(file, part, line).data
        yield Record(line + 1, as_table(data)), " ".join("".join(remark).split())
        line += text.count("\n", start, end)


def _entry(file: ImportedFile, record: Record, remark: str, options: ImportOptions) -> Entry:
    http = record.text("HttpURL")
    urls = [http] if "://" in http else [f"{protocol}://{http}" for protocol in ("https", "http") if http]
    countries = record.text("CountryCodes").split()
    asn = record.text("ASNum")
    settings: dict[str, object] = {
        "asns": [asn] if asn not in {"", "0"} else [],
        "denied_countries": record.text("ExcludedCountryCodes").split(),
    }
    if score := int(record.text("Score") or 0):
        settings["bandwidth"] = max(1, round(DEFAULT_BANDWIDTH * (1 + score / 100)))
    if record.get("Enabled") is False:
        settings["active"] = False
    if record.get("ASOnly") is True:
        settings["private"] = True
    if record.get("CountryOnly") is True:
        settings["allowed_countries"] = countries
    elif record.get("ContinentOnly") is True:
        continent = record.text("ContinentCode").upper()
        settings["allowed_countries"] = [country for country, its in CONTINENT_OF.items() if its == continent]
    located = bool(record.get("Latitude")) or bool(record.get("Longitude"))
    return Entry(
        file=file.name,
        line=record.line,
        name=record.text("Name"),
        contents={options.category: Content([*urls, *filter(None, (record.text("FtpURL"), record.text("RsyncURL")))])},
        places=countries,
        settings=settings,
        about=about(
            sponsor={
                "name": record.text("SponsorName"),
                "url": record.text("SponsorURL"),
                "logo": record.text("SponsorLogoURL"),
            },
            contact=" ".join(filter(None, (record.text("AdminName"), record.text("AdminEmail")))),
            latitude=record.get("Latitude") if located else None,
            longitude=record.get("Longitude") if located else None,
            extra={"CustomData": record.text("CustomData"), "Comment": remark},
        ),
    )
