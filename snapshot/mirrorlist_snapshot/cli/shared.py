"""The parts that several verbs share: input files, common flags, and the report of what a verb has done."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mirrorlist_snapshot.console import Console, real
from mirrorlist_snapshot.errors import InputFileError, SnapshotError
from mirrorlist_snapshot.input_file import SNAPSHOT, read_file
from mirrorlist_snapshot.loss import DEFAULT_LIMIT

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

T = TypeVar("T")

PROGRAM: Final = "mirrorlist-snapshot"
STANDARD: Final = Path("-")
"""Stands for standard input or standard output, as for any filter."""


class CommandError(Exception):
    """The verb has failed; the message is the one line that the user sees."""


def console() -> Console:
    """Return standard error, for messages of this command."""
    return Console(PROGRAM)


def add_json(parser: Any) -> None:  # noqa: ANN401 - argparse's own
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="write JSON for programs instead of text for people")


def add_max_loss(parser: Any, against: str) -> None:  # noqa: ANN401 - argparse's own
    """Add --max-loss, which `max_loss` reads; `against` names the file that the new snapshot is compared with."""
    parser.add_argument(
        "--max-loss",
        metavar="PERCENT",
        type=real(0, 100, "a percentage"),
        help=f"refuse if more than this is lost of the mirrors, repositories or directories in {against} "
        f"(default: {100 * DEFAULT_LIMIT:g})",
    )


def max_loss(options: argparse.Namespace) -> float:
    """Return the fraction that may be lost."""
    return DEFAULT_LIMIT if options.max_loss is None else options.max_loss / 100


def generator() -> str:
    """Return the command's name and version."""
    try:
        return f"{PROGRAM} {version('mirrorlistd')}"
    except PackageNotFoundError:  # run from a source tree that is not installed
        return PROGRAM


def input_name(path: Path) -> str:
    """Return the name of an input file for messages."""
    return "standard input" if path == STANDARD else str(path)


def load(path: Path, reader: Callable[[bytes], T]) -> T:
    """Pass the bytes of a snapshot file, or of standard input, to a reader; raise CommandError that names the file."""
    try:
        return reader(read_snapshot(path))
    except SnapshotError as failure:
        raise CommandError(f"{input_name(path)}: {failure}") from failure


def read_snapshot(path: Path) -> bytes:
    """Return the bytes of a snapshot file, or of standard input; raise CommandError."""
    try:
        if path != STANDARD:
            return read_file(path, SNAPSHOT)
        with open(0, "rb", closefd=False) as standard_input:  # `sys.stdin` is None if it is closed
            data = standard_input.read(SNAPSHOT.size + 1)
    except InputFileError as failure:
        raise CommandError(str(failure)) from failure
    except OSError as failure:
        raise CommandError(f"{input_name(path)}: {failure.strerror or failure}") from failure
    if len(data) > SNAPSHOT.size:
        raise CommandError(f"standard input: has more than the {SNAPSHOT.size} bytes that {SNAPSHOT.purpose} may have")
    return data
