"""The prober as a process: runs, what they lead to, and what happens between them."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import fcntl
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mirrorlist_admin.errors import AdminError
from mirrorlist_admin.fetch import Client, Names, Pace
from mirrorlist_admin.netguard import Netguard, parse_network
from mirrorlist_admin.network import Network
from mirrorlist_admin.prober import status_file
from mirrorlist_admin.prober.cycle import Cycle, Tools
from mirrorlist_admin.prober.known import Known
from mirrorlist_admin.prober.master import MasterReader
from mirrorlist_admin.prober.watcher import Watcher
from mirrorlist_admin.rsync import Lister
from mirrorlist_admin.store import Store, schema
from mirrorlist_snapshot.errors import ServingError, SourceError
from mirrorlist_snapshot.publishing.running_server import send_sighup
from mirrorlist_snapshot.source import read_sources

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from mirrorlist_admin.prober.cycle import RunDone
    from mirrorlist_admin.prober.metrics import Metrics
    from mirrorlist_admin.prober.publisher import Publisher
    from mirrorlist_admin.prober.reporting import Reporter
    from mirrorlist_admin.prober.settings import Settings
    from mirrorlist_snapshot.records import NetworkRecords

VOID: Final = 5
"""Exit status of a single run from which nothing was concluded."""
NOT_PUBLISHED: Final = 1
_LOOK: Final = 5.0
"""Seconds between two looks, between runs, at what reports ask for."""
_KEEP_EVENTS: Final = 400 * 86_400
_KEEP_RUNS: Final = 30 * 86_400
"""Seconds."""
_ANY_ADDRESS: Final = Netguard((parse_network("0.0.0.0/0"), parse_network("::/0")))


@contextlib.contextmanager
def locked(folder: Path) -> Generator[None]:
    """Keep a second prober out of the folder; raise AdminError if there is one."""
    path = folder / "probe.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise AdminError(f"{path}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AdminError(f"{folder}: another prober is at work there") from None
        yield
    finally:
        os.close(descriptor)


@dataclass(slots=True)
class Prober:
    """Runs over one state folder."""

    settings: Settings
    store: Store
    reporter: Reporter
    metrics: Metrics
    open_publisher: Callable[[Store], Publisher] | None
    agent: Callable[[NetworkRecords], str]
    """The User-Agent for a network: it names the network's contact."""
    clock: Callable[[], float] = time.time
    _said: set[str] = field(default_factory=set[str])

    async def run(self) -> int:
        """Probe once, or until the task is cancelled; return the exit status."""
        records = self._read_sources(None)
        if records is None:
            return 1
        self._check_names(records)
        known = Known(self.store)
        agent = self.agent(records)
        pace = Pace(self.settings.rate)
        mirrors = Client(Names(self.settings.guard), self.settings.guard, pace, agent, self.clock)
        masters = Client(Names(_ANY_ADDRESS), _ANY_ADDRESS, pace, agent, self.clock)
        cycle = Cycle(
            self.store,
            known,
            Tools(
                fetcher=mirrors,
                lister=Lister(self.clock),
                watcher=Watcher(MasterReader(masters), self.clock),
                clock=self.clock,
                rules=self.settings.rules,
                references=self.settings.references,
                progress=self.reporter.progress,
            ),
        )
        publisher = self.open_publisher(self.store) if self.open_publisher else None
        try:
            while True:
                began = self.clock()
                mirrors.new_run()
                masters.new_run()
                only = None if self.settings.only is None else set(self.settings.only)
                done = await cycle.run(records, confirm=self.settings.confirm, only=only)
                status = self._follow(done, known, publisher, records)
                if self.settings.once:
                    self.reporter.verdicts(done.network.mirrors.values(), known)
                    return status
                await self._between(cycle, known, publisher, records, began + self.settings.rules.every)
                records = self._read_sources(records) or records
        finally:
            mirrors.close()
            masters.close()

    def _check_names(self, records: NetworkRecords) -> None:
        """Raise AdminError if `--mirror` names what cannot be asked."""
        asked = Network(records, ()).mirrors
        for name in sorted((self.settings.only or frozenset()) - asked.keys()):
            if any(mirror.name == name for mirror in records.mirrors):
                raise AdminError(f"--mirror {name}: is not asked: it is private or not active, or has no URL for that")
            near = difflib.get_close_matches(name, asked, n=1)
            raise AdminError(f"--mirror {name}: there is none{f'; did you mean {near[0]}?' if near else ''}")

    def _follow(self, done: RunDone, known: Known, publisher: Publisher | None, records: NetworkRecords) -> int:
        """Do what follows from a run; return the exit status that it would have."""
        self.reporter.run(done)
        for text in done.network.unjudged():
            if text not in self._said:
                self._said.add(text)
                self.reporter.trouble(text)
        self.metrics.run(done, known, done.troubled)
        status = VOID if done.row.void else 0
        if not self._write_status(known):
            status = NOT_PUBLISHED
        if publisher is not None and not done.row.void and not self._publish(publisher, records):
            status = NOT_PUBLISHED
        self._forget()
        return status

    def _write_status(self, known: Known) -> bool:
        """Write the status file if it has changed, and let the server read it; return whether that went well."""
        path = self.settings.state / status_file.FILE_NAME
        try:
            content = status_file.entries(self.store, known, int(self.clock()))
            if status_file.write(path, content):
                self.reporter.note("status file written", down=sum("status" in one for one in content.values()))
                if self.settings.signal is not None:
                    send_sighup(self.settings.signal)
        except (AdminError, ServingError) as error:
            self._trouble("status", str(error))
            return False
        return True

    def _publish(self, publisher: Publisher, records: NetworkRecords) -> bool:
        try:
            serial = publisher.publish(records)
        except (AdminError, ServingError) as error:
            self._trouble("publish", str(error))
            return False
        self.metrics.keeps(publisher.kept)
        if serial is not None:
            self.metrics.published(self.clock())
            self.reporter.note("published", target=publisher.target.name, serial=serial)
        return True

    def _forget(self) -> None:
        """Remove what nobody will ask for any more."""
        now = int(self.clock())
        with self.store.transaction():
            self.store.forget_before(schema.EVENT, "at", now - _KEEP_EVENTS)
            self.store.forget_before(schema.RUN, "ended", now - _KEEP_RUNS)
            self.store.forget_before(schema.ARRIVAL, "seen", now - _KEEP_RUNS)

    async def _between(
        self, cycle: Cycle, known: Known, publisher: Publisher | None, records: NetworkRecords, until: float
    ) -> None:
        """Wait for the next run; meanwhile look at what reports ask for."""
        while (left := until - self.clock()) > 0:
            await asyncio.sleep(min(left, _LOOK))
            self._write_status(known)
            now = int(self.clock())
            wanted = {row.mirror for row in self.store.read(schema.DUE, "WHERE due <= ?", now)}
            if wanted and until - self.clock() > 0:
                self._follow(await cycle.run(records, only=wanted), known, publisher, records)

    def _read_sources(self, before: NetworkRecords | None) -> NetworkRecords | None:
        """Read the sources; if they are refused, say so, and return None."""
        try:
            records, warnings = read_sources(self.settings.sources)
        except SourceError as error:
            for complaint in error.complaints:
                self._trouble("sources", str(complaint))
            if before is not None:
                self.reporter.trouble("the sources are refused; those read before stay in use")
            return None
        if before is None:
            for warning in warnings:
                self.reporter.trouble(str(warning))
        return records

    def _trouble(self, step: str, text: str) -> None:
        self.metrics.failed(step)
        self.reporter.trouble(text)
