"""Lists of netblocks in files of their own: `netblocks_from` in a source names them.

A file has one netblock a line. What follows a `#` is a comment, blank lines are ignored. It must lie in the folder of
its source or below: sources may come from the mirrors' own administrators, and complaints quote what they find.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.errors import Complaint, InputFileError
from mirrorlist_snapshot.input_file import SOURCE_FILE, read_file
from mirrorlist_snapshot.source import rules
from mirrorlist_snapshot.source.reading import printable
from mirrorlist_snapshot.source.schema import FileNetblockTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirrorlist_snapshot.source.merging import MergedSources, SourceRecord
    from mirrorlist_snapshot.source.schema import MirrorTable, NetblockFileTable, NetblockTable

_MOST_TOLD: Final = 20
"""Mistakes of one file that are told of."""
_MOST: Final = 40_000
"""Netblocks of one mirror that a snapshot holds (FORMAT.md: an item has at most a megabyte)."""


def read_netblock_files(merged: MergedSources) -> tuple[MergedSources, list[Complaint]]:
    """Return the sources with the netblocks of the files added to them, and what is wrong with the files."""
    complaints: list[Complaint] = []
    mirrors: dict[str, SourceRecord[MirrorTable]] = {}
    for name, entry in merged.mirrors.items():
        mirrors[name] = _with_files(entry, complaints) if entry.value.netblocks_from else entry
    return replace(merged, mirrors=mirrors), complaints


def _with_files(entry: SourceRecord[MirrorTable], complaints: list[Complaint]) -> SourceRecord[MirrorTable]:
    netblocks = list(entry.value.netblocks)
    flawed = entry.flawed
    for position, named in enumerate(entry.value.netblocks_from):
        found = _file(entry, position, named)
        if isinstance(found, Complaint):
            complaints.append(found)
            flawed = True
        else:
            added, mistakes = found
            complaints += mistakes
            netblocks += added
            flawed = flawed or bool(mistakes)
    if len(netblocks) > _MOST:
        message = f"the mirror has {len(netblocks)} netblocks; at most {_MOST} are allowed"
        complaints.append(entry.error(message, "netblocks_from"))
    return replace(entry, value=entry.value.model_copy(update={"netblocks": netblocks}), flawed=flawed)


def _file(
    entry: SourceRecord[MirrorTable], position: int, named: NetblockFileTable
) -> tuple[list[NetblockTable], list[Complaint]] | Complaint:
    """Read one file: its netblocks and the complaints about its lines, or the complaint about the file."""
    where = ("netblocks_from", position)
    folder, file = entry.document.folder, named.file
    if folder is None:
        return entry.error("names a file, but this source is not a file itself; list the netblocks", *where)
    if PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts or "\0" in file:
        return entry.error(f"{rules.shown(file)} must be a file below the folder of this source; move it there", *where)
    path = folder / file
    if not path.resolve().is_relative_to(folder.resolve()):
        return entry.error(f"{rules.shown(file)} is a link that leads out of the folder of this source", *where)
    try:
        text = read_file(path, SOURCE_FILE).decode("utf-8-sig")
    except InputFileError as error:
        return entry.error(f"{rules.shown(printable(path))} {error.found}", *where)
    except UnicodeDecodeError:
        return entry.error(f"{rules.shown(printable(path))} is not UTF-8 text", *where)
    complaints = list(_mistakes(path, text))
    lines = (line for _, line in _lines(text)) if not complaints else ()
    return [FileNetblockTable(prefix=line, exclusive=named.exclusive) for line in lines], complaints


def _mistakes(path: Path, text: str) -> Iterator[Complaint]:
    """Yield complaints about the first wrong lines."""
    told = 0
    for number, line in _lines(text):
        try:
            rules.client_prefix(line)
        except rules.RuleError as error:
            told += 1
            if told > _MOST_TOLD:
                message = f"there are more mistakes; these are the first {_MOST_TOLD}"
                yield Complaint(file=printable(path), line=None, key="", message=message)
                return
            yield Complaint(file=printable(path), line=number, key="", message=str(error))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and content of the lines that have any."""
    for number, line in enumerate(text.splitlines(), 1):
        if content := line.partition("#")[0].strip():
            yield number, content
