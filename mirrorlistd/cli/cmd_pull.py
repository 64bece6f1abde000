"""`pull`: have in a file what a store has."""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import threading
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from mirrorlistd.cli.console import add_verb
from mirrorlistd.config import LONGEST_PULL, SHORTEST_PULL
from mirrorlistd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirrorlist_snapshot.signing import TrustedKeys
    from mirrorlistd.cli.console import Verbs
    from mirrorlistd.pull.attempt import Puller
    from mirrorlistd.pull.attempt_report import AttemptReport

_EXAMPLES: Final = """\
examples:
  mirrorlistd pull s3://bucket/mirrors.mls mirrors.mls --trusted-key release.pub
  mirrorlistd pull https://admin.example.org/mirrors.mls mirrors.mls --every 60
  AWS_ENDPOINT_URL=http://127.0.0.1:9000 AWS_ALLOW_HTTP=true mirrorlistd pull s3://bucket/mirrors.mls mirrors.mls

A snapshot is verified before it replaces the file, and never replaces a newer one. Credentials come from the
variables of the store (AWS_ACCESS_KEY_ID, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME, ...). Servers
need no cron job for it: `mirrorlistd serve --pull URL`. More in docs/fleet.md.

exit status: 0 the file is what the store has, 1 refused or not to be had (the file is what it was), 2 wrong usage"""


def add(verbs: Verbs) -> None:
    """Add the verb to the command's parser."""
    verb = add_verb(verbs, "pull", run, "have in a file what an object store has, verified", _EXAMPLES)
    verb.add_argument("url", metavar="URL", help="s3://bucket/key, gs://, az://, https://, http:// or file://")
    verb.add_argument("file", metavar="FILE", type=Path, help="replaced by rename, as a whole")
    verb.add_argument(
        "--every",
        metavar="SECONDS",
        type=_number(SHORTEST_PULL, LONGEST_PULL, "seconds"),
        help="go on, asking this often, until stopped",
    )
    verb.add_argument(
        "--trusted-key",
        dest="trusted_keys",
        metavar="FILE.pub",
        type=Path,
        action="append",
        default=[],
        help="refuse what was not signed with this key (repeatable: with any one of them)",
    )
    verb.add_argument(
        "--max-loss",
        metavar="PERCENT",
        type=_number(0, 100, "a percentage"),
        default=10.0,
        help="refuse what takes away more of the mirrors, repositories or directories in FILE (default: %(default)g)",
    )
    verb.add_argument("--json", action="store_true", help="print a line of JSON for each attempt")
    # For `serve`: go away when standard input, a pipe from the server, is closed.
    verb.add_argument("--until-eof", action="store_true", help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace, _: list[int]) -> int:
    """Pull once, or until stopped."""
    from mirrorlistd.pull.loop import attempt, attempts  # noqa: PLC0415 - `--help` must not pay for it
    from mirrorlistd.pull.pace import Pace  # noqa: PLC0415 - as above

    puller = _puller(arguments)
    teller = _ConsoleReporter(arguments)
    if arguments.until_eof:
        _end_with_the_server(puller)
    if arguments.every is None:
        report = attempt(puller.pull)
        teller.tell(report)
        return 0 if report.good else 1
    for report in attempts(puller.pull, Pace(arguments.every, Random())):  # noqa: S311 - spreads load, guards nothing
        teller.tell(report)
    raise AssertionError("attempts have no end")  # pragma: no cover - for the type checkers


def _number(least: float, most: float, what: str) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:  # refuses nan, too
            raise argparse.ArgumentTypeError(f"expected {what} from {least:g} to {most:g}, found {text!a}")
        return value

    return read


def _puller(arguments: argparse.Namespace) -> Puller:
    from mirrorlist_snapshot.errors import MirrorlistSnapshotError  # noqa: PLC0415 - as above
    from mirrorlist_snapshot.publishing.stores import StoredObject  # noqa: PLC0415 - as above
    from mirrorlistd.pull.attempt import Puller  # noqa: PLC0415 - as above

    def trusted() -> TrustedKeys | None:
        if not arguments.trusted_keys:
            return None
        from mirrorlist_snapshot.signing import TrustedKeys  # noqa: PLC0415 - loads a library for this alone

        return TrustedKeys.read(arguments.trusted_keys)

    try:
        trusted()  # wrong usage is said at once
        return Puller(StoredObject.at(arguments.url), arguments.file, trusted, arguments.max_loss / 100)
    except MirrorlistSnapshotError as error:
        raise ConfigError(str(error)) from error


def _end_with_the_server(puller: Puller) -> None:
    """End this process, whatever it waits for, when standard input does, but never between the halves of a write.

    The server says when: signals that a terminal or a service manager sends to all of its processes say nothing here.
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
    """Says how attempts went: to programs every time, to people when something has changed."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._json: bool = arguments.json
        self._url: str = arguments.url
        self._file: Path = arguments.file
        self._said = ""

    def tell(self, report: AttemptReport) -> None:
        """Tell of one attempt."""
        if self._json:
            print(report.line(), end="", flush=True)
            return
        if report.good:
            new = "is now" if report.result == "installed" else "is still"
            said = f"{self._file}: {new} snapshot {report.serial} of {self._url}"
        else:
            said = f"mirrorlistd: {report.error}"
        if said != self._said and not (report.result == "unchanged" and f"snapshot {report.serial} " in self._said):
            print(said, flush=True, file=sys.stdout if report.good else sys.stderr)
        self._said = said
