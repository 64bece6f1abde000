"""Backoff: pauses between attempts that double while attempts fail. No clock: the caller measures and waits."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

_MOST_DOUBLINGS: Final = 64
"""Beyond these the pause is the longest one in every use, and a power of two could overflow a float."""


class Backoff:
    """The pauses between attempts at one task: to fill a worker slot, to run a child process, to ask a store."""

    def __init__(
        self,
        first: float,
        longest: float,
        *,
        long_enough: float = inf,
        jitter: float = 0.0,
        random: Random | None = None,
    ) -> None:
        """Pauses in seconds: `first` after one failure, doubled by each further failure, at most `longest`.

        An attempt that lasted `long_enough` seconds before it failed has done its work: failures before it are
        forgotten, and there is no pause. `jitter` is the fraction of a pause that `random` draws, so that many who
        failed together do not come back together.
        """
        self.failures = 0
        """Failed attempts in a row."""
        self._first = first
        self._longest = longest
        self._long_enough = long_enough
        self._jitter = jitter
        self._random = random

    def failed(self, lasted: float = 0.0) -> float:
        """Count an attempt that failed after `lasted` seconds; return the seconds to wait before the next one."""
        if lasted >= self._long_enough:
            self.failures = 0
            return 0.0
        self.failures += 1
        pause = min(self._longest, self._first * 2.0 ** min(self.failures - 1, _MOST_DOUBLINGS))
        return pause * self._random.uniform(1 - self._jitter, 1) if self._random else pause

    def succeeded(self) -> None:
        """Forget the failures."""
        self.failures = 0
