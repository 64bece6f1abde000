"""What a fetch says while it is under way, and what it remembers of those who failed.

Silence, unless a caller brings a Watcher of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorlistd.fetch.errors import AbandonedMirror, MirrorError

if TYPE_CHECKING:
    from mirrorlistd.fetch.errors import ListError


class ProgressListener:
    """Hears what happens, in order, from one thread. Every method does nothing here."""

    def note(self, text: str) -> None:
        """One line for people."""

    def left(self, mirror: AbandonedMirror) -> None:
        """A mirror, or a server of lists, was left."""

    def progress(self, done: int, total: int | None, url: str) -> None:
        """So many bytes of the file are there, of so many if that is known; the latest came from `url`."""


class Trail:
    """Who was tried and left in one run, in order; the watcher hears of each."""

    def __init__(self, watcher: ProgressListener) -> None:
        self.watcher = watcher
        self.left: list[AbandonedMirror] = []

    def leave(self, url: str, error: MirrorError | ListError) -> None:
        """Remember one more."""
        self.left.append(AbandonedMirror(url, error.reason if isinstance(error, MirrorError) else "list", str(error)))
        self.watcher.left(self.left[-1])

    def has_left(self, url: str) -> bool:
        """Whether a URL has failed in this run."""
        return any(one.url == url for one in self.left)
