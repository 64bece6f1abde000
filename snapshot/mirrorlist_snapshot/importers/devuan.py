"""Devuan's `mirror_list.txt`.

    FQDN:         devuan.example.org
    BaseURL:      devuan.example.org/devuan
    Bandwidth:    1Gb/s
    CountryCode:  NL | BE | DE
    Protocols:    HTTP | HTTPS | RSYNC
    Active:       yes

The first country is where the mirror is; the names of the others in Devuan's DNS lead to it, too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mirrorlist_snapshot.importers.about import about
from mirrorlist_snapshot.importers.entries import Content, Entry, NotTaken, not_taken
from mirrorlist_snapshot.importers.one_tree import one_tree
from mirrorlist_snapshot.importers.paragraphs import paragraphs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlist_snapshot.importers.entries import Findings, ImportedFile, ImportOptions


def read(files: Sequence[ImportedFile], options: ImportOptions) -> Findings:
    """Yield the mirrors of the list."""
    for file in files:
        for found in paragraphs(file):
            if isinstance(found, NotTaken):
                yield found
                continue
            base = re.sub(r"\A[a-z]+://", "", found.first("BaseURL"))
            if not base:
                yield not_taken(file, found.line, found.first("FQDN"), "the paragraph has no `BaseURL:`", entry=True)
                continue
            settings: dict[str, object] = {"bandwidth": found.first("Bandwidth")}
            if found.first("Active").lower() in {"no", "false"}:
                settings["active"] = False
            yield Entry(
                file=file.name,
                line=found.line,
                name=found.first("FQDN"),
                contents={
                    options.category: Content(
                        [f"{protocol.lower()}://{base}" for protocol in _words(found.first("Protocols"))]
                    )
                },
                places=_words(found.first("CountryCode")) or [found.first("Country")],
                settings=settings,
                about=about(
                    contact=found.first("Owner"),
                    extra={key: found.first(key) for key in ("Rate", "Type", "DNSRR", "DNSRRCC")},
                ),
                comments=found.comments,
            )
    yield one_tree(files, options)


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s|,]+", text) if word]
