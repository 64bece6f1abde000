"""Merge validated documents into one description whose records know their place in a file.

Files add to each other and never override each other: the same name, or the same override, in two of them is a mistake.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from mirrorlist_snapshot.source import rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mirrorlist_snapshot.errors import Complaint
    from mirrorlist_snapshot.source.lines import KeyPath
    from mirrorlist_snapshot.source.reading import Document
    from mirrorlist_snapshot.source.schema import CategoryTable, MirrorTable, RepositoryTable
    from mirrorlist_snapshot.source.validation import ValidatedDocument

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SourceRecord(Generic[T]):
    """A record and the place where it is written."""

    document: Document
    path: KeyPath
    value: T
    flawed: bool
    """Whether a wrong value was removed from the record; a missing value may be that one."""

    def error(self, message: str, *keys: str | int) -> Complaint:
        """Return a complaint about a mistake at a key below the record."""
        return self.document.complaint(self._at(keys), message)

    def warning(self, message: str, *keys: str | int) -> Complaint:
        """Return a warning about a key below the record."""
        return self.document.complaint(self._at(keys), message, warning=True)

    def note(self, message: str, *keys: str | int) -> Complaint:
        """Return a note about a key below the record."""
        return self.document.complaint(self._at(keys), message, note=True)

    def place(self, *keys: str | int) -> str:
        """Return `file:line` of the record, or of a key below it."""
        return self.document.place(self._at(keys))

    def _at(self, keys: tuple[str | int, ...]) -> KeyPath:
        # In a flawed record the positions in lists may have changed: the complaint then names the whole list.
        exact = len(keys) if not self.flawed else next((n for n, key in enumerate(keys) if isinstance(key, int)), None)
        return (*self.path, *keys[:exact])


@dataclass(frozen=True, slots=True)
class MergedSources:
    """The records and overrides of all documents."""

    categories: dict[str, SourceRecord[CategoryTable]]
    repositories: dict[str, SourceRecord[RepositoryTable]]
    mirrors: dict[str, SourceRecord[MirrorTable]]
    continents: dict[str, SourceRecord[str]]
    neighbours: dict[str, SourceRecord[list[list[str]]]]
    netblocks: dict[str, SourceRecord[str]]
    never_served: dict[str, SourceRecord[list[str]]]
    contact: dict[str, SourceRecord[str]]
    """The only key is `contact`."""
    named: frozenset[KeyPath]
    """(section, name) of every record, including those that validation has removed."""


def merge(parts: Sequence[ValidatedDocument]) -> tuple[MergedSources, list[Complaint]]:
    """Merge documents; a record that is described twice keeps its first description."""
    merged = MergedSources(
        categories={},
        repositories={},
        mirrors={},
        continents={},
        neighbours={},
        netblocks={},
        never_served={},
        contact={},
        named=frozenset(path for part in parts for path in part.named),
    )
    complaints: list[Complaint] = []
    for part in parts:
        source = part.source
        complaints += _add(part, ("categories",), merged.categories, source.categories)
        complaints += _add(part, ("repositories",), merged.repositories, source.repositories)
        complaints += _add(part, ("mirrors",), merged.mirrors, source.mirrors)
        complaints += _add(part, (), merged.contact, {"contact": source.contact} if source.contact else {})
        overrides = source.overrides
        complaints += _add(part, ("overrides", "continents"), merged.continents, overrides.continents, rules.country)
        complaints += _add(part, ("overrides", "neighbours"), merged.neighbours, overrides.neighbours, rules.country)
        complaints += _add(part, ("overrides", "netblocks"), merged.netblocks, overrides.netblocks, rules.prefix)
        complaints += _add(
            part, ("overrides", "never_served"), merged.never_served, overrides.never_served, rules.country
        )
    return merged, complaints


def _add(
    part: ValidatedDocument,
    section: tuple[str, ...],
    entries: dict[str, SourceRecord[T]],
    values: Mapping[str, T],
    rule: Callable[[str], str] | None = None,
) -> Iterable[Complaint]:
    """Add a section's values to the entries; `rule` made its keys canonical."""
    spelling = _spelling(part.document.data, section, rule) if rule and values else {}
    for key, value in values.items():
        path = (*section, spelling.get(key, key))
        entry = SourceRecord(part.document, path, value, path[:2] in part.flawed)
        first = entries.setdefault(key, entry)
        if first is not entry:
            yield entry.error(f"{rules.shown(key)} is described twice; the other description is in {first.place()}")


def _spelling(data: object, section: tuple[str, ...], rule: Callable[[str], str]) -> dict[str, str]:
    """Return canonical key -> key as written in the document."""
    table: Any = data
    for key in section:
        table = table[key]
    found: dict[str, str] = {}
    for key in cast("dict[str, object]", table):
        try:
            found[rule(key)] = key
        except rules.RuleError:
            continue  # has its complaint already
    return found
