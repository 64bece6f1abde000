"""`InRelease` and `Release` of Debian archives. `Date:` is the time.

https://wiki.debian.org/DebianRepository/Format
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import Final

from mirrorlist_admin.units.parsed import ParsedUnit, expect, stated

KIND: Final = "a Release file"
_FIELD: Final = re.compile(rb"^(Origin|Suite|Codename|Date|SHA256|MD5Sum): ?(.*)$", re.MULTILINE)


def parse(head: bytes) -> ParsedUnit:
    """Parse the file, clear-signed or not. The signature is not checked: the hash is compared with the master's."""
    fields = {name: value for name, value in _FIELD.findall(head)}  # noqa: C416 - bytes patterns have no types
    expect(fields.keys() & {b"SHA256", b"MD5Sum"} and b"Date" in fields, KIND, head)
    try:
        return stated(parsedate_to_datetime(fields[b"Date"].decode("ascii").strip()).timestamp())
    except (ValueError, OverflowError, TypeError, IndexError):
        return ParsedUnit(0)
