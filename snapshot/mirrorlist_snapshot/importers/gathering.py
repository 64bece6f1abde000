"""Entries of a mirror list -> documents as source files give them: every value checked, every mirror named once.

A value that no source may have is left out with a line that names its place and the reason; an entry without a usable
URL is left out as a whole. So what is gathered compiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from mirrorlist_snapshot.errors import Complaint, SourceError
from mirrorlist_snapshot.importers.entries import Entry, NotTaken, Tables
from mirrorlist_snapshot.importers.naming import host_of, mirror_name, path_of
from mirrorlist_snapshot.importers.values import Values
from mirrorlist_snapshot.model import MAX_MIRRORS
from mirrorlist_snapshot.source import rules
from mirrorlist_snapshot.source.lines import Lines
from mirrorlist_snapshot.source.reading import Document

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirrorlist_snapshot.importers.entries import ImportOptions
    from mirrorlist_snapshot.importers.places import Place

Urls = dict[str, dict[str, str]]
"""Category -> protocol -> URL, of one mirror."""
_SAME_PATH: Final = frozenset(("http", "https"))
"""Protocols whose URLs of one mirror have the same path; rsync and ftp often have another."""


_MOST_OF_A_HOST: Final = 20
"""Mirrors of one host among which the one is searched that a URL of another path belongs to."""


@dataclass(slots=True)
class _Mirror:
    """A mirror while it is gathered."""

    file: str
    line: int | None
    named: bool
    """Whether the list has a name of its own for it; then nothing else is merged into it."""
    place: Place
    urls: Urls
    details: dict[str, dict[str, object]]
    """Category -> `arches` and `families`, where the list states them."""
    table: dict[str, object]
    comments: list[str]


@dataclass(frozen=True, slots=True)
class Imported:
    """The result of an import."""

    documents: tuple[Document, ...]
    """One for each file of the list that has something in it."""
    comments: dict[str, list[str]]
    """Mirror -> the lines of comment that belong above it."""
    remarks: tuple[str, ...]
    """Remarks for the operator about the tables that are no mirrors."""
    not_taken: tuple[Complaint, ...]
    """Warnings: one for each entry, and each detail of an entry, that is left out."""
    entries: int
    """Entries that the list has."""
    left: int
    """Those among them that are left out as a whole."""

    @property
    def mirrors(self) -> int:
        """The number of mirrors in the documents: entries of one mirror are merged, others are divided."""
        return sum(len(cast("dict[str, Any]", document.data).get("mirrors", ())) for document in self.documents)


class Gathering:
    """Collects the findings of an importer."""

    def __init__(self, options: ImportOptions) -> None:
        """`options` has the country of mirrors without one."""
        self._country = options.country
        self._mirrors: dict[str, _Mirror] = {}
        self._by_host: dict[str, list[_Mirror]] = {}
        self._by_path: dict[str, list[_Mirror]] = {}
        self._tables: list[Tables] = []
        self._complaints: list[Complaint] = []
        self._entries = 0
        self._left = 0

    def add_all(self, findings: Iterable[Entry | NotTaken | Tables]) -> None:
        """Add what an importer yields."""
        for found in findings:
            match found:
                case Entry():
                    self._entries += 1
                    values = Values(found, self._country)
                    self._left += not self._add(found, values)
                    self._complaints += values.complaints
                case NotTaken():
                    self._complaints.append(found.complaint)
                    self._entries += found.entry
                    self._left += found.entry
                case Tables():
                    self._tables.append(found)

    def result(self) -> Imported:
        """Return everything that was added, in the order of the files."""
        self._settle_architectures()
        files = dict.fromkeys([*(one.file for one in self._tables), *(one.file for one in self._mirrors.values())])
        return Imported(
            documents=tuple(self._document(file) for file in files),
            comments={name: mirror.comments for name, mirror in self._mirrors.items() if mirror.comments},
            remarks=tuple(remark for one in self._tables for remark in one.comments),
            not_taken=tuple(self._complaints),
            entries=self._entries,
            left=self._left,
        )

    def _settle_architectures(self) -> None:
        """Give each repository that is a whole tree the architectures that its mirrors state, if some have fewer.

        A mirror that has all of them says so by stating none.
        """
        stated = [
            (name, one) for mirror in self._mirrors.values() for name, one in mirror.details.items() if "arches" in one
        ]
        every: dict[str, dict[str, None]] = {}
        for name, details in stated:
            every.setdefault(name, {}).update(dict.fromkeys(cast("list[str]", details["arches"])))
        partial: set[str] = set()
        for name, details in stated:
            if len(cast("list[str]", details["arches"])) < len(every[name]):
                partial.add(name)
            else:
                del details["arches"]
        for tables in self._tables:
            for repository in cast("dict[str, dict[str, object]]", tables.data.get("repositories", {})).values():
                if repository.keys() == {"category"} and (name := str(repository["category"])) in partial:
                    repository["arches"] = list(every[name])

    def _document(self, file: str) -> Document:
        data: dict[str, dict[str, object]] = {}
        lines = Lines()
        for one in self._tables:
            if one.file == file:
                for section, records in one.data.items():
                    data.setdefault(section, {}).update(records)
        mirrors = data.setdefault("mirrors", {})
        for name, mirror in self._mirrors.items():
            if mirror.file == file:
                mirrors[name] = _table(mirror)
                if mirror.line is not None:
                    lines.add(("mirrors", name), mirror.line)
        return Document(file, {section: records for section, records in data.items() if records}, lambda: lines)

    def _add(self, entry: Entry, values: Values) -> bool:
        """Add an entry; return whether anything of it is taken."""
        usable = {category: values.urls(content) for category, content in entry.contents.items()}
        if not any(usable.values()):
            if not values.complaints:
                values.say("the entry has no URL")
            return False
        table = values.table()
        taken = False
        for number, urls in enumerate(_split(usable)):
            # A second URL of the same protocol is a second mirror: a list names more hosts as more mirrors.
            known = self._called(entry, urls, values.place) if entry.name else self._same(urls, values.place)
            if known is None:
                name = self._name(entry.name if number == 0 else "", urls)
                self._keep(name, _mirror_of(entry, values, urls, table))
                taken = True
            else:
                taken |= _merge(known, urls, entry, values)
        return taken

    def _keep(self, name: str, mirror: _Mirror) -> None:
        self._mirrors[name] = mirror
        if len(self._mirrors) > MAX_MIRRORS:
            raise SourceError((_too_many(mirror),))
        urls = [url for found in mirror.urls.values() for url in found.values()]
        for host in {host_of(url) for url in urls}:
            self._by_host.setdefault(host, []).append(mirror)
        for place in {host_of(url) + path_of(url) for url in urls}:
            self._by_path.setdefault(place, []).append(mirror)

    def _called(self, entry: Entry, urls: Urls, place: Place) -> _Mirror | None:
        """Return the mirror of an entry's own name: a table may have a row for each category of a mirror."""
        known = self._mirrors.get(mirror_name(entry.name))
        other = known is None or known.urls.keys() & urls.keys() or (known.file, known.place) != (entry.file, place)
        return None if other else known

    def _same(self, urls: Urls, place: Place) -> _Mirror | None:
        """Return the mirror that these URLs belong to: on the same host, with the same path."""
        best = _best(urls)
        same_path = self._by_path.get(host_of(best) + path_of(best), [])
        for mirror in [*same_path, *self._by_host.get(host_of(best), [])[:_MOST_OF_A_HOST]]:
            if not mirror.named and all(
                _fits(mirror.urls.get(category, {}), found, same_place=mirror.place == place)
                for category, found in urls.items()
            ):
                return mirror
        return None

    def _name(self, wanted: str, urls: Urls) -> str:
        """Return a name that no other mirror has: the list's own, the host, host and path, or that with a number."""
        best = _best(urls)
        candidates = [wanted, host_of(best), f"{host_of(best)}{path_of(best)}".rstrip("/")]
        names = [name for text in candidates if (name := mirror_name(text))]
        for name in names:
            if name not in self._mirrors:
                return name
        return next(name for number in range(2, 1 << 30) if (name := f"{names[-1]}#{number}") not in self._mirrors)


