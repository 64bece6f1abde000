"""What the verbs share: reading files, writing to the user, giving up."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mirrorlist_snapshot.errors import SnapshotError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

Verbs = Any
"""The subparsers of argparse, whose class has no public name."""
RED: Final = "31"
YELLOW: Final = "33"


class Trouble(Exception):  # noqa: N818 - the word that diff(1) uses for its exit code 2
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
    parser.set_defaults(run=run, trouble=1)
    return parser


def add_json(parser: Any) -> None:  # noqa: ANN401 - argparse's own
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="write JSON for programs instead of text for people")


def load(path: Path, reader: Callable[[bytes], T]) -> T:
    """Give a file's bytes to a reader of snapshots; Trouble names the file."""
    try:
        return reader(path.read_bytes())
    except OSError as failure:
        raise Trouble(f"{path}: {failure.strerror or failure}") from failure
    except SnapshotError as failure:
        raise Trouble(f"{path}: {failure}") from failure


def show(text: str) -> None:
    """Write a result to standard output; names may hold what the terminal's encoding does not."""
    show_bytes(text.encode(sys.stdout.encoding, "backslashreplace"))


def show_bytes(data: bytes) -> None:
    """Write all of a result to standard output: its own buffer there may be none (`python -u`), and write a part."""
    with open(sys.stdout.fileno(), "wb", closefd=False) as output:
        output.write(data)


def show_json(value: object) -> None:
    """Write a result to standard output as JSON."""
    show(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def say(text: str, colour: str | None = None) -> None:
    """Write a line to standard error, coloured only for eyes."""
    if colour and sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        text = f"\x1b[{colour}m{text}\x1b[0m"
    sys.stderr.write(f"{text}\n")


def error(text: str) -> None:
    """Say why the command failed."""
    say(f"mirrorlist-snapshot: {text}", RED)
