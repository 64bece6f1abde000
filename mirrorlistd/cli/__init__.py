"""The command `mirrorlistd`: one module per verb, imported when the verb is used.

Results go to standard output, and as JSON with `--json`; errors, warnings and progress go to standard error.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.console import STATUSES, CommandParser, Verbs, add_verbs, parse_arguments, run_command
from mirrorlistd import __version__
from mirrorlistd.errors import MirrorlistdError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_VERBS: Final[Verbs] = {
    "serve": ("mirrorlistd.cli.cmd_serve", "serve mirror lists over HTTP"),
    "check": ("mirrorlistd.cli.cmd_check", "check settings and the files they name, or a running server"),
    "explain": ("mirrorlistd.cli.cmd_explain", "show which mirrors an address gets, and why others are left out"),
    "pull": ("mirrorlistd.cli.cmd_pull", "copy a snapshot from an object store to a file, verified"),
    "stats": ("mirrorlistd.cli.cmd_stats", "sum up files of statistics per day, country, architecture, repository"),
    "compare": ("mirrorlistd.cli.cmd_compare", "send the same requests to two servers and show where they differ"),
}
_EPILOG: Final = f"""\
examples:
  mirrorlistd serve --snapshot mirrors.mls
  mirrorlistd check --config /etc/mirrorlistd.toml
  mirrorlistd explain --repo pypi --ip 193.0.6.139

Each verb has its own --help. Snapshots are made by mirrorlist-snapshot.

exit status: 0 done, 1 refused (the message names the file or the setting), 2 wrong usage;
{STATUSES}"""


def run(words: Sequence[str], early_sighups: list[int]) -> int:
    """Run one command and return its exit status. `early_sighups` has SIGHUPs that came before the server is up."""

    def action(options: argparse.Namespace) -> int:
        options.early_sighups = early_sighups
        parse_arguments(_parser(), words, options)
        if options.verb != "serve":
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
        return int(options.run(options))

    return run_command("mirrorlistd", action, (MirrorlistdError,))


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="mirrorlistd",
        description="Serve lists of the mirrors that are near each client.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"mirrorlistd {__version__}")
    add_verbs(parser, _VERBS)
    return parser
