"""Service: the State that answers at present, and all that changes while a process runs.

A request reads `state` once and uses that State to the end; a reload replaces the reference. Everything else is
immutable or belongs to one of the two.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from mirrorlistd.state.handover import RetiredState
from mirrorlistd.telemetry.counters import Counters
from mirrorlistd.telemetry.statistics import StatisticsRecorder

if TYPE_CHECKING:
    from collections.abc import Generator

    from mirrorlistd.config import Config
    from mirrorlistd.pull.puller_process import Pulls
    from mirrorlistd.state.state import State
    from mirrorlistd.telemetry.scoreboard import ScoreboardSlot


@dataclass(slots=True)
class Service:
    """Shared by the lanes, the reloader and the signal handlers of one process."""

    state: State | None = None
    """None only before the first State is loaded: with --pull that may take as long as the store is away."""
    draining: bool = False
    """The process will stop: /readyz reports that, requests are still answered."""
    reload_error: str | None = None
    """Why the last reload refused something, None where it succeeded; may name files, so for insiders only."""
    geo_failures_before: int = 0
    """Failed lookups in the databases of earlier States."""
    counters: Counters = field(default_factory=Counters)
    random: Random = field(default_factory=Random)
    """Seeded from the system's entropy: no two processes shuffle alike."""
    scoreboard_slot: ScoreboardSlot | None = None
    """This worker's row, where there are several."""
    pulls: Pulls | None = None
    """How pulling goes; None where nothing is pulled."""
    recorder: StatisticsRecorder | None = None
    """Records lists for the statistics; None without --statistics."""

    @contextlib.contextmanager
    def recording(self, config: Config) -> Generator[None]:
        """Record lists for the statistics, with --statistics, until the block ends; in the process that answers."""
        if config.statistics is None:
            yield
            return
        with StatisticsRecorder(
            config.statistics, self.counters, addresses=config.statistics_addresses
        ) as self.recorder:
            yield

    @property
    def serial(self) -> int | None:
        """Serial of the snapshot that is served; None before the first."""
        return self.state.serial if self.state else None

    def adopt(self, state: State) -> RetiredState:
        """Answer from another State from now on; return the one before, to be freed."""
        retired = RetiredState(self.state)
        if self.state is not None:
            self.geo_failures_before += self.state.decider.geo.failures
        self.state = state
        self.reload_error = "; ".join(state.origin.refused.values()) or None
        return retired

    def count_dropped_lines(self, lines: int) -> None:
        """Count log lines that this process has dropped (see `logs.count_drops`)."""
        self.counters.log_lines_dropped += lines

    def counted(self) -> Counters:
        """Bring this process' counts up to date and return them."""
        self.counters.fold()
        if self.recorder is not None:
            self.recorder.publish()
        failures = self.state.decider.geo.failures if self.state is not None else 0
        self.counters.geo_failures = self.geo_failures_before + failures
        return self.counters

    def totals(self) -> Counters:
        """Return the counts of the whole server, all workers together."""
        if self.scoreboard_slot is None:
            return self.counted()
        self.scoreboard_slot.publish(self.counted())
        return self.scoreboard_slot.scoreboard.totals()
