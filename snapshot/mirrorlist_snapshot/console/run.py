"""Running a command: every end has its exit status, the same in all commands, and never a traceback for an error."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.console.output import Console, OutputError, flush

if TYPE_CHECKING:
    from collections.abc import Callable

REFUSED: Final = 1
"""Something was refused, or cannot be read or written. A verb may have another one: the option `trouble`."""
INTERRUPTED: Final = 130
"""128 + SIGINT: Ctrl-C."""
CLOSED_PIPE: Final = 141
"""128 + SIGPIPE: the reader of standard output has gone (`| head`)."""
NOT_REPORTED: Final = 4
"""A file is written, but the report of it cannot be."""
STATUSES: Final = f"{INTERRUPTED} interrupted, {CLOSED_PIPE} the reader of the output has gone"
"""For `--help`: the exit statuses that are not a command's own."""


def run_command(
    name: str, action: Callable[[argparse.Namespace], int], errors: tuple[type[Exception], ...] = ()
) -> int:
    """Run an action and return the exit status.

    The action gets an empty namespace to parse its options into; their `trouble` is the exit status of `errors`, whose
    text is written as `NAME: TEXT`, and of a standard output that cannot be written.
    """
    options = argparse.Namespace(trouble=REFUSED)
    try:
        try:
            return action(options)
        finally:
            flush()  # here, where a failure can be reported: help and usage end in SystemExit
    except BrokenPipeError:
        _discard_standard_output()
        return CLOSED_PIPE
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if not isinstance(error, (OutputError, *errors)):
            raise
        Console(name).error(str(error))
        return int(options.trouble)


def report_done(console: Console, report: Callable[[], None], done: str, status: int = 0) -> int:
    """Write the report of what is done to a file; return `status`, or NOT_REPORTED if the report cannot be written.

    The exit status of a verb tells what happened to the file, whatever happens to its output. `done` says the same.
    """
    try:
        report()
    except (OutputError, BrokenPipeError) as failure:
        if isinstance(failure, BrokenPipeError):
            _discard_standard_output()
        reason = str(failure) if isinstance(failure, OutputError) else "the reader of the output has gone"
        console.error(f"{done}, but {reason}")
        return status or NOT_REPORTED
    return status


def _discard_standard_output() -> None:
    """Let standard output lead nowhere: Python flushes it once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
