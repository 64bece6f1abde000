"""The command `mirrorlistd`: one module per verb, and what they share in `console`.

Exit status: 0 done, 1 refused (the message names the file or the setting), 2 wrong usage; a verb's `--help` says what
else. What a program may want to read goes to standard output, and as JSON with `--json`; what is said to people goes to
standard error.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING

from mirrorlist_snapshot.arguments import parse_arguments
from mirrorlistd import __version__
from mirrorlistd.cli import cmd_check, cmd_compare, cmd_explain, cmd_pull, cmd_serve, cmd_stats
from mirrorlistd.errors import ConfigError, MirrorlistdError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlistd.cli.console import Verb


def run(argv: Sequence[str], hangups: list[int]) -> int:
    """Run one command; give its exit status. `hangups` collects SIGHUPs that came before the server was up."""
    arguments = parse_arguments(_parser(), argv, argparse.Namespace())
    if arguments.verb != "serve":
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    verb: Verb = arguments.run
    try:
        return verb(arguments, hangups)
    except ConfigError as error:
        for problem in error.problems:
            print(f"mirrorlistd: {problem}", file=sys.stderr)
        return 1
    except MirrorlistdError as error:
        print(f"mirrorlistd: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mirrorlistd",
        description="Tell each package client which mirrors are near it.",
        epilog="`mirrorlistd VERB --help` has examples; snapshots are made by `mirrorlist-snapshot`. "
        "Exit status: 0 ok, 1 refused, 2 wrong usage.",
    )
    parser.add_argument("--version", action="version", version=f"mirrorlistd {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for module in (cmd_serve, cmd_check, cmd_explain, cmd_pull, cmd_stats, cmd_compare):
        module.add(verbs)
    return parser
