"""The statistics: one line for each list, made of names in the snapshot, never of a client's own words.

A repository is counted under the requested name, which is a name or an alias of the snapshot, and under the
architecture of the directory that was listed; the snapshot bounds both. The client is the one that asks: a list for
another address (`ip=`) counts where its client is.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Final, Self

from mirrorlistd.answering.plan import ResolvedQuery
from mirrorlistd.memo import Memo
from mirrorlistd.usage import statistics_line
from mirrorlistd.usage.writer import Writer

if TYPE_CHECKING:
    from pathlib import Path

    from mirrorlistd.answering.answer import Client
    from mirrorlistd.answering.decider import Decider
    from mirrorlistd.telemetry.counters import Counters

_COUNTME: Final = re.compile(rb"(?:^|&)countme=([1-4])(?=&|$)")
_ADDRESS: Final = statistics_line.ADDRESS.encode()
_HIDDEN: Final = statistics_line.HIDDEN.encode()
_SECONDS_A_DAY: Final = 86_400
# Memo sizes, in entries: queries in use are some hundred, countries 250.
_TAILS: Final = 4_096
_MIDDLES: Final = 1_024
_LONGEST_REMEMBERED: Final = 512
"""Bytes; longer queries are read every time."""


class StatisticsRecorder:
    """Writes a line for every list to a file; one per process."""

    def __init__(self, path: Path, counters: Counters, *, addresses: bool) -> None:
        """`addresses`: whether the lines have clients' addresses; `counters` are those of this process."""
        self._writer = Writer(path)
        self._counters = counters
        self._lost_before = counters.statistics_lost
        self._failures_before = counters.statistics_failures
        self._addresses = addresses
        self._decider: Decider | None = None
        self._tails: Memo[bytes, tuple[bytes, int]] = Memo(_TAILS)
        """Query -> the end of its line (empty: no line), and the position in COUNTME, or -1."""
        self._middles: Memo[str | None, bytes] = Memo(_MIDDLES)
        """Country -> the middle of its lines, today."""
        self._day = 0

    def note(self, decider: Decider, query: bytes, client: Client) -> None:
        """Record a list that was sent for a canonical query."""
        if decider is not self._decider:  # another State may resolve a query otherwise
            self._decider = decider
            self._tails.clear()
        tail, countme = self._tails.get(query) or self._tail(decider, query)
        if not tail:
            return
        today = int(time()) // _SECONDS_A_DAY
        if today != self._day:
            self._day = today
            self._middles.clear()
        country = client.place.country
        middle = self._middles.get(country) or self._middle(country)
        address = client.address.text.encode() if self._addresses and client.address else _HIDDEN
        self._writer.append(b"".join((_ADDRESS, address, middle, tail)))
        if countme >= 0:
            self._counters.countme[countme] += 1

    def reopen(self) -> None:
        """Continue in a new file: the old one has been moved away."""
        self._writer.reopen()

    def publish(self) -> None:
        """Bring the counters up to date."""
        self._counters.statistics_lost = self._lost_before + self._writer.lost
        self._counters.statistics_failures = self._failures_before + self._writer.failures

    def close(self) -> None:
        """Write the remaining lines and close the file."""
        self._writer.close()
        self.publish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tail(self, decider: Decider, query: bytes) -> tuple[bytes, int]:
        made = b"", -1
        resolved = decider.resolve_query(query)
        if isinstance(resolved, ResolvedQuery) and is_access(resolved):
            found = _COUNTME.findall(query)
            countme = found[-1].decode() if found else None
            text = statistics_line.tail(resolved.query.repo or "", resolved.target.arch or None, countme)
            made = text.encode(), statistics_line.COUNTME.index(countme) if countme else -1
        return self._tails.remember(query, made) if len(query) <= _LONGEST_REMEMBERED else made

    def _middle(self, country: str | None) -> bytes:
        day = datetime.fromtimestamp(self._day * _SECONDS_A_DAY, UTC).date().isoformat()
        return self._middles.remember(country, statistics_line.middle(day, country).encode())


def is_access(resolved: ResolvedQuery) -> bool:
    """Whether a request is for a repository, as mirrorlist-server counts: not for a path, nor for a file of its choice.

    A metalink of a repository is about a file, too, but the client has not named that.
    """
    query = resolved.query
    if query.path is not None or query.repo is None:
        return False
    implied = resolved.renderer.file.encode()  # relative to the directory, whose path may end with its first part
    return query.file is None or implied == query.file or implied.endswith(b"/" + query.file)
