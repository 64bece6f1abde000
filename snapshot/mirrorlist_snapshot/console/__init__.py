"""What all commands share: verbs and flags, progress, colours, safe text, JSON, and exit statuses.

It imports the standard library alone, so that `mirrorlist-fetch` can use it without the rest of this package.
"""

from mirrorlist_snapshot.console.arguments import CommandParser, Verbs, add_verbs, parse_arguments
from mirrorlist_snapshot.console.numbers import parse_real, parse_whole, real, whole
from mirrorlist_snapshot.console.output import (
    RED,
    YELLOW,
    Console,
    OutputError,
    printable,
    show,
    show_bytes,
    show_json,
)
from mirrorlist_snapshot.console.run import (
    CLOSED_PIPE,
    INTERRUPTED,
    NOT_REPORTED,
    REFUSED,
    STATUSES,
    report_done,
    run_command,
)

__all__ = [
    "CLOSED_PIPE",
    "INTERRUPTED",
    "NOT_REPORTED",
    "RED",
    "REFUSED",
    "STATUSES",
    "YELLOW",
    "CommandParser",
    "Console",
    "OutputError",
    "Verbs",
    "add_verbs",
    "parse_arguments",
    "parse_real",
    "parse_whole",
    "printable",
    "real",
    "report_done",
    "run_command",
    "show",
    "show_bytes",
    "show_json",
    "whole",
]
