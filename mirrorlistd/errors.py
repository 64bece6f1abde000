"""Everything the server can raise on purpose, under one root.

A message names what was expected, what was found and what to do about it; the same facts are attributes, so
that another program need not parse the message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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


class QueryError(MirrorlistdError):
    """A request that asks for nothing this server understands: answered with 400.

    `message` is one line for people: what is missing or malformed, and an example of the right form. It is made
    of our own words only, never of request bytes, so that it can be sent back and logged as it is.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotServedError(MirrorlistdError):
    """A well-formed request for something that is not served: unknown, disabled, or not named precisely enough.

    `status` is the HTTP status; `message` one line for people, as safe to send and log as a QueryError's.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class StateError(MirrorlistdError):
    """What the server needs cannot be had: the message names the file or socket and what is wrong with it."""
