"""The tables that a list of one content tree needs beside its mirrors: its category, and a repository of that name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorlist_snapshot.importers.entries import Tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mirrorlist_snapshot.importers.entries import ImportedFile, ImportOptions


def one_tree(files: Sequence[ImportedFile], options: ImportOptions, names: Iterable[str] = ()) -> Tables:
    """Return an open category whose top the list's URLs are, and the repository that stands for it.

    `names` are the categories of a list that names them itself.
    """
    found = dict.fromkeys(names) or {options.category: None}
    categories: dict[str, object] = {name: {} for name in found}
    repositories: dict[str, object] = {name: {"category": name} for name in found}
    return Tables(files[0].name, None, {"categories": categories, "repositories": repositories})
