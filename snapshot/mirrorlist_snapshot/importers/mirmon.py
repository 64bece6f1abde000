"""mirmon's lists of mirrors: `us http://mirror.example.org/ admin@example.org`, or with the protocol first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.importers.about import about
from mirrorlist_snapshot.importers.entries import Content, Entry, not_taken
from mirrorlist_snapshot.importers.one_tree import one_tree
from mirrorlist_snapshot.source.urls import PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlist_snapshot.importers.entries import Findings, ImportedFile, ImportOptions

_WORDS: Final = 2
"""Words that a line has at least: country and URL."""


def read(files: Sequence[ImportedFile], options: ImportOptions) -> Findings:
    """Yield the mirrors of the lists; mirmon's `list_style` may be `plain` or `apache`."""
    for file in files:
        for number, line in enumerate(file.text.splitlines(), 1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if words[0].lower() in PROTOCOLS:
                words = words[1:]
            if len(words) < _WORDS or "://" not in words[1]:
                yield not_taken(file, number, "", "the line is no `COUNTRY URL MAIL`", entry=True)
                continue
            yield Entry(
                file=file.name,
                line=number,
                contents={options.category: Content([words[1]])},
                places=[words[0]],
                about=about(contact=" ".join(words[2:])),
            )
    yield one_tree(files, options)