def _too_many(mirror: _Mirror) -> Complaint:
    message = f"has more than {MAX_MIRRORS} mirrors, the most that a snapshot holds"
    return Complaint(file=mirror.file, line=mirror.line, key="", message=message)


def _merge(known: _Mirror, urls: Urls, entry: Entry, values: Values) -> bool:
    """Add URLs, or another country, to the mirror that they belong to; return whether there was anything new."""
    news = False
    for category, found in urls.items():
        mine = known.urls.setdefault(category, {})
        news |= not found.keys() <= mine.keys()
        known.urls[category] = {**found, **mine}
        if not mine:
            known.details[category] = values.details(entry.contents[category])
    country = values.place.country
    also = cast("list[str]", known.table.get("also_countries", []))
    if country and country not in {known.place.country, *also}:
        known.table["also_countries"] = [*also, country]
        news = True
    if not news:
        values.say(f"the same URL is in {known.file if known.line is None else f'{known.file}:{known.line}'}")
    known.comments += [comment for comment in entry.comments if comment not in known.comments]
    return news


def _best(urls: Urls) -> str:
    """Return the URL that a client would get."""
    found = [url for by_protocol in urls.values() for url in by_protocol.values()]
    return min(found, key=lambda url: rules.PROTOCOLS.index(url.partition(":")[0]))


