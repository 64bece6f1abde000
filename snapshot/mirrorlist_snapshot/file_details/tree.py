"""Read size, time and hashes of the files that clients start from, from a local copy of a category's tree.

Nothing outside of the tree is read; symbolic links are followed only within it. A file with several names is read once.
A file that changes while it is read is not stated. A file that cannot be read gives a warning; the snapshot is compiled
without it.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.errors import Complaint, FileProblem, InputFileError
from mirrorlist_snapshot.format import MAX_TIME
from mirrorlist_snapshot.input_file import copy_file
from mirrorlist_snapshot.model import FileVersion

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from pathlib import Path

WELL_KNOWN: Final = {
    "repodata/repomd.xml": "rpm: dnf, zypper",
    "InRelease": "apt, flat repositories",
    "Release": "apt, flat repositories",
    "dists/*/InRelease": "apt",
    "dists/*/Release": "apt",
    "*.db": "pacman",
    "APKINDEX.tar.gz": "apk",
    "summary": "ostree",
}
"""Path below a repository's directory -> the clients that start from it. PyPI's index has no such file."""
MAX_PATH: Final = 1024
"""Bytes in a file's path below the top, as in sources."""
_ATTEMPTS: Final = 2
"""A file that changes while it is read is read once more: a replaced file is then stable, a growing one is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeReading:
    """The result of reading a tree. All paths are relative to its top."""

    files: dict[str, FileVersion]
    """Path -> current version with all four hashes, in ascending order."""
    unread: frozenset[str]
    """Files that exist but could not be read, or changed while they were read."""
    skipped: int
    """Files that exist but were to be skipped."""
    hashed: int
    """Bytes read."""
    complaints: tuple[Complaint, ...]
    """Warnings, each with the path as the user would write it."""


def check_name(pattern: str) -> str:
    """Return a pattern that can match files; raise ValueError with the reason for any other."""
    segments = pattern.split("/")
    if not all(segments) or {".", "..", "**"} & set(segments):
        raise ValueError(
            f"{pattern!r} must be a path below a repository's directory, without . and ..; * stands for one name, "
            "** is not known"
        )
    return pattern


def read_tree(  # noqa: PLR0913 - each is a choice of its own
    tree: Path,
    directories: Iterable[str],
    *,
    names: Sequence[str] = (),
    skip: Collection[str] = frozenset(),
    known: Callable[[str], FileVersion | None] = lambda _: None,
    progress: Callable[[str, int], None] = lambda _path, _size: None,
) -> TreeReading:
    """Read the well-known files, and those that match `names`, below the existing `directories` of a tree.

    Paths in `skip` are not read. If `known` returns a version with all hashes and with the file's size and time (in
    seconds), the file is not read either. `progress` gets a path and the number of bytes just read from it. Raise
    OSError if the tree itself is not a readable directory.
    """
    reader = _Reader(tree, known, progress)
    patterns = _Names([*WELL_KNOWN, *map(check_name, names)])
    skipped = set[str]()
    for directory in sorted(set(directories)):
        for path, file in reader.find(directory, patterns):
            if path in skip:
                skipped.add(path)
            elif path not in reader.files and path not in reader.unread:
                reader.read(path, file)
    return TreeReading(
        files=dict(sorted(reader.files.items())),
        unread=frozenset(reader.unread),
        skipped=len(skipped),
        hashed=reader.hashed,
        complaints=tuple(dict.fromkeys(reader.complaints)),
    )


class _Names:
    """Patterns of paths as a tree of patterns of names, so that each folder is listed once for all of them.

    As in a shell, `*` matches no name that begins with a dot: these are rsync's temporary files.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        below: dict[str, list[str]] = {}
        for pattern in patterns:
            segment, slash, rest = pattern.partition("/")
            below.setdefault(segment, []).append(rest if slash else "")
        self._segments = [
            (_expression(segment), "" in rests, _Names(filter(None, rests)) if any(rests) else None)
            for segment, rests in below.items()
        ]
        # In a folder of a hundred thousand packages, few names match any pattern.
        self._any = re.compile("|".join(_expression(segment).pattern for segment in below))

    def match(self, name: str) -> tuple[bool, list[_Names]]:
        """Return whether a name in this folder is that of a wanted file, and the patterns for what is below it."""
        if not self._any.match(name):
            return False, []
        matching = [(is_file, rest) for segment, is_file, rest in self._segments if segment.match(name)]
        return any(is_file for is_file, _ in matching), [rest for _, rest in matching if rest is not None]


def _expression(segment: str) -> re.Pattern[str]:
    return re.compile(("" if segment.startswith(".") else r"(?!\.)") + fnmatch.translate(segment))


