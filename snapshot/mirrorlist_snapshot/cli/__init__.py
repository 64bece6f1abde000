"""The command `mirrorlist-snapshot`: one module per verb, imported when the verb is used.

Results go to standard output; warnings, progress and errors go to standard error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.cli.shared import PROGRAM, CommandError, generator
from mirrorlist_snapshot.console import STATUSES, CommandParser, Verbs, add_verbs, parse_arguments, run_command

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_VERBS: Final[Verbs] = {
    "convert": ("mirrorlist_snapshot.cli.cmd_convert", "turn a mirror list that a network has into source files"),
    "compile": ("mirrorlist_snapshot.cli.cmd_compile", "compile sources into a snapshot file"),
    "verify": ("mirrorlist_snapshot.cli.cmd_verify", "check a snapshot file completely"),
    "inspect": (
        "mirrorlist_snapshot.cli.cmd_inspect",
        "show serial, age, counts, repositories, mirrors and size per section",
    ),
    "diff": ("mirrorlist_snapshot.cli.cmd_diff", "show the differences between two snapshots"),
    "export": ("mirrorlist_snapshot.cli.cmd_export", "write the mirrors in formats that other programs read"),
    "publish": ("mirrorlist_snapshot.cli.cmd_publish", "put a snapshot in place for servers, atomically"),
    "rollback": ("mirrorlist_snapshot.cli.cmd_rollback", "publish an earlier snapshot again"),
    "keygen": ("mirrorlist_snapshot.cli.cmd_keygen", "make a pair of keys to sign snapshots with"),
}
_EPILOG: Final = f"""\
examples:
  mirrorlist-snapshot convert --from csv mirrors.csv -o mirrors/
  mirrorlist-snapshot compile mirrors/ -o mirrors.mls
  mirrorlist-snapshot diff /srv/mirrors.mls mirrors.mls
  mirrorlist-snapshot publish mirrors.mls /srv/mirrors.mls --signal /run/mirrorlistd/pid
  mirrorlist-snapshot inspect mirrors.mls --json | jq .counts

Each verb has its own --help.

exit status: 0 done, 1 refused, or something cannot be read or written, 2 wrong usage; verbs that write files also
4: written, but the report of it cannot be; diff has the statuses of diff(1), publish and rollback also 3: published,
but not served; {STATUSES}"""


def main(words: Sequence[str] | None = None) -> int:
    """Run the command with its arguments (by default those of the process) and return its exit status."""

    def action(options: argparse.Namespace) -> int:
        parse_arguments(_parser(), words, options)
        return int(options.run(options))

    return run_command(PROGRAM, action, (CommandError,))


def _parser() -> CommandParser:
    parser = CommandParser(
        prog=PROGRAM,
        description="Compile a description of mirrors into the snapshot that mirrorlistd serves; check and publish it.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=generator())
    add_verbs(parser, _VERBS)
    return parser
