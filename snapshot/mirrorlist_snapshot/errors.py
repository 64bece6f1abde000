"""The exceptions that this package raises on purpose, under one root.

A message names what was expected, what was found and what to do about it. The same facts are attributes, so that
programs need not parse the message.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class MirrorlistSnapshotError(Exception):
    """Root of every error that this package raises on purpose."""


class SnapshotError(MirrorlistSnapshotError):
    """The bytes are not a snapshot that this version can serve. The reader of snapshots raises no other error.

    `expected` and `found` describe the failed check in words; `fix` is what an operator can do.
    """

    def __init__(self, expected: str, found: str, fix: str = "compile the snapshot again") -> None:
        super().__init__(f"expected {expected}, found {found}; {fix}")
        self.expected = expected
        self.found = found
        self.fix = fix


class SignatureError(SnapshotError):
    """A snapshot without a valid signature by a trusted key."""


class FileProblem(Enum):
    """Why an input file cannot be used."""

    UNREADABLE = auto()
    NOT_REGULAR = auto()
    """A folder, a pipe, a device or a socket."""
    TOO_LARGE = auto()
    CHANGED = auto()
    """While it was read."""


class InputFileError(MirrorlistSnapshotError):
    """A file that cannot be read as a whole: `found` is a clause whose subject is the file."""

    def __init__(self, path: Path, problem: FileProblem, found: str) -> None:
        super().__init__(f"{path}: {found}")
        self.path = path
        self.problem = problem
        self.found = found


class KeyFileError(MirrorlistSnapshotError):
    """A key file that holds no key, or cannot be read or written; the message names the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """One mistake in one source: its place, what was found, what is allowed. Or a warning, or a note."""

    file: str
    """The file as the user named it."""
    line: int | None
    """1-based line; None if it is not known."""
    key: str
    """Key path in the file, e.g. `mirrors."ftp.example.org".country`; empty for the whole file."""
    message: str
    """What was found and what is allowed."""
    warning: bool = False
    """True: suspicious but compiled, or a note; False: a mistake that refuses the whole compilation."""
    note: bool = False
    """True: how the source was understood, where an operator may want to know; nothing needs a change."""

    def __str__(self) -> str:
        """`file:line: key: message`, the shape that editors make clickable."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        kind = "note: " if self.note else "warning: " if self.warning else ""
        return f"{place}: {kind}{self.key}: {self.message}" if self.key else f"{place}: {kind}{self.message}"


class SourceError(MirrorlistSnapshotError):
    """Sources that cannot be compiled: `complaints` has every mistake of every file, not only the first."""

    def __init__(self, complaints: tuple[Complaint, ...]) -> None:
        super().__init__("\n".join(map(str, complaints)))
        self.complaints = complaints


class ObservationsError(MirrorlistSnapshotError):
    """A file of observations that cannot be read or says what it cannot say; the message names file and remedy."""


class PublishError(MirrorlistSnapshotError):
    """The snapshot could not be put in place; the previous one is unchanged."""


class PublishedError(MirrorlistSnapshotError):
    """The snapshot is in place, but a later step failed: it was not flushed to disk, or cannot be read back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What a new snapshot lacks of one kind of records; possibly nothing."""

    kind: str
    """`mirrors`, `repositories` or `directories`."""
    before: int
    """How many there were."""
    lost: int
    """How many of these are missing now; new ones do not compensate for them."""
    names: tuple[str, ...]
    """The first few of the lost ones, in order."""

    @property
    def fraction(self) -> float:
        """The lost part of what there was, 0 to 1; 0 if there was nothing."""
        return self.lost / self.before if self.before else 0.0

    def __str__(self) -> str:
        """`3 of 12 mirrors (25.0 %): a, b, c`, rounded up: a loss above the limit never looks smaller."""
        more = self.lost - len(self.names)
        names = ", ".join(self.names) + (f" and {more:,} more" if more else "")
        percent = -(-self.lost * 1000 // self.before) / 10 if self.before else 0.0
        return f"{self.lost:,} of {self.before:,} {self.kind} ({percent:.1f} %)" + (f": {names}" if names else "")


class ServingError(MirrorlistSnapshotError):
    """A running server cannot be signalled or queried, or does not serve the expected serial; the message says why."""


class LossError(MirrorlistSnapshotError):
    """A snapshot that loses more than is allowed: `losses` has the kinds of records that exceed `limit`."""

    def __init__(self, losses: Sequence[Loss], limit: float) -> None:
        super().__init__(f"more than {100 * limit:g} % would be lost: {'; '.join(map(str, losses))}")
        self.losses = tuple(losses)
        self.limit = limit


class StoreError(MirrorlistSnapshotError):
    """An object store could not be reached, or it refused; the message has object and remedy, and no secret."""


class NoObjectError(StoreError):
    """The store has no such object."""


class StoreConflictError(StoreError):
    """Another writer replaced the object first; the other writer's object is in place."""