def _split(urls: dict[str, list[str]]) -> list[Urls]:
    """Divide URLs among as many mirrors as are needed to have one URL for each protocol."""
    parts: list[Urls] = []
    for category, found in urls.items():
        for url in found:
            protocol = url.partition(":")[0]
            part = next((one for one in parts if protocol not in one.get(category, {})), None)
            if part is None:
                part = Urls()
                parts.append(part)
            part.setdefault(category, {})[protocol] = url
    return parts


def _fits(mine: dict[str, str], found: dict[str, str], *, same_place: bool) -> bool:
    """Whether URLs can be of the mirror that has `mine`: no protocol has two URLs, and paths agree where they must."""
    if any(mine.get(protocol, url) != url for protocol, url in found.items()):
        return False
    shared = bool(_paths(mine) & _paths(found))
    if not same_place:  # only the very same URL, or its twin by another protocol, is one mirror in two countries
        return shared
    return shared or not (_paths(mine) and _paths(found))


def _paths(urls: dict[str, str]) -> set[str]:
    return {path_of(url) for protocol, url in urls.items() if protocol in _SAME_PATH}


def _mirror_of(entry: Entry, values: Values, urls: Urls, table: dict[str, object]) -> _Mirror:
    details = {category: values.details(content) for category, content in entry.contents.items() if category in urls}
    return _Mirror(
        file=entry.file,
        line=entry.line,
        named=bool(entry.name),
        place=values.place,
        urls=urls,
        details=details,
        table=dict(table),
        comments=list(entry.comments),
    )


def _table(mirror: _Mirror) -> dict[str, object]:
    """Return a mirror as a source has it."""
    categories: dict[str, object] = {}
    for category, found in mirror.urls.items():
        urls = [found[protocol] for protocol in rules.PROTOCOLS if protocol in found]
        short: object = urls[0] if len(urls) == 1 else urls
        details = mirror.details.get(category)
        categories[category] = {"urls": urls, **details} if details else short
    rest = {key: value for key, value in mirror.table.items() if key != "about"}
    about = {"about": mirror.table["about"]} if "about" in mirror.table else {}
    return {**rest, "categories": categories, **about}
