"""Metalinks: where a file is, and how to know it. Version 3 as MirrorManager writes it, version 4 as RFC 5854 has it.

dnf and zypper take version 3 alone; dnf uses the order of the document and zypper the preference, so these agree
(docs/client-compatibility.md, Order and preference agree). Everything that is not our own word is escaped.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from html import escape
from typing import TYPE_CHECKING, Final

from mirrorlistd.render.listing import LIST_HEADERS, Listing, Rendered, Renderer, file_name
from mirrorlistd.render.parts import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mirrorlist_snapshot.model import FileVersion, Mirror
    from mirrorlistd.render.parts import FrameOf, LineOf
    from mirrorlistd.selection.index import Index, Target

_HASHES: Final = (("md5", "md5"), ("sha1", "sha-1"), ("sha256", "sha-256"), ("sha512", "sha-512"))
"""Field of FileVersion, which is also version 3's word, and version 4's (IANA's hash function names)."""
_NAMESPACE_3: Final = "http://www.metalinker.org/"
_MM0: Final = "http://fedorahosted.org/mirrormanager"
_HEADERS_3: Final = ((b"content-type", b"application/metalink+xml"), *LIST_HEADERS)
_HEADERS_4: Final = ((b"content-type", b"application/metalink4+xml"), *LIST_HEADERS)
_PREFERENCES: Final = tuple(b"%d" % preference for preference in range(100, 0, -1))
"""Version 3: 100 for the best; 1 for all that are far behind."""
_PRIORITIES: Final = tuple(b"%d" % priority for priority in range(1, 257))
"""Version 4: 1 for the best. Longer lists are rare."""


def _version_3(listing: Listing) -> Rendered:
    return Rendered(200, _HEADERS_3, _joined(listing, _line_3, _frame_3, _preferences))


def _preferences(count: int) -> Sequence[bytes]:
    far_behind = count - len(_PREFERENCES)
    return _PREFERENCES[:count] if far_behind <= 0 else [*_PREFERENCES, *_PREFERENCES[-1:] * far_behind]


def _joined(listing: Listing, line_of: LineOf, frame_of: FrameOf, numbers: Callable[[int], Sequence[bytes]]) -> bytes:
    """Join what is remembered of a document: of one of 20 URLs this is a tenth of the work of writing it anew."""
    index, parts = listing.index, listing.parts
    frame = parts.frame_of(frame_of, index, listing.target)
    lines = parts.lines_of(line_of, index.snapshot.mirrors, listing.offers)
    return b"".join((frame.opening, lines.join(listing.order, numbers, frame.tail), frame.closing))


def _line_3(mirror: Mirror, base_url: bytes) -> tuple[bytes, bytes]:
    url = base_url.decode()
    protocol = url.partition("://")[0]
    location = f' location="{mirror.country}"' if mirror.country else ""
    private = ' mm0:private="True"' if mirror.private else ""
    return (
        f'    <url protocol="{protocol}" type="{protocol}"{location} preference="'.encode(),
        f'"{private}>{escape(url, quote=False)}'.encode(),
    )


def _frame_3(index: Index, target: Target) -> Frame:
    details = index.details(target)
    lines = [
        *_opening_3(index.snapshot.built),
        " <files>",
        f'  <file name="{_xml_name(file_name(target))}">',
    ]
    if details is not None:
        lines += _version_of_file(details.current, "   ")
        if details.alternates:
            lines.append("   <mm0:alternates>")
            for alternate in details.alternates:
                lines += ["    <mm0:alternate>", *_version_of_file(alternate, "     "), "    </mm0:alternate>"]
            lines.append("   </mm0:alternates>")
    lines += ['   <resources maxconnections="1">', ""]
    closing = ["   </resources>", "  </file>", " </files>", "</metalink>", ""]
    return Frame("\n".join(lines).encode(), _tail(target), "\n".join(closing).encode())


def _tail(target: Target) -> bytes:
    return escape(target.suffix.decode(), quote=False).encode() + b"</url>\n"


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
    return Rendered(200, _HEADERS_4, _joined(listing, _line_4, _frame_4, _priorities))


def _priorities(count: int) -> Sequence[bytes]:
    return _PRIORITIES[:count] if count <= len(_PRIORITIES) else [b"%d" % place for place in range(1, count + 1)]


def _line_4(mirror: Mirror, base_url: bytes) -> tuple[bytes, bytes]:
    location = f' location="{mirror.country.lower()}"' if mirror.country else ""
    return f'  <url{location} priority="'.encode(), f'">{escape(base_url.decode(), quote=False)}'.encode()


def _frame_4(index: Index, target: Target) -> Frame:
    built = datetime.fromtimestamp(index.snapshot.built, UTC)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<metalink xmlns="urn:ietf:params:xml:ns:metalink">',
        " <generator>mirrorlistd</generator>",
        f" <published>{built:%Y-%m-%dT%H:%M:%SZ}</published>",
        f' <file name="{_xml_name(file_name(target))}">',
    ]
    details = index.details(target)
    if details is not None:
        if details.current.size:  # as above
            lines.append(f"  <size>{details.current.size}</size>")
        for field, word in _HASHES:
            if value := getattr(details.current, field):
                lines.append(f'  <hash type="{word}">{value}</hash>')
    return Frame("\n".join([*lines, ""]).encode(), _tail(target), b" </file>\n</metalink>\n")


def _xml_name(name: str) -> str:
    """Return a name as the value of an attribute, without characters that XML 1.0 does not have (section 2.2)."""
    return escape("".join(letter for letter in name if letter.isprintable() or letter == " "))


METALINK: Final = Renderer("metalink", _version_3, file="repodata/repomd.xml")
"""Version 3; of a repository it is about the file that rpm clients start from."""
METALINK4: Final = Renderer("metalink4", _version_4, file="repodata/repomd.xml")
