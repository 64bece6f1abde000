"""`pull`: copy a snapshot from an object store to a file."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.console import NOT_REPORTED, REFUSED, Console, real, report_done, show, show_bytes
from mirrorlist_snapshot.errors import MirrorlistSnapshotError
from mirrorlist_snapshot.publishing.stores import StoredObject
from mirrorlistd.config import LONGEST_PULL, SHORTEST_PULL
from mirrorlistd.errors import ConfigError
from mirrorlistd.pull.attempt import Puller
from mirrorlistd.pull.loop import attempt, attempts
from mirrorlistd.pull.pace import Pace

if TYPE_CHECKING:
    from mirrorlist_snapshot.signing import TrustedKeys
    from mirrorlistd.pull.attempt_report import AttemptReport

EXAMPLES: Final = """\
examples:
  mirrorlistd pull s3://bucket/mirrors.mls mirrors.mls --trusted-key release.pub
  mirrorlistd pull https://admin.example.org/mirrors.mls mirrors.mls --every 60
  AWS_ENDPOINT_URL=http://127.0.0.1:9000 AWS_ALLOW_HTTP=true mirrorlistd pull s3://bucket/mirrors.mls mirrors.mls

A snapshot is verified before it replaces the file, and never replaces a newer one. Credentials come from the store's
own environment variables (AWS_ACCESS_KEY_ID, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME, ...). A server
needs no cron job for this: `mirrorlistd serve --pull URL` does the same. More in docs/fleet.md.

exit status: 0 the file is the store's object, 1 the object was refused or could not be read (the file is unchanged),
2 wrong usage, 4 the file is the store's object, but the output cannot be written"""


def add_flags(verb: argparse.ArgumentParser) -> None:
    """Add the flags of the verb."""
    verb.add_argument("url", metavar="URL", help="s3://bucket/key, gs://, az://, https://, http:// or file://")
    verb.add_argument("file", metavar="FILE", type=Path, help="the file to replace, as a whole, by rename")
    verb.add_argument(
        "--every",
        metavar="SECONDS",
        type=real(SHORTEST_PULL, LONGEST_PULL, "seconds"),
        help="go on until stopped, and ask this often",
    )
    verb.add_argument(
        "--trusted-key",
        dest="trusted_keys",
        metavar="FILE.pub",
        type=Path,
        action="append",
        default=[],
        help="refuse a snapshot that is not signed with this key (repeatable: with one of these keys)",
    )
    verb.add_argument(
        "--max-loss",
        metavar="PERCENT",
        type=real(0, 100, "a percentage"),
        default=10.0,
        help="refuse what lacks more of the mirrors, repositories, directories in FILE (default: %(default)g)",
    )
    verb.add_argument(
        "--redirect",
        dest="redirects",
        metavar="HOST",
        action="append",
        default=[],
        help="follow redirects to this host, as cdn.example.org or cdn.example.org:8443, too (repeatable; else only "
        "to the store's own host; never from https to http, never to a more private address)",
    )
    verb.add_argument("--json", action="store_true", help="print a line of JSON for each attempt")
    # For `serve`: go away when standard input, a pipe from the server, is closed.
    verb.add_argument("--until-eof", action="store_true", help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Pull once, or until stopped."""
    puller = _puller(options)
    reporter = _ConsoleReporter(options)
    if options.until_eof:
        _end_with_the_server(puller)
    if options.every is None:
        return reporter.status(attempt(puller.pull))
    for report in attempts(puller.pull, Pace(options.every, Random())):  # noqa: S311 - spreads load, guards nothing
        if reporter.status(report) == NOT_REPORTED:
            return NOT_REPORTED
    raise AssertionError("attempts have no end")  # pragma: no cover - for the type checkers


def _puller(options: argparse.Namespace) -> Puller:
    def trusted() -> TrustedKeys | None:
        if not options.trusted_keys:
            return None
        from mirrorlist_snapshot.signing import TrustedKeys  # noqa: PLC0415 - imports cryptography

        return TrustedKeys.read(options.trusted_keys)

    try:
        trusted()  # report an unreadable key now, not after the first download
        return Puller(StoredObject.at(options.url), options.file, trusted, options.max_loss / 100, options.redirects)
    except MirrorlistSnapshotError as error:
        raise ConfigError(str(error)) from error


def _end_with_the_server(puller: Puller) -> None:
    """End this process when standard input ends, whatever it waits for, but never while the file is being replaced.

    The server closes the pipe. Signals are ignored: a terminal or a service manager sends them to all processes.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        with puller.installing:
            os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


class _ConsoleReporter:
    """Shows results: to programs each one, to people each one that differs from the one before."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._json: bool = options.json
        self._url: str = options.url
        self._file: Path = options.file
        self._console = Console("mirrorlistd")
        self._shown: tuple[int | None, str | None] | None = None
        """Serial and error of the report before."""

    def status(self, report: AttemptReport) -> int:
        """Show the result of one attempt; return the exit status of it."""
        done = (
            f"{self._file} is snapshot {report.serial} of {self._url}" if report.good else f"{self._file} is unchanged"
        )
        return report_done(self._console, lambda: self._show(report), done, 0 if report.good else REFUSED)

    def _show(self, report: AttemptReport) -> None:
        if self._json:
            show_bytes(report.line().encode())
            return
        shown = report.serial, report.error
        if shown != self._shown or report.result == "installed":
            if report.good:
                change = "is now" if report.result == "installed" else "is still"
                show(f"{self._file}: {change} snapshot {report.serial} of {self._url}")
            else:
                self._console.error(str(report.error))
        self._shown = shown
