"""`summary` of OSTree repositories: a GVariant `(a(s(taya{sv}))a{sv})`, whose metadata state when it was made.

https://ostreedev.github.io/ostree/formats/: integers are big-endian.
"""

from __future__ import annotations

from typing import Final

from mirrorlist_admin.units.parsed import ParsedUnit, expect, stated

KIND: Final = "an OSTree summary"
_MADE: Final = b"ostree.summary.last-modified\0"
_MARKS: Final = (_MADE, b"ostree.summary.", b"ostree.static-deltas\0", b"refs/", b"ostree.commit.")


def parse(head: bytes) -> ParsedUnit:
    """Parse the file; one without metadata, of an old OSTree, states no time."""
    expect(any(mark in head for mark in _MARKS), KIND, head)
    place = head.find(_MADE)
    if place < 0:
        return ParsedUnit(0)
    value = (place + len(_MADE) + 7) // 8 * 8  # a variant is aligned to 8 bytes
    if head[value + 8 : value + 10] != b"\0t":
        return ParsedUnit(0)
    return stated(int.from_bytes(head[value : value + 8], "big"))
