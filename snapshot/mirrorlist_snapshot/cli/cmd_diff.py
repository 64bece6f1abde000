"""`diff OLD NEW`: the differences between two snapshots, down to the countries whose answers change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot import report
from mirrorlist_snapshot.cli.shared import STANDARD, add_json, load
from mirrorlist_snapshot.console import show, show_json

if TYPE_CHECKING:
    import argparse

EXAMPLES: Final = """\
Serial, build time and generator are shown but do not count as a difference. A country is listed if its clients get
other mirrors, weights, tiers or URLs, with the server's defaults and without regard to netblocks and AS numbers.

exit status, as of diff(1): 0 no difference, 1 different, 2 trouble: a file is invalid or cannot be read, the output
cannot be written, or wrong usage

examples:
  mirrorlist-snapshot diff /srv/mirrors.mls mirrors.mls
  mirrorlist-snapshot diff old.mls new.mls --json | jq '.answers[] | {repository, countries}'
"""
_TROUBLE: Final = 2


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the verb."""
    parser.set_defaults(trouble=_TROUBLE)
    parser.add_argument("old", metavar="OLD", type=Path, help="a snapshot; - is standard input")
    parser.add_argument("new", metavar="NEW", type=Path, help="a later snapshot")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Compare two snapshots."""
    if options.old == options.new == STANDARD:
        options.parser.error("only one of OLD and NEW can be standard input")
    old, new = (load(path, snapshot_format.decode) for path in (options.old, options.new))
    found = report.diff(old, new)
    if options.json:
        show_json(found)
    else:
        show(report.diff_text(found))
    return 0 if found["same"] else 1
