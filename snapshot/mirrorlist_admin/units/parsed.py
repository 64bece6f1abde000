"""What a parser of units returns and raises, and what parsers share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LATEST_TIME: Final = 2**40
"""Seconds since 1970 that a file may state; a later time is nonsense, and counts as none."""


class NotThisUnitError(Exception):
    """The bytes are not a unit of this kind; the text says what they are instead, for people."""


@dataclass(frozen=True, slots=True)
class ParsedUnit:
    """What the file says about itself."""

    stated: int
    """When it was made, seconds since 1970 UTC; 0 if it does not say."""


def stated(seconds: float) -> ParsedUnit:
    """Return a unit with a time, if it can be one."""
    return ParsedUnit(int(seconds) if 0 <= seconds <= LATEST_TIME else 0)


def expect(condition: object, kind: str, head: bytes) -> None:
    """Raise NotThisUnitError unless the condition holds."""
    if condition:
        return
    found = head.lstrip()[:200].lower()
    if not head:
        raise NotThisUnitError(f"empty instead of {kind}")
    if found.startswith((b"<!doctype html", b"<html")):
        raise NotThisUnitError(f"a web page instead of {kind}")
    raise NotThisUnitError(f"something else than {kind}")
