"""Everything the server can raise on purpose, under one root.

A message names what was expected, what was found and what to do about it; the same facts are attributes, so
that another program need not parse the message.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class MirrorlistdError(Exception):
    """Root of every error that this package raises on purpose."""


class ConfigError(MirrorlistdError):
    """Settings the server cannot start with: carries every problem of every source, not just the first.

    Each of `problems` is one line that names its source: the flag, the environment variable, or file and key.
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class GeoError(MirrorlistdError):
    """A geo database that cannot be served from: `expected` of `file`, what was `found`, and the `fix`."""

    def __init__(self, file: Path | str, expected: str, found: str, fix: str) -> None:
        super().__init__(f"{file}: expected {expected}, found {found}; {fix}")
        self.file = str(file)
        self.expected = expected
        self.found = found
        self.fix = fix


class Reason(Enum):
    """Why a request gets no list; the value is its HTTP status, and a word that makes it distinct."""

    MALFORMED = 400, "malformed"
    NOT_NAMED = 400, "nothing named, or not precisely enough"
    DISABLED = 403, "disabled"
    NO_REPOSITORY = 404, "no such repository or architecture"
    NO_PATH = 404, "no such path"
    NO_METALINK = 404, "nothing that a metalink could state"
    NOBODY = 404, "no mirror for this client"

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value[0]


class RequestError(MirrorlistdError):
    """A request that gets no list, and why.

    `message` is one line for people. It is made of our own words and the snapshot's only, never of request bytes, so
    that it can be sent back and logged as it is.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Final = reason
        self.message: Final = message


class QueryError(RequestError):
    """A request that asks for nothing this server understands: the message has an example of the right form."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.MALFORMED, message)


class NotServedError(RequestError):
    """A well-formed request for something that is not served: unknown, disabled, or not named precisely enough."""


class StateError(MirrorlistdError):
    """What the server needs cannot be had: the message names the file or socket and what is wrong with it."""


class PullError(MirrorlistdError):
    """A store has nothing good for us, or cannot be asked; the file in place is what it was.

    `kind` says where to look: `unreachable` and `missing` at the store, `refused` at the publisher, `local` here.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class StatusError(MirrorlistdError):
    """An overlay that is not to be used: carries every problem of the file, each with the key that it is about."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        more = len(self.problems) - _PROBLEMS_SHOWN
        shown = "; ".join(self.problems[:_PROBLEMS_SHOWN])
        super().__init__(f"{shown}; and {more} more" if more > 0 else shown)


_PROBLEMS_SHOWN = 10
"""In a message: a mad probe makes one for each mirror."""
