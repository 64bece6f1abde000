"""A strict reader of small XML documents from strangers: elements with their lines, and no entities of their own.

expat expands entities that a document declares, which costs memory without limit, and can be told to load others. So a
document that declares one is refused. A DOCTYPE without declarations, such as Gentoo's, is harmless: it is not loaded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from xml.parsers import expat

from mirrorlist_snapshot.importers.entries import refuse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirrorlist_snapshot.importers.entries import ImportedFile

MAX_DEPTH: Final = 20
"""Nested elements; lists of mirrors need five."""


@dataclass(slots=True)
class Element:
    """An element; prefixes of namespaces stay in its name."""

    name: str
    line: int
    attributes: dict[str, str]
    text: str = ""
    """Its own text, without that of the elements in it."""
    inner: list[Element] = field(default_factory=list["Element"])

    def all(self, name: str) -> Iterator[Element]:
        """Yield the elements of a name inside, at any depth, in their order; an element's own inside come after it."""
        for one in self.inner:
            if one.name == name:
                yield one
            yield from one.all(name)

    def said(self, name: str) -> str:
        """Return the text of the first element of a name inside, empty if there is none."""
        return next((" ".join(one.text.split()) for one in self.all(name)), "")


def root_of(file: ImportedFile) -> Element:
    """Return the outermost element of a document; raise SourceError if it is no XML, or not harmless."""
    parser = expat.ParserCreate()
    top = Element("", 0, {})
    open_elements = [top]

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(open_elements) > MAX_DEPTH:
            refuse(file, f"is nested more than {MAX_DEPTH} deep", parser.CurrentLineNumber)
        element = Element(name, parser.CurrentLineNumber, attributes)
        open_elements[-1].inner.append(element)
        open_elements.append(element)

    def end(_name: str) -> None:
        open_elements.pop()

    def text(data: str) -> None:
        pieces[id(open_elements[-1])] = pieces.get(id(open_elements[-1]), "") + data

    def declared(name: str, *_: object) -> None:
        refuse(file, f"declares the entity {name!r}; a list of mirrors needs none", parser.CurrentLineNumber)

    pieces: dict[int, str] = {}
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.EntityDeclHandler = declared
    parser.buffer_text = True
    try:
        parser.Parse(file.data, True)  # noqa: FBT003 - expat's own; it takes no keywords
    except expat.ExpatError as error:
        refuse(file, f"is no XML: {expat.ErrorString(error.code)}", error.lineno)
    _fill(top, pieces)
    return top.inner[0]


def _fill(element: Element, pieces: dict[int, str]) -> None:
    element.text = pieces.get(id(element), "")
    for one in element.inner:
        _fill(one, pieces)