class _Reader:
    """One pass over one tree."""

    def __init__(
        self, tree: Path, known: Callable[[str], FileVersion | None], progress: Callable[[str, int], None]
    ) -> None:
        self._tree = tree
        self._root = tree.resolve(strict=True)
        next(self._root.iterdir(), None)  # raises here; below, each unreadable directory is only a warning
        self._known = known
        self._progress = progress
        self._real: dict[Path, FileVersion | None] = {}
        """File -> its version, None if it could not be read. Several names can lead to one file."""
        self.files: dict[str, FileVersion] = {}
        self.unread: set[str] = set()
        self.hashed = 0
        self.complaints: list[Complaint] = []

    def find(self, directory: str, names: _Names) -> Iterator[tuple[str, Path]]:
        """Yield the wanted files below a directory: path below the tree's top, and the real file."""
        folder = self._inside(directory, self._root / directory)
        if folder is not None:
            yield from self._find(directory, folder, names)

    def _find(self, below: str, folder: Path, names: _Names) -> Iterator[tuple[str, Path]]:
        try:
            entries = sorted(entry.name for entry in folder.iterdir())
        except NotADirectoryError:
            return
        except OSError as failure:
            self._warn(below, f"cannot be listed: {failure.strerror or failure}")
            return
        for entry in entries:
            is_file, rests = names.match(entry)
            if not is_file and not rests:
                continue
            path = f"{below}/{entry}" if below else entry
            if not entry.isprintable() or len(path.encode()) > MAX_PATH:
                self._warn(path, f"cannot be named in a snapshot: unprintable, or more than {MAX_PATH} bytes")
                continue
            target = self._inside(path, folder / entry)
            if target is None:
                continue
            if is_file and not target.is_dir():
                yield path, target
            for rest in rests:
                yield from self._find(path, target, rest)

    def _inside(self, path: str, place: Path) -> Path | None:
        """Return the real path behind symbolic links; None if it does not exist or is outside of the tree."""
        try:
            target = place.resolve(strict=True)
        except FileNotFoundError:
            if place.is_symlink():
                self._warn(path, "is a symbolic link to nothing; skipped")
            return None
        except NotADirectoryError:
            return None
        except (OSError, RuntimeError) as failure:  # RuntimeError: a loop of symbolic links, up to Python 3.12
            reason = failure.strerror if isinstance(failure, OSError) else None
            self._warn(path, f"cannot be read: {reason or 'a loop of symbolic links'}")
            return None
        if target.is_relative_to(self._root):
            return target
        self._warn(path, "is a symbolic link out of the tree; skipped")
        return None

    def read(self, path: str, file: Path) -> None:
        """Read a file, unless it was read under another name, and record its version or that it is unreadable."""
        if file not in self._real:
            self._real[file] = self._version(path, file)
        version = self._real[file]
        if version is None:
            self.unread.add(path)
        else:
            self.files[path] = version

    def _version(self, path: str, file: Path) -> FileVersion | None:
        try:
            status = file.stat()
            if not stat.S_ISREG(status.st_mode):  # checked before it is opened: a pipe would block, a device might act
                self._warn(path, "is not a regular file; skipped")
                return None
            known = self._known(path)
            if known is not None and _looks_like(known, status):
                return known
            for _ in range(_ATTEMPTS):
                if (version := self._hash(path, file)) is not None:
                    self.hashed += version.size
                    return version
        except OSError as failure:
            self._warn(path, f"cannot be read: {failure.strerror or failure}")
            return None
        except InputFileError as failure:
            self._warn(path, failure.found)
            return None
        self._warn(path, "changes while it is read; skipped this time")
        return None

    def _hash(self, path: str, file: Path) -> FileVersion | None:
        """Read a whole file; return None if it changed while it was read."""
        sums = [
            hashlib.md5(usedforsecurity=False),  # clients expect it beside better hashes
            hashlib.sha1(usedforsecurity=False),
            hashlib.sha256(),
            hashlib.sha512(),
        ]

        def update(chunk: bytes) -> None:
            for one in sums:
                one.update(chunk)
            self._progress(path, len(chunk))

        try:
            status = copy_file(file, update, strict=True)
        except InputFileError as failure:
            if failure.problem is FileProblem.CHANGED:
                return None
            raise
        md5, sha1, sha256, sha512 = (one.hexdigest() for one in sums)
        return FileVersion(
            timestamp=_time(status), size=status.st_size, md5=md5, sha1=sha1, sha256=sha256, sha512=sha512
        )

    def _warn(self, path: str, message: str) -> None:
        place = str(self._tree / path)
        shown = place if place.isprintable() else ascii(place)[1:-1]
        self.complaints.append(Complaint(file=shown, line=None, key="", message=message, warning=True))


def _time(status: os.stat_result) -> int:
    """Modification time as a snapshot can state it: whole seconds, from 1970 on."""
    return min(max(0, status.st_mtime_ns // 1_000_000_000), MAX_TIME)


def _looks_like(version: FileVersion, status: os.stat_result) -> bool:
    complete = None not in (version.md5, version.sha1, version.sha256, version.sha512)
    return complete and (version.size, version.timestamp) == (status.st_size, _time(status))
