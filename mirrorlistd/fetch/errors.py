"""Everything the client can raise on purpose: what ends the work, and what only ends one mirror's part in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mirrorlistd.errors import MirrorlistdError

if TYPE_CHECKING:
    from collections.abc import Sequence

Reason = Literal[
    "list",  # what should have been a list is none, or cannot be used
    "dns",  # the host has no address
    "refused",  # nobody listens, or no way there
    "tls",  # no trustworthy connection
    "stalled",  # no connection, no answer or no next byte within the time limit
    "slow",  # below the lowest speed
    "broken",  # the connection ended early, or what came was not HTTP
    "status",  # an answer that is neither the file nor a redirect
    "redirect",  # a loop, too many, or one that must not be followed
    "short",  # fewer bytes than announced, or than the list says
    "long",  # more
    "range",  # another range than asked for
    "hash",  # all bytes, and the wrong ones
]
"""Why a mirror was left; stable words for programs."""


class ClientError(MirrorlistdError):
    """Root of what this package raises on purpose."""


class UsageError(ClientError):
    """The caller asked for something that cannot be meant; the message says what to write instead."""


class ListError(ClientError):
    """Bytes that are no list, or a list that cannot be used: what was expected and what was found."""


class LocalError(ClientError):
    """The file cannot be written: names it, and what the system said."""


class MirrorError(ClientError):
    """One mirror, or one server of lists, did not give what it should: `reason` for programs, `detail` for people."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class AbandonedMirror:
    """A mirror that was tried and left."""

    url: str
    reason: Reason
    detail: str


class FetchError(ClientError):
    """No mirror gave the file: `left` has each that was tried, in order, with its reason.

    `listed` is whether there was a list at all; if not, `left` are the servers of lists.
    """

    def __init__(self, message: str, left: Sequence[AbandonedMirror], *, listed: bool) -> None:
        super().__init__(message)
        self.left = tuple(left)
        self.listed = listed

    @property
    def wrong_bytes(self) -> bool:
        """Whether at least one mirror gave a whole file that was not the one announced."""
        return any(left.reason == "hash" for left in self.left)
