"""What a server knows of its pulls, and what it says about them: counts for metrics, a line for each change of state.

A store that is away for a night is one line when it goes and one when it comes back, not a line for each attempt.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Self

from mirrorlistd import logs
from mirrorlistd.pull.attempt_report import AttemptReport
from mirrorlistd.pull.child import ChildProcess

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirrorlistd.config import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulls:
    """All attempts so far; replaced, not changed, so that another process can be handed it."""

    url: str
    """Of the store's object."""
    last: AttemptReport | None = None
    """The latest attempt; None before the first has ended."""
    succeeded_at: float = 0.0
    """When the store was last found good, Unix time; 0 for never."""
    good: int = 0
    failed: int = 0
    """Attempts, since the server was started."""

    def after(self, report: AttemptReport) -> Self:
        """Count one more."""
        if report.good:
            return replace(self, last=report, succeeded_at=report.at, good=self.good + 1)
        return replace(self, last=report, failed=self.failed + 1)


class PullWatch:
    """The child that pulls, seen from the server."""

    def __init__(
        self,
        config: Config,
        show: Callable[[Pulls], None],
        reload: Callable[[], None],
        served: Callable[[], int | None],
    ) -> None:
        """For a configuration with `pull`.

        `show` is told of every attempt; `reload` is called when the file has another serial than the one that `served`
        gives, and again, ever more rarely, while that is so: a reload can fail for reasons of a moment.
        """
        assert config.pull is not None, "there is something to pull"  # noqa: S101 - for the type checkers
        self._started_with = config
        self.child = ChildProcess("puller", _arguments(config, config))
        self.pulls = Pulls(url=config.pull)
        self._show = show
        self._reload = reload
        self._served = served
        self._behind = 0
        """Attempts in a row after which the file was not what is served."""
        self._log = logs.get_logger()
        show(self.pulls)
        if config.pull.startswith("http://") and not config.trusted_keys:
            self._log.warning("plain HTTP and no --trusted-key: whoever is on the way can replace the snapshot")

    def follow(self, config: Config) -> None:
        """Pull as another configuration has it, as far as that needs no restart: keys are rotated so.

        Not only where the reload succeeds: with a stolen key gone, what is in place is no longer trusted, and what ends
        that has to be pulled.
        """
        self.child.give(_arguments(self._started_with, config))

    async def attend(self) -> None:
        """Keep the child running and listen to it, in an event loop, until cancelled."""
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
                loop.add_reader(descriptor, self._hear_until, ended)
                try:
                    await ended.wait()
                finally:
                    loop.remove_reader(descriptor)
        finally:
            child.stop()

    def _hear_until(self, ended: asyncio.Event) -> None:
        descriptor = self.child.fileno()
        self.hear()
        if not self.child.pid:
            asyncio.get_running_loop().remove_reader(descriptor)
            ended.set()

    def hear(self) -> None:
        """Take note of what the child has said."""
        for line in self.child.hear():
            try:
                report = AttemptReport.parse(line)
            except ValueError as error:
                self._log.error("the puller cannot be understood", error=str(error))
            else:
                self._heard(report)

    def _heard(self, report: AttemptReport) -> None:
        before = self.pulls.last
        self.pulls = self.pulls.after(report)
        self._show(self.pulls)
        state = "good" if report.good else report.result
        if state != (None if before is None else "good" if before.good else before.result):
            if report.good:
                self._log.info("pulling works", url=self.pulls.url, serial=report.serial)
            else:
                self._log.error(
                    "pulling fails, what was pulled before stays",
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
    """What the child is told: what a reload cannot change, and what it can."""
    where = [str(fixed.pull), str(fixed.snapshot), f"--every={fixed.every}"]
    keys = [f"--trusted-key={key}" for key in config.trusted_keys]
    return ["pull", *where, f"--max-loss={config.max_loss}", *keys, "--json", "--until-eof"]
