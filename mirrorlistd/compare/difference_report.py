"""The results of a comparison, for people and for programs. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mirrorlistd.compare.comparer import Result
    from mirrorlistd.compare.judging import Difference
    from mirrorlistd.compare.requests import RequestList

_SHOWN: Final = 5
"""Names in a row of text; JSON has all."""


def outcome(result: Result) -> str:
    """Return one of `same`, `different`, `unclear` (a rare difference may be chance), `failed`."""
    if result.verdict is None:
        return "failed"
    if result.verdict.differences:
        return "different"
    return "unclear" if result.verdict.suspicious else "same"


def as_text(result: Result) -> str:
    """Return several lines about a request whose answers differ."""
    client = f" for {result.request.address}" if result.request.address else ""
    lines = [f"{outcome(result)}: {result.request.target}{client} (lines: {result.lines:,}, asks: {result.asks})"]
    if result.verdict is None:
        lines.append(f"  {result.trouble}")
    else:
        for difference in result.verdict.differences:
            lines += _rows(difference)
    return "".join(f"{line}\n" for line in lines)


def _rows(difference: Difference) -> Iterator[str]:
    for name, items in (("ours", difference.ours), ("other", difference.other)):
        if difference.kind == "tiers":
            tiers = [f"({_some(tier, ' ')})" for tier in items if isinstance(tier, list)]
            yield f"  tiers    {name:<5} {_some(tiers, ', then ')}"
        elif items:
            yield f"  {difference.kind:<8} {name:<5} {_some([str(item) for item in items], ' ')}"


def _some(names: Sequence[str], between: str) -> str:
    more = len(names) - _SHOWN
    return between.join(names[:_SHOWN]) + (f"{between}{more} more" if more > 0 else "")


def summary(results: Sequence[Result], plan: RequestList) -> str:
    """Return one line about all requests."""
    counts: dict[str, int] = dict.fromkeys(("same", "different", "unclear", "failed"), 0)
    for result in results:
        counts[outcome(result)] += 1
    outcomes = ", ".join(
        f"{count:,} {name}" for name, count in counts.items() if count or name in ("same", "different")
    )
    lines = sum(plan.lines.values())
    more = f"; {plan.left_out:,} lines with others were left out (--most)" if plan.left_out else ""
    return f"{len(results):,} requests of {lines:,} lines: {outcomes}{more}\n"


def as_json(results: Sequence[Result], plan: RequestList, stopped: str) -> str:
    """Return everything as JSON; `stopped` is why the comparison ended early, if it did."""
    facts: dict[str, Any] = {
        "requests": len(results),
        "lines": sum(plan.lines.values()),
        "lines_left_out": plan.left_out,
        "bad_lines": plan.bad,
        "stopped": stopped or None,
        "results": [
            {
                "target": result.request.target,
                "address": result.request.address,
                "lines": result.lines,
                "asks": result.asks,
                "outcome": outcome(result),
                "differences": [asdict(difference) for difference in result.verdict.differences]
                if result.verdict
                else [],
                "trouble": result.trouble or None,
            }
            for result in results
        ],
    }
    return json.dumps(facts, indent=2) + "\n"
