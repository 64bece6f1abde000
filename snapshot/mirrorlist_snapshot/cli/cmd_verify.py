"""`verify FILE`: every check there is, in one line."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.cli.console import CommandError, add_json, add_verb, input_name, load, show, show_json
from mirrorlist_snapshot.cli.key_flags import add_trusted_keys, trusted_keys

if TYPE_CHECKING:
    import argparse

    from mirrorlist_snapshot.cli.console import Verbs
    from mirrorlist_snapshot.signing import TrustedKeys

_EPILOG: Final = """\
Checks digests, structure, cross references and the order of every table, more than the server does when it loads.
Whether a signature is good can be told with the keys alone: name those that you trust.
With --json, `ok` says whether the file is good; if not, `error` says why.

exit codes: 0 the file is good, 1 it is not or cannot be read, or the output cannot be written, 2 wrong usage

examples:
  mirrorlist-snapshot verify mirrors.mls && mv mirrors.mls /srv/
  mirrorlist-snapshot verify mirrors.mls --trusted-key 2025.pub --trusted-key 2026.pub
  ssh build cat mirrors.mls | mirrorlist-snapshot verify --json - | jq .digest
"""


def add(verbs: Verbs) -> None:
    """Add the verb to the command's parser."""
    parser = add_verb(verbs, "verify", run, "Check a snapshot file completely.", _EPILOG)
    parser.add_argument("file", metavar="FILE", type=Path, help="a snapshot; - is standard input")
    add_trusted_keys(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Check and say so."""
    file = input_name(options.file)
    keys = trusted_keys(options.trusted_keys)
    try:
        header = load(options.file, partial(_verify, keys=keys))
    except CommandError as trouble:
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
                "key_id": header.key_id,
                "signature_checked": keys is not None,
                "bytes": header.length,
            }
        )
    else:
        facts = f"serial {header.serial}, format version {header.version}, digest {header.digest}"
        show(f"{file}: good: {facts}, {_signature(header, checked=keys is not None)}\n")
    return 0


def _verify(data: bytes, *, keys: TrustedKeys | None) -> snapshot_format.Header:
    if keys is not None:
        keys.verify(data)
    snapshot_format.verify(data)
    return snapshot_format.header(data)


def _signature(header: snapshot_format.Header, *, checked: bool) -> str:
    if not header.signed:
        return "unsigned"
    return f"signed by {'trusted ' if checked else ''}key {header.key_id}" + ("" if checked else " (not checked)")
