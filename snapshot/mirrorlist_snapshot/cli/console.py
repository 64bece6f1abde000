"""What the verbs share: reading files, writing to the user, giving up."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mirrorlist_snapshot.console import RED, YELLOW, show, show_bytes, show_json
from mirrorlist_snapshot.errors import SnapshotError
from mirrorlist_snapshot.loss import DEFAULT_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

__all__ = ["RED", "YELLOW", "show", "show_bytes", "show_json"]

Verbs = Any
"""The subparsers of argparse, whose class has no public name."""
EXIT_REFUSED: Final = 1
"""Exit code of what was refused, or cannot be read or written; a verb may have its own."""
STANDARD: Final = Path("-")
"""Names standard input or standard output, as for any filter."""
_REDRAW: Final = 0.1
"""Seconds between two states of a progress line."""


class CommandError(Exception):
    """The verb cannot do what was asked; the message is the one line that the user sees."""


def add_verb(verbs: Verbs, name: str, run: Callable[[Any], int], summary: str, epilog: str) -> Any:  # noqa: ANN401 - argparse's own
    """Add a verb's parser: `run` gives its exit code, the parser's default `trouble` is that of Trouble."""
    parser = verbs.add_parser(
        name,
        help=summary[0].lower() + summary[1:].rstrip("."),
        description=summary,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, parser=parser, trouble=EXIT_REFUSED)
    return parser


def add_json(parser: Any) -> None:  # noqa: ANN401 - argparse's own
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="write JSON for programs instead of text for people")


def add_max_loss(parser: Any, against: str) -> None:  # noqa: ANN401 - argparse's own
    """Add --max-loss, which `max_loss` reads; `against` names what the new snapshot is compared with."""
    parser.add_argument(
        "--max-loss",
        metavar="PERCENT",
        type=_percent,
        help=f"refuse when more than this is lost of the mirrors, repositories or directories in {against} "
        f"(default: {100 * DEFAULT_LIMIT:g})",
    )


def max_loss(options: argparse.Namespace) -> float:
    """Give the fraction that may be lost."""
    return DEFAULT_LIMIT if options.max_loss is None else options.max_loss / 100


def _percent(text: str) -> float:
    return number(text, 100, "a percentage from 0 to 100")


def number(text: str, most: float, words: str) -> float:
    """Read a number from 0 to `most`, which `words` describe, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= most:  # refuses nan, too
        raise argparse.ArgumentTypeError(f"expected {words}, found {text!r}")
    return value


def generator() -> str:
    """The command's name and version."""
    try:
        return f"mirrorlist-snapshot {version('mirrorlistd')}"
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "mirrorlist-snapshot"


def input_name(path: Path) -> str:
    """A file to read, as the user is told of it."""
    return "standard input" if path == STANDARD else str(path)


def load(path: Path, reader: Callable[[bytes], T]) -> T:
    """Give the bytes of a file, or of standard input, to a reader of snapshots; Trouble names the file."""
    try:
        return reader(_read(path))
    except OSError as failure:
        raise CommandError(f"{input_name(path)}: {failure.strerror or failure}") from failure
    except SnapshotError as failure:
        raise CommandError(f"{input_name(path)}: {failure}") from failure


def _read(path: Path) -> bytes:
    if path != STANDARD:
        return path.read_bytes()
    with open(0, "rb", closefd=False) as standard_input:  # `sys.stdin` is None where it is closed
        return standard_input.read()


def say(text: str, colour: str | None = None) -> None:
    """Write a line to standard error, coloured only for eyes."""
    if colour and sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        text = f"\x1b[{colour}m{text}\x1b[0m"
    sys.stderr.write(f"{text}\n")


def error(text: str) -> None:
    """Say why the command failed."""
    say(f"mirrorlist-snapshot: {text}", RED)


class Progress:
    """One line on a terminal, written over again and again; nothing anywhere else."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._next = 0.0

    def due(self) -> bool:
        """Whether there is a terminal, and its line has stood long enough to be replaced."""
        return self._shown and time.monotonic() >= self._next

    def show(self, text: str) -> None:
        """Replace the line; ask `due` first."""
        self._next = time.monotonic() + _REDRAW
        width = os.get_terminal_size(sys.stderr.fileno()).columns or 80
        sys.stderr.write(f"\r\x1b[K{text[: width - 1]}")
        sys.stderr.flush()

    def clear(self) -> None:
        """Leave the line to what comes next."""
        if self._shown and self._next:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
