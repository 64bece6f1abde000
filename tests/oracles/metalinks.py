"""Metalinks written line by line, as their formats are described: the slow model of `render.metalink`."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mirrorlist_snapshot.model import FileDetails, FileVersion, Mirror

    Line = tuple[Mirror, str]
    """A mirror and one of its URLs."""
    Model = Callable[[int, str, FileDetails | None, Sequence[Line]], str]

_METALINKER = "http://www.metalinker.org/"
_MM0 = "http://fedorahosted.org/mirrormanager"
_HASHES = (("md5", "md5"), ("sha1", "sha-1"), ("sha256", "sha-256"), ("sha512", "sha-512"))


def _attribute(text: str) -> str:
    return escape(text, {'"': "&quot;", "'": "&#x27;"})


def version_3(built: int, name: str, details: FileDetails | None, lines: Sequence[Line]) -> str:
    """Write a whole document as MirrorManager does; `built` in seconds since 1970 UTC."""
    published = format_datetime(datetime.fromtimestamp(built, UTC), usegmt=True)
    spaces = f'xmlns="{_METALINKER}" type="dynamic" pubdate="{published}" generator="mirrorlistd" xmlns:mm0="{_MM0}"'
    out = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<metalink version="3.0" {spaces}>',
        " <files>",
        f'  <file name="{_attribute(name)}">',
    ]
    if details is not None:
        out += _version(details.current, "   ")
        if details.alternates:
            out.append("   <mm0:alternates>")
            for alternate in details.alternates:
                out += ["    <mm0:alternate>", *_version(alternate, "     "), "    </mm0:alternate>"]
            out.append("   </mm0:alternates>")
    out.append('   <resources maxconnections="1">')
    for place, (mirror, url) in enumerate(lines):
        scheme = url.partition(":")[0]
        attributes = [f'protocol="{scheme}"', f'type="{scheme}"']
        attributes += [f'location="{mirror.country}"'] if mirror.country else []
        attributes += [f'preference="{max(1, 100 - place)}"']
        attributes += ['mm0:private="True"'] if mirror.private else []
        out.append(f"    <url {' '.join(attributes)}>{escape(url)}</url>")
    return "\n".join([*out, "   </resources>", "  </file>", " </files>", "</metalink>", ""])


def _version(version: FileVersion, indent: str) -> Iterator[str]:
    if version.timestamp:
        yield f"{indent}<mm0:timestamp>{version.timestamp}</mm0:timestamp>"
    if version.size:
        yield f"{indent}<size>{version.size}</size>"
    hashes = [(word, getattr(version, word)) for word, _ in _HASHES]
    if any(value for _, value in hashes):
        yield f"{indent}<verification>"
        for word, value in hashes:
            if value:
                yield f'{indent} <hash type="{word}">{value}</hash>'
        yield f"{indent}</verification>"


def version_4(built: int, name: str, details: FileDetails | None, lines: Sequence[Line]) -> str:
    """Write a whole document of RFC 5854."""
    out = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<metalink xmlns="urn:ietf:params:xml:ns:metalink">',
        " <generator>mirrorlistd</generator>",
        f" <published>{datetime.fromtimestamp(built, UTC):%Y-%m-%dT%H:%M:%SZ}</published>",
        f' <file name="{_attribute(name)}">',
    ]
    if details is not None:
        out += [f"  <size>{details.current.size}</size>"] if details.current.size else []
        for field, word in _HASHES:
            if value := getattr(details.current, field):
                out.append(f'  <hash type="{word}">{value}</hash>')
    for place, (mirror, url) in enumerate(lines, start=1):
        location = f' location="{mirror.country.lower()}"' if mirror.country else ""
        out.append(f'  <url{location} priority="{place}">{escape(url)}</url>')
    return "\n".join([*out, " </file>", "</metalink>", ""])
