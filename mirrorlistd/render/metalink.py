"""Metalinks: where a file is, and how to know it. Version 3 as MirrorManager writes it, version 4 as RFC 5854 has it.

dnf and zypper take version 3 alone; dnf uses the order of the document and zypper the preference, so these agree
(docs/client-compatibility.md, Order and preference agree). Everything that is not our own word is escaped.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape, quoteattr

from mirrorlistd.render.listing import LIST_HEADERS, Listing, Rendered, Renderer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirrorlist_snapshot.model import FileVersion

_HASHES: Final = (("md5", "md5"), ("sha1", "sha-1"), ("sha256", "sha-256"), ("sha512", "sha-512"))
"""Field of FileVersion, which is also version 3's word, and version 4's (IANA's hash function names)."""
_NAMESPACE_3: Final = "http://www.metalinker.org/"
_MM0: Final = "http://fedorahosted.org/mirrormanager"
_HEADERS_3: Final = ((b"content-type", b"application/metalink+xml"), *LIST_HEADERS)
_HEADERS_4: Final = ((b"content-type", b"application/metalink4+xml"), *LIST_HEADERS)


def _version_3(listing: Listing) -> Rendered:
    name = _xml_name(listing.file_name)
    details = listing.details
    lines = [
        *_opening_3(listing.index.snapshot.built),
        " <files>",
        f"  <file name={quoteattr(name)}>",
    ]
    if details is not None:
        lines += _version_of_file(details.current, "   ")
        if details.alternates:
            lines.append("   <mm0:alternates>")
            for alternate in details.alternates:
                lines += ["    <mm0:alternate>", *_version_of_file(alternate, "     "), "    </mm0:alternate>"]
            lines.append("   </mm0:alternates>")
    lines.append('   <resources maxconnections="1">')
    for place, (mirror, _, url) in enumerate(listing.lines()):
        protocol = url.partition("://")[0]
        location = f' location="{mirror.country}"' if mirror.country else ""
        private = ' mm0:private="True"' if mirror.private else ""
        lines.append(
            f'    <url protocol="{protocol}" type="{protocol}"{location}'
            f' preference="{max(1, 100 - place)}"{private}>{escape(url)}</url>'
        )
    lines += ["   </resources>", "  </file>", " </files>", "</metalink>", ""]
    return Rendered(200, _HEADERS_3, "\n".join(lines).encode())


def _opening_3(built: int) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="utf-8"?>'
    dynamic = f'type="dynamic" pubdate="{format_datetime(datetime.fromtimestamp(built, UTC), usegmt=True)}"'
    yield f'<metalink version="3.0" xmlns="{_NAMESPACE_3}" {dynamic} generator="mirrorlistd" xmlns:mm0="{_MM0}">'


def not_a_metalink(status: int, built: int, message: str) -> Rendered:
    """Render an error as MirrorManager does: an empty metalink with the message in a comment.

    `built` is the time of the snapshot, in seconds since 1970 UTC.
    """
    # A comment ends at two hyphens (XML 1.0, 2.5).
    comment = re.sub("-(?=-)", "- ", message.removesuffix("\n"))
    return Rendered(
        status, _HEADERS_3, "\n".join([*_opening_3(built), f"<!-- {comment}", "-->", "</metalink>", ""]).encode()
    )


def _version_of_file(version: FileVersion, indent: str) -> Iterator[str]:
    # 0 is what MirrorManager's generator writes for what it does not know; clients refuse files of another size.
    if version.timestamp:
        yield f"{indent}<mm0:timestamp>{version.timestamp}</mm0:timestamp>"
    if version.size:
        yield f"{indent}<size>{version.size}</size>"
    known = [(word, value) for word, _ in _HASHES if (value := getattr(version, word))]
    if known:
        yield f"{indent}<verification>"
        for word, value in known:
            yield f'{indent} <hash type="{word}">{value}</hash>'
        yield f"{indent}</verification>"


def _version_4(listing: Listing) -> Rendered:
    name = _xml_name(listing.file_name)
    built = datetime.fromtimestamp(listing.index.snapshot.built, UTC)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<metalink xmlns="urn:ietf:params:xml:ns:metalink">',
        " <generator>mirrorlistd</generator>",
        f" <published>{built:%Y-%m-%dT%H:%M:%SZ}</published>",
        f" <file name={quoteattr(name)}>",
    ]
    details = listing.details
    if details is not None:
        if details.current.size:  # as above
            lines.append(f"  <size>{details.current.size}</size>")
        for field, word in _HASHES:
            if value := getattr(details.current, field):
                lines.append(f'  <hash type="{word}">{value}</hash>')
    for place, (mirror, _, url) in enumerate(listing.lines(), start=1):
        location = f' location="{mirror.country.lower()}"' if mirror.country else ""
        lines.append(f'  <url{location} priority="{place}">{escape(url)}</url>')
    lines += [" </file>", "</metalink>", ""]
    return Rendered(200, _HEADERS_4, "\n".join(lines).encode())


def _xml_name(name: str) -> str:
    """Drop characters that XML 1.0 does not have (section 2.2); the caller quotes."""
    return "".join(letter for letter in name if letter.isprintable() or letter == " ")


METALINK: Final = Renderer("metalink", _version_3, file="repodata/repomd.xml")
"""Version 3; of a repository it is about the file that rpm clients start from."""
METALINK4: Final = Renderer("metalink4", _version_4, file="repodata/repomd.xml")
