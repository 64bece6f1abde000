"""pacman's mirror lists: Arch, Manjaro, MSYS2, EndeavourOS and others.

    ## Germany
    #Server = https://mirror.example.org/archlinux/$repo/os/$arch

A heading holds for the servers below it; it names a country, or (as in MSYS2's) anything else. Lists are published with
every server commented out, for users to choose; only where some are not, the others are switched off.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.importers.entries import Content, Entry, not_taken
from mirrorlist_snapshot.importers.one_tree import one_tree
from mirrorlist_snapshot.importers.places import place_named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlist_snapshot.importers.entries import Findings, ImportedFile, ImportOptions

_SERVER: Final = re.compile(r"(#*)\s*Server\s*=\s*(\S+)\s*", re.IGNORECASE)
_HEADING: Final = re.compile(r"#+\s*(?:Country\s*:\s*)?(.*?)\s*")


def read(files: Sequence[ImportedFile], options: ImportOptions) -> Findings:
    """Yield the mirrors of the lists; what follows their base URLs (`$repo/os/$arch`) stands above the repository."""
    layouts: Counter[str] = Counter()
    for file in files:
        yield from _file(file, options, layouts)
    tables = one_tree(files, options)
    layout = layouts.most_common(1)[0][0] if layouts else ""
    if layout:
        tables.comments.append(f"What clients append to the base URLs: {layout}")
    yield tables


def _file(file: ImportedFile, options: ImportOptions, layouts: Counter[str]) -> Findings:
    lines = file.text.splitlines()
    servers = [match for line in lines if (match := _SERVER.fullmatch(line.strip()))]
    choice = any(not match[1] for match in servers)
    heading, place, above = "", "", 0
    for number, line in enumerate(lines, 1):
        match = _SERVER.fullmatch(line.strip())
        if match is None:
            if title := _HEADING.fullmatch(line.strip()):
                heading, above = title[1], number
                place = heading if place_named(heading) else _in_brackets(heading)
            elif line.strip():
                yield not_taken(file, number, "", "the line is neither a comment nor `Server = URL`")
            continue
        base, dollar, rest = match[2].partition("$")
        layouts[f"{dollar}{rest}"] += 1
        if not place and heading and above:
            yield not_taken(file, above, "", f"the heading {heading!r} names no place")
            above = 0
        yield Entry(
            file=file.name,
            line=number,
            contents={options.category: Content([base])},
            places=[place],
            settings={"active": False} if choice and match[1] else {},
            comments=[heading] if heading and heading != place else [],
        )


def _in_brackets(heading: str) -> str:
    """Return the place in the brackets of a heading such as `Example e.V. (Germany)`; empty if there is none."""
    for text in re.findall(r"[(\[]([^()\[\]]+)[)\]]", heading):
        for part in (text, *text.split(",")):
            if place_named(part):
                return str(part)
    return ""
