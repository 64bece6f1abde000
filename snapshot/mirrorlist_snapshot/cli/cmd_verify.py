"""`verify FILE`: every check there is, in one line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.cli.console import Trouble, add_json, add_verb, input_name, load, show, show_json

if TYPE_CHECKING:
    import argparse

    from mirrorlist_snapshot.cli.console import Verbs

_EPILOG: Final = """\
Checks digests, structure, cross references and the order of every table, more than the server does when it loads.
With --json, `ok` says whether the file is good; if not, `error` says why.

exit codes: 0 the file is good, 1 it is not or cannot be read, or the output cannot be written, 2 wrong usage

examples:
  mirrorlist-snapshot verify mirrors.mls && mv mirrors.mls /srv/
  ssh build cat mirrors.mls | mirrorlist-snapshot verify --json - | jq .digest
"""


def add(verbs: Verbs) -> None:
    """Add the verb to the command's parser."""
    parser = add_verb(verbs, "verify", run, "Check a snapshot file completely.", _EPILOG)
    parser.add_argument("file", metavar="FILE", type=Path, help="a snapshot; - is standard input")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Check and say so."""
    file = input_name(options.file)
    try:
        header = load(options.file, _verify)
    except Trouble as trouble:
        if options.json:
            show_json({"ok": False, "file": file, "error": str(trouble)})
        raise
    if options.json:
        show_json(
            {
                "ok": True,
                "file": file,
                "serial": header.serial,
                "built": header.built,
                "format_version": header.version,
                "digest": header.digest,
                "bytes": header.length,
            }
        )
    else:
        show(f"{file}: good: serial {header.serial}, format version {header.version}, digest {header.digest}\n")
    return 0


def _verify(data: bytes) -> snapshot_format.Header:
    snapshot_format.verify(data)
    return snapshot_format.header(data)
