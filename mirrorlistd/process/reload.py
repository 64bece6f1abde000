"""Reload: build a State aside, then swap one reference; keep the old one and say so where that fails.

A signal only sets a flag. Loading happens in a thread, so requests go on; the swap is one assignment, so a request
sees the old State or the new, never a mixture. Signals that come during a reload lead to exactly one more: nothing
is lost, nothing piles up (docs/prior-defects.md, Defect 1).
"""

from __future__ import annotations

import asyncio
import os
from time import perf_counter, time
from typing import TYPE_CHECKING, Final

from mirrorlistd import logs
from mirrorlistd.config import changed_needing_restart, lost_guards
from mirrorlistd.errors import ConfigError, MirrorlistdError, StateError
from mirrorlistd.process.gc_policy import gc_paused
from mirrorlistd.process.mirrormanager_import import import_in_background
from mirrorlistd.process.systemd import notify
from mirrorlistd.state.handover import warm
from mirrorlistd.state.last_good import keep_last_good
from mirrorlistd.state.loading import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirrorlistd.config import Config
    from mirrorlistd.state.handover import RetiredState
    from mirrorlistd.state.service import Service
    from mirrorlistd.state.state import State
    from mirrorlistd.telemetry.counters import Counters


_REFUSED: Final = {
    "snapshot": "the snapshot is refused, the old one keeps serving",
    "geo databases": "the geo databases are refused, the old ones stay in use",
    "import": "the import failed, the last one keeps serving",
    "settings": "the settings are refused, the old ones stay in force",
}


class ReloadOutcomes:
    """Report what a load has led to: to the service, its counters, the log and the service manager."""

    def __init__(
        self,
        service: Service,
        config: Config,
        reconfigure: Callable[[Config], None],
        publish: Callable[[Counters], None] | None = None,
    ) -> None:
        """Take the configuration of the start; `reconfigure` applies the log settings of another one.

        `publish` shows the counts to other processes, before anything is logged.
        """
        self._service = service
        self._started_with = config
        self._reconfigure = reconfigure
        self._publish = publish
        self._log = logs.get_logger()

    def begun(self) -> Clock:
        """Report that a load begins; return a clock that starts now."""
        notify(os.environ, "RELOADING=1")
        return Clock()

    def adopted(self, config: Config, state: State, clock: Clock) -> RetiredState:
        """Serve another State and report it; return the one before, to be freed."""
        service = self._service
        was = service.serial
        waiting = changed_needing_restart(self._started_with, config)
        retired = service.adopt(state)
        self._count(clock, ok=not state.origin.refused)
        self._reconfigure(config)
        self._log.info("reloaded", **facts(state), was=was, seconds=round(clock.seconds, 3))
        if was is not None and state.serial < was:
            self._log.warning("the snapshot is older than the one before", serial=state.serial, was=was)
        warn(state)
        if waiting:
            self._log.warning("changed settings wait for a restart", settings=list(waiting))
        self._ended()
        return retired

    def kept(self, error: Exception, clock: Clock) -> None:
        """Keep the old State and report why."""
        service = self._service
        expected = isinstance(error, MirrorlistdError)
        service.reload_error = str(error) if expected else repr(error)
        self._count(clock, ok=False)
        self._log.error(
            "reload failed, the old state keeps serving" if service.state else "nothing to serve yet",
            error=service.reload_error,
            serial=service.serial,
            seconds=round(clock.seconds, 3),
        )
        if not expected:
            self._log.error("reload failed unexpectedly", exc_info=error)
        self._ended()

    def _ended(self) -> None:
        state, error = self._service.state, self._service.reload_error
        status = f"serving snapshot {state.serial}" if state else "nothing to serve"
        if error:
            status += "; last reload failed: " + error.replace("\n", "; ")
        notify(os.environ, "READY=1", f"STATUS={status}")

    def _count(self, clock: Clock, *, ok: bool) -> None:
        counters = self._service.counters
        counters.reloaded(ok=ok, at=clock.at, seconds=clock.seconds)
        if self._publish:
            self._publish(counters)


