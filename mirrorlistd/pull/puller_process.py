"""The server's side of pulling: it runs the child, counts its attempts, and logs each change of state.

A store that is down for a night is one line in the log when it goes and one when it returns.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Self

from mirrorlistd import logs
from mirrorlistd.pull.attempt_report import AttemptReport
from mirrorlistd.pull.child_process import ChildProcess

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirrorlistd.config import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulls:
    """All attempts so far: an immutable value, which is sent to other processes."""

    url: str
    """Of the store's object."""
    last: AttemptReport | None = None
    """The latest attempt; None before the first has ended."""
    succeeded_at: float = 0.0
    """Unix time of the last attempt that succeeded; 0: none has."""
    good: int = 0
    """Attempts that succeeded, since the start of the server."""
    failed: int = 0
    """Attempts that failed, since the start of the server."""

    def after(self, report: AttemptReport) -> Self:
        """Return the counts with one more attempt."""
        if report.good:
            return replace(self, last=report, succeeded_at=report.at, good=self.good + 1)
        return replace(self, last=report, failed=self.failed + 1)


class PullWatch:
    """Runs the child that pulls, and acts on its reports."""

    def __init__(
        self,
        config: Config,
        show: Callable[[Pulls], None],
        reload: Callable[[], None],
        served: Callable[[], int | None],
    ) -> None:
        """For a configuration with `pull`.

        `show` gets the counts after each attempt. `reload` is called when the serial of the file is not the one that
        `served` returns, and is called again at growing intervals while that is so: a reload may fail only once.
        """
        assert config.pull is not None, "the configuration has a URL"  # noqa: S101 - for the type checkers
        self._started_with = config
        self.child = ChildProcess("puller", _arguments(config, config))
        self.pulls = Pulls(url=config.pull)
        self._show = show
        self._reload = reload
        self._served = served
        self._behind = 0
        """Attempts in a row after which the file was not the snapshot that is served."""
        self._log = logs.get_logger()
        show(self.pulls)
        if config.pull.startswith("http://") and not config.trusted_keys:
            self._log.warning("plain HTTP and no --trusted-key: anyone on the network path can replace the snapshot")

    def follow(self, config: Config) -> None:
        """Apply what a new configuration can change without a restart, such as rotated keys.

        This happens even where the reload fails: when a stolen key is removed, the current snapshot is no longer
        trusted, and only a new one from the store ends that.
        """
        self.child.set_arguments(_arguments(self._started_with, config))

    async def run(self) -> None:
        """Keep the child running and read its reports, in an event loop, until cancelled."""
        loop = asyncio.get_running_loop()
        child = self.child
        try:
            while True:
                await asyncio.sleep(max(0.0, child.due - monotonic()))
                child.start()
                if not child.pid:
                    continue
                ended = asyncio.Event()
                descriptor = child.fileno()
                loop.add_reader(descriptor, self._read_until_end, ended)
                try:
                    await ended.wait()
                finally:
                    loop.remove_reader(descriptor)
        finally:
            child.stop()

    def _read_until_end(self, ended: asyncio.Event) -> None:
        descriptor = self.child.fileno()
        self.read_reports()
        if not self.child.pid:
            asyncio.get_running_loop().remove_reader(descriptor)
            ended.set()

    def read_reports(self) -> None:
        """Read the reports that the child has written."""
        for line in self.child.read_lines():
            try:
                report = AttemptReport.parse(line)
            except ValueError as error:
                self._log.error("a line of the puller is not a report", error=str(error))
            else:
                self._take(report)

    def _take(self, report: AttemptReport) -> None:
        before = self.pulls.last
        self.pulls = self.pulls.after(report)
        self._show(self.pulls)
        state = "good" if report.good else report.result
        if state != (None if before is None else "good" if before.good else before.result):
            if report.good:
                self._log.info("pulling works", url=self.pulls.url, serial=report.serial)
            else:
                self._log.error(
                    "pulling fails, the snapshot pulled before stays",
                    url=self.pulls.url,
                    result=report.result,
                    error=report.error,
                    retry=round(report.wait, 1),
                )
        if report.result == "installed":
            self._log.info("pulled", url=self.pulls.url, serial=report.serial, seconds=round(report.seconds, 3))
            self._behind = 0
        if report.good and report.serial != self._served():
            self._behind += 1
            if self._behind.bit_count() == 1:
                self._reload()


def _arguments(fixed: Config, config: Config) -> list[str]:
    """Return the child's arguments: what only a restart changes from `fixed`, the rest from `config`."""
    where = [str(fixed.pull), str(fixed.snapshot), f"--every={fixed.every}"]
    where += [f"--redirect={host}" for host in fixed.pull_redirects]
    keys = [f"--trusted-key={key}" for key in config.trusted_keys]
    return ["pull", *where, f"--max-loss={config.max_loss}", *keys, "--json", "--until-eof"]
