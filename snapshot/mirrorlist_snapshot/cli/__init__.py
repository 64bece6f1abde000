"""The command `mirrorlist-snapshot`: one module per verb, and what they share in `console`.

Results go to standard output, everything said about them to standard error. A failure is one clear line, never a
traceback; a reader that goes away (`| head`) and Ctrl-C are no failures to speak of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.cli import (
    cmd_compile,
    cmd_diff,
    cmd_inspect,
    cmd_keygen,
    cmd_publish,
    cmd_rollback,
    cmd_verify,
)
from mirrorlist_snapshot.cli.console import CommandError, generator
from mirrorlist_snapshot.console import CommandParser, parse_arguments, run_command

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_EPILOG: Final = """\
examples:
  mirrorlist-snapshot compile mirrors/ -o mirrors.mls
  mirrorlist-snapshot diff /srv/mirrors.mls mirrors.mls
  mirrorlist-snapshot publish mirrors.mls /srv/mirrors.mls --signal /run/mirrorlistd/pid
  mirrorlist-snapshot inspect mirrors.mls --json | jq .counts

Each command has its own --help.

exit codes: 0 done, 1 refused, or something cannot be read or written, 2 wrong usage; diff has those of diff(1),
publish and rollback also 3: published, but not served
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with its arguments (those of the process by default) and give its exit code."""

    def action(options: argparse.Namespace) -> int:
        return int(parse_arguments(_parser(), arguments, options).run(options))

    return run_command("mirrorlist-snapshot", action, (CommandError,))


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="mirrorlist-snapshot",
        description="Compile a description of mirrors into the snapshot that mirrorlistd serves, and look into one.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=generator())
    verbs = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in (cmd_compile, cmd_verify, cmd_inspect, cmd_diff, cmd_publish, cmd_rollback, cmd_keygen):
        module.add(verbs)
    return parser
