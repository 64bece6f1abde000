"""`APKINDEX.tar.gz` of Alpine: a signature and an index, each a gzip stream. The time is that of the index member."""

from __future__ import annotations

import zlib
from typing import Final

from mirrorlist_admin.units.inflating import inflated, members
from mirrorlist_admin.units.parsed import ParsedUnit, expect, stated

KIND: Final = "an APKINDEX.tar.gz"


def parse(head: bytes) -> ParsedUnit:
    """Parse the start of the file."""
    try:
        found = members(inflated(head))
    except zlib.error:
        found = {}
    times = [found[name][0] for name in ("DESCRIPTION", "APKINDEX") if name in found]
    expect(times, KIND, head)
    return stated(max(times))