class Clock:
    """When a load began, and how long ago that is."""

    def __init__(self) -> None:
        self.at = time()
        """Unix time."""
        self._started = perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since then."""
        return perf_counter() - self._started


class Reloader:
    """Loads another State at every request, in the process that serves."""

    def __init__(self, service: Service, outcomes: ReloadOutcomes, reread: Callable[[], Config]) -> None:
        """`reread` returns the configuration as it is now."""
        self._service = service
        self._outcomes = outcomes
        self._reread = reread
        self._wanted = asyncio.Event()
        self.followers: list[Callable[[Config], None]] = []
        """Called with each configuration, before its files are loaded."""

    def request(self) -> None:
        """Request a reload. The signal handler does this and no more."""
        self._wanted.set()

    async def run(self) -> None:
        """Reload once for every request, or several that came together, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self.reload()

    async def reload(self) -> None:
        """Load the configuration and its files anew; serve them, or keep the old State."""
        clock = self._outcomes.begun()
        try:
            config, refused = await asyncio.to_thread(settings_for_reload, self._reread, self._service.state)
            for follow in self.followers:
                follow(config)
            try:
                await import_in_background(config)
            except StateError as error:
                refused["import"] = error
            state = await asyncio.to_thread(self._load, config, refused)
            await warm(state, self._service.state, self._service.random)
        except Exception as error:  # noqa: BLE001 - a defect must not end the reloader: the next push may be good
            self._outcomes.kept(error, clock)
        else:
            retired = self._outcomes.adopted(config, state, clock)
            await asyncio.to_thread(keep, config, state)
            await retired.free()

    def _load(self, config: Config, refused: dict[str, MirrorlistdError]) -> State:
        with gc_paused():
            return load(config, self._service.state, refused=refused)


def settings_for_reload(
    reread: Callable[[], Config], before: State | None
) -> tuple[Config, dict[str, MirrorlistdError]]:
    """Return the configuration as it is now; where it is refused, the one in force, and why (see `Inputs.refused`)."""
    try:
        config = reread()
    except ConfigError as error:
        if before is None:
            raise
        return before.config, {"settings": error}
    if before is not None and (lost := lost_guards(before.config, config)):
        return before.config, {"settings": ConfigError(lost)}
    return config, {}


def keep(config: Config, state: State) -> None:
    """Keep a copy of the snapshot that is served now, or log why that fails."""
    try:
        keep_last_good(config, state)
    except MirrorlistdError as error:
        logs.get_logger().error("the last good snapshot is not kept", error=str(error))


def warn(state: State) -> None:
    """Log what of the configuration and its files is not in use."""
    log = logs.get_logger()
    for part, error in state.origin.refused.items():
        log.error(_REFUSED[part], error=error)
    if state.origin.instead is not None:
        log.error("the last good copy is served instead of the snapshot", error=state.origin.instead)
    if state.origin.status_error is not None:
        log.error("the status file does not apply as it is", error=state.origin.status_error)
    if ahead := state.seconds_ahead(time()):
        log.warning(
            "the snapshot was built in the future, a clock is wrong", built=state.published.built, seconds=ahead
        )
    if unknown := state.status_file.unknown(state.published):
        names = unknown[:10]
        log.warning("the status file names mirrors that are not in the snapshot", count=len(unknown), mirrors=names)


def facts(state: State) -> dict[str, object]:
    """Return the facts of a State that are logged."""
    snapshot = state.decider.index.snapshot
    return {
        "snapshot": state.source,
        "serial": snapshot.serial,
        "built": snapshot.built,
        "mirrors": len(snapshot.mirrors),
        "repositories": len(snapshot.repositories),
        "directories": len(snapshot.directories),
        "status": state.status_file.counts(state.published) if state.status_file else None,
        "geo": [f"{source.kind}: {source.database_type}" for source in state.decider.geo.sources],
    }
