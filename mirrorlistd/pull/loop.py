"""Attempts one after the other: each at its time, each reported."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from mirrorlistd.errors import PullError
from mirrorlistd.pull.attempt_report import AttemptReport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mirrorlistd.pull.attempt import PullOutcome
    from mirrorlistd.pull.pace import Pace


def attempt(pull: Callable[[], PullOutcome]) -> AttemptReport:
    """Pull once and report the result; a PullError becomes part of the report."""
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


def attempts(pull: Callable[[], PullOutcome], pace: Pace) -> Iterator[AttemptReport]:
    """Pull for ever, the first time at once; sleep between two reports."""
    while True:
        report = attempt(pull)
        wait = pace.wait(good=report.good)
        yield replace(report, failures=pace.failures, wait=wait)
        time.sleep(wait)
