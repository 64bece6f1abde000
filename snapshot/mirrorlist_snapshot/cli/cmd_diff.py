"""`diff OLD NEW`: what a new snapshot changes, down to the countries whose answers change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot import report
from mirrorlist_snapshot.cli.console import STANDARD, add_json, add_verb, load, show, show_json

if TYPE_CHECKING:
    import argparse

    from mirrorlist_snapshot.cli.console import Verbs

_EPILOG: Final = """\
Serial, build time and generator are shown but are no difference. The countries are those whose clients get other
mirrors, weights, tiers or URLs, with the server's defaults and for addresses that no netblock or AS number singles out.

exit codes, as of diff(1): 0 the same, 1 different, 2 trouble: a file is not a good snapshot or cannot be read,
the output cannot be written, or wrong usage

examples:
  mirrorlist-snapshot diff /srv/mirrors.mls mirrors.mls
  mirrorlist-snapshot diff old.mls new.mls --json | jq '.answers[] | {repository, countries}'
"""
_TROUBLE: Final = 2


def add(verbs: Verbs) -> None:
    """Add the verb to the command's parser."""
    parser = add_verb(verbs, "diff", run, "Show what changes between two snapshots.", _EPILOG)
    parser.set_defaults(parser=parser, trouble=_TROUBLE)
    parser.add_argument("old", metavar="OLD", type=Path, help="a snapshot; - is standard input")
    parser.add_argument("new", metavar="NEW", type=Path, help="a later one")
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
