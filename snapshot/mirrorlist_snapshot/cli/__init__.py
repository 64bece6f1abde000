"""The command `mirrorlist-snapshot`: one module per verb, and what they share in `console`.

Results go to standard output, everything said about them to standard error. A failure is one clear line, never a
traceback; a reader that goes away (`| head`) and Ctrl-C are no failures to speak of.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.arguments import parse_arguments
from mirrorlist_snapshot.cli import (
    cmd_compile,
    cmd_diff,
    cmd_inspect,
    cmd_keygen,
    cmd_publish,
    cmd_rollback,
    cmd_verify,
)
from mirrorlist_snapshot.cli.console import EXIT_REFUSED, CommandError, error, generator

if TYPE_CHECKING:
    from collections.abc import Sequence

_INTERRUPTED: Final = 130
"""128 + SIGINT, as shells count."""
_CLOSED_PIPE: Final = 141
"""128 + SIGPIPE."""
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
    options = argparse.Namespace(trouble=EXIT_REFUSED)  # until the verb is known
    try:
        try:
            return _run(parse_arguments(_parser(), arguments, options))
        finally:
            sys.stdout.flush()  # here, where a failure is still ours to report: help and usage end in SystemExit
    except BrokenPipeError:
        # Python flushes standard output once more at exit: let it have somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _CLOSED_PIPE
    except KeyboardInterrupt:
        return _INTERRUPTED
    except OSError as failure:  # standard output cannot be written: files are the verbs' own business
        error(f"cannot write the output: {failure.strerror or failure}")
        return int(options.trouble)


def _run(options: argparse.Namespace) -> int:
    try:
        return int(options.run(options))
    except CommandError as trouble:
        error(str(trouble))
        return int(options.trouble)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mirrorlist-snapshot",
        description="Compile a description of mirrors into the snapshot that mirrorlistd serves, and look into one.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=generator())
    verbs = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in (cmd_compile, cmd_verify, cmd_inspect, cmd_diff, cmd_publish, cmd_rollback, cmd_keygen):
        module.add(verbs)
    return parser
