"""`src/contrib/PACKAGES` of CRAN: fields of packages. It states no time."""

from __future__ import annotations

import re
from typing import Final

from mirrorlist_admin.units.parsed import ParsedUnit, expect

KIND: Final = "a PACKAGES file"
_PACKAGE: Final = re.compile(rb"^Package: *[A-Za-z][A-Za-z0-9.]*\r?$", re.MULTILINE)


def parse(head: bytes) -> ParsedUnit:
    """Parse the start of the file."""
    expect(_PACKAGE.search(head), KIND, head)
    return ParsedUnit(0)
