"""`mirrorlist-fetch`: fetch a file by a list of mirrors.

What a program may want to read (`--json`, `--list`) goes to standard output; what is said to people goes to standard
error, progress only to a terminal.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
import time
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mirrorlistd import __version__
from mirrorlistd.fetch.errors import AbandonedMirror, ClientError, FetchError, LocalError, UsageError
from mirrorlistd.fetch.progress import ProgressListener

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mirrorlistd.fetch.download import Options, Result
    from mirrorlistd.fetch.source import Source

DONE, NO_MIRROR, USAGE, WRONG_BYTES, NO_LIST, NOT_WRITTEN, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
"""Exit status, as told in the help."""
_EXAMPLES: Final = """\
examples:
  mirrorlist-fetch 'https://mirrors.example.org/mirrorlist?repo=debian' --path dists/stable/InRelease -o InRelease
  mirrorlist-fetch 'https://mirrors.example.org/metalink?repo=epel-9&arch=x86_64' -o repomd.xml
  mirrorlist-fetch https://mirrors.example.org/r/debian/pool/main/h/hello/hello_2.10-3_amd64.deb
  mirrorlist-fetch URL1 URL2 -o FILE --sha256 HEX --json     the second server is asked if the first fails
  mirrorlist-fetch URL --list                                who would be asked, best first

exit status:
  0 the file is there and right    1 no mirror gave it       2 wrong usage
  3 mirrors gave it, all wrong     4 no list could be had    5 the file cannot be written

A fetch that was interrupted leaves FILE.part; the same command goes on from there."""
_EXTRA: Final = ("httpx2", "defusedxml")
"""Packages of the extra `fetch`, which the server does without."""
_TICK: Final = 0.2
"""Seconds between two lines of progress."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; give its exit status."""
    arguments = _parser().parse_args(argv)
    missing = [name for name in _EXTRA if find_spec(name) is None]
    if missing:
        print(f"mirrorlist-fetch: needs {' and '.join(missing)}: pip install 'mirrorlistd[fetch]'", file=sys.stderr)
        return USAGE
    try:
        return _run(arguments)
    except ClientError as error:
        left = error.left if isinstance(error, FetchError) else ()
        if arguments.json:
            print(json.dumps({"error": str(error), "left": [asdict(one) for one in left]}, indent=2))
        print(f"mirrorlist-fetch: {error}", file=sys.stderr)
        return _status(error)
    except BrokenPipeError:  # `--list | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return INTERRUPTED


def _status(error: ClientError) -> int:
    if isinstance(error, FetchError):
        if not error.listed:
            return NO_LIST
        return WRONG_BYTES if error.wrong_bytes else NO_MIRROR
    return NOT_WRITTEN if isinstance(error, LocalError) else USAGE


def _run(arguments: argparse.Namespace) -> int:
    from mirrorlistd.fetch.download import fetch, find  # noqa: PLC0415 - needs the extra, see `main`

    options = _options(arguments)
    watcher = _ConsoleReporter(quiet=arguments.quiet)
    if arguments.list:
        _tell_list(asyncio.run(find(arguments.urls, options, watcher)), as_json=arguments.json)
        return DONE
    file: Path | None = arguments.output
    if file is not None and (not file.name or file.is_dir()):
        raise UsageError(f"-o {file}: expected a file, found a folder")
    try:
        result = asyncio.run(fetch(arguments.urls, file, options, watcher))
    finally:
        watcher.wipe()
    _tell_result(result, as_json=arguments.json, watcher=watcher)
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
        limits=Limits(timeout=arguments.timeout, low_speed=arguments.low_speed, max_size=arguments.max_size),
    )


