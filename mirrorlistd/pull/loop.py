"""Attempts one after the other, each at its time, each reported."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from mirrorlistd.errors import PullError
from mirrorlistd.pull.attempt_report import AttemptReport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from mirrorlistd.pull.attempt import Pulled
    from mirrorlistd.pull.pace import Pace


def attempt(pull: Callable[[], Pulled]) -> AttemptReport:
    """Pull once, and tell how it went; only what is no PullError is raised."""
    started = time.perf_counter()
    try:
        pulled = pull()
    except PullError as error:
        return AttemptReport(
            at=time.time(), seconds=time.perf_counter() - started, result=error.kind, failures=1, error=str(error)
        )
    return AttemptReport(
        at=time.time(),
        seconds=time.perf_counter() - started,
        result="installed" if pulled.installed else "unchanged",
        serial=pulled.serial,
    )


def attempts(pull: Callable[[], Pulled], pace: Pace, random: Random) -> Iterator[AttemptReport]:
    """Pull again and again, the first time at once; the waiting is done between two reports."""
    failures = 0
    while True:
        report = attempt(pull)
        failures = 0 if report.good else failures + 1
        wait = pace.wait(failures, random)
        yield replace(report, failures=failures, wait=wait)
        time.sleep(wait)
