"""An event loop whose clock jumps: a day of sleeping passes in seconds. For code without real sockets."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


class _Jumping(selectors.SelectSelector):
    """Instead of waiting, it moves the clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Look without waiting; if nothing is ready, the time that would have been waited has passed."""
        ready = super().select(0)
        if not ready and timeout:
            self._clock.elapsed += timeout + 1e-6  # more than the rounding of floats
        return ready


class Clock:
    """The time, in seconds since 1970 UTC."""

    def __init__(self, now: float) -> None:
        self.start = now
        self.elapsed = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.start + self.elapsed


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: Clock) -> None:
        super().__init__(_Jumping(clock))
        self._virtual = clock

    def time(self) -> float:
        """The clock's time."""
        return self._virtual.elapsed


def run_virtually(clock: Clock, main: Callable[[], Coroutine[None, None, T]]) -> T:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=lambda: _Loop(clock)) as runner:
        return runner.run(main())
