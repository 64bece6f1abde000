"""Output: results go to standard output; errors, warnings and progress go to standard error.

Nothing that a file or another server contains can steer a terminal: unprintable characters are escaped.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator

RED: Final = "31"
YELLOW: Final = "33"
_TICK: Final = 0.2
"""Seconds between two states of a progress line."""
_ERASE: Final = "\r\x1b[K"


class OutputError(Exception):
    """Standard output cannot be written. A closed pipe is a BrokenPipeError instead."""


def printable(text: str) -> str:
    """Escape every control character and whatever else is unprintable, line ends included."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def show(text: str) -> None:
    """Write a result for people: lines, each made printable; what the encoding lacks is escaped."""
    lines = "".join(printable(line) + "\n" for line in text.splitlines())
    show_bytes(lines.encode(_encoding(), "backslashreplace"))


def show_json(value: object) -> None:
    """Write a result as JSON, in ASCII unless standard output takes UTF-8."""
    in_utf_8 = _encoding().lower().replace("-", "") == "utf8"
    text = json.dumps(value, indent=2, ensure_ascii=not in_utf_8) + "\n"
    # What UTF-8 cannot hold (half of a surrogate pair) is escaped as JSON has it, too.
    show_bytes(text.encode(_encoding(), "backslashreplace"))


def show_bytes(data: bytes) -> None:
    """Write all of a result, even where Python has no buffer (`python -u`) and a write takes only a part."""
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison] - it is where the descriptor is closed
        raise OutputError("standard output is closed")
    flush()
    try:
        descriptor = sys.stdout.fileno()
    except io.UnsupportedOperation:  # a stream in memory
        sys.stdout.write(data.decode(_encoding()))
        return
    with _as_output_error(), open(descriptor, "wb", closefd=False) as output:
        output.write(data)


def flush() -> None:
    """Flush standard output, which argparse writes to."""
    if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison] - as above
        with _as_output_error():
            sys.stdout.flush()


@contextlib.contextmanager
def _as_output_error() -> Generator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write the output: {error.strerror or error}") from error


def _encoding() -> str:
    return sys.stdout.encoding if sys.stdout else "utf-8"


def _discard_standard_error() -> None:
    """Let standard error lead nowhere: Python flushes it once more at exit, and would change the exit status."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


class Console:
    """Standard error of one command: lines for people, and on a terminal one line of progress below them."""

    def __init__(self, name: str, *, quiet: bool = False) -> None:
        """`name` is the command's; a `quiet` console writes errors alone."""
        self.name = name
        self._quiet = quiet
        self.is_terminal = sys.stderr is not None and sys.stderr.isatty()  # pyright: ignore[reportUnnecessaryComparison] - as above
        self._next = 0.0
        self._has_progress = False

    def say(self, text: str, colour: str | None = None) -> None:
        """Write lines; coloured only on a terminal, and not with NO_COLOR (https://no-color.org/)."""
        if not self._quiet:
            self._write(text, colour)

    def note(self, text: str, colour: str | None = None) -> None:
        """Write lines with the command's name before each."""
        self.say(self._named(text), colour)

    def error(self, text: str) -> None:
        """Write what went wrong, with the command's name before each line; a quiet console does, too."""
        self._write(self._named(text), RED)

    @property
    def wants_progress(self) -> bool:
        """Whether there is a terminal, and the line of progress is old enough to be replaced."""
        return self.is_terminal and not self._quiet and time.monotonic() >= self._next

    def progress(self, text: str) -> None:
        """Replace the line of progress, cut to the terminal's width, if it is wanted."""
        if not self.wants_progress:
            return
        self._next = time.monotonic() + _TICK
        self._has_progress = True
        try:
            width = os.get_terminal_size(sys.stderr.fileno()).columns or 80
        except OSError:
            width = 80
        sys.stderr.write(f"{_ERASE}{printable(text)[: width - 1]}")
        sys.stderr.flush()

    def clear(self) -> None:
        """Erase the line of progress: something else is written next."""
        if self._has_progress:
            self._has_progress = False
            sys.stderr.write(_ERASE)
            sys.stderr.flush()

    def _named(self, text: str) -> str:
        return "\n".join(f"{self.name}: {line}" for line in text.splitlines() or [""])

    def _write(self, text: str, colour: str | None) -> None:
        if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison] - it is where the descriptor is closed
            return
        self.clear()
        text = "\n".join(printable(line) for line in text.splitlines())
        if colour and self.is_terminal and not os.environ.get("NO_COLOR"):
            text = f"\x1b[{colour}m{text}\x1b[0m"
        try:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
        except OSError:  # a full disk, or a reader that has gone: what a command has done does not depend on it
            _discard_standard_error()
