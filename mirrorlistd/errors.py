"""Errors that the server raises on purpose, under one root.

A message has what was expected, what was found and how to mend it. The same facts are attributes, for programs.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class MirrorlistdError(Exception):
    """Root of the errors that this package raises on purpose."""


class ConfigError(MirrorlistdError):
    """Settings with which the server cannot start: every problem of every source.

    Each of `problems` is one line that begins with its source: the flag, the environment variable, or file and line.
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class GeoError(MirrorlistdError):
    """A geo database that cannot be used: what was `expected` of `file`, what was `found`, and the `fix`."""

    def __init__(self, file: Path | str, expected: str, found: str, fix: str) -> None:
        super().__init__(f"{file}: expected {expected}, found {found}; {fix}")
        self.file = str(file)
        self.expected = expected
        self.found = found
        self.fix = fix


class Reason(Enum):
    """Why a request gets no list; the value is the HTTP status, and words that make it distinct."""

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

    `message` is one line for people. It has no bytes of the request, so that it can be sent and logged as it is.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Final = reason
        self.message: Final = message


class QueryError(RequestError):
    """A request that this server does not understand; the message has an example of the right form."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.MALFORMED, message)


class NotServedError(RequestError):
    """A well-formed request for something that is not served: unknown, disabled, or not named precisely enough."""


class StateError(MirrorlistdError):
    """A file or socket that the server needs cannot be used; the message names it and the reason."""


class PullError(MirrorlistdError):
    """A store has no good snapshot, or cannot be read; the file is unchanged.

    `kind` is where to look for the cause: `unreachable` and `missing` at the store, `refused` at the publisher, `local`
    on this machine.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class StatusError(MirrorlistdError):
    """A status file that is not used: every problem of the file, each with its key."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        more = len(self.problems) - _PROBLEMS_SHOWN
        shown = "; ".join(self.problems[:_PROBLEMS_SHOWN])
        super().__init__(f"{shown}; and {more} more" if more > 0 else shown)


_PROBLEMS_SHOWN = 10
"""In a message: a broken probe may make one problem for each mirror."""
