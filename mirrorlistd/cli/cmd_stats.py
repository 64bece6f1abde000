"""`stats`: sum up what `serve --statistics`, or mirrorlist-server, has written."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrorlistd.cli.console import add_verb
from mirrorlistd.errors import ConfigError

if TYPE_CHECKING:
    from mirrorlistd.cli.console import Verbs
    from mirrorlistd.usage.summary import Summary

_EXAMPLES: Final = """\
examples:
  mirrorlistd stats /var/log/mirrorlistd/statistics.log*           rotated and compressed files, too
  mirrorlistd stats --since 2026-11-01 --until 2026-11-30 --csv statistics.log* > november.csv
  mirrorlistd stats --plot november.svg statistics.log*            needs: pip install 'mirrorlistd[plot]'
  mirrorlistd stats /var/log/mirrormanager/mirrorlist.log          mirrorlist-server's own files
  ssh HOST cat statistics.log | mirrorlistd stats --json -

A request is a list of a repository that was given; systems are those that take part in Fedora's count (countme), each
once a week for each of its repositories. Lines that are none are counted, and the first ones told with file and number.

exit status: 0 summed up, 1 a file could not be read or written, 2 wrong usage"""
_COMPLAINTS: Final = 10
"""Bad lines of a file that are told singly."""
_TICK: Final = 0.2
"""Seconds between two lines of progress."""


def add(verbs: Verbs) -> None:
    """Add the verb to the command's parser."""
    verb = add_verb(
        verbs, "stats", run, "sum up files of statistics per day, country, architecture, repository", _EXAMPLES
    )
    verb.add_argument("files", nargs="+", metavar="FILE", help="plain or compressed by gzip; `-` for standard input")
    form = verb.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print all sums as JSON")
    form.add_argument("--csv", action="store_true", help="print all sums as CSV")
    verb.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw a picture as well")
    verb.add_argument("--top", type=_count, default=20, metavar="N", help="names in each table; 0 for all (20)")
    verb.add_argument(
        "--since", type=_day, default="0001-01-01", metavar="DAY", help="leave out earlier days, as 2026-11-01"
    )
    verb.add_argument(
        "--until", type=_day, default="9999-12-31", metavar="DAY", help="leave out later days, as 2026-11-30"
    )


def run(arguments: argparse.Namespace, _: list[int]) -> int:
    """Read everything and tell of it."""
    from mirrorlistd.usage.summary import Summary  # noqa: PLC0415 - as above
    from mirrorlistd.usage.summary_report import as_csv, as_json, as_text  # noqa: PLC0415 - `--help` does without

    if arguments.plot and find_spec("matplotlib") is None:
        raise ConfigError("--plot: needs matplotlib: pip install 'mirrorlistd[plot]'")
    summary = Summary(arguments.since, arguments.until)
    unread = [name for name in arguments.files if not _read(name, summary)]
    if arguments.plot:
        _plot(summary, arguments.plot)
    report = (
        as_json(summary) if arguments.json else as_csv(summary) if arguments.csv else as_text(summary, arguments.top)
    )
    print(report, end="")
    return 1 if unread else 0


def _read(name: str, summary: Summary) -> bool:
    """Add a file; say on standard error what is wrong with it. Whether it could be read to its end."""
    from mirrorlistd.usage.reading import ReadingError, lines_of  # noqa: PLC0415 - as above

    teller = _ConsoleReporter(name)
    try:
        with lines_of(name, teller.progress) as lines:
            summary.add_lines(lines, teller.complain)
    except ReadingError as error:
        teller.say(str(error))
        return False
    finally:
        teller.end()
    return True


def _plot(summary: Summary, file: Path) -> None:
    from mirrorlistd.usage.plot import plot  # noqa: PLC0415 - needs the extra, see `run`

    try:
        plot(summary, file)
    except OSError as error:
        raise ConfigError(f"--plot: {file} cannot be written: {error.strerror}") from error


class _ConsoleReporter:
    """Tells people of one file on standard error; progress on a terminal alone."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._bad = 0
        self._terminal = sys.stderr.isatty()
        self._last = time.monotonic()
        self._shown = False

    def progress(self, done: int, size: int) -> None:
        now = time.monotonic()
        if self._terminal and now - self._last >= _TICK:
            self._last, self._shown = now, True
            share = f"{done * 100 // size} %" if size else "reading"
            print(f"\r\x1b[K{self._name!a}: {share}", end="", file=sys.stderr, flush=True)

    def complain(self, number: int, fault: str) -> None:
        self._bad += 1
        if self._bad <= _COMPLAINTS:
            self.say(f"{self._name}:{number}: {fault}")

    def say(self, text: str) -> None:
        self._wipe()
        print(f"mirrorlistd: {text}", file=sys.stderr)

    def end(self) -> None:
        self._wipe()
        if self._bad > _COMPLAINTS:
            self.say(f"{self._name}: {self._bad - _COMPLAINTS:,} more bad lines")

    def _wipe(self) -> None:
        if self._shown:
            self._shown = False
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected a whole number, found {text!a}")
    return int(text)


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a day such as 2026-11-01, found {text!a}") from None
