"""Debian's `Mirrors.masterlist`, and lists in its form.

    Site: ftp.example.org
    Archive-architecture: amd64 arm64
    Archive-http: /debian/
    Archive-rsync: debian/
    CDImage-http: /debian-cd/
    Country: DE Germany
    Sponsor: Example e.V. https://www.example.org/

Each content (`Archive`, `CDImage`, ...) is a category. `choose-mirror` and the installer offer the mirrors of a
country; a site of type GeoDNS without a country serves the whole world.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.importers.about import about
from mirrorlist_snapshot.importers.entries import Content, Entry, NotTaken, Tables, not_taken
from mirrorlist_snapshot.importers.paragraphs import Paragraph, paragraphs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlist_snapshot.importers.entries import Findings, ImportedFile, ImportOptions

_CONTENT: Final = re.compile(r"([A-Za-z]+)-(https?|ftp|rsync|architecture)", re.IGNORECASE)
_TREES: Final = {"archive": "", "cdimage": "-cd", "old": "-archive"}
"""Content -> what follows the category's name, as Debian calls the trees; other contents follow by their own name."""
_KNOWN: Final = frozenset(("site", "country", "type", "sponsor", "comment", "location", "maintainer"))
_WHOLE_WORLD: Final = frozenset(("geodns", "cdn"))


def read(files: Sequence[ImportedFile], options: ImportOptions) -> Findings:
    """Yield the mirrors of a masterlist, then a category and a repository for each content that they have."""
    categories: dict[str, None] = {}
    for file in files:
        for found in _file(file, options):
            if isinstance(found, Entry):
                categories |= dict.fromkeys(found.contents)
            yield found
    if categories:
        repositories: dict[str, object] = {name: {"category": name} for name in categories}
        yield Tables(
            files[0].name, None, {"categories": {name: {} for name in categories}, "repositories": repositories}
        )


def _file(file: ImportedFile, options: ImportOptions) -> Findings:
    for found in paragraphs(file):
        if isinstance(found, NotTaken):
            yield found
        elif site := found.first("Site"):
            yield _entry(file, found, site, options.category)
        else:
            yield not_taken(file, found.line, "", "the paragraph has no `Site:`", entry=True)


def _entry(file: ImportedFile, paragraph: Paragraph, site: str, category: str) -> Entry:
    contents: dict[str, Content] = {}
    extra: dict[str, object] = {}
    for key, value in paragraph.fields:
        match = _CONTENT.fullmatch(key)
        if match is None:
            if key.lower() not in _KNOWN:
                extra[key] = f"{extra[key]}, {value}" if key in extra else value
            continue
        tree = match[1].lower()
        content = contents.setdefault(_category(tree, category), Content())
        if match[2].lower() == "architecture":
            content.arches += [arch for arch in value.split() if not arch.startswith("!")]
        elif value:
            content.urls.append(f"{match[2].lower()}://{site}/{value.lstrip('/')}")
    types = {word.lower() for value in paragraph.all("Type") for word in value.split()}
    countries = [value.split()[0] for value in paragraph.all("Country")]
    sponsors = [_sponsor(value) for value in paragraph.all("Sponsor")]
    if types:
        extra["Type"] = " ".join(paragraph.all("Type"))
    if len(sponsors) > 1:
        extra["Sponsor"] = paragraph.all("Sponsor")
    return Entry(
        file=file.name,
        line=paragraph.line,
        name=site,
        contents={name: content for name, content in contents.items() if content.urls},
        places=countries or (["worldwide"] if types & _WHOLE_WORLD else []),
        about=about(
            sponsor={"name": ", ".join(name for name, _ in sponsors), "url": sponsors[0][1] if sponsors else ""},
            contact=", ".join(paragraph.all("Maintainer")),
            city="; ".join(dict.fromkeys(paragraph.all("Location"))),
            notes=" ".join(paragraph.all("Comment")),
            extra=extra,
        ),
        comments=paragraph.comments,
    )


def _category(tree: str, category: str) -> str:
    """Return the category of a content: `grml-http` in a list for the category `grml` is that category itself."""
    return category if tree == category.lower() else f"{category}{_TREES.get(tree, f'-{tree}')}"


def _sponsor(text: str) -> tuple[str, str]:
    """Return name and URL; either may be empty."""
    name, _, last = text.rpartition(" ")
    if re.match(r"https?://", last):
        return name.strip(), last
    return text, ""
