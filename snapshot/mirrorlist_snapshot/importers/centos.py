"""CentOS: the country groups of its mirrorlists (`ccgroups.json`), and its list of mirrors in CSV.

A group has the countries whose mirrors a country's clients get next, nearest first; it becomes the country's
neighbours, one group each, because CentOS takes them in this order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from mirrorlist_snapshot.importers import columns
from mirrorlist_snapshot.importers.entries import Tables, not_taken, refuse
from mirrorlist_snapshot.importers.one_tree import one_tree
from mirrorlist_snapshot.importers.places import country_named_exactly
from mirrorlist_snapshot.importers.records import parsed, rows
from mirrorlist_snapshot.tiers import MAX_NEIGHBOUR_GROUPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlist_snapshot.importers.entries import Findings, ImportedFile, ImportOptions

_COLUMNS: Final = {
    "country": "Country",
    "continent": "Region",
    "city": "Location",
    "sponsor": "Sponsor",
}


def read(files: Sequence[ImportedFile], options: ImportOptions) -> Findings:
    """Yield the mirrors of CSV files, and the neighbours of JSON files."""
    mirrors = False
    for file in files:
        if file.text.lstrip()[:1] == "{":
            yield from _groups(file)
            continue
        mirrors = True
        records = list(rows(file))
        known = {key for record in records for key in record.data}
        named = {key: column for key, column in _COLUMNS.items() if column in known}
        found = columns.guess(records, options.columns | named)
        for record in records:
            entry, lost = columns.entry_of(file, record, found, options)
            yield entry
            yield from lost
    if mirrors:
        yield one_tree(files, options)


def _groups(file: ImportedFile) -> Findings:
    document = parsed(file)
    lines = document.locate()
    neighbours: dict[str, object] = {}
    for key, value in cast("dict[str, Any]", document.data).items():
        if not isinstance(value, list):
            refuse(file, f"has something else than a list for {key!r}", lines.find((key,)))
        client = country_named_exactly(key)
        codes = [str(code) for code in cast("list[object]", value) if str(code).strip()]
        if client is None:
            if codes:
                yield not_taken(file, lines.find((key,)), key, "it is no country")
            continue
        found = {code: country_named_exactly(code) for code in codes}
        for code, country in found.items():
            if country is None:
                yield not_taken(file, lines.find((key,)), key, f"{code!r} is no country")
        groups = [[country] for country in dict.fromkeys(found.values()) if country and country != client]
        if groups:
            neighbours[client] = groups[:MAX_NEIGHBOUR_GROUPS]
    yield Tables(file.name, None, {"overrides": {"neighbours": neighbours}})
