"""Which paths of open categories are known to be directories: any path below a top exists, as file or directory.

Something below a path shows that it is a directory. The rows of the directory table are the prefixes that mirrors
include or exclude. Rows that private mirrors alone make do not count: a stranger must not learn of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorlist_snapshot.model import CategoryKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mirrorlist_snapshot.model import Snapshot

    Path = tuple[int, bytes]
    """Category and path."""


class OpenDirectories:
    """The known directories of a snapshot's open categories."""

    __slots__ = ("_directories", "_rows", "_snapshot")

    def __init__(self, snapshot: Snapshot) -> None:
        """Find them; that takes time in proportion to rows only where mirrors are private."""
        self._snapshot = snapshot
        self._rows = frozenset(_public_rows(snapshot)) if any(one.private for one in snapshot.mirrors) else None
        """The rows that count; None: all of the table's."""
        above_rows = [(category, _parent(path)) for category, path in self._rows or ()]
        self._directories = _with_parents([*_shown(snapshot), *above_rows])

    def known(self, category: int, path: bytes, *, prefixes: bool) -> bool:
        """Whether a path is known to be a directory: something is below it.

        A row is no proof: the set of mirrors changes there, and `include` and `exclude` may name files. With
        `prefixes` a row counts if it is not known to be a file and its name has no dot.
        """
        if not path or (category, path) in self._directories:
            return True
        table = self._snapshot.directories
        if self._rows is None and table.has_below(category, path):
            return True
        if not prefixes or b"." in path.rpartition(b"/")[2]:
            return False
        row = table.find(category, path) is not None if self._rows is None else (category, path) in self._rows
        return row and category.to_bytes(2, "big") + path not in self._snapshot.files


def _shown(snapshot: Snapshot) -> Iterator[Path]:
    """Yield the directories of repositories, and those that files with details are in."""
    for repository in snapshot.repositories:
        for directory in repository.directories:
            yield directory.category, directory.path.encode()
    for key in snapshot.files:
        category = int.from_bytes(key[:2], "big")
        if snapshot.categories[category].kind is CategoryKind.OPEN:
            yield category, _parent(key[2:])


def _public_rows(snapshot: Snapshot) -> Iterator[Path]:
    """Yield the rows of open categories at which the set of public mirrors changes."""
    private = sum(1 << number for number, mirror in enumerate(snapshot.mirrors) if mirror.private)
    public = [snapshot.sets.bits(number) & ~private for number in range(len(snapshot.sets))]
    opened = {number for number, category in enumerate(snapshot.categories) if category.kind is CategoryKind.OPEN}
    for category, path, number in snapshot.directories:
        if category in opened and path:
            above = snapshot.directories.nearest(category, _parent(path))
            if above is None or public[above] != public[number]:
                yield category, path


def _parent(path: bytes) -> bytes:
    return path.rpartition(b"/")[0]


def _with_parents(paths: Iterable[Path]) -> frozenset[Path]:
    """Return the directories with all that they are in."""
    found: set[Path] = set()
    for category, path in paths:
        directory = path
        while directory and (category, directory) not in found:
            found.add((category, directory))
            directory = _parent(directory)
    return frozenset(found)
