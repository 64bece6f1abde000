"""`keygen NAME`: make a pair of keys, one to sign snapshots with and one to verify them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.cli.shared import CommandError, add_json, console
from mirrorlist_snapshot.console import report_done, show_json
from mirrorlist_snapshot.errors import KeyFileError
from mirrorlist_snapshot.signing import SigningKey

if TYPE_CHECKING:
    import argparse

EXAMPLES: Final = """\
Writes two files. NAME.key signs: keep it where snapshots are published, readable for that user only. NAME.pub verifies
signatures: give it to the servers; it is not secret. Both hold an Ed25519 key in PEM, which openssl(1) can read.

To rotate keys: let servers trust the old and the new key, sign with the new key, then remove the old one.

exit status: 0 written, 1 a file exists already or cannot be written, 2 wrong usage, 4 written, but the output cannot be

examples:
  mirrorlist-snapshot keygen /etc/mirrorlist/2026
  mirrorlist-snapshot compile mirrors/ -o mirrors.mls --sign-key /etc/mirrorlist/2026.key
  mirrorlistd serve --snapshot mirrors.mls --trusted-key 2026.pub
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the verb."""
    parser.add_argument("name", metavar="NAME", type=Path, help="path of the two files, without .key and .pub")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Make the pair."""
    if not options.name.name:
        options.parser.error("NAME is the path of a file, without its suffix")
    key = SigningKey.generate()
    try:
        private, public = key.write(options.name)
    except KeyFileError as failure:
        raise CommandError(str(failure)) from failure
    console().say(f"wrote {private} (keep it secret) and {public} (for servers): key {key.key_id.hex()}")

    def report() -> None:
        if options.json:
            show_json({"key_id": key.key_id.hex(), "private": str(private), "public": str(public)})

    return report_done(console(), report, f"{private} and {public} are written")
