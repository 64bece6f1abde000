"""What a caller can follow of a fetch, and the failures that a fetch remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorlistd.fetch.errors import AbandonedMirror, MirrorError

if TYPE_CHECKING:
    from mirrorlistd.fetch.errors import ListError


class ProgressListener:
    """Is called for each event, in order, from one thread. These methods do nothing: override those that you need."""

    def note(self, text: str) -> None:
        """Something happened that people may want to know: one line."""

    def abandoned(self, mirror: AbandonedMirror) -> None:
        """A mirror, or a server of lists, was abandoned."""

    def progress(self, done: int, total: int | None, url: str) -> None:
        """The file has `done` bytes, of `total` if that is known; the latest came from `url`."""


class Failures:
    """The mirrors and servers of lists that failed in one run, in order; the listener is told each."""

    def __init__(self, listener: ProgressListener) -> None:
        self.listener = listener
        self.abandoned: list[AbandonedMirror] = []

    def add(self, url: str, error: MirrorError | ListError) -> None:
        """Remember a failure and report it."""
        self.abandoned.append(
            AbandonedMirror(url, error.reason if isinstance(error, MirrorError) else "list", str(error))
        )
        self.listener.abandoned(self.abandoned[-1])

    def has_failed(self, url: str) -> bool:
        """Whether a URL has failed in this run."""
        return any(mirror.url == url for mirror in self.abandoned)
