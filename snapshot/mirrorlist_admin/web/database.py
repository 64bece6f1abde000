"""The store behind an event loop: one thread writes, two read, and each has a connection of its own."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import TYPE_CHECKING, Final, TypeVar

from mirrorlist_admin.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

_READERS: Final = 2


class Database:
    """Runs functions of a store in threads. Raises what they raise; AdminError if the store cannot be used."""

    def __init__(self, folder: Path) -> None:
        """Open the store; make it if it is not there."""
        self._writer = _Thread(folder)
        self._readers = [_Thread(folder) for _ in range(_READERS)]
        self._turn = cycle(self._readers)

    async def write(self, work: Callable[[Store], T]) -> T:
        """Run a function in a transaction; nothing of it counts if it raises."""

        def inside(store: Store) -> T:
            with store.transaction():
                return work(store)

        return await self._writer.run(inside)

    async def read(self, work: Callable[[Store], T]) -> T:
        """Run a function that only reads."""
        return await next(self._turn).run(work)

    def close(self) -> None:
        """Wait for what runs, and close the connections."""
        for thread in (self._writer, *self._readers):
            thread.close()


class _Thread:
    """A thread with a connection: SQLite's belong to the thread that opened them."""

    def __init__(self, folder: Path) -> None:
        self._executor = ThreadPoolExecutor(1, "store")
        try:
            self._store = self._executor.submit(Store, folder).result()
        except BaseException:
            self._executor.shutdown()
            raise

    async def run(self, work: Callable[[Store], T]) -> T:
        """Run a function there."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, self._store)

    def close(self) -> None:
        """Close both."""
        self._executor.submit(self._store.close).result()
        self._executor.shutdown()
