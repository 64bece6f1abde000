"""`verify FILE`: check a snapshot completely and report the result in one line."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.cli.key_flags import add_trusted_keys, trusted_keys
from mirrorlist_snapshot.cli.shared import CommandError, add_json, input_name, load
from mirrorlist_snapshot.console import show, show_json

if TYPE_CHECKING:
    import argparse

    from mirrorlist_snapshot.signing import TrustedKeys

EXAMPLES: Final = """\
Checks digests, structure, cross references and the order of every table: more than the server checks on loading.
A signature is verified only with --trusted-key. With --json, `ok` is whether the file is valid, `error` the reason if
it is not.

exit status: 0 the file is valid, 1 it is invalid or cannot be read, or the output cannot be written, 2 wrong usage

examples:
  mirrorlist-snapshot verify mirrors.mls && mv mirrors.mls /srv/
  mirrorlist-snapshot verify mirrors.mls --trusted-key 2025.pub --trusted-key 2026.pub
  ssh build cat mirrors.mls | mirrorlist-snapshot verify --json - | jq .digest
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the verb."""
    parser.add_argument("file", metavar="FILE", type=Path, help="a snapshot; - is standard input")
    add_trusted_keys(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Check one snapshot."""
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
