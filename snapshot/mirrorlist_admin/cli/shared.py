"""The parts that several verbs share: flags, and standard error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mirrorlist_snapshot.console import Console

if TYPE_CHECKING:
    import argparse

PROGRAM: Final = "mirrorlist-admin"


def console() -> Console:
    """Return standard error, for messages of this command."""
    return Console(PROGRAM)


def add_state(parser: argparse.ArgumentParser) -> None:
    """Add --state."""
    parser.add_argument(
        "--state",
        metavar="DIR",
        type=Path,
        required=True,
        help="the folder of observations.db, which `probe` fills",
    )


def add_json(parser: Any) -> None:  # noqa: ANN401 - argparse's own
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="write JSON for programs instead of text for people")
