"""The work of `mirrorlist-fetch`, and what it shows: imported once the packages of the extra are known to be there."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mirrorlist_snapshot.console import show, show_json
from mirrorlistd.fetch.download import Options, fetch, find
from mirrorlistd.fetch.errors import UsageError
from mirrorlistd.fetch.exchange import Limits
from mirrorlistd.fetch.progress import ProgressListener
from mirrorlistd.fetch.source import check_path

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from mirrorlist_snapshot.console import Console
    from mirrorlistd.fetch.download import Result
    from mirrorlistd.fetch.errors import AbandonedMirror
    from mirrorlistd.fetch.source import Source


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Fetch, or show the list; return 0. Raises ClientError."""
    options = _options(arguments)
    reporter = _ConsoleReporter(console)
    if arguments.list:
        _show_list(asyncio.run(find(arguments.urls, options, reporter)), as_json=arguments.json)
        return 0
    file: Path | None = arguments.output
    if file is not None and (not file.name or file.is_dir()):
        raise UsageError(f"-o {file}: expected a file, found a folder")
    try:
        result = asyncio.run(fetch(arguments.urls, file, options, reporter))
    finally:
        console.clear()
    _show_result(result, as_json=arguments.json, console=console)
    return 0


def _options(arguments: argparse.Namespace) -> Options:
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
