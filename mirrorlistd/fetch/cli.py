"""`mirrorlist-fetch`: fetch a file from the mirrors of a list.

Results (`--json`, `--list`) go to standard output; everything else goes to standard error, progress to terminals only.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import time
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mirrorlist_snapshot.console import STATUSES, CommandParser, Console, real, run_command, show, show_json, whole
from mirrorlistd import __version__
from mirrorlistd.fetch.errors import AbandonedMirror, ClientError, FetchError, LocalError, UsageError
from mirrorlistd.fetch.progress import ProgressListener

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlistd.fetch.download import Options, Result
    from mirrorlistd.fetch.source import Source

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
            return _run(options, console)
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


def _run(arguments: argparse.Namespace, console: Console) -> int:
    from mirrorlistd.fetch.download import fetch, find  # noqa: PLC0415 - needs the extra, see `main`

    options = _options(arguments)
    reporter = _ConsoleReporter(console)
    if arguments.list:
        _show_list(asyncio.run(find(arguments.urls, options, reporter)), as_json=arguments.json)
        return DONE
    file: Path | None = arguments.output
    if file is not None and (not file.name or file.is_dir()):
        raise UsageError(f"-o {file}: expected a file, found a folder")
    try:
        result = asyncio.run(fetch(arguments.urls, file, options, reporter))
    finally:
        console.clear()
    _show_result(result, as_json=arguments.json, console=console)
    return DONE


def _options(arguments: argparse.Namespace) -> Options:
    from mirrorlistd.fetch.download import Options  # noqa: PLC0415 - likewise
    from mirrorlistd.fetch.exchange import Limits  # noqa: PLC0415 - needs the extra, see `main`
    from mirrorlistd.fetch.source import check_path  # noqa: PLC0415 - likewise

    return Options(
        path=None if arguments.path is None else check_path(arguments.path),
        kind=None if arguments.kind == "auto" else arguments.kind,
        sha256=arguments.sha256,
        connections=arguments.connections,
        limits=Limits(
            timeout=arguments.timeout,
            low_speed=arguments.low_speed,
            patience=arguments.patience,
            max_time=arguments.max_time,
            max_size=arguments.max_size,
        ),
    )


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


class _ConsoleReporter(ProgressListener):
    """Writes to standard error what happens."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._start: tuple[float, int] | None = None
        """Time and size at the first report of progress."""

    def note(self, text: str) -> None:
        self._console.note(text)

    def abandoned(self, mirror: AbandonedMirror) -> None:
        self.note(f"{mirror.url} {mirror.detail} ({mirror.reason})")

    def progress(self, done: int, total: int | None, url: str) -> None:
        if not self._console.wants_progress:
            return
        now = time.monotonic()
        began, had = self._start = self._start or (now, done)
        speed = (done - had) / (now - began) / 1e6 if now > began else 0.0
        share = f"{done * 100 // total:3d} % of {total / 1e6:.1f}" if total else f"{done / 1e6:.1f}"
        self._console.progress(f"{share} MB, {speed:.1f} MB/s, {url.split('/')[2][:40]}")


def _show_list(source: Source, *, as_json: bool) -> None:
    if not as_json:
        show("\n".join(mirror.url for mirror in source.mirrors))
        return
    facts: dict[str, Any] = asdict(source)
    facts["version"]["hashes"] = dict(source.version.hashes)
    for version, row in zip(source.previous, facts["previous"], strict=True):
        row["hashes"] = dict(version.hashes)
    show_json(facts)


def _show_result(result: Result, *, as_json: bool, console: Console) -> None:
    if not result.verified:
        console.note("not verified: no hash was known; give one with --sha256, or ask for a metalink")
    elif result.weak:
        algorithms = " and ".join(result.verified)
        console.note(f"verified by {algorithms} only, which is weak: it shows accidents, not attacks")
    if as_json:
        show_json(asdict(result) | {"file": str(result.file), "weak": result.weak, "seconds": round(result.seconds, 3)})
        return
    by = ", ".join(mirror.split("/")[2] for mirror in result.mirrors) or "an earlier run"
    console.note(f"{result.file}: {result.size} bytes from {by} in {result.seconds:.1f} s")
