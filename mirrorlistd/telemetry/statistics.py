"""A list for the statistics: one line, made of what the server knows, never of a client's own words.

A repository is counted under the name that was asked for, which is a name or an alias of the snapshot, and under the
architecture whose directory was given; both are bounded by the snapshot. The client is the real one: whoever asks on
behalf of another address (`ip=`) is counted where they are themselves.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Final, Self

from mirrorlistd.answering.plan import ResolvedQuery
from mirrorlistd.memo import Memo
from mirrorlistd.usage import line
from mirrorlistd.usage.writer import Writer

if TYPE_CHECKING:
    from pathlib import Path

    from mirrorlistd.answering.answer import Client
    from mirrorlistd.answering.decider import Decider
    from mirrorlistd.telemetry.counters import Counters

_COUNTME: Final = re.compile(rb"(?:^|&)countme=([1-4])(?=&|$)")
_ADDRESS: Final = line.ADDRESS.encode()
_HIDDEN: Final = line.HIDDEN.encode()
_SECONDS_A_DAY: Final = 86_400
# Memo sizes, in entries: queries in use are some hundred, countries 250.
_TAILS: Final = 4_096
_MIDDLES: Final = 1_024
_LONGEST_REMEMBERED: Final = 512
"""Longer queries are understood every time: bytes."""


class StatisticsRecorder:
    """Notes every list that is given in one file; one per process."""

    def __init__(self, path: Path, counters: Counters, *, addresses: bool) -> None:
        """`addresses` says whether the lines name clients; `counters` are those of this process."""
        self._writer = Writer(path)
        self._counters = counters
        self._lost_before = counters.statistics_lost
        self._failures_before = counters.statistics_failures
        self._addresses = addresses
        self._decider: Decider | None = None
        self._tails: Memo[bytes, tuple[bytes, int]] = Memo(_TAILS)
        """Query -> the end of its line (nothing: no line), and the position in COUNTME, or -1."""
        self._middles: Memo[str | None, bytes] = Memo(_MIDDLES)
        """Country -> what stands in the middle of a line, today."""
        self._day = 0

    def note(self, decider: Decider, query: bytes, client: Client) -> None:
        """Note a list that was given for a canonical query."""
        if decider is not self._decider:  # what a query means may have changed
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
        """Go on in a new file: the old one has been moved away."""
        self._writer.reopen()

    def publish(self) -> None:
        """Bring the counters up to date."""
        self._counters.statistics_lost = self._lost_before + self._writer.lost
        self._counters.statistics_failures = self._failures_before + self._writer.failures

    def close(self) -> None:
        """Write what is there, and end."""
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
            text = line.tail(resolved.query.repo or "", resolved.target.arch or None, countme)
            made = text.encode(), line.COUNTME.index(countme) if countme else -1
        return self._tails.remember(query, made) if len(query) <= _LONGEST_REMEMBERED else made

    def _middle(self, country: str | None) -> bytes:
        day = datetime.fromtimestamp(self._day * _SECONDS_A_DAY, UTC).date().isoformat()
        return self._middles.remember(country, line.middle(day, country).encode())


def is_access(resolved: ResolvedQuery) -> bool:
    """Whether a request is for a repository, as mirrorlist-server counts: not for a path, nor for a file in one.

    A metalink of a repository is about one file, which the client has not named.
    """
    query = resolved.query
    if query.path is not None or query.repo is None:
        return False
    implied = resolved.renderer.file.encode()  # below the repository's directory, which may hold the first part itself
    return query.file is None or implied == query.file or implied.endswith(b"/" + query.file)
