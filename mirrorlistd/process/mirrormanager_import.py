"""MirrorManager's files -> a snapshot in the state folder: one run of the compiler, in a child process.

It takes up to a minute and up to a gigabyte, so it has a process of its own: requests go on, and what it needs is given
back to the system. The child replaces the snapshot as a whole or leaves it as it was (`mirrorlist-snapshot compile`
sees to that, and refuses a cache that is cut off or has lost a large part); so what was imported last is always there.
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
"""Percent: with such a --max-loss nothing is too large a loss, not even repositories whose directories are missing."""
STOP_SECONDS: Final = 5.0
"""How long a child that is told to end may take, before it is killed."""
_START_SECONDS: Final = 600
"""What a service manager is asked to allow for the first import."""
_WARNINGS_SHOWN: Final = 10
"""Each is about a whole table of rows, so there are few."""


def sources_in(folder: Path) -> tuple[Path, ...]:
    """What an import reads, where it is there."""
    return tuple(folder / name for name in ("mirrorlist_cache.proto", "country_continent.csv", "global_netblocks.txt"))


class ImportProcess:
    """One run, from its start; nothing here waits but `wait` and `stop`."""

    def __init__(self, config: Config) -> None:
        """Start the compiler for a configuration with `mirrormanager`; StateError where there can be no process."""
        assert config.mirrormanager is not None, "there is something to import"  # noqa: S101 - for the type checkers
        assert config.snapshot is not None, "--mirrormanager says where to"  # noqa: S101 - as above
        self._folder = config.mirrormanager
        self._began = perf_counter()
        arguments = ["compile", "--from", "mirrormanager", str(config.mirrormanager), "-o", str(config.snapshot)]
        arguments += [f"--max-loss={config.max_loss}"]
        arguments += ["--force"] if config.max_loss >= ANY_LOSS else []
        # Files, not pipes: nobody needs to read along, and a child that says much never waits for us. They lie where
        # the snapshot will: that folder has to be writable, while /tmp, in a container, may not be.
        self._told = _nameless(config.snapshot.parent)
        # On a terminal the child shows its progress there.
        self._said = None if sys.stderr.isatty() else _nameless(config.snapshot.parent)
        try:
            # -P: nothing is imported from whatever folder the server was started in. A session of its own: what a
            # terminal sends to all of the server's processes is the server's to obey.
            self._process = subprocess.Popen(  # noqa: S603 - our own program, with an operator's settings
                [sys.executable, "-P", "-m", "mirrorlist_snapshot", *arguments, "--json"],
                stdin=subprocess.DEVNULL,
                stdout=self._told,
                stderr=self._said,
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
        """Say in the log what was imported; StateError where nothing was. Call it once, when the run has ended."""
        facts = self._facts()
        complaints = cast("list[dict[str, Any]]", facts.get("complaints", []))
        seconds = round(perf_counter() - self._began, 3)
        said = self._last_words()
        self.close()
        log = logs.get_logger()
        for complaint in [one for one in complaints if one.get("warning")][:_WARNINGS_SHOWN]:
            log.warning("imported in part", **_place(complaint), reason=complaint["message"])
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
        how = f"killed by signal {-code}" if code < 0 else said or f"exit status {code}"
        raise StateError("; ".join(mistakes) or f"{self._folder}: the import ended: {how}")

    def stop(self) -> None:
        """End the run, if it has not ended."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self.close()

    def close(self) -> None:
        """Let go of what the child writes to; all that a process forked from this one has to do."""
        for file in (self._told, self._said):
            if file is not None:
                file.close()

    def _facts(self) -> dict[str, Any]:
        self._told.seek(0)
        with contextlib.suppress(ValueError):
            facts = json.loads(self._told.read())
            if isinstance(facts, dict):
                return cast("dict[str, Any]", facts)
        return {}

    def _last_words(self) -> str:
        if self._said is None:
            return ""
        self._said.seek(0)
        return (self._said.read().decode("utf-8", "replace").splitlines() or [""])[-1]


def _nameless(folder: Path) -> IO[bytes]:
    """Open a file that goes when it is closed; StateError where the folder takes none."""
    try:
        return tempfile.TemporaryFile(dir=folder)
    except OSError as error:
        raise StateError(f"--state-dir: {folder} cannot be used: {error.strerror}") from error


def _place(complaint: dict[str, Any]) -> dict[str, Any]:
    return {key: complaint[key] for key in ("file", "line", "key") if complaint.get(key)}


def import_now(config: Config) -> None:
    """Import, if that is what the configuration is about, and wait for it; StateError where it fails."""
    if config.mirrormanager is None:
        return
    notify(os.environ, "STATUS=importing", f"EXTEND_TIMEOUT_USEC={_START_SECONDS * 1_000_000}")
    run = ImportProcess(config)
    try:
        run.wait()
        run.result()
    finally:
        run.stop()


async def import_meanwhile(config: Config) -> None:
    """Import as `import_now` does while an event loop goes on; the run ends if the task is cancelled."""
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
    """Import into a folder of its own, which goes with the block, as a server would: judged by what it has now.

    `kept`: what the server has now will do.
    """
    if config.mirrormanager is None or config.snapshot is None or kept:
        yield config
        return
    with tempfile.TemporaryDirectory(prefix="mirrorlistd-") as folder:
        aside = replace(config, snapshot=Path(folder, config.snapshot.name))
        try:
            shutil.copyfile(config.snapshot, cast("Path", aside.snapshot))
        except FileNotFoundError:
            pass  # nothing was imported yet: nothing to be judged by
        except OSError as error:
            raise StateError(
                f"{config.snapshot}: what was imported last cannot be read: {error.strerror or error}"
            ) from error
        import_now(aside)
        yield aside
