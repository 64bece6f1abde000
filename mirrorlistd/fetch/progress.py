"""What a caller can follow of a fetch, and the failures that a fetch remembers."""

from __future__ import annotations

import asyncio
import contextlib
from math import inf
from typing import TYPE_CHECKING

from mirrorlistd.fetch.errors import AbandonedMirror, MirrorError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mirrorlistd.fetch.errors import ListError


class ProgressListener:
    """Is called for each event, in order, from one thread. These methods do nothing: override those that you need."""

    def note(self, text: str) -> None:
        """Something happened that people may want to know: one line."""

    def abandoned(self, mirror: AbandonedMirror) -> None:
        """A mirror, or a server of lists, was abandoned."""

    def progress(self, done: int, total: int | None, url: str) -> None:
        """The file has `done` bytes, of `total` if that is known; the latest came from `url`."""


class TimeLimit(ProgressListener):
    """Ends a fetch that takes too long: cancels what is done inside `running`. Passes events on to another listener."""

    def __init__(self, listener: ProgressListener, patience: float, max_time: float) -> None:
        """`patience`: seconds without progress; `max_time`: seconds in all."""
        self._listener = listener
        self._patience = patience
        self._max_time = max_time
        self._scope: asyncio.Timeout | None = None
        self._end = inf

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Run the body within the limits; raise TimeoutError, whose text has the limit that was reached."""
        clock = asyncio.get_running_loop().time
        self._end = clock() + self._max_time
        self._scope = asyncio.timeout(min(self._patience, self._max_time))
        try:
            async with self._scope:
                yield
        except TimeoutError:
            if clock() >= self._end:
                raise TimeoutError(f"not done after {self._max_time:g} s") from None
            raise TimeoutError(f"no new byte of the file for {self._patience:g} s") from None

    def note(self, text: str) -> None:
        """Pass on."""
        self._listener.note(text)

    def abandoned(self, mirror: AbandonedMirror) -> None:
        """Pass on; a failure is no progress."""
        self._listener.abandoned(mirror)

    def progress(self, done: int, total: int | None, url: str) -> None:
        """Allow as much time again, and pass on."""
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(min(self._end, asyncio.get_running_loop().time() + self._patience))
        self._listener.progress(done, total, url)


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
