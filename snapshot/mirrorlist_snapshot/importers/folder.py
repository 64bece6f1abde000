"""Imported documents -> the source files of a folder: one for each mirror, and one for everything else. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, cast

import tomli_w

from mirrorlist_snapshot.report.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirrorlist_snapshot.importers.gathering import Imported

REST: Final = "network.toml"
"""The file with categories, repositories and overrides."""
_MAX_STEM: Final = 200
"""Bytes of a mirror's name in the name of its file; file systems allow 255 for the whole name."""


def source_files(imported: Imported) -> dict[str, str]:
    """Return file name -> TOML text; together they say what the documents say, with comments above each mirror."""
    files: dict[str, str] = {}
    rest: dict[str, Any] = {}
    for document in imported.documents:
        data = cast("dict[str, dict[str, Any]]", document.data)
        for section, records in data.items():
            if section != "mirrors":
                rest.setdefault(section, {}).update(records)
        for name, table in data.get("mirrors", {}).items():
            origin = document.place(("mirrors", name))
            comments = [f"From {origin}.", *imported.comments.get(name, ())]
            files[_file_name(name, files)] = _text({"mirrors": {name: table}}, comments)
    sources = [document.file for document in imported.documents]
    more = f" and {plural(len(sources) - 1, 'more file')}" if len(sources) > 1 else ""
    return {REST: _text(rest, [f"From {sources[0]}{more}.", *imported.remarks]), **files} if rest else files


def _text(data: dict[str, Any], comments: Iterable[str]) -> str:
    lines = [f"# {_comment(line)}\n" for line in comments]
    return f"{''.join(lines)}\n{tomli_w.dumps(data)}"


def _comment(text: str) -> str:
    """Return a text as a comment may have it: TOML allows no control characters there."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


def _file_name(mirror: str, taken: dict[str, str]) -> str:
    """Return the name of a mirror's file, which no other has, in any case of its letters."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", mirror).lstrip(".")[:_MAX_STEM] or "mirror"
    used = {name.lower() for name in taken} | {REST}
    names = (f"{stem}{number}.toml" for number in ("", *(f"-{count}" for count in range(2, len(taken) + 3))))
    return next(name for name in names if name.lower() not in used)
