"""The report of one attempt: a line of `mirrorlistd pull --json`, and what a server shows in /readyz and /metrics."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final, Self

GOOD: Final = ("installed", "unchanged")
RESULTS: Final = (*GOOD, "unreachable", "missing", "refused", "local")
"""All results; those that are not good are the kinds of PullError."""
_LONGEST_ERROR: Final = 2_000
"""Characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptReport:
    """One attempt."""

    at: float
    """When it ended, Unix time."""
    seconds: float
    """How long it took."""
    result: str
    """One of RESULTS."""
    serial: int | None = None
    """Of the file after the attempt; None where the attempt failed."""
    failures: int = 0
    """Failed attempts in a row, this one included."""
    wait: float = 0.0
    """Seconds until the next attempt; 0 where there is none."""
    error: str | None = None
    """Why it failed; names objects and files, never secrets."""

    @property
    def good(self) -> bool:
        """Whether the file is equal to the store's object."""
        return self.result in GOOD

    def line(self) -> str:
        """Return it as a line of JSON; a long error is cut, because the server ends a child with endless lines."""
        return json.dumps(asdict(self) | {"error": self.error and self.error[:_LONGEST_ERROR]}) + "\n"

    @classmethod
    def parse(cls, line: str | bytes) -> Self:
        """Read what `line` has written; raise ValueError for anything else."""
        try:
            report = cls(**json.loads(line))
        except TypeError as error:
            raise ValueError(f"expected a report of a pull, found {line!r}") from error
        if report.result not in RESULTS:
            raise ValueError(f"expected one of {RESULTS}, found {report.result!r}")
        return report
