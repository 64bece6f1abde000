"""`mirrorlist-fetch`: fetch a file from the mirrors of a list.

Results (`--json`, `--list`) go to standard output; everything else goes to standard error, progress to terminals only.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.console import STATUSES, CommandParser, Console, real, run_command, show_json, whole
from mirrorlistd import __version__
from mirrorlistd.fetch.errors import ClientError, FetchError, LocalError

if TYPE_CHECKING:
    from collections.abc import Sequence


COMMAND: Final = "mirrorlist-fetch"
DONE, NO_MIRROR, USAGE, WRONG_BYTES, NO_LIST, NOT_WRITTEN = 0, 1, 2, 3, 4, 5
"""Exit statuses; `--help` has their meanings."""
_EXAMPLES: Final = f"""\
examples:
  mirrorlist-fetch 'https://mirrors.example.org/mirrorlist?repo=debian' --path dists/stable/InRelease -o InRelease
  mirrorlist-fetch 'https://mirrors.example.org/metalink?repo=epel-9&arch=x86_64' -o repomd.xml
  mirrorlist-fetch https://mirrors.example.org/r/debian/pool/main/h/hello/hello_2.10-3_amd64.deb
  mirrorlist-fetch URL1 URL2 -o FILE --sha256 HEX --json     URL2 is used if URL1 fails
  mirrorlist-fetch URL --list                                print the mirrors, best first

exit status:
  0 the file is complete and right       1 no mirror sent it           2 wrong usage
  3 mirrors sent it, none of them right  4 no list could be read       5 the file cannot be written
  {STATUSES}

An interrupted fetch leaves FILE.part; the same command continues it."""
_WORK: Final = "mirrorlistd.fetch.command"
"""The module that does the work; it needs the packages of _EXTRA, and `--help` does not."""
_EXTRA: Final = ("httpx2", "defusedxml")
"""Packages of the extra `fetch`, which the server does not need."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""

    def action(options: argparse.Namespace) -> int:
        options.trouble = NOT_WRITTEN
        _parser().parse_args(argv, options)
        console = Console(COMMAND, quiet=options.quiet)
        missing = [name for name in _EXTRA if find_spec(name) is None]
        if missing:
            console.error(f"needs {' and '.join(missing)}: pip install 'mirrorlistd[fetch]'")
            return USAGE
        try:
            return int(import_module(_WORK).run(options, console))
        except ClientError as error:
            abandoned = error.abandoned if isinstance(error, FetchError) else ()
            if options.json:
                show_json({"error": str(error), "abandoned": [asdict(mirror) for mirror in abandoned]})
            console.error(str(error))
            return _status(error)

    return run_command(COMMAND, action)


def _status(error: ClientError) -> int:
    if isinstance(error, FetchError):
        if not error.listed:
            return NO_LIST
        return WRONG_BYTES if error.wrong_bytes else NO_MIRROR
    return NOT_WRITTEN if isinstance(error, LocalError) else USAGE


def _sha256(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text.lower()):
        raise argparse.ArgumentTypeError(f"expected 64 hexadecimal digits, found {text!a}")
    return text.lower()


def _parser() -> CommandParser:
    parser = CommandParser(
        prog=COMMAND,
        description="Fetch a file from the first mirror of a list that sends it complete and right.",
        epilog=_EXAMPLES,
    )
    add = parser.add_argument
    add("urls", nargs="+", metavar="URL", help="a mirrorlist, a metalink, or the file itself; tried in this order")
    add(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="where to write; else the file's own name, if unused",
    )
    add(
        "--path",
        metavar="PATH",
        help="the file below the mirrors of a list, or one of a metalink's files",
    )
    add(
        "--kind",
        choices=("auto", "list", "metalink", "file"),
        default="auto",
        help="what the URLs are (auto)",
    )
    add("--sha256", type=_sha256, metavar="HEX", help="a hash that the file must have")
    add(
        "--connections",
        type=whole(1, 16),
        metavar="N",
        help="mirrors asked at once for parts of a large file of known hash (as the list allows, at most 4)",
    )
    add(
        "--timeout",
        type=real(0.1, 3600),
        default=10.0,
        metavar="SECONDS",
        help="longest wait for a connection, and for each next byte (10)",
    )
    add(
        "--low-speed",
        type=real(0, 1e12),
        default=1000.0,
        metavar="BYTES",
        help="abandon a mirror that sends less per second over three times the --timeout (1000)",
    )
    add(
        "--patience",
        type=real(0.1, 86400),
        default=300.0,
        metavar="SECONDS",
        help="end after so long without a new byte of the file, over all lists and mirrors (300)",
    )
    add(
        "--max-time",
        type=real(0.1, 31_536_000),
        default=86_400.0,
        metavar="SECONDS",
        help="end after so long, whatever comes (86400: a day)",
    )
    add(
        "--max-size",
        type=whole(1, 2**63 - 1),
        default=64 << 30,
        metavar="BYTES",
        help="the largest file (64 GiB)",
    )
    add("--list", action="store_true", help="print the mirrors of the list, best first, and fetch nothing")
    add("--json", action="store_true", help="print a summary, or the list, as JSON")
    add("--quiet", action="store_true", help="write errors only")
    add("--version", action="version", version=f"mirrorlist-fetch {__version__}")
    return parser
