"""A command line of verbs, read: what no verb knows is an error of the verb, with what was probably meant."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def parse_arguments(
    parser: argparse.ArgumentParser, words: Sequence[str] | None, options: argparse.Namespace
) -> argparse.Namespace:
    """Parse the words (those of the process by default) into the options, or exit with 2.

    Each verb has its own parser as its default `parser`: argparse itself would blame the command, and show its usage.
    """
    _, unknown = parser.parse_known_args(words, options)
    if unknown:
        verb: argparse.ArgumentParser = options.parser
        known = re.findall(r"--([a-z][a-z-]*)", verb.format_usage())
        # Without the dashes, which all have and which would make strangers look alike.
        near = difflib.get_close_matches(unknown[0].partition("=")[0].lstrip("-"), known, n=1)
        hint = f"did you mean --{near[0]}?" if near else f"`{verb.prog} --help` lists what there is"
        verb.error(f"unrecognized arguments: {' '.join(unknown)}; {hint}")
    return options
