"""`inspect FILE`: what a snapshot says."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot import report
from mirrorlist_snapshot.cli.console import add_json, add_verb, load, show, show_json

if TYPE_CHECKING:
    import argparse

    from mirrorlist_snapshot.cli.console import Verbs

_EPILOG: Final = """\
exit codes: 0 shown, 1 the file is not a good snapshot or cannot be read, or the output cannot be written, 2 wrong usage

examples:
  mirrorlist-snapshot inspect mirrors.mls | less
  mirrorlist-snapshot inspect mirrors.mls --json | jq '.mirrors[] | select(.active | not) | .name'
"""


def add(verbs: Verbs) -> None:
    """Add the verb to the command's parser."""
    summary = "Show serial, age, counts, repositories, mirrors and size per section."
    parser = add_verb(verbs, "inspect", run, summary, _EPILOG)
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
