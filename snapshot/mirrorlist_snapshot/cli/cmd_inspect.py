"""`inspect FILE`: the contents of a snapshot."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot import report
from mirrorlist_snapshot.cli.shared import add_json, load
from mirrorlist_snapshot.console import show, show_json

if TYPE_CHECKING:
    import argparse

EXAMPLES: Final = """\
exit status: 0 shown, 1 the file is invalid or cannot be read, or the output cannot be written, 2 wrong usage

examples:
  mirrorlist-snapshot inspect mirrors.mls | less
  mirrorlist-snapshot inspect mirrors.mls --json | jq '.mirrors[] | select(.active | not) | .name'
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the verb."""
    parser.add_argument("file", metavar="FILE", type=Path, help="a snapshot; - is standard input")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Show one snapshot."""
    found = load(options.file, partial(report.inspect, now=int(time.time())))
    if options.json:
        show_json(found)
    else:
        show(report.inspect_text(found))
    return 0
