"""Paragraphs of `Key: value` lines, as Debian and Devuan write their lists of mirrors (RFC 822, Debian Policy 5.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.importers.entries import NotTaken, not_taken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirrorlist_snapshot.importers.entries import ImportedFile

_FIELD: Final = re.compile(r"([!-9;-~]+)\s*:\s*(.*)")


@dataclass(slots=True)
class Paragraph:
    """A paragraph; a key may stand in it several times."""

    line: int
    fields: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """(key, value), in their order."""
    comments: list[str] = field(default_factory=list[str])

    def all(self, key: str) -> list[str]:
        """Return the values of a key; its case does not matter."""
        return [value for name, value in self.fields if name.lower() == key.lower() and value]

    def first(self, key: str) -> str:
        """Return the first value of a key, empty if there is none."""
        return next(iter(self.all(key)), "")


def paragraphs(file: ImportedFile) -> Iterator[Paragraph | NotTaken]:
    """Yield the paragraphs of a file, and the lines in it that are neither a field nor a comment."""
    current: Paragraph | None = None
    comments: list[str] = []
    for number, line in enumerate(file.text.splitlines(), 1):
        if line.startswith("#"):
            comments.append(line.lstrip("# \t"))
        elif not line.strip():
            if current is not None:
                yield current
                current = None
            comments = []
        elif line[0] in " \t" and current is not None and current.fields:
            key, value = current.fields[-1]
            current.fields[-1] = (key, f"{value} {line.strip()}".strip())
        elif match := _FIELD.fullmatch(line.strip()):
            if current is None:
                current = Paragraph(number)
            current.comments += comments
            comments = []
            current.fields.append((match[1], match[2]))
        else:
            yield not_taken(file, number, "", "the line is no `Key: value`")
    if current is not None:
        yield current
