"""The exception of the rules for single values, and values as they appear in complaints."""

from __future__ import annotations

import json


class RuleError(ValueError):
    """A value that no source may have; the text states what was found and what is allowed."""


def shown(value: str) -> str:
    """Return text for a complaint: quoted, control characters escaped, long text cut."""
    return json.dumps(value if len(value) <= 80 else f"{value[:77]}...", ensure_ascii=not value.isprintable())  # noqa: PLR2004 - fits a line


def number(value: int) -> str:
    """Return a number for a complaint; Python refuses to print huge ones."""
    return str(value) if value.bit_length() <= 128 else "a number of more than 128 bits"  # noqa: PLR2004 - an address's size