def _number(kind: Callable[[str], float], least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:  # NaN is neither
            raise argparse.ArgumentTypeError(f"expected {least:g} to {most:g}, found {text!a}")
        return value

    return read


def _sha256(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text.lower()):
        raise argparse.ArgumentTypeError(f"expected 64 hexadecimal digits, found {text!a}")
    return text.lower()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mirrorlist-fetch",
        description="Fetch a file from the first mirror of a list that gives it whole and right.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "urls", nargs="+", metavar="URL", help="a mirrorlist, a metalink, or the file itself; in order, until one helps"
    )
    add(
        "-o", "--output", type=Path, metavar="FILE", help="where to write; otherwise the file's own name, if it is free"
    )
    add("--path", metavar="PATH", help="the file below the mirrors of a list, or the one of a metalink with several")
    add("--kind", choices=("auto", "list", "metalink", "file"), default="auto", help="what the URLs are (auto: look)")
    add("--sha256", type=_sha256, metavar="HEX", help="a hash that the file must have")
    add(
        "--connections",
        type=_number(int, 1, 16),
        metavar="N",
        help="mirrors asked at once for parts of a large file of known hash (as the list allows, at most 4)",
    )
    add(
        "--timeout",
        type=_number(float, 0.1, 3600),
        default=10.0,
        metavar="SECONDS",
        help="longest wait for a connection, and for each next byte (10)",
    )
    add(
        "--low-speed",
        type=_number(float, 0, 1e12),
        default=1000.0,
        metavar="BYTES",
        help="leave a mirror that gives less per second over three time-outs (1000)",
    )
    add(
        "--max-size",
        type=_number(int, 1, 2**63 - 1),
        default=64 << 30,
        metavar="BYTES",
        help="the largest file (64 GiB)",
    )
    add("--list", action="store_true", help="print the list, best mirror first, and fetch nothing")
    add("--json", action="store_true", help="print a summary, or the list, as JSON")
    add("--quiet", action="store_true", help="say nothing but errors")
    add("--version", action="version", version=f"mirrorlist-fetch {__version__}")
    return parser


class _ConsoleReporter(ProgressListener):
    """Tells people on standard error."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._terminal = sys.stderr.isatty() and not quiet
        self._last = 0.0
        self._mark: tuple[float, int] | None = None

    def note(self, text: str) -> None:
        if not self._quiet:
            self.wipe()
            print(f"mirrorlist-fetch: {text}", file=sys.stderr)

    def left(self, mirror: AbandonedMirror) -> None:
        self.note(f"{mirror.url} {_plain(mirror.detail)} ({mirror.reason})")

    def progress(self, done: int, total: int | None, url: str) -> None:
        now = time.monotonic()
        if not self._terminal or now - self._last < _TICK:
            return
        self._last = now
        began, had = self._mark = self._mark or (now, done)
        speed = (done - had) / (now - began) / 1e6 if now > began else 0.0
        share = f"{done * 100 // total:3d} % of {total / 1e6:.1f}" if total else f"{done / 1e6:.1f}"
        host = url.split("/")[2]
        print(f"\r\x1b[K{share} MB, {speed:.1f} MB/s, {host[:40]}", end="", file=sys.stderr, flush=True)

    def wipe(self) -> None:
        """Take the line of progress away."""
        if self._terminal and self._mark:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _plain(text: str) -> str:
    """Text that strangers had a part in, unable to steer a terminal."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _tell_list(source: Source, *, as_json: bool) -> None:
    if as_json:
        said: dict[str, Any] = asdict(source)
        said["version"]["hashes"] = dict(source.version.hashes)
        for version, told in zip(source.previous, said["previous"], strict=True):
            told["hashes"] = dict(version.hashes)
        print(json.dumps(said, indent=2))
        return
    for mirror in source.mirrors:
        print(mirror.url)


def _tell_result(result: Result, *, as_json: bool, watcher: ProgressListener) -> None:
    if not result.verified:
        watcher.note("not verified: no hash was known; give one with --sha256, or ask for a metalink")
    elif result.weak:
        watcher.note(
            f"verified by {' and '.join(result.verified)} only, which is weak: it shows accidents, not attacks"
        )
    if as_json:
        said = asdict(result) | {"file": str(result.file), "weak": result.weak, "seconds": round(result.seconds, 3)}
        print(json.dumps(said, indent=2))
        return
    by = ", ".join(mirror.split("/")[2] for mirror in result.mirrors) or "an earlier run"
    watcher.note(f"{result.file}: {result.size} bytes from {by} in {result.seconds:.1f} s")
