"""Reload: build a State aside, then swap one reference; keep the old one and say so where that fails.

A signal only sets a flag. Loading happens in a thread, so requests go on; the swap is one assignment, so a request
sees the old State or the new, never a mixture. Signals that come during a reload lead to exactly one more: nothing
is lost, nothing piles up (peers' defect 1).
"""

from __future__ import annotations

import asyncio
import os
from time import perf_counter, time
from typing import TYPE_CHECKING

from mirrorlistd import logs
from mirrorlistd.config import changed_needing_restart
from mirrorlistd.errors import MirrorlistdError
from mirrorlistd.notify import notify
from mirrorlistd.state import load_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirrorlistd.config import Config
    from mirrorlistd.service import Service
    from mirrorlistd.state import State


class Reloader:
    """Loads the first State, then another one whenever it is asked to."""

    def __init__(
        self, service: Service, config: Config, reread: Callable[[], Config], reconfigure: Callable[[Config], None]
    ) -> None:
        """`reread` gives the configuration as it is now; `reconfigure` applies its log settings."""
        self._service = service
        self._config = config
        self._reread = reread
        self._reconfigure = reconfigure
        self._wanted = asyncio.Event()
        self._log = logs.get_logger()

    def request(self) -> None:
        """Ask for a reload: what the signal handler does, and all it does."""
        self._wanted.set()

    async def run(self) -> None:
        """Reload once for every request, or several that came together, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            notify(os.environ, "RELOADING=1")
            await self.reload()
            notify(os.environ, "READY=1", f"STATUS={self._status()}")

    async def reload(self) -> bool:
        """Read configuration, snapshot and databases anew; give whether they are served now."""
        started, at = perf_counter(), time()
        service = self._service
        try:
            config, state = await asyncio.to_thread(self._load)
        except MirrorlistdError as error:
            self._failed(at, perf_counter() - started, str(error))
            return False
        except Exception as error:  # noqa: BLE001 - a defect must not end the reloader: the next push may be fine
            self._failed(at, perf_counter() - started, repr(error))
            self._log.exception("reload failed unexpectedly")
            return False
        seconds = perf_counter() - started
        old = service.state
        if old is not None:
            service.geo_failures_before += old.decider.geo.failures
        waiting = changed_needing_restart(self._config, config)
        self._config = config
        service.state = state
        service.reload_error = None
        service.counters.reloaded(ok=True, at=at, seconds=seconds)
        self._reconfigure(config)
        self._log.info("reloaded", **facts(state), was=old.serial if old else None, seconds=round(seconds, 3))
        if waiting:
            self._log.warning("changed settings wait for a restart", settings=list(waiting))
        return True

    def _load(self) -> tuple[Config, State]:
        config = self._reread()
        return config, load_state(config)

    def _failed(self, at: float, seconds: float, error: str) -> None:
        service = self._service
        service.reload_error = error
        service.counters.reloaded(ok=False, at=at, seconds=seconds)
        serial = service.state.serial if service.state else None
        self._log.error(
            "reload failed, the old state keeps serving", error=error, serial=serial, seconds=round(seconds, 3)
        )

    def _status(self) -> str:
        state = self._service.state
        serving = f"serving snapshot {state.serial}" if state else "nothing to serve"
        return f"{serving}; last reload failed: {self._service.reload_error}" if self._service.reload_error else serving


def facts(state: State) -> dict[str, object]:
    """What a log line says of a State."""
    snapshot = state.decider.index.snapshot
    return {
        "snapshot": state.source,
        "serial": snapshot.serial,
        "built": snapshot.built,
        "mirrors": len(snapshot.mirrors),
        "repositories": len(snapshot.repositories),
        "directories": len(snapshot.directories),
        "geo": [f"{source.kind}: {source.database_type}" for source in state.decider.geo.sources],
    }
