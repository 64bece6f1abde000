"""The tables that a list of one content tree needs beside its mirrors: its category, and a repository of that name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorlist_snapshot.importers.entries import Tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlist_snapshot.importers.entries import ImportedFile, ImportOptions


def one_tree(files: Sequence[ImportedFile], options: ImportOptions) -> Tables:
    """Return an open category whose top the list's URLs are, and the repository that stands for it."""
    name = options.category
    return Tables(files[0].name, None, {"categories": {name: {}}, "repositories": {name: {"category": name}}})
