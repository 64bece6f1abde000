"""The access line: one list given to one client. Written and read here, and nowhere else. Pure.

    IP: 192.0.2.1; DATE: 2026-11-24; COUNTRY: DE; REPO: epel-9; ARCH: x86_64
    IP: -; DATE: 2026-11-24; COUNTRY: N/A; REPO: fedora-43; ARCH: x86_64; COUNTME: 2

It is what mirrorlist-server writes (`do_mirrorlist`) and what MirrorManager's `mirrorlist_statistics` reads: words
between white space, the values at the even places, each with a semicolon after it that is stripped. So a value is one
word: semicolons, percent signs and whatever is not printable ASCII are percent-encoded. A sixth field stands where the
client took part in Fedora's count of systems; the script, which reads no further than the tenth word, ignores it.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from string import punctuation
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

HIDDEN: Final = "-"
"""Stands for what is missing or not to be seen."""
NOWHERE: Final = "N/A"
"""Stands for an unknown country, as mirrorlist-server has it."""
COUNTME: Final = ("1", "2", "3", "4")
"""Ages of a system: its first week, first month, first half year, older (`countme` of dnf.conf)."""

ADDRESS: Final = "IP: "
"""How a line begins; a word follows, which an address in canonical form is."""

_PLAIN: Final = punctuation.replace(";", "").replace("%", "")
"""What stands for itself, besides letters and digits."""
_LINE: Final = re.compile(
    rb"IP: ([^\s;]+); DATE: (\d{4}-\d\d-\d\d); COUNTRY: ([^\s;]+); REPO: ([^\s;]+); ARCH: ([^\s;]+)"
    rb"(?:; COUNTME: ([1-4]))?",
    re.ASCII,
)


class Access(NamedTuple):
    """What a line says."""

    address: str | None
    """None: not known, or not to be written."""
    day: str
    """UTC, as 2026-11-24."""
    country: str | None
    """Two letters, as far as those who wrote them knew; None: unknown."""
    repo: str
    arch: str | None
    """None: the repository has no architectures."""
    countme: str | None = None
    """One of COUNTME."""


class LineError(ValueError):
    """Bytes that are no access line; the message says what was expected."""


def token(value: str | None, absent: str = HIDDEN) -> str:
    """Make one word of a value; a value that looks like what stands for nothing is told from it."""
    if not value:
        return absent
    if value in (HIDDEN, NOWHERE):
        return value.replace("-", "%2D").replace("/", "%2F")
    return quote(value, safe=_PLAIN, errors="replace")


def tail(repo: str, arch: str | None, countme: str | None) -> str:
    """Write the part of a line that says what was asked for, with the line's end."""
    return f"; REPO: {token(repo)}; ARCH: {token(arch)}" + (f"; COUNTME: {countme}\n" if countme else "\n")


def middle(day: str, country: str | None) -> str:
    """Write the part of a line that stands between the others."""
    return f"; DATE: {day}; COUNTRY: {token(country, NOWHERE)}"


def write(access: Access) -> bytes:
    """Write a whole line."""
    parts = (
        ADDRESS,
        token(access.address),
        middle(access.day, access.country),
        tail(access.repo, access.arch, access.countme),
    )
    return "".join(parts).encode()


def read(line: bytes) -> Access:
    """Read a line, ours or mirrorlist-server's; raise LineError where it is none.

    A line without its end was cut off, or is still being written: who knows what its last value would have been.
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
