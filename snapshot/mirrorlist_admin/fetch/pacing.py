"""How fast one address is asked: so many requests a second, and so many connections, whoever shares the address."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

CONNECTIONS: Final = 2
DEFAULT_RATE: Final = 4.0
"""Requests a second."""


class Pace:
    """The turns of requests to each address."""

    def __init__(self, rate: float = DEFAULT_RATE) -> None:
        """`rate` is in requests a second; infinite for none."""
        self._pause = 1 / rate
        self._next: dict[str, float] = {}
        self._connections: dict[str, asyncio.Semaphore] = {}

    @contextlib.asynccontextmanager
    async def turn(self, address: str) -> AsyncGenerator[None]:
        """Wait until the address may be asked, and count as one of its connections meanwhile."""
        if (connections := self._connections.get(address)) is None:
            connections = self._connections[address] = asyncio.Semaphore(CONNECTIONS)
        async with connections:
            now = asyncio.get_running_loop().time()
            start = max(now, self._next.get(address, 0.0))
            self._next[address] = start + self._pause
            if start > now:
                await asyncio.sleep(start - now)
            yield

    def forget(self) -> None:
        """Forget addresses that nobody waits for."""
        now = asyncio.get_running_loop().time()
        self._next = {address: at for address, at in self._next.items() if at > now}
        self._connections = {key: one for key, one in self._connections.items() if one.locked() or key in self._next}
