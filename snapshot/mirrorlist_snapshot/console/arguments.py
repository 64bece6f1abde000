"""Command lines of verbs: a verb's module is imported when the verb is used, and its mistakes are its own errors."""

from __future__ import annotations

import argparse
import difflib
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from mirrorlist_snapshot.console.output import show

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Verbs = dict[str, tuple[str, str]]
"""Verb -> the module that has it, and a summary: a clause in lower case without a full stop."""


class _VerbModule(Protocol):
    """What a verb's module has."""

    EXAMPLES: str
    """Shown below the options in `--help`: examples and exit statuses."""

    add_flags: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    """Returns the exit status."""


class CommandParser(argparse.ArgumentParser):
    """A parser whose description and epilog keep their lines, and whose help is output like any other."""

    def __init__(self, **given: Any) -> None:  # noqa: ANN401 - argparse's own
        given.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**given)

    def print_help(self, file: Any = None) -> None:  # noqa: ANN401 - argparse's own
        """Write the help; argparse itself hides a pipe that is closed and a disk that is full."""
        if file is None:
            show(self.format_help())
        else:
            super().print_help(file)


class _VerbParser(CommandParser):
    """A verb's parser, whose flags are added when it is first used."""

    module: str | None = None
    """Still to be imported."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # noqa: ANN401  # pyright: ignore[reportIncompatibleMethodOverride] - overloads
        """Import the verb's module, let it add its flags, and parse."""
        if self.module is not None:
            verb = cast("_VerbModule", import_module(self.module))
            self.module = None
            self.epilog = verb.EXAMPLES
            self.set_defaults(run=verb.run, parser=self)
            verb.add_flags(self)
        return super().parse_known_args(args, namespace)


def add_verbs(parser: CommandParser, verbs: Mapping[str, tuple[str, str]], heading: str = "verbs") -> None:
    """Add the verbs of a table. The options that are parsed name the verb in `verb`, its function in `run`."""
    added = parser.add_subparsers(title=heading, dest="verb", required=True, metavar="VERB", parser_class=_VerbParser)
    for name, (module, summary) in verbs.items():
        verb = added.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
        )
        verb.module = module


def parse_arguments(
    parser: argparse.ArgumentParser, words: Sequence[str] | None, options: argparse.Namespace
) -> argparse.Namespace:
    """Parse the words (by default those of the process) into the options, or exit with status 2.

    A word that the verb does not know is an error of the verb, with its usage and the nearest flag: argparse itself
    would blame the command. So each verb has its own parser as the default `parser`.
    """
    _, unknown = parser.parse_known_args(words, options)
    if unknown:
        verb: argparse.ArgumentParser = options.parser
        known = re.findall(r"--([a-z][a-z-]*)", verb.format_usage())
        # Without the dashes, which all flags have: they would make every flag look near.
        near = difflib.get_close_matches(unknown[0].partition("=")[0].lstrip("-"), known, n=1)
        hint = f"did you mean --{near[0]}?" if near else f"`{verb.prog} --help` lists the flags"
        verb.error(f"unrecognized arguments: {' '.join(unknown)}; {hint}")
    return options
