"""Sources of a snapshot: files that people write are read, validated and checked together.

    files -> reading -> validation (schema, rules) -> merging -> checks -> assembly -> NetworkRecords

Every step adds to one list of complaints, and the last step refuses the sources if there is a mistake. So an operator
sees all mistakes of all files in one run.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from mirrorlist_snapshot.errors import Complaint, SourceError
from mirrorlist_snapshot.source.assembly import assemble, file_details, nobody_carries
from mirrorlist_snapshot.source.bounded import Complaints
from mirrorlist_snapshot.source.checks import check
from mirrorlist_snapshot.source.country_notes import country_notes
from mirrorlist_snapshot.source.merging import merge
from mirrorlist_snapshot.source.netblock_files import read_netblock_files
from mirrorlist_snapshot.source.placing import place_mirrors
from mirrorlist_snapshot.source.reading import read
from mirrorlist_snapshot.source.schema import json_schema
from mirrorlist_snapshot.source.validation import validate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from mirrorlist_snapshot.host_location import HostLocator
    from mirrorlist_snapshot.records import NetworkRecords
    from mirrorlist_snapshot.source.merging import MergedSources
    from mirrorlist_snapshot.source.reading import Document
    from mirrorlist_snapshot.source.validation import ValidatedDocument

__all__ = ["json_schema", "read_documents", "read_sources"]


def read_sources(
    paths: Sequence[Path], locator: HostLocator | None = None
) -> tuple[NetworkRecords, tuple[Complaint, ...]]:
    """Read files, and folders of files, that describe mirrors; return the records, and the warnings and notes.

    `locator` finds the countries of mirrors with `country = "auto"`; by default the built-in data do, and no name is
    resolved.
    Raise SourceError with all complaints, mistakes and warnings, of all files if there is a mistake.
    """
    documents, complaints = read(paths)
    return read_documents(documents, complaints, locator)


def read_documents(
    documents: Sequence[Document], found: Sequence[Complaint] = (), locator: HostLocator | None = None
) -> tuple[NetworkRecords, tuple[Complaint, ...]]:
    """Do what `read_sources` does with documents that are read, by `reading` or by an importer, with its complaints."""
    complaints = Complaints()
    complaints.add(found)
    unread = complaints.mistakes
    parts: list[ValidatedDocument] = []
    for document in documents:
        part, mistakes = validate(document)
        parts.append(part)
        complaints.add(mistakes)
    merged, twice = merge(parts)
    merged, wrong_files = read_netblock_files(merged)
    files, conflicts = file_details(merged)
    merged, placed = place_mirrors(merged, locator)
    complaints.add(chain(twice, wrong_files, placed, check(merged), conflicts))
    if not unread:
        complaints.add(_check_any(merged, [document.file for document in documents]))
    if complaints.mistakes:
        raise SourceError(_in_order(complaints.told()))
    records = assemble(merged, files)
    complaints.add(chain(nobody_carries(merged, records), country_notes(documents)))
    return records, _in_order(complaints.told())


def _check_any(merged: MergedSources, files: Sequence[str]) -> Iterator[Complaint]:
    """Refuse a description without mirrors or repositories: it would leave every client without a mirror."""
    for section in ("mirrors", "repositories"):
        if not any(path[0] == section for path in merged.named):
            message = "there are none in any source; describe at least one"
            yield Complaint(file=", ".join(files), line=None, key=section, message=message)


def _in_order(complaints: Iterable[Complaint]) -> tuple[Complaint, ...]:
    """Return distinct complaints, sorted by file in order of appearance, then by line."""
    distinct = dict.fromkeys(complaints)
    files = {file: rank for rank, file in enumerate(dict.fromkeys(complaint.file for complaint in distinct))}
    return tuple(sorted(distinct, key=lambda complaint: (files[complaint.file], complaint.line or 0)))
