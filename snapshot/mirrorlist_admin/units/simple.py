"""Pages of a Python index (PEP 503 and 691): HTML or JSON. Mirrors by bandersnatch state a serial in a comment.

The serial (`<!--SERIAL 123-->`, the header `X-PyPI-Last-Serial`) is a number of changes and no time.
"""

from __future__ import annotations

import re
from typing import Final

from mirrorlist_admin.units.parsed import ParsedUnit, expect

KIND: Final = "a page of a Python index"
_PAGE: Final = re.compile(rb'<a[^>]* href=|pypi:repository-version|"api-version"|simple index', re.IGNORECASE)


def parse(head: bytes) -> ParsedUnit:
    """Parse the start of the page."""
    expect(_PAGE.search(head), KIND, head)
    return ParsedUnit(0)
