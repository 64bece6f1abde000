"""Stamps: small files that say when a tree was changed or synchronised.

    TIME (AlmaLinux, CPAN's TIME.txt), lastsync (Arch)    1764380748
    project/trace/* (Debian)                              Sun Nov 29 01:45:48 UTC 2026
    last-modified (bandersnatch)                          20261129T01:45:48
    others                                                2026-11-29 01:45:48, Sun, 29 Nov 2026 01:45:48 +0000

A stamp in another form has no time; its bytes still tell versions apart.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from mirrorlist_admin.units.parsed import ParsedUnit, expect, stated

KIND: Final = "a stamp"
LONGEST: Final = 65_536
"""Bytes: Debian's traces have some kilobytes."""
_EPOCH: Final = re.compile(r"(?<![\d.])(\d{9,11})(?![\d.])")
_DATE: Final = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) +(\d{1,2}) (\d\d:\d\d:\d\d) (?:UTC|GMT|Z) (\d{4})")
_ISO: Final = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)[T ](\d\d):?(\d\d):?(\d\d)")


def parse(head: bytes) -> ParsedUnit:
    """Parse the file; anything short that is no web page may be a stamp."""
    start = head.lstrip()[:14].lower()
    expect(head.strip() and len(head) <= LONGEST and not start.startswith((b"<!doctype html", b"<html")), KIND, head)
    for line in head[:512].decode("ascii", "replace").splitlines():
        if (time := _time(line.strip())) is not None:
            return stated(time)
    return ParsedUnit(0)


def _time(line: str) -> float | None:
    try:
        if found := _DATE.search(line):
            form = f"{found[1]} {found[2]} {found[3]} {found[4]}"
            return datetime.strptime(form, "%b %d %H:%M:%S %Y").replace(tzinfo=UTC).timestamp()
        if found := _ISO.search(line):
            year, month, day, hour, minute, second = map(int, found.groups())
            return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
        if found := _EPOCH.search(line):
            return float(found[1])
        return parsedate_to_datetime(line).timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
