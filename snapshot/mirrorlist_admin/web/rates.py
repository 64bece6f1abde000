"""Rates: how many requests a key may make, such as an address or a token. Pure; the caller has the clock.

Each key has one number: the time at which it will have used nothing (the generic cell rate algorithm, GCRA). It takes
constant time and forgets the keys that were quiet for longest, so a flood from many addresses costs no more than one
from a few.
"""

from __future__ import annotations

import math
from collections import OrderedDict


class Rate:
    """At most `burst` requests at once, and `burst` requests in `seconds` in the long run, for each key."""

    def __init__(self, burst: int, seconds: float, *, keys: int = 65_536) -> None:
        """Remember at most `keys` keys; one that is forgotten begins anew."""
        self._step = seconds / burst
        self._span = float(seconds)
        self._keys = keys
        self._free_at: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str, now: float) -> int:
        """Count a request; return 0 if it is allowed, otherwise the whole seconds until one will be."""
        wait = self.wait(key, now)
        if not wait:
            self._free_at[key] = max(self._free_at.get(key, now), now) + self._step
            self._free_at.move_to_end(key)
            if len(self._free_at) > self._keys:
                self._free_at.popitem(last=False)
        return wait

    def wait(self, key: str, now: float) -> int:
        """Return 0 if a request would be allowed, otherwise the whole seconds until one will be; count nothing."""
        missing = self._free_at.get(key, now) + self._step - self._span - now
        # The millionth part of a step: sums of floating-point numbers are not exact.
        return math.ceil(missing) if missing > self._step / 1e6 else 0
