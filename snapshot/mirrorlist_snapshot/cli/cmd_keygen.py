"""`keygen NAME`: a pair of keys, to sign snapshots with and to trust them by."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.cli.console import CommandError, add_json, add_verb, say, show_json
from mirrorlist_snapshot.errors import KeyFileError

if TYPE_CHECKING:
    import argparse

    from mirrorlist_snapshot.cli.console import Verbs

_EPILOG: Final = """\
Writes NAME.key, which signs: keep it where snapshots are published, readable for that user alone. And NAME.pub, by
which servers tell what was signed with it: no secret. Both hold an Ed25519 key in PEM, as openssl(1) has it, too.

To rotate keys: let servers trust the old and the new one, sign with the new one, then trust that alone.

exit codes: 0 written, 1 a file is there already or cannot be written, 2 wrong usage

examples:
  mirrorlist-snapshot keygen /etc/mirrorlist/2026
  mirrorlist-snapshot compile mirrors/ -o mirrors.mls --sign-key /etc/mirrorlist/2026.key
  mirrorlistd serve --snapshot mirrors.mls --trusted-key 2026.pub
"""


def add(verbs: Verbs) -> None:
    """Add the verb to the command's parser."""
    parser = add_verb(verbs, "keygen", run, "Make a pair of keys to sign snapshots with.", _EPILOG)
    parser.add_argument("name", metavar="NAME", type=Path, help="path of the two files, without .key and .pub")
    add_json(parser)
    parser.set_defaults(parser=parser)


def run(options: argparse.Namespace) -> int:
    """Make the pair."""
    from mirrorlist_snapshot.signing import SigningKey  # noqa: PLC0415 - see its first lines

    if not options.name.name:
        options.parser.error("NAME is the path of a file, less its ending")
    key = SigningKey.generate()
    try:
        private, public = key.write(options.name)
    except KeyFileError as failure:
        raise CommandError(str(failure)) from failure
    say(f"wrote {private} (keep it secret) and {public} (for servers): key {key.key_id.hex()}")
    if options.json:
        show_json({"key_id": key.key_id.hex(), "private": str(private), "public": str(public)})
    return 0
