"""Notice that input files have been replaced, where no signal can be sent.

Each look is one stat(2) for each file, through links: Kubernetes swaps a link to a whole folder. A change is reported
when two looks have seen the same, so a file that is being written in place is left alone until it rests. inotify would
not work across file systems and containers; a thread is not allowed in a process that forks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirrorlistd.process.mirrormanager_import import sources_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mirrorlistd.config import Config

    _Seen = dict[Path, tuple[int, ...] | None]

TICK: Final = 1.0
"""Seconds between two looks: a replaced file is noticed after one to two of them."""


class FileWatch:
    """The signatures of the files: as they were last read, and last looked at."""

    def __init__(self, config: Config, reread: Callable[[], Config]) -> None:
        """Take the files as they are now as read; `reread` returns the configuration as it is later."""
        self._reread = reread
        self._config = config.config
        self._paths: list[Path] = []
        self._read: _Seen = {}
        self._looked: _Seen = {}
        self._reading(config)

    def reread(self) -> Config:
        """Return the configuration as it is now; what changes in its files from now on is a change."""
        own = _signature(self._config) if self._config else None
        config = self._reread()
        self._reading(config)
        if self._config:
            self._read[self._config] = own  # it may have changed while it was read
        return config

    def _reading(self, config: Config) -> None:
        # The server itself writes an imported snapshot: look at its sources instead.
        sources = (config.snapshot,) if config.mirrormanager is None else sources_in(config.mirrormanager)
        files = (config.config, *sources, config.geo, config.asn, config.status, *config.trusted_keys)
        self._paths = [path for path in files if path is not None]
        self._read = self._look()
        self._looked = dict(self._read)

    def changed(self) -> bool:
        """Look at the files, every TICK; return True once for each change."""
        now = self._look()
        rests, self._looked = now == self._looked, now
        if now == self._read or not rests:
            return False
        self._read = now
        return True

    def _look(self) -> _Seen:
        return {path: _signature(path) for path in self._paths}


def _signature(path: Path) -> tuple[int, ...] | None:
    """Return what differs between two contents of a file, as far as stat(2) shows it; None where there is no file."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
