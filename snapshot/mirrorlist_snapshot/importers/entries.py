"""What every importer reads and yields: files, entries of a mirror list, and lines about what cannot be taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from mirrorlist_snapshot.errors import Complaint, SourceError

if TYPE_CHECKING:
    from typing import NoReturn


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """A file of a mirror list, as it was read."""

    name: str
    """As the user wrote it."""
    data: bytes

    @property
    def text(self) -> str:
        """The text: UTF-8, or UTF-16 with its byte order mark; anything else is Windows-1252 or Latin-1.

        Spreadsheets save tables in all of these, and old lists are in Latin-1.
        """
        encodings = ("utf-16",) if self.data[:2] in {b"\xff\xfe", b"\xfe\xff"} else ("utf-8-sig", "cp1252")
        for encoding in encodings:
            try:
                return self.data.decode(encoding)
            except UnicodeDecodeError:
                continue
        return self.data.decode("latin-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What the user may say about a list, because the list itself does not."""

    category: str
    """The name of the content tree whose base URLs the list has; also the name of its repository."""
    country: str = ""
    """The country of mirrors for which the list states none."""
    columns: dict[str, str] = field(default_factory=dict[str, str])
    """Our key -> the column (or key) of the list that holds it; for the formats that have columns."""


@dataclass(slots=True)
class Content:
    """What an entry offers of one content tree."""

    urls: list[str] = field(default_factory=list[str])
    """Base URLs as the list has them, best first."""
    arches: list[str] = field(default_factory=list[str])
    """The only architectures that are there; empty: all."""
    families: list[str] = field(default_factory=list[str])
    """`ipv4` or `ipv6`, if the host is reachable by one of them only; empty: both."""


@dataclass(slots=True, kw_only=True)
class Entry:
    """One mirror of a list. Texts are as the list has them; `gathering` checks them."""

    file: str
    line: int | None
    name: str = ""
    """The list's own name of the mirror; empty if it has none: then its host is its name."""
    contents: dict[str, Content] = field(default_factory=dict[str, Content])
    """Category -> what is offered of it."""
    places: list[str] = field(default_factory=list[str])
    """Countries, the first is where the mirror is; a continent, or a word for the whole world, may stand alone."""
    settings: dict[str, object] = field(default_factory=dict[str, object])
    """Other keys of a mirror in a source: `bandwidth` (a number of Mbit/s, or a text), `asns`, `private` and so on."""
    about: dict[str, object] = field(default_factory=dict[str, object])
    """The table `about` of a mirror in a source."""
    comments: list[str] = field(default_factory=list[str])
    """Comments of the list beside the entry."""


@dataclass(frozen=True, slots=True)
class NotTaken:
    """Something in a list that no source can have, or that cannot be read."""

    complaint: Complaint
    """Its place and the reason, as a warning."""
    entry: bool
    """Whether it is a whole entry; else it is a detail of one."""


@dataclass(frozen=True, slots=True)
class Tables:
    """Tables of a source that are no mirrors: categories, repositories, overrides."""

    file: str
    line: int | None
    data: dict[str, dict[str, object]]
    comments: list[str] = field(default_factory=list[str])
    """Remarks for the operator, above the tables."""


Findings: TypeAlias = Iterator[Entry | NotTaken | Tables]
"""The result of an importer, in the order of the list."""


def not_taken(file: ImportedFile, line: int | None, key: str, reason: str, *, entry: bool = False) -> NotTaken:
    """Return a line about something that is left out: a whole entry, or a detail of one that `key` names."""
    return NotTaken(Complaint(file=file.name, line=line, key=key, message=f"not taken: {reason}", warning=True), entry)


def refuse(file: ImportedFile, reason: str, line: int | None = None) -> NoReturn:
    """Refuse a file that is not in the format at all: raise SourceError."""
    raise SourceError((Complaint(file=file.name, line=line, key="", message=reason),))
