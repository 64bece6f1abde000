"""The challenge of check-in: bytes of a unit that only a mirror with the file can know. Pure."""

from __future__ import annotations

import hashlib
import hmac
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mirrorlist_admin.store.checkin_rows import CheckIn


class Proof(Enum):
    """Whether a report proves that the mirror has what it claims."""

    GOOD = auto()
    """The challenge is answered, or none was given."""
    OPEN = auto()
    """It is answered over a version that the master was not seen with yet."""
    LACKING = auto()
    """The mirror says that it does not have the unit."""


def answers(check_in: CheckIn, start: bytes, answer: str) -> bool:
    """Whether an HMAC (hexadecimal) answers the mirror's challenge; `start`: the first bytes of the claimed version."""
    part = start[check_in.nonce_offset : check_in.nonce_offset + check_in.nonce_length]
    expected = hmac.new(check_in.nonce.encode(), part, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, answer)
