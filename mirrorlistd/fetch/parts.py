"""Parts of one file from several mirrors at once, one connection to each.

Only for a file of known size and hash: nothing else would notice that two mirrors have different files. Parts are
taken in order and kept in memory until their turn comes, so the file on the disk stays a beginning (see `partial`);
how far the fastest may run ahead is bounded, and with it the memory.

A mirror that fails is left, its part goes to another. A mirror that ignores Range, or is much slower than the others,
is only not used here: it can still give the file as a whole.
"""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mirrorlistd.fetch.errors import MirrorError
from mirrorlistd.fetch.exchange import PARTIAL, asked, receive

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx2

    from mirrorlistd.fetch.exchange import Limits
    from mirrorlistd.fetch.partial import Partial
    from mirrorlistd.fetch.progress import Trail
    from mirrorlistd.fetch.source import MirrorUrl

AHEAD: Final = 2
"""How many parts per connection may be under way or waiting in memory."""
MUCH_SLOWER: Final = 4
"""A part that takes so many times the fastest one's time goes to another mirror, but never before `timeout`."""


class _UnfitError(Exception):
    """A mirror is of no use for parts, and no worse for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartPlan:
    """What to gather, and how."""

    size: int
    """Bytes of the whole file."""
    connections: int
    """Mirrors asked at once."""
    part_size: int
    """Bytes of each part but the last."""
    limits: Limits


class Gathering:
    """One fetch in parts, from where `part` ends up to the plan's size. `contributors` are those who gave bytes."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        mirrors: Sequence[MirrorUrl],
        part: Partial,
        plan: PartPlan,
        trail: Trail,
    ) -> None:
        self.contributors: set[str] = set()
        self._client = client
        self._spare = iter(mirrors)
        self._part = part
        self._plan = plan
        self._trail = trail
        self._wanted = list(range(part.size, plan.size, plan.part_size))  # a heap: sorted
        self._waiting: dict[int, bytes] = {}
        self._changed = asyncio.Condition()
        self._fastest: float | None = None

    async def run(self) -> None:
        """Fetch until all is there or no mirror is left that gives parts; LocalError if it cannot be written."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._plan.connections):
                    group.create_task(self._work())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _work(self) -> None:
        """One connection: takes parts from a mirror until it fails, then goes to the next spare one."""
        while self._part.size < self._plan.size and (mirror := next(self._spare, None)) is not None:
            try:
                await self._take_from(mirror.url)
            except _UnfitError as error:
                self._trail.watcher.note(f"{mirror.url} {error}: not used for parts")
            except MirrorError as error:
                self._trail.leave(mirror.url, error)

    async def _take_from(self, url: str) -> None:
        while (start := await self._next()) is not None:
            try:
                data = await self._fetch(url, start, min(start + self._plan.part_size, self._plan.size))
            except (_UnfitError, MirrorError):
                async with self._changed:
                    heapq.heappush(self._wanted, start)
                    self._changed.notify_all()
                raise
            async with self._changed:
                self._keep(start, data)
                self._changed.notify_all()
            self.contributors.add(url)
            self._trail.watcher.progress(self._part.size, self._plan.size, url)

    async def _next(self) -> int | None:
        """The first byte of the next part; waits while others are too far behind; None when all is there."""
        ahead = AHEAD * self._plan.connections * self._plan.part_size

        def can_go_on() -> bool:
            near = bool(self._wanted) and self._wanted[0] < self._part.size + ahead
            return near or self._part.size == self._plan.size

        async with self._changed:
            await self._changed.wait_for(can_go_on)
            return heapq.heappop(self._wanted) if self._wanted else None

    def _keep(self, start: int, data: bytes) -> None:
        self._waiting[start] = data
        while (following := self._waiting.pop(self._part.size, None)) is not None:
            self._part.append(following)

    async def _fetch(self, url: str, start: int, end: int) -> bytes:
        """One part, exactly the bytes asked for."""
        clock = asyncio.get_running_loop().time
        began = clock()
        data = bytearray()

        def keep(piece: bytes) -> None:
            data.extend(piece)
            if len(data) > end - start:
                raise MirrorError("long", f"gives more than the {end - start} bytes of a range")
            if self._fastest is not None and clock() - began > max(
                self._plan.limits.timeout, MUCH_SLOWER * self._fastest
            ):
                raise _UnfitError("is much slower than others")

        async with asked(self._client, url, {"Range": f"bytes={start}-{end - 1}"}, self._plan.limits) as answer:
            if answer.status != PARTIAL:
                raise _UnfitError("ignores Range")
            if (given := answer.range()) != (start, end, self._plan.size):
                raise MirrorError(
                    "range", f"gives bytes {given[0]}-{given[1]} of {given[2]}, not {start}-{end} of {self._plan.size}"
                )
            await receive(answer, keep, self._plan.limits)
        if len(data) != end - start:
            raise MirrorError("short", f"gives {len(data)} of the {end - start} bytes of a range")
        took = clock() - began
        self._fastest = took if self._fastest is None else min(took, self._fastest)
        return bytes(data)
