"""Compile MirrorManager's files into a snapshot in the state folder, in a child process.

The import takes up to a minute and up to a gigabyte. In a process of its own it does not delay requests, and its memory
goes back to the system. `mirrorlist-snapshot compile` replaces the snapshot as a whole or leaves it, and refuses a
cache that is cut off or has lost a large part; so the last import is always there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import IO, TYPE_CHECKING, Any, Final, cast

from mirrorlistd import logs
from mirrorlistd.errors import StateError
from mirrorlistd.process.systemd import notify

if TYPE_CHECKING:
    from collections.abc import Generator

    from mirrorlistd.config import Config

ANY_LOSS: Final = 100
"""Percent: such a --max-loss allows every loss, even of repositories whose directories are missing."""
STOP_SECONDS: Final = 5.0
"""How long a child has after SIGTERM before it is killed."""
_START_SECONDS: Final = 600
"""The start-up time that is requested of a service manager for the first import."""
_WARNINGS_SHOWN: Final = 10
"""A warning is about a whole table of rows, so there are few."""


def sources_in(folder: Path) -> tuple[Path, ...]:
    """Return the files that an import reads, if they are there."""
    return tuple(folder / name for name in ("mirrorlist_cache.proto", "country_continent.csv", "global_netblocks.txt"))


class ImportProcess:
    """One import; only `wait` and `stop` block."""

    def __init__(self, config: Config) -> None:
        """Start the compiler for a configuration with `mirrormanager`; raise StateError where that fails."""
        assert config.mirrormanager is not None, "there is something to import"  # noqa: S101 - for the type checkers
        assert config.snapshot is not None, "--mirrormanager sets it"  # noqa: S101 - as above
        self._folder = config.mirrormanager
        self._began = perf_counter()
        arguments = ["compile", "--from", "mirrormanager", str(config.mirrormanager), "-o", str(config.snapshot)]
        arguments += [f"--max-loss={config.max_loss}"]
        arguments += ["--force"] if config.max_loss >= ANY_LOSS else []
        # Files, not pipes: no process has to read along, and the child never waits for a reader. They are in the
        # snapshot's folder, which has to be writable; /tmp, in a container, may not be.
        self._output = _nameless(config.snapshot.parent)
        # On a terminal the child shows its progress there.
        self._errors = None if sys.stderr.isatty() else _nameless(config.snapshot.parent)
        try:
            # -P: Python imports nothing from the folder in which the server was started. A session of its own: signals
            # that a terminal sends to all processes of the server are for the server.
            self._process = subprocess.Popen(  # noqa: S603 - our own program, with an operator's settings
                [sys.executable, "-P", "-m", "mirrorlist_snapshot", *arguments, "--json"],
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._errors,
                start_new_session=True,
            )
        except OSError as error:
            self.close()
            raise StateError(f"{self._folder}: no process for the import: {error.strerror}") from error

    @property
    def ended(self) -> bool:
        """Whether there is a result."""
        return self._process.poll() is not None

    def wait(self) -> None:
        """Wait for the result."""
        self._process.wait()

    def result(self) -> None:
        """Log what was imported; raise StateError if nothing was. To be called once, when the run has ended."""
        facts = self._facts()
        complaints = cast("list[dict[str, Any]]", facts.get("complaints", []))
        seconds = round(perf_counter() - self._began, 3)
        last_line = self._last_error()
        self.close()
        log = logs.get_logger()
        for complaint in [one for one in complaints if one.get("warning")][:_WARNINGS_SHOWN]:
            log.warning("imported in part", **_location(complaint), reason=complaint["message"])
        if self._process.returncode == 0 and facts.get("ok"):
            log.info(
                "imported",
                folder=str(self._folder),
                serial=facts["serial"],
                skipped_rows=facts["skipped_rows"],
                seconds=seconds,
            )
            return
        mistakes = [f"{one['file']}: {one['message']}" for one in complaints if not one.get("warning")]
        code = self._process.returncode
        how = f"killed by signal {-code}" if code < 0 else last_line or f"exit status {code}"
        raise StateError("; ".join(mistakes) or f"{self._folder}: the import ended: {how}")

    def stop(self) -> None:
        """End the run if it is still going."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self.close()

    def close(self) -> None:
        """Close the files that the child writes to; a process forked from this one has to do that, and no more."""
        for file in (self._output, self._errors):
            if file is not None:
                file.close()

    def _facts(self) -> dict[str, Any]:
        self._output.seek(0)
        with contextlib.suppress(ValueError):
            facts = json.loads(self._output.read())
            if isinstance(facts, dict):
                return cast("dict[str, Any]", facts)
        return {}

    def _last_error(self) -> str:
        if self._errors is None:
            return ""
        self._errors.seek(0)
        return (self._errors.read().decode("utf-8", "replace").splitlines() or [""])[-1]


def _nameless(folder: Path) -> IO[bytes]:
    """Open a file without a name; raise StateError where the folder takes none."""
    try:
        return tempfile.TemporaryFile(dir=folder)
    except OSError as error:
        raise StateError(f"--state-dir: {folder} cannot be used: {error.strerror}") from error


def _location(complaint: dict[str, Any]) -> dict[str, Any]:
    return {key: complaint[key] for key in ("file", "line", "key") if complaint.get(key)}


def import_now(config: Config) -> None:
    """Import and wait for it, if `mirrormanager` is set; raise StateError where it fails."""
    if config.mirrormanager is None:
        return
    notify(os.environ, "STATUS=importing", f"EXTEND_TIMEOUT_USEC={_START_SECONDS * 1_000_000}")
    run = ImportProcess(config)
    try:
        run.wait()
        run.result()
    finally:
        run.stop()


async def import_in_background(config: Config) -> None:
    """Import as `import_now` does, without blocking the event loop; the run ends if the task is cancelled."""
    if config.mirrormanager is None:
        return
    run = ImportProcess(config)
    try:
        await asyncio.to_thread(run.wait)
        run.result()
    finally:
        run.stop()


@contextlib.contextmanager
def imported_aside(config: Config, *, kept: bool = False) -> Generator[Config]:
    """Import as a server would, but into a temporary folder; yield the configuration that names it.

    The loss is judged against the server's last import. With `kept` that one is used and nothing is imported.
    """
    if config.mirrormanager is None or config.snapshot is None or kept:
        yield config
        return
    with tempfile.TemporaryDirectory(prefix="mirrorlistd-") as folder:
        aside = replace(config, snapshot=Path(folder, config.snapshot.name))
        try:
            shutil.copyfile(config.snapshot, cast("Path", aside.snapshot))
        except FileNotFoundError:
            pass  # the first import: there is nothing to compare it with
        except OSError as error:
            raise StateError(
                f"{config.snapshot}: what was imported last cannot be read: {error.strerror or error}"
            ) from error
        import_now(aside)
        yield aside
