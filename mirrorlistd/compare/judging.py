"""Answers of two servers to one request -> what differs, and what is only chance. Pure.

Lists are shuffled within each tier, so neither can be told from one answer. Both servers are asked several times, and:

- **statuses** that were given, and **what is said of the file**, must be the same;
- **mirrors**: where neither server's answers vary, the sets must be the same. Where they do (a list is cut at a limit),
  a mirror that one gives often and the other never is a difference;
- **redirects** name one mirror, which was drawn, and which a server may keep for a client: two that never name the same
  one are in doubt, no more;
- **tiers**: after how many mirrors have the same ones always come first? There a tier ends. Of the mirrors that
  every answer has, where one server always ends a tier and the other often does not, they differ.

What may still be chance makes a verdict *suspicious*: ask more often, and judge again, `sure`. What then remains rare
(less than OFTEN) is a doubt, not a difference: two mirrors of which one has a hundred times the bandwidth stand in
the same order nearly always, whether in one tier or in two.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlistd.compare.answers import SeenAnswer

OFTEN: Final = 0.2
"""Share of the answers. What happens so often by chance happens never in sixty with a probability of 2 in a million."""

Rows = list[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which two servers differ."""

    kind: str
    """`status`, `mirrors`, `urls` (of the same hosts), `tiers` or `file`."""
    ours: list[str] | list[list[str]]
    """What only ours has; for tiers, all of them, of what both have."""
    other: list[str] | list[list[str]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What comparing came to."""

    differences: tuple[Difference, ...]
    suspicious: bool
    """More answers could tell a difference from chance."""


def judge(ours: Sequence[SeenAnswer], other: Sequence[SeenAnswer], *, sure: bool) -> Comparison:
    """Compare what two servers have answered, each at least once; `sure` says that there will be no more answers."""
    found: list[Difference] = []
    for kind, mine, theirs in (
        ("status", {str(seen.status) for seen in ours}, {str(seen.status) for seen in other}),
        ("file", {fact for seen in ours for fact in seen.facts}, {fact for seen in other for fact in seen.facts}),
    ):
        if mine != theirs:
            found.append(Difference(kind, sorted(mine - theirs), sorted(theirs - mine)))
    mine_rows, other_rows = [seen.urls for seen in ours], [seen.urls for seen in other]
    if any(seen.is_redirect for seen in (*ours, *other)):
        return Comparison(tuple(found), not {seen.urls for seen in ours} & {seen.urls for seen in other})
    mirrors, may_be_more = _mirrors(mine_rows, other_rows, sure=sure)
    tiers, may_be_tiers = _tiers(mine_rows, other_rows, sure=sure)
    found += [difference for difference in (mirrors, tiers) if difference]
    return Comparison(tuple(found), may_be_more or may_be_tiers)


def _mirrors(ours: Rows, other: Rows, *, sure: bool) -> tuple[Difference | None, bool]:
    steady = all(len({frozenset(row) for row in rows}) == 1 for rows in (ours, other))
    counts = [Counter(url for row in rows for url in row) for rows in (ours, other)]
    only: list[list[str]] = []
    doubts = 0
    for mine, theirs, rows in ((counts[0], counts[1], ours), (counts[1], counts[0], other)):
        missing = [url for url in mine if url not in theirs]
        told = [url for url in missing if steady or (sure and mine[url] >= OFTEN * len(rows))]
        doubts += len(missing) - len(told)
        only.append(sorted(told))
    if not any(only):
        return None, doubts > 0
    same_hosts = {_host(url) for url in only[0]} == {_host(url) for url in only[1]}
    return Difference("urls" if same_hosts else "mirrors", *only), doubts > 0


def _tiers(ours: Rows, other: Rows, *, sure: bool) -> tuple[Difference | None, bool]:
    common = frozenset(ours[0]).intersection(*ours, *other)
    mine, theirs = ([tuple(url for url in row if url in common) for row in rows] for rows in (ours, other))
    broken = max(_broken(mine, theirs), _broken(theirs, mine))
    if not (sure and broken >= OFTEN):
        return None, broken > 0
    return Difference("tiers", tiers_of(mine), tiers_of(theirs)), False


def _broken(rows: Rows, others: Rows) -> float:
    """How often the others break an end of a tier that all the rows keep: the largest share."""
    first = rows[0]
    worst = 0
    for end in ends_of(rows):
        ahead = frozenset(first[:end])
        worst = max(worst, sum(not ahead.issuperset(row[:end]) for row in others))
    return worst / len(others)


def ends_of(rows: Rows) -> list[int]:
    """After how many of the same URLs, in whatever order, all rows have had the same; never the last place."""
    times: Counter[str] = Counter()
    unfinished = 0
    ends: list[int] = []
    for place, column in enumerate(zip(*rows, strict=True), 1):
        for url in column:
            times[url] += 1
            unfinished += (times[url] == 1) - (times[url] == len(rows))
        if not unfinished and place < len(rows[0]):
            ends.append(place)
    return ends


def tiers_of(rows: Rows) -> list[list[str]]:
    """The URLs between two ends, in the order of the alphabet."""
    ends = [0, *ends_of(rows), len(rows[0])]
    return [sorted(rows[0][begin:end]) for begin, end in pairwise(ends) if end > begin]


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]
