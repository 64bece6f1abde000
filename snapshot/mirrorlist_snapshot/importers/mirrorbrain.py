"""MirrorBrain: the table `server` of its database, as `mb export` or `pg_dump --table=server` write it.

`country_only` and `region_only` become lists of allowed countries, `as_only` and `prefix_only` private mirrors, the
country `**` the whole world. `score` is the weight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.countries import CONTINENT_OF
from mirrorlist_snapshot.importers.about import about
from mirrorlist_snapshot.importers.entries import Content, Entry, NotTaken, not_taken, refuse
from mirrorlist_snapshot.importers.one_tree import one_tree
from mirrorlist_snapshot.importers.places import as_continent
from mirrorlist_snapshot.importers.records import Record
from mirrorlist_snapshot.importers.sql import rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlist_snapshot.importers.entries import Findings, ImportedFile, ImportOptions

_STATE: Final = ("status_baseurl", "scan_fpm", "last_scan")
_TRUE: Final = frozenset(("t", "true", "1"))


def read(files: Sequence[ImportedFile], options: ImportOptions) -> Findings:
    """Yield the mirrors of the dumps."""
    for file in files:
        found = list(rows_of(file, "server"))
        if not found:
            refuse(
                file,
                "has no row of the table `server`; make it by `mb export` or `pg_dump --table=server`",
            )
        for row in found:
            if isinstance(row, NotTaken):
                yield row
                continue
            yield _entry(file, row, options)
            if row.text("file_maxsize") not in {"", "0"}:
                reason = "a largest size of files is no key of a source; the mirror is offered for every file"
                yield not_taken(file, row.line, f"{row.text('identifier')}.file_maxsize", reason)
        if state := [key for key in _STATE if any(isinstance(row, Record) and key in row.data for row in found)]:
            yield not_taken(file, None, ", ".join(state), "the state of a moment, which a source does not have")
    yield one_tree(files, options)


def _entry(file: ImportedFile, row: Record, options: ImportOptions) -> Entry:
    def is_set(column: str) -> bool:
        return row.text(column).lower() in _TRUE

    country = row.text("country").upper()
    others = [code for code in row.text("other_countries").upper().replace(",", " ").split() if code]
    region = row.text("region").upper()
    asn, prefix = row.text("asn"), row.text("prefix")
    settings: dict[str, object] = {
        "bandwidth": row.text("score"),
        "asns": [asn] if asn not in {"", "0"} and not is_set("prefix_only") else [],
        "netblocks": [prefix] if prefix not in {"", "-"} else [],
    }
    if row.text("enabled") and not is_set("enabled"):
        settings["active"] = False
    if is_set("as_only") or is_set("prefix_only"):
        settings["private"] = True
    elif is_set("country_only"):
        settings["allowed_countries"] = [country, *others]
    elif is_set("region_only"):
        settings["allowed_countries"] = list(dict.fromkeys([*_countries_of(region), country, *others]))
    place = "worldwide" if country == "**" else country if country.strip("-") else as_continent(region)
    return Entry(
        file=file.name,
        line=row.line,
        name=row.text("identifier"),
        contents={
            options.category: Content(
                [url for column in ("baseurl", "baseurl_ftp", "baseurl_rsync") if (url := row.text(column))],
                families=["ipv6"] if is_set("ipv6_only") else [],
            )
        },
        places=[place, *others],
        settings=settings,
        about=about(
            sponsor={"name": row.text("operator_name"), "url": row.text("operator_url")},
            contact=" ".join(filter(None, (row.text("admin"), row.text("admin_email")))),
            latitude=_degrees(row.text("lat")),
            longitude=_degrees(row.text("lng")),
            notes=row.text("public_notes"),
            extra={"comment": row.text("comment")},
        ),
    )


def _countries_of(region: str) -> list[str]:
    return [country for country, continent in CONTINENT_OF.items() if continent == region]


def _degrees(text: str) -> float | None:
    try:
        return float(text) or None
    except ValueError:
        return None
