"""Lists in tables: CSV, JSON and YAML with any columns, and the lists of networks that publish such tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.importers import columns
from mirrorlist_snapshot.importers.entries import Content, Entry, not_taken, refuse
from mirrorlist_snapshot.importers.naming import is_name
from mirrorlist_snapshot.importers.one_tree import one_tree
from mirrorlist_snapshot.importers.places import place_named
from mirrorlist_snapshot.importers.records import rows, structured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlist_snapshot.importers.entries import Findings, ImportedFile, ImportOptions
    from mirrorlist_snapshot.importers.records import Record

_ARCH_STATE: Final = (
    "last_sync",
    "completion_pct",
    "delay",
    "duration_avg",
    "duration_stddev",
    "score",
    "isos",
    "details",
)
"""What Arch's status has about the moment: it belongs to a monitor, not to a source."""


def read_csv(files: Sequence[ImportedFile], options: ImportOptions) -> Findings:
    """Yield the mirrors of a CSV file: a comma, semicolon, tab or bar between columns, with or without a heading."""
    categories: dict[str, None] = {}
    for file in files:
        yield from _mapped(file, list(rows(file)), options, categories)
    yield one_tree(files, options, categories)


def read_structured(files: Sequence[ImportedFile], options: ImportOptions) -> Findings:
    """Yield the mirrors of a JSON or YAML file: a list of tables, or a table of tables."""
    categories: dict[str, None] = {}
    for file in files:
        yield from _mapped(file, structured(file), options, categories)
    yield one_tree(files, options, categories)


def _mapped(file: ImportedFile, records: list[Record], options: ImportOptions, categories: dict[str, None]) -> Findings:
    """Yield the mirrors of a file; add the categories that it names to `categories`."""
    known = {key for record in records for key in record.data}
    for key, column in options.columns.items():
        if column not in known and all(record.get(column) is None for record in records):
            choices = ", ".join(sorted(known))
            refuse(
                file,
                f"has no column {column!r} for `{key}`; there are: {choices}",
                records[0].line if records else None,
            )
    found = columns.guess(records, options.columns)
    if not {"url", *columns.PROTOCOL_KEYS} & found.keys():
        refuse(file, f"no column has URLs; name it: --column url=COLUMN, one of {', '.join(sorted(known))}")
    for record in records:
        entry, lost = columns.entry_of(file, record, found, options)
        for name in list(entry.contents):
            if is_name(name):
                categories[name] = None
            else:
                yield not_taken(file, record.line, entry.name, f"the category {name!r}: no category can have the name")
                del entry.contents[name]
        yield entry
        yield from lost


def read_cran(files: Sequence[ImportedFile], options: ImportOptions) -> Findings:
    """Yield the mirrors of CRAN's `CRAN_mirrors.csv`: the name `0-Cloud` stands for the whole world."""
    named = {
        "url": "URL",
        "city": "City",
        "sponsor": "Host",
        "contact": "Maintainer",
        "country": "CountryCode",
        "active": "OK",
        "comment": "Comment",
    }
    for file in files:
        records = list(rows(file))
        mine = {key: column for key, column in named.items() if any(column in record.data for record in records)}
        for record in records:
            entry, lost = columns.entry_of(file, record, mine, options, extra=False)
            place = place_named(record.text("Country"))
            if (place and place.worldwide) or not entry.places[0]:
                entry.places = [record.text("Country")]
                entry.about.pop("city", None)
            yield entry
            yield from lost
    yield one_tree(files, options)


def read_arch(files: Sequence[ImportedFile], options: ImportOptions) -> Findings:
    """Yield the mirrors of Arch's status JSON, version 3: one row for each URL; no country is the whole world."""
    for file in files:
        records = structured(file)
        named = {"url": "url", "active": "active", "country": "country_code"}
        for record in records:
            entry, lost = columns.entry_of(file, record, named, options, extra=False)
            entry.places = [record.text("country_code") or record.text("country") or "worldwide"]
            families = [key for key in ("ipv4", "ipv6") if record.get(key) is True]
            if len(families) == 1:
                entry.contents[options.category].families = families
            yield entry
            yield from lost
        state = [key for key in _ARCH_STATE if any(key in record.data for record in records)]
        if state:
            yield not_taken(file, None, ", ".join(state), "the state of a moment, which a source does not have")
    yield one_tree(files, options)


def read_alpine(files: Sequence[ImportedFile], options: ImportOptions) -> Findings:
    """Yield the mirrors of Alpine's `mirrors.yaml`, `mirrors.json` or `MIRRORS.txt`."""
    for file in files:
        if re.match(r"\s*(?:#.*\n\s*)*[a-z]+://", file.text):
            yield from _urls(file, options)
            continue
        records = structured(file)
        named = {"url": "urls", "country": "location", "bandwidth": "bandwidth"}
        for record in records:
            entry, lost = columns.entry_of(file, record, named | {"sponsor": "name"}, options)
            entry.name = ""  # `name` is the operator's; hosts name the mirrors
            yield entry
            yield from lost
    yield one_tree(files, options)


def read_urls(files: Sequence[ImportedFile], options: ImportOptions) -> Findings:
    """Yield the mirrors of a text with a URL on each line."""
    for file in files:
        yield from _urls(file, options)
    yield one_tree(files, options)


def _urls(file: ImportedFile, options: ImportOptions) -> Findings:
    for number, line in enumerate(file.text.splitlines(), 1):
        text = line.partition("#")[0].strip()
        if text:
            yield Entry(file=file.name, line=number, contents={options.category: Content([text])})
