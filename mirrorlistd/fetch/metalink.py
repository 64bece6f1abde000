"""Metalink 3.0 (MirrorManager's extensions included) and Metalink 4 (RFC 5854) -> Source. Pure.

The XML comes from strangers: a document type declaration is refused before it is read, and with it every entity,
internal (bombs) or external (files, other hosts).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.etree.ElementTree import ParseError  # only the exception; the parser is defusedxml's

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from mirrorlistd.fetch.errors import ListError
from mirrorlistd.fetch.source import LAST, ContentVersion, MirrorUrl, Source, collect, read_hashes, read_number

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

V3: Final = "{http://www.metalinker.org/}"
V4: Final = "{urn:ietf:params:xml:ns:metalink}"
MM0: Final = "{http://fedorahosted.org/mirrormanager}"
_BEST: Final = 100
"""`preference` of the best mirror in version 3; 1 is the worst."""


def parse_metalink(document: bytes, wanted: str | None = None) -> Source:
    """Read a metalink of either version; raise ListError if it is not one.

    `wanted` chooses among several files: the one of that name, or whose name is its last segment. Without it, a
    metalink of several files is a ListError that has their names, and so is one without the wanted file.
    """
    try:
        root: Element = fromstring(document, forbid_dtd=True)
    except DefusedXmlException as error:
        raise ListError("expected a metalink without document type and entities, found one with") from error
    except (ParseError, ValueError, LookupError) as error:  # the latter two: encodings
        raise ListError(f"expected a metalink, found malformed XML: {error}") from error
    if root.tag == f"{V3}metalink":
        return _version_3(_choose(root.findall(f"{V3}files/{V3}file"), wanted))
    if root.tag == f"{V4}metalink":
        return _version_4(_choose(root.findall(f"{V4}file"), wanted))
    raise ListError(f"expected a metalink of version 3 or 4, found {root.tag[:100]!a}")


def _choose(files: list[Element], wanted: str | None) -> Element:
    names = [file.get("name", "") for file in files]
    if wanted is not None:
        matching = [at for at, name in enumerate(names) if name in (wanted, wanted.rpartition("/")[2])]
    else:
        matching = list(range(len(files)))
    if len(matching) == 1:
        return files[matching[0]]
    has = ", ".join(ascii(name[:80]) for name in names[:10]) or "none"
    if wanted is None:
        raise ListError(f"expected a metalink of one file, found {len(files)} ({has}); choose one with --path NAME")
    raise ListError(f"expected a metalink with the file {wanted[:80]!a}, found {has}")


def _version_3(file: Element) -> Source:
    resources = file.find(f"{V3}resources")
    allowed = resources.get("maxconnections") if resources is not None else None
    return Source(
        kind="metalink",
        mirrors=collect(_urls_3(file)),
        name=file.get("name"),
        version=_content_3(file, V3),
        previous=tuple(_content_3(alternate, MM0) for alternate in file.findall(f"{MM0}alternates/{MM0}alternate")),
        connections=None if allowed is None else max(1, read_number(allowed, "maxconnections", 1_000)),
    )


def _content_3(element: Element, namespace: str) -> ContentVersion:
    """Return size and hashes; MirrorManager puts those of alternates into either namespace."""
    sizes = [*element.findall(f"{namespace}size"), *element.findall(f"{V3}size")]
    hashes = [*element.iterfind(f"{namespace}verification/*"), *element.iterfind(f"{V3}verification/*")]
    return ContentVersion(
        read_number(sizes[0].text or "", "size") if sizes else None,
        read_hashes(
            (item.get("type", ""), item.text or "") for item in hashes if item.tag in (f"{namespace}hash", f"{V3}hash")
        ),
    )


def _urls_3(file: Element) -> Iterator[MirrorUrl]:
    for url in file.iterfind(f"{V3}resources/{V3}url"):
        preference = url.get("preference")
        priority = LAST if preference is None else _BEST + 1 - read_number(preference, "preference", _BEST)
        yield MirrorUrl((url.text or "").strip(), priority, _location(url))


def _version_4(file: Element) -> Source:
    size = file.find(f"{V4}size")
    return Source(
        kind="metalink",
        mirrors=collect(_urls_4(file)),
        name=file.get("name"),
        version=ContentVersion(
            None if size is None else read_number(size.text or "", "size"),
            # Direct children only: hashes below `pieces` are of parts of the file.
            read_hashes((item.get("type", ""), item.text or "") for item in file.findall(f"{V4}hash")),
        ),
    )


def _urls_4(file: Element) -> Iterator[MirrorUrl]:
    for url in file.iterfind(f"{V4}url"):
        priority = url.get("priority")
        yield MirrorUrl(
            (url.text or "").strip(),
            LAST if priority is None else read_number(priority, "priority", LAST),
            _location(url),
        )


def _location(url: Element) -> str | None:
    location = url.get("location", "").lower()
    return location if len(location) == 2 and location.isascii() and location.isalpha() else None  # noqa: PLR2004 - ISO 3166 alpha-2
