"""When to ask a store again. Pure: the source of randomness is passed in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirrorlistd.backoff import Backoff

if TYPE_CHECKING:
    from random import Random

FIRST_RETRY: Final = 1.0
"""Seconds; the wait doubles with each failure."""
LONGEST_RETRY: Final = 300.0
"""Seconds: the most that the wait adds to the age of a list after an outage has ended."""
JITTER: Final = 0.1
"""Fraction of `every`, in either direction: servers that were started together spread their questions."""
RETRY_JITTER: Final = 0.5
"""Fraction of a retry's wait: servers that failed together do not all return at the same moment."""


class Pace:
    """The waits between attempts."""

    def __init__(self, every: float, random: Random) -> None:
        """`every`: seconds between two attempts that succeed. A retry comes no later than that."""
        self._every = every
        self._random = random
        self._backoff = Backoff(FIRST_RETRY, min(every, LONGEST_RETRY), jitter=RETRY_JITTER, random=random)

    @property
    def failures(self) -> int:
        """Failed attempts in a row."""
        return self._backoff.failures

    def wait(self, *, good: bool) -> float:
        """Count an attempt; return the seconds until the next one."""
        if not good:
            return self._backoff.failed()
        self._backoff.succeeded()
        return self._every * self._random.uniform(1 - JITTER, 1 + JITTER)
