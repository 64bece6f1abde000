"""`verify FILE`: every check there is, in one line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.cli.console import add_verb, load, show

if TYPE_CHECKING:
    import argparse

    from mirrorlist_snapshot.cli.console import Verbs

_EPILOG: Final = """\
Checks digests, structure, cross references and the order of every table, more than the server does when it loads.

exit codes: 0 the file is good, 1 it is not or cannot be read, 2 wrong usage

example:
  mirrorlist-snapshot verify mirrors.mls && mv mirrors.mls /srv/
"""


def add(verbs: Verbs) -> None:
    """Add the verb to the command's parser."""
    parser = add_verb(verbs, "verify", run, "Check a snapshot file completely.", _EPILOG)
    parser.add_argument("file", metavar="FILE", type=Path, help="a snapshot")


def run(options: argparse.Namespace) -> int:
    """Check and say so."""
    file: Path = options.file
    header = load(file, _verify)
    show(f"{file}: good: serial {header.serial}, format version {header.version}, digest {header.digest}\n")
    return 0


def _verify(data: bytes) -> snapshot_format.Header:
    snapshot_format.verify(data)
    return snapshot_format.header(data)
