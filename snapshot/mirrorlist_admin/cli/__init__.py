"""The command `mirrorlist-admin`: one module per verb, imported when the verb is used.

Results go to standard output; warnings, progress and errors go to standard error.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from mirrorlist_admin.errors import AdminError
from mirrorlist_snapshot.console import STATUSES, CommandParser, Verbs, add_verbs, parse_arguments, run_command

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

PROGRAM: Final = "mirrorlist-admin"
_VERBS: Final[Verbs] = {
    "probe": ("mirrorlist_admin.cli.cmd_probe", "ask the mirrors, and write which are alive and in sync"),
    "serve": ("mirrorlist_admin.cli.cmd_serve", "take reports of mirrors, and show everyone what is known of them"),
    "token": ("mirrorlist_admin.cli.cmd_token", "give a mirror the permission to report, or take it back"),
    "status": ("mirrorlist_admin.cli.cmd_status", "show every mirror with its state, lag, last check, and why"),
    "explain": ("mirrorlist_admin.cli.cmd_explain", "show what happened to a mirror, and why it is in or out"),
    "propagation": ("mirrorlist_admin.cli.cmd_propagation", "show how fast new versions reach the mirrors"),
}
_EPILOG: Final = f"""\
Each verb has its own --help.

exit status: 0 done, 1 refused, or something cannot be read or written, 2 wrong usage; {STATUSES}"""


def main(words: Sequence[str] | None = None) -> int:
    """Run the command with its arguments (by default those of the process) and return its exit status."""

    def action(options: argparse.Namespace) -> int:
        parse_arguments(_parser(), words, options)
        return int(options.run(options))

    return run_command(PROGRAM, action, (AdminError,))


def _parser() -> CommandParser:
    parser = CommandParser(
        prog=PROGRAM,
        description="Find out which mirrors are alive and in sync, and publish what was found.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=_version())
    add_verbs(parser, _VERBS)
    return parser


def _version() -> str:
    """Return the command's name and version."""
    try:
        return f"{PROGRAM} {version('mirrorlistd')}"
    except PackageNotFoundError:  # run from a source tree that is not installed
        return PROGRAM
