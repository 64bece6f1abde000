"""`stats`: sum up the files that `serve --statistics`, or mirrorlist-server, has written."""

from __future__ import annotations

import argparse
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from mirrorlist_snapshot.console import Console, show, show_bytes, whole
from mirrorlistd.errors import ConfigError
from mirrorlistd.usage.reading import ReadingError, lines_of
from mirrorlistd.usage.summary import Summary
from mirrorlistd.usage.summary_report import as_csv, as_json, as_text

EXAMPLES: Final = """\
examples:
  mirrorlistd stats /var/log/mirrorlistd/statistics.log*           rotated and compressed files, too
  mirrorlistd stats --since 2026-11-01 --until 2026-11-30 --csv statistics.log* > november.csv
  mirrorlistd stats --plot november.svg statistics.log*            needs: pip install 'mirrorlistd[plot]'
  mirrorlistd stats /var/log/mirrormanager/mirrorlist.log          mirrorlist-server's own files
  ssh HOST cat statistics.log | mirrorlistd stats --json -

A request is one list that was sent. A system is one that takes part in Fedora's count (countme): each is counted once
a week for each of its repositories. Bad lines are counted, and the first ones are shown with their file and number.

exit status: 0 summed up, 1 a file could not be read or written, 2 wrong usage"""
_BAD_LINES_SHOWN: Final = 10
"""Of each file; further ones are only counted."""
_PICTURES: Final = (".svg", ".png", ".pdf")


def add_flags(verb: argparse.ArgumentParser) -> None:
    """Add the flags of the verb."""
    verb.add_argument("files", nargs="+", metavar="FILE", help="plain or compressed by gzip; `-` for standard input")
    form = verb.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print all sums as JSON")
    form.add_argument("--csv", action="store_true", help="print all sums as CSV")
    verb.add_argument(
        "--plot", type=_picture, metavar="FILE", help="draw a picture as well: FILE.svg, FILE.png or FILE.pdf"
    )
    verb.add_argument(
        "--top", type=whole(0, 1_000_000), default=20, metavar="N", help="names in each table; 0 for all (20)"
    )
    verb.add_argument(
        "--since", type=_day, default="0001-01-01", metavar="DAY", help="leave out earlier days, as 2026-11-01"
    )
    verb.add_argument(
        "--until", type=_day, default="9999-12-31", metavar="DAY", help="leave out later days, as 2026-11-30"
    )


def run(options: argparse.Namespace) -> int:
    """Read all files and show the sums."""
    if options.plot and find_spec("matplotlib") is None:
        raise ConfigError("--plot: needs matplotlib: pip install 'mirrorlistd[plot]'")
    summary = Summary(options.since, options.until)
    unread = [name for name in options.files if not _read(name, summary)]
    if options.plot:
        _plot(summary, options.plot)
    if options.json or options.csv:
        show_bytes((as_json(summary) if options.json else as_csv(summary)).encode())
    else:
        show(as_text(summary, options.top))
    return 1 if unread else 0


def _read(name: str, summary: Summary) -> bool:
    """Add a file; return whether it could be read to its end. Faults go to standard error."""
    reporter = _FileReporter(name)
    try:
        with lines_of(name, reporter.progress) as lines:
            summary.add_lines(lines, reporter.complain)
    except ReadingError as error:
        reporter.console.error(str(error))
        return False
    finally:
        reporter.end()
    return True


def _plot(summary: Summary, file: Path) -> None:
    from mirrorlistd.usage.plot import plot  # noqa: PLC0415 - needs the extra, see `run`

    try:
        plot(summary, file)
    except OSError as error:
        raise ConfigError(f"--plot: {file} cannot be written: {error.strerror}") from error


class _FileReporter:
    """Writes the progress and the bad lines of one file to standard error."""

    def __init__(self, name: str) -> None:
        self.console = Console("mirrorlistd")
        self._name = name
        self._bad = 0

    def progress(self, done: int, size: int) -> None:
        self.console.progress(f"{self._name}: {done * 100 // size} %" if size else f"{self._name}: reading")

    def complain(self, number: int, fault: str) -> None:
        self._bad += 1
        if self._bad <= _BAD_LINES_SHOWN:
            self.console.error(f"{self._name}:{number}: {fault}")

    def end(self) -> None:
        self.console.clear()
        if self._bad > _BAD_LINES_SHOWN:
            self.console.error(f"{self._name}: {self._bad - _BAD_LINES_SHOWN:,} more bad lines")


def _picture(text: str) -> Path:
    file = Path(text)
    if file.suffix.lower() not in _PICTURES:
        raise argparse.ArgumentTypeError(f"expected a name that ends in {', '.join(_PICTURES)}; found {text!a}")
    return file


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a day such as 2026-11-01, found {text!a}") from None
