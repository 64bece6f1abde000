"""Tokens: 256 random bits behind a prefix that scanners of leaked secrets can look for; stored as a hash.

A token is as long as its hash, so a plain SHA-256 is enough: there is nothing that could be guessed.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final

from mirrorlist_admin.store.checkin_rows import Token

PREFIX: Final = "mlr_"
_BYTES: Final = 32
_FORM: Final = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")
_ID_LENGTH: Final = 10
_HOUR: Final = 3600


def new_token(mirror: str, now: int, expires: int) -> tuple[str, Token]:
    """Make a token for one mirror; return it, which is shown once, and the row to store. `expires` 0: never."""
    token = PREFIX + secrets.token_urlsafe(_BYTES)
    return token, Token(digest=digest_of(token), mirror=mirror, created=now, expires=expires, used=0)


def is_token(text: str) -> bool:
    """Whether a text has the form of a token."""
    return _FORM.fullmatch(text) is not None


def digest_of(token: str) -> str:
    """Return the hash by which a token is stored and found."""
    return hashlib.sha256(token.encode()).hexdigest()


def identifier(token: Token) -> str:
    """Return the name by which people list and revoke a token."""
    return token.digest[:_ID_LENGTH]


def hour(now: int) -> int:
    """Return the hour to which the last use of a token is noted: not every request writes."""
    return now - now % _HOUR
