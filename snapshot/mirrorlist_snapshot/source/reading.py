"""Read files and folders into documents: plain data that can find the line of each key; failures are complaints."""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.errors import Complaint, InputFileError
from mirrorlist_snapshot.input_file import SOURCE_FILE, YAML_FILE, read_file
from mirrorlist_snapshot.source.syntax import SUFFIXES, YAML_SUFFIXES, UnreadableTextError, read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from mirrorlist_snapshot.source.lines import KeyPath, Lines

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_NAMED_SO: Final = f"sources are files named {', '.join(f'*{suffix}' for suffix in SUFFIXES)}"


@dataclass(frozen=True)
class Document:
    """One file's data."""

    file: str
    """Name of the file as the user wrote it."""
    data: object
    """See `syntax.Text`."""
    locate: Callable[[], Lines]
    folder: Path | None = None
    """The folder of the file, to which names of other files in it are relative; None if it is no file of a folder."""

    @cached_property
    def lines(self) -> Lines:
        """The lines of the keys, found on first use."""
        return self.locate()

    def complaint(self, path: KeyPath, message: str, *, warning: bool = False, note: bool = False) -> Complaint:
        """Return a complaint about a value at a key path, or about its absence."""
        line = self.lines.find(path)
        return Complaint(
            file=self.file, line=line, key=key_path(path), message=message, warning=warning or note, note=note
        )

    def place(self, path: KeyPath) -> str:
        """Return `file:line` of a key, for references in other complaints."""
        line = self.lines.find(path)
        return self.file if line is None else f"{self.file}:{line}"


def key_path(path: KeyPath) -> str:
    """Return keys in the syntax of TOML: `mirrors."ftp.example.org".netblocks[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if _BARE_KEY.fullmatch(part) else json.dumps(part, ensure_ascii=not part.isprintable())
            text += f".{key}" if text else key
    return text


def read(paths: Sequence[Path]) -> tuple[list[Document], list[Complaint]]:
    """Read files and folders of files; unreadable ones are among the complaints."""
    documents: list[Document] = []
    complaints: list[Complaint] = []
    if not paths:
        complaints.append(_of_file("", "no source is given; name a file or folder"))
    seen: set[str] = set()
    for path in paths:
        for item in _below(path, ()):
            if isinstance(item, Complaint):
                complaints.append(item)
            elif (real := os.path.realpath(item)) not in seen:
                seen.add(real)  # a file that is named twice is read once
                found = _document(item)
                if isinstance(found, Complaint):
                    complaints.append(found)
                else:
                    document, mistakes = found
                    documents.append(document)
                    complaints += mistakes
    return documents, complaints


def _below(path: Path, folders: tuple[str, ...]) -> Iterator[Path | Complaint]:
    """Yield the sources at or below a path, by name; `folders` are the real paths of the folders around it."""
    try:
        mode = path.stat().st_mode
        entries = sorted(path.iterdir()) if stat.S_ISDIR(mode) else None
    except (OSError, ValueError) as error:
        yield _of_file(path, f"cannot be read: {_reason(error)}")
        return
    if entries is None:
        yield from _file(path, given=not folders)
        return
    real = os.path.realpath(path)
    if real in folders:
        yield _of_file(path, "is a symbolic link to a folder that contains it; remove the link")
        return
    empty = True
    for entry in entries:
        if not entry.name.startswith("."):
            for item in _below(entry, (*folders, real)):
                empty = False
                yield item
    if empty and not folders:
        yield _of_file(path, f"has no source in it; {_NAMED_SO}")


def _file(path: Path, *, given: bool) -> Iterator[Path | Complaint]:
    """Yield a file if it is a source; `given`: the user named the file itself, not only a folder around it."""
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        yield path
    elif given:
        yield _of_file(path, f"is not a source; {_NAMED_SO}")
    elif close := get_close_matches(suffix, SUFFIXES, 1, 0.7):
        # Other files in a folder (README.md, scripts) are ignored; a misspelt suffix gives a warning.
        yield _of_file(path, f"is not read; if it is a source, name it {path.stem}{close[0]}", warning=True)


def _document(path: Path) -> tuple[Document, list[Complaint]] | Complaint:
    file = printable(path)
    try:
        suffix = path.suffix.lower()
        limit = YAML_FILE if suffix in YAML_SUFFIXES else SOURCE_FILE
        text = read_text(suffix, read_file(path, limit).decode("utf-8-sig"))
    except UnreadableTextError as error:
        return Complaint(file=file, line=error.line, key=key_path(error.path), message=error.message)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        message = f"is not UTF-8 text (byte 0x{error.object[error.start]:02x}); save the file as UTF-8"
        return Complaint(file=file, line=line, key="", message=message)
    except InputFileError as error:
        return _of_file(path, error.found)
    document = Document(file, text.data, text.locate, path.parent)
    return document, list(_duplicates(document)) if text.duplicates else []


def _duplicates(document: Document) -> Iterator[Complaint]:
    twice = document.lines.duplicates
    paths = {path for path, _, _ in twice}
    for path, first, second in twice:
        if not any(path[:length] in paths for length in range(1, len(path))):
            message = f"the key is given twice, first in line {first}; one of them would be lost"
            yield Complaint(file=document.file, line=second, key=key_path(path), message=message)


def _of_file(path: Path | str, message: str, *, warning: bool = False) -> Complaint:
    return Complaint(file=printable(path), line=None, key="", message=message, warning=warning)


def printable(path: Path | str) -> str:
    """Return a file's name as the user wrote it, with unprintable characters escaped."""
    text = str(path).encode("utf-8", "backslashreplace").decode()
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
