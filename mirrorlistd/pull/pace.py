"""When to ask a store again. Pure: chance is passed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

FIRST_RETRY: Final = 1.0
"""Seconds; the wait doubles with each failure."""
LONGEST_RETRY: Final = 300.0
"""Seconds: what an outage adds to the age of a list, after it has ended."""
JITTER: Final = 0.1
"""Fraction of `every`: servers that were started at once do not go on asking at once."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a store is asked."""

    every: float
    """Seconds from one attempt to the next, as long as all goes well."""

    def wait(self, failures: int, random: Random) -> float:
        """Seconds until the next attempt, after so many failures in a row.

        After a failure it is soon, then ever later: at most `every`, at most LONGEST_RETRY. Half of that wait is
        chance: a store that comes back is not met by everybody at once.
        """
        if not failures:
            return self.every * random.uniform(1 - JITTER, 1 + JITTER)
        longest = min(self.every, LONGEST_RETRY)
        wait = min(longest, FIRST_RETRY * 2.0 ** min(failures - 1, 20))
        return wait * random.uniform(0.5, 1)
