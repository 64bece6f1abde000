"""`repodata/repomd.xml` of RPM repositories. Its time is the revision if that is one, else the youngest timestamp."""

from __future__ import annotations

from typing import NoReturn
from xml.parsers import expat

from mirrorlist_admin.units.parsed import NotThisUnitError, ParsedUnit, expect, stated

KIND = "a repomd.xml"
_ROOT = "http://linux.duke.edu/metadata/repo repomd"
_DIGITS = 12
_EARLIEST = 10**8
"""1973: createrepo's `--revision` may also be a small number, which is no time."""


class _Reader:
    def __init__(self) -> None:
        self.root: str | None = None
        self.times: list[int] = []
        self.revision = 0
        self._text: list[str] | None = None

    def start(self, name: str, _: object) -> None:
        if self.root is None:
            self.root = name
        self._text = [] if name.endswith((" revision", " timestamp")) else None

    def text(self, text: str) -> None:
        if self._text is not None and len(self._text) <= _DIGITS:
            self._text.append(text)

    def end(self, name: str) -> None:
        digits = "".join(self._text or ()).strip().partition(".")[0]
        self._text = None
        if digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS:
            if name.endswith(" revision"):
                self.revision = int(digits)
            else:
                self.times.append(int(digits))


def parse(head: bytes) -> ParsedUnit:
    """Parse the file; it must be complete and well-formed, without entities of its own."""
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(head, True)  # noqa: FBT003 - expat's own: this is all
    except (expat.ExpatError, ValueError, UnicodeError):  # ValueError: an encoding that Python does not know
        expect(condition=False, kind=KIND, head=head)
    expect(reader.root == _ROOT, KIND, head)
    return stated(reader.revision if reader.revision >= _EARLIEST else max(reader.times, default=0))


def _refuse(*_: object) -> NoReturn:
    raise NotThisUnitError("a repomd.xml with entities of its own")
