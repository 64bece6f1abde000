"""The access line: one list that was sent to one client. Pure.

    IP: 192.0.2.1; DATE: 2026-11-24; COUNTRY: DE; REPO: epel-9; ARCH: x86_64
    IP: -; DATE: 2026-11-24; COUNTRY: N/A; REPO: fedora-43; ARCH: x86_64; COUNTME: 2

mirrorlist-server writes this form (`do_mirrorlist`), and MirrorManager's `mirrorlist_statistics` reads it: words with
white space between, the values at the even places, each with a semicolon. So a value is one word: semicolons, percent
signs and characters other than printable ASCII are percent-encoded. The sixth field is present where the client took
part in Fedora's count of systems; the script reads only the first ten words and ignores it.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from string import punctuation
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

HIDDEN: Final = "-"
"""Stands for a value that is missing or not to be shown."""
NOWHERE: Final = "N/A"
"""Stands for an unknown country, as in mirrorlist-server's files."""
COUNTME: Final = ("1", "2", "3", "4")
"""Ages of a system: its first week, first month, first half year, older (`countme` of dnf.conf)."""

ADDRESS: Final = "IP: "
"""The start of a line, before the address."""

_PLAIN: Final = punctuation.replace(";", "").replace("%", "")
"""Characters that are not encoded, besides letters and digits."""
_LINE: Final = re.compile(
    rb"IP: ([^\s;]+); DATE: (\d{4}-\d\d-\d\d); COUNTRY: ([^\s;]+); REPO: ([^\s;]+); ARCH: ([^\s;]+)"
    rb"(?:; COUNTME: ([1-4]))?",
    re.ASCII,
)


class Access(NamedTuple):
    """The content of a line."""

    address: str | None
    """None: unknown, or not to be written."""
    day: str
    """UTC, as 2026-11-24."""
    country: str | None
    """Two letters; None: unknown."""
    repo: str
    arch: str | None
    """None: the repository has no architectures."""
    countme: str | None = None
    """One of COUNTME."""


class LineError(ValueError):
    """Bytes that are not an access line; the message has what was expected."""


def token(value: str | None, absent: str = HIDDEN) -> str:
    """Return a value as one word; a value that equals HIDDEN or NOWHERE is encoded."""
    if not value:
        return absent
    if value in (HIDDEN, NOWHERE):
        return value.replace("-", "%2D").replace("/", "%2F")
    return quote(value, safe=_PLAIN, errors="replace")


def tail(repo: str, arch: str | None, countme: str | None) -> str:
    """Return the last part of a line: what was asked for, and the end of the line."""
    return f"; REPO: {token(repo)}; ARCH: {token(arch)}" + (f"; COUNTME: {countme}\n" if countme else "\n")


def middle(day: str, country: str | None) -> str:
    """Return the middle part of a line: day and country."""
    return f"; DATE: {day}; COUNTRY: {token(country, NOWHERE)}"


def write(access: Access) -> bytes:
    """Return a whole line."""
    parts = (
        ADDRESS,
        token(access.address),
        middle(access.day, access.country),
        tail(access.repo, access.arch, access.countme),
    )
    return "".join(parts).encode()


def read(line: bytes) -> Access:
    """Read a line, of this server or of mirrorlist-server; raise LineError where it is not an access line.

    A line without its end was cut off or is still being written: its last value may be incomplete.
    """
    if not line.endswith(b"\n"):
        raise LineError("the line is cut off")
    match = _LINE.fullmatch(line.rstrip(b"\r\n"))
    if match is None:
        raise LineError("expected IP: ...; DATE: YYYY-MM-DD; COUNTRY: ...; REPO: ...; ARCH: ...")
    address, day, country, repo, arch, countme = (None if word is None else _value(word) for word in match.groups())
    if not (day and _is_date(day)):
        raise LineError("there is no such day")
    return Access(address, day, country, repo or HIDDEN, arch, countme)


def _value(word: bytes) -> str | None:
    text = word.decode("utf-8", "replace")
    return None if text in (HIDDEN, NOWHERE) else unquote(text, errors="replace")


@lru_cache(maxsize=1024)
def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
