"""Which of the files that a configuration names have been replaced: for where nobody can send a signal.

A look is one stat(2) for each file, following links: Kubernetes swaps a link to a whole folder. A change is told when
two looks have seen the same, so a file that is being written in place is left alone until it rests. No thread, no
inotify: there is none across file systems and containers, and a parent that forks must have no threads.
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
    """What the files were like when they were last read, and last looked at."""

    def __init__(self, config: Config, reread: Callable[[], Config]) -> None:
        """Take the files as they are now as read; `reread` gives the configuration as it is later."""
        self._reread = reread
        self._config = config.config
        self._paths: list[Path] = []
        self._read: _Seen = {}
        self._looked: _Seen = {}
        self._reading(config)

    def reread(self) -> Config:
        """Give the configuration as it is now; its files are about to be read: what changes from now on is a change."""
        own = _signature(self._config) if self._config else None
        config = self._reread()
        self._reading(config)
        if self._config:
            self._read[self._config] = own  # it may have changed while it was read
        return config

    def _reading(self, config: Config) -> None:
        # What is imported is written by ourselves: what it is made of is looked at instead.
        sources = (config.snapshot,) if config.mirrormanager is None else sources_in(config.mirrormanager)
        files = (config.config, *sources, config.geo, config.asn, config.status, *config.trusted_keys)
        self._paths = [path for path in files if path is not None]
        self._read = self._look()
        self._looked = dict(self._read)

    def changed(self) -> bool:
        """Look, every TICK; tell once whether there is something new to read."""
        now = self._look()
        rests, self._looked = now == self._looked, now
        if now == self._read or not rests:
            return False
        self._read = now
        return True

    def _look(self) -> _Seen:
        return {path: _signature(path) for path in self._paths}


def _signature(path: Path) -> tuple[int, ...] | None:
    """What tells one content of a file from another, as far as stat(2) does; None where there is no file."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
