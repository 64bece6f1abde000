"""Errors that the client raises on purpose: those that end the fetch, and those that end one mirror's part in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mirrorlistd.errors import MirrorlistdError

if TYPE_CHECKING:
    from collections.abc import Sequence

Reason = Literal[
    "list",  # not a list, or one that cannot be used
    "dns",  # the host has no address
    "address",  # an address of this machine or this link, to which a list or a redirect must not lead
    "refused",  # nothing listens there, or no route
    "tls",  # no valid certificate, or no TLS
    "stalled",  # no connection, no answer or no next byte within the time limit
    "slow",  # below the lowest speed
    "broken",  # the connection ended early, or the answer was not HTTP
    "status",  # an answer that is neither the file nor a redirect
    "redirect",  # a loop, too many, or one that must not be followed
    "short",  # fewer bytes than announced, or than in the list
    "long",  # more bytes
    "range",  # another range than asked for
    "hash",  # all bytes, with another hash
]
"""Why a mirror was abandoned; these words are stable, for programs."""


class ClientError(MirrorlistdError):
    """Root of the errors that this package raises on purpose."""


class UsageError(ClientError):
    """The caller asked for something impossible; the message has what to write instead."""


class ListError(ClientError):
    """Bytes that are not a list, or a list that cannot be used: what was expected and what was found."""


class LocalError(ClientError):
    """The file cannot be written: the message names it and has the system's reason."""


class MirrorError(ClientError):
    """A mirror, or a server of lists, failed: `reason` for programs, `detail` for people."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class AbandonedMirror:
    """A mirror, or a server of lists, that failed and is not asked again."""

    url: str
    reason: Reason
    detail: str


class FetchError(ClientError):
    """No mirror sent the file: `abandoned` has each that was tried, in order, with its reason.

    `listed` is whether there was a list at all; if not, `abandoned` are the servers of lists.
    """

    def __init__(self, message: str, abandoned: Sequence[AbandonedMirror], *, listed: bool) -> None:
        super().__init__(message)
        self.abandoned = tuple(abandoned)
        self.listed = listed

    @property
    def wrong_bytes(self) -> bool:
        """Whether at least one mirror sent a complete file with another hash than announced."""
        return any(mirror.reason == "hash" for mirror in self.abandoned)
