"""`*.db` of pacman: a compressed tar archive of `NAME-VERSION/desc`. The time is that of the youngest member seen."""

from __future__ import annotations

import zlib
from typing import Final

from mirrorlist_admin.units.inflating import GZIP, OTHERS, inflated, members
from mirrorlist_admin.units.parsed import ParsedUnit, expect, stated

KIND: Final = "a pacman database"


def parse(head: bytes) -> ParsedUnit:
    """Parse the start of the file; other compressions than gzip are known by their first bytes alone."""
    if head.startswith(OTHERS):
        return ParsedUnit(0)
    try:
        archive = inflated(head) if head.startswith(GZIP) else b""
    except zlib.error:
        archive = b""
    found = members(archive)
    # A repository without packages is an archive without members: zeros alone.
    expect(found or (archive and not archive.strip(b"\0")), KIND, head)
    return stated(max((time for time, _ in found.values()), default=0))
