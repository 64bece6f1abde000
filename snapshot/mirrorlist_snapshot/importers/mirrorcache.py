"""MirrorCache: its list of servers in JSON (`/rest/server`), or the table `server` of its database as SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.importers.about import about
from mirrorlist_snapshot.importers.entries import Content, Entry, NotTaken, not_taken, refuse
from mirrorlist_snapshot.importers.one_tree import one_tree
from mirrorlist_snapshot.importers.places import as_continent
from mirrorlist_snapshot.importers.records import structured
from mirrorlist_snapshot.importers.sql import rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlist_snapshot.importers.entries import Findings, ImportedFile, ImportOptions
    from mirrorlist_snapshot.importers.records import Record

_FALSE: Final = frozenset(("f", "false", "0"))


def read(files: Sequence[ImportedFile], options: ImportOptions) -> Findings:
    """Yield the mirrors of the files: each by https and http, as MirrorCache takes it unless it is told otherwise."""
    for file in files:
        is_json = file.text.lstrip()[:1] in {"{", "["}
        found = structured(file) if is_json else list(rows_of(file, "server"))
        if not found:
            refuse(file, "has no server in it: give the answer of /rest/server, or a dump of the table `server`")
        for row in found:
            if isinstance(row, NotTaken):
                yield row
            else:
                yield _entry(file, row, options)
                if row.text("hostname_vpn"):
                    reason = "an address for clients in a private network; describe a private mirror with its netblocks"
                    yield not_taken(file, row.line, f"{row.text('hostname')}.hostname_vpn", reason)
    yield one_tree(files, options)


def _entry(file: ImportedFile, row: Record, options: ImportOptions) -> Entry:
    host, path = row.text("hostname"), row.text("urldir").strip("/")
    others = row.text("extra_regions") or row.text("extra regions")
    return Entry(
        file=file.name,
        line=row.line,
        name=host,
        contents={options.category: Content([f"{protocol}://{host}/{path}" for protocol in ("https", "http") if host])},
        places=[row.text("country") or as_continent(row.text("region"))],
        settings={"active": False} if row.text("enabled").lower() in _FALSE else {},
        about=about(
            sponsor={
                "name": row.text("sponsor"),
                "url": row.text("sponsor_url") or row.text("sponsor url"),
            },
            latitude=_degrees(row.get("lat")),
            longitude=_degrees(row.get("lng")),
            notes=row.text("public_notes") or row.text("public notes"),
            extra={"comment": row.text("comment"), "extra_regions": others, "score": row.text("score")},
        ),
    )


def _degrees(value: object) -> float | None:
    try:
        return float(str(value)) or None
    except ValueError:
        return None
