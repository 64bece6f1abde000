"""Parts of one file from several mirrors at once, one connection to each.

This is only for a file of known size and hash: without them, two mirrors with different files would go unnoticed. Parts
are requested in order and kept in memory until their turn, so FILE.part stays a beginning of the file. How far the
fastest mirror may run ahead is bounded, and so is the memory.

A mirror that fails is abandoned, and its part goes to another one. A mirror that ignores Range, or is much slower than
the others, is not used for parts; it can still send the whole file.
"""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mirrorlistd.fetch.errors import MirrorError
from mirrorlistd.fetch.exchange import PARTIAL, open_response, read_body

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx2

    from mirrorlistd.fetch.exchange import Limits
    from mirrorlistd.fetch.part_file import PartFile
    from mirrorlistd.fetch.progress import Failures
    from mirrorlistd.fetch.source import MirrorUrl

AHEAD: Final = 2
"""Parts per connection that may be requested or waiting in memory."""
MUCH_SLOWER: Final = 4
"""A part that takes so many times as long as the fastest one goes to another mirror, but never before `timeout`."""


class _UnfitError(Exception):
    """A mirror that is not used for parts; it has not failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartPlan:
    """What to fetch, and how."""

    size: int
    """Bytes of the whole file."""
    connections: int
    """Mirrors asked at once."""
    part_size: int
    """Bytes of each part but the last."""
    limits: Limits


class PartsDownload:
    """Fetches parts, from the end of the file so far to the plan's size. `contributors`: mirrors that sent bytes."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        mirrors: Sequence[MirrorUrl],
        part: PartFile,
        plan: PartPlan,
        failures: Failures,
    ) -> None:
        self.contributors: set[str] = set()
        self._client = client
        self._spare = iter(mirrors)
        self._part = part
        self._plan = plan
        self._failures = failures
        self._wanted = list(range(part.size, plan.size, plan.part_size))  # a heap: sorted
        self._waiting: dict[int, bytes] = {}
        self._changed = asyncio.Condition()
        self._fastest: float | None = None

    async def run(self) -> None:
        """Fetch until the file is complete or no mirror is left that sends parts. Raises LocalError."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._plan.connections):
                    group.create_task(self._work())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _work(self) -> None:
        """Be one connection: fetch parts from a mirror until it fails, then from the next spare one."""
        while self._part.size < self._plan.size and (mirror := next(self._spare, None)) is not None:
            try:
                await self._take_parts_from(mirror.url)
            except _UnfitError as error:
                self._failures.listener.note(f"{mirror.url} {error}: not used for parts")
            except MirrorError as error:
                self._failures.add(mirror.url, error)

    async def _take_parts_from(self, url: str) -> None:
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

    async def _next(self) -> int | None:
        """Return the first byte of the next part, None if none is missing; wait while others are too far behind."""
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
        """Fetch one part: exactly the requested bytes."""
        clock = asyncio.get_running_loop().time
        began = clock()
        data = bytearray()

        def keep(piece: bytes) -> None:
            data.extend(piece)
            self._failures.listener.progress(self._part.size, self._plan.size, url)
            if len(data) > end - start:
                raise MirrorError("long", f"gives more than the {end - start} bytes of a range")
            if self._fastest is not None and clock() - began > max(
                self._plan.limits.timeout, MUCH_SLOWER * self._fastest
            ):
                raise _UnfitError("is much slower than others")

        async with open_response(self._client, url, {"Range": f"bytes={start}-{end - 1}"}, self._plan.limits) as answer:
            if answer.status != PARTIAL:
                raise _UnfitError("ignores Range")
            if (given := answer.range()) != (start, end, self._plan.size):
                raise MirrorError(
                    "range", f"gives bytes {given[0]}-{given[1]} of {given[2]}, not {start}-{end} of {self._plan.size}"
                )
            await read_body(answer, keep, self._plan.limits)
        if len(data) != end - start:
            raise MirrorError("short", f"gives {len(data)} of the {end - start} bytes of a range")
        took = clock() - began
        self._fastest = took if self._fastest is None else min(took, self._fastest)
        return bytes(data)
