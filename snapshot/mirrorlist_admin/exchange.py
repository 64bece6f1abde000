"""What is asked of a mirror, and what came of it. Values alone: `fetch` makes them of real answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Purpose(StrEnum):
    """Why something is asked."""

    ALIVE = "alive"
    """Does the URL answer? A stamp or a unit, if there is one."""
    UNIT = "unit"
    NEGATIVE = "negative"
    """A name that does not exist: whoever has it has everything, and so nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; redirects are followed by the fetcher."""

    url: str
    family: int
    """4 or 6."""
    head_only: bool = False
    """HEAD: where there is no file to compare."""
    etag: str = ""
    modified: str = ""
    """Validators for a conditional request; empty for an unconditional one."""
    most: int = 1 << 20
    """Bytes that the body may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why there is no usable answer."""

    cause: str
    """A class, in a word or two: `refused`, `timeout`, `status 503`."""
    evidence: str
    """One line for people."""
    certain: bool = True
    """False if it may be the prober's own fault, or says nothing about the mirror: then nothing is concluded."""
    host: bool = False
    """Whether the host failed, and not this path: then it holds for everything on the host and family."""
    wait: int = 0
    """Seconds for which the mirror asked not to be asked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    at: int
    """When, seconds since 1970 UTC."""
    status: int = 0
    """HTTP status; 0 if there was none."""
    failure: Failure | None = None
    head: bytes = b""
    """The first LONGEST_HEAD bytes of the body."""
    sha256: str = ""
    """Of the whole body, lower-case hexadecimal; empty if there was none (304, HEAD)."""
    size: int = 0
    etag: str = ""
    modified: str = ""
    requests: int = 1
    """How many were sent to get it: redirects, other addresses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What an rsync daemon says of some files."""

    at: int
    """When, seconds since 1970 UTC."""
    sizes: Mapping[str, int] = field(default_factory=dict[str, int])
    """Name -> bytes, of those that are there."""
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class HostAddresses:
    """What a host name resolves to, after the netguard."""

    addresses: tuple[str, ...] = ()
    failure: Failure | None = None
    """Why there are none."""

    def of(self, family: int) -> tuple[str, ...]:
        """Return the addresses of a family."""
        return tuple(address for address in self.addresses if (":" in address) == (family == IPV6))


IPV4: Final = 4
IPV6: Final = 6
ABSENT: Final = (404, 410)
NOT_MODIFIED: Final = 304


def failure_of(status: int, wait: int = 0) -> Failure | None:
    """Return the failure that an HTTP status means; None for an answer about the path: there, absent or unchanged.

    429 says that we ask too much, which is no fault of the mirror.
    """
    if status in {200, NOT_MODIFIED, *ABSENT}:
        return None
    known = _PHRASES.get(status, "")
    return Failure(
        cause=f"status {status}", evidence=f"{status} {known}".rstrip(), certain=status != TOO_MANY, wait=wait
    )


TOO_MANY: Final = 429
LONGEST_WAIT: Final = 6 * 3600
"""Seconds: a mirror may ask not to be asked for so long."""
_PHRASES: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    429: "Too Many Requests",
    451: "Unavailable For Legal Reasons",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
