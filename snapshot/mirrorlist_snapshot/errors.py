"""Everything this package can raise on purpose, under one root.

A message names what was expected, what was found and what to do about it; the same facts are attributes,
so that another program need not parse the message.
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
    """The bytes are not a snapshot that this version can serve: the one error of the reader.

    `expected` and `found` say in words what was checked; `fix` says what an operator can do.
    """

    def __init__(self, expected: str, found: str, fix: str = "compile the snapshot again") -> None:
        super().__init__(f"expected {expected}, found {found}; {fix}")
        self.expected = expected
        self.found = found
        self.fix = fix


class SignatureError(SnapshotError):
    """A snapshot that nobody who is trusted has signed as it is."""


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
    """A file that holds no key, or cannot be read or written: the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """One mistake in one source: where it stands, what was found, what is allowed."""

    file: str
    """The file as the user named it."""
    line: int | None
    """1-based line, or None where the format does not tell."""
    key: str
    """Key path in the file, e.g. `mirrors."ftp.example.org".country`; empty for the whole file."""
    message: str
    """What was found and what is allowed."""
    warning: bool = False
    """True: suspicious but compiled; False: a mistake that refuses the whole compilation."""

    def __str__(self) -> str:
        """`file:line: key: message`, the shape that editors make clickable."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        kind = "warning: " if self.warning else ""
        return f"{place}: {kind}{self.key}: {self.message}" if self.key else f"{place}: {kind}{self.message}"


class SourceError(MirrorlistSnapshotError):
    """Sources that cannot be compiled: carries every mistake of every file, not just the first."""

    def __init__(self, complaints: tuple[Complaint, ...]) -> None:
        super().__init__("\n".join(map(str, complaints)))
        self.complaints = complaints


class PublishError(MirrorlistSnapshotError):
    """The snapshot could not be put in place; what was there before is still there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What is gone of one kind of things; nothing may be."""

    kind: str
    """`mirrors`, `repositories` or `directories`."""
    before: int
    """How many there were."""
    lost: int
    """How many of these are there no more; what is new does not make up for it."""
    names: tuple[str, ...]
    """The first few of the lost ones, in order."""

    @property
    def fraction(self) -> float:
        """Part of what there was that is lost, 0 to 1; 0 where there was nothing."""
        return self.lost / self.before if self.before else 0.0

    def __str__(self) -> str:
        """`3 of 12 mirrors (25.0 %): a, b, c`, rounded up so that nothing looks smaller than the limit it exceeds."""
        more = self.lost - len(self.names)
        names = ", ".join(self.names) + (f" and {more:,} more" if more else "")
        percent = -(-self.lost * 1000 // self.before) / 10 if self.before else 0.0
        return f"{self.lost:,} of {self.before:,} {self.kind} ({percent:.1f} %)" + (f": {names}" if names else "")


class ServingError(MirrorlistSnapshotError):
    """A running server cannot be told or asked, or does not serve what it should: the message says why."""


class LossError(MirrorlistSnapshotError):
    """A snapshot that would take away more than is allowed: `losses` are those of the kinds that exceed `limit`."""

    def __init__(self, losses: Sequence[Loss], limit: float) -> None:
        super().__init__(f"more than {100 * limit:g} % would be lost: {'; '.join(map(str, losses))}")
        self.losses = tuple(losses)
        self.limit = limit


class StoreError(MirrorlistSnapshotError):
    """An object store could not be asked, or refused: the message names the object and what to do, never a secret."""


class NoObjectError(StoreError):
    """The store was asked, and the object is not there."""


class StoreConflictError(StoreError):
    """Another writer was faster; what they wrote is there."""
