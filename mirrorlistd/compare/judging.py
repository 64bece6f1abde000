"""Answers of two servers to one request -> their differences, told from chance. Pure.

Lists are shuffled within each tier, so one answer shows neither the tiers nor all mirrors. Both servers are asked
several times, and:

- **statuses**, and **facts about the file**, must be the same;
- **mirrors**: where neither server's answers vary, the sets must be the same. Where they vary (a list is cut at a
  limit), a mirror that one server gives often and the other never is a difference;
- **redirects** name one mirror, which the server drew and may keep for a client: two servers that never name the same
  mirror are suspicious, but not different;
- **tiers**: a tier ends where the same mirrors always come first. Of the mirrors that every answer has, a difference
  is where one server always ends a tier and the other often does not. Bandwidths can make such an end, too: a mirror
  with a hundred times another's comes first nearly always. Our server explains its tiers, and an end inside one of
  them is not an end; without an explanation, it is unclear in the first tiers of a client with a netblock or AS.

A comparison that may be chance is *suspicious*: more answers are needed, and then it is judged again with `sure`. What
is rare even then (less than OFTEN) stays a suspicion.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mirrorlistd.compare.answers import SeenAnswer

OFTEN: Final = 0.2
"""Share of the answers. An event of this probability is absent from sixty answers twice in a million times."""

Rows = list[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which two servers differ."""

    kind: str
    """`status`, `mirrors`, `urls` (of the same hosts), `tiers` or `file`."""
    ours: list[str] | list[list[str]]
    """What only ours has; for tiers, all tiers of the mirrors that both have."""
    other: list[str] | list[list[str]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The judgement of one request."""

    differences: tuple[Difference, ...]
    suspicious: bool
    """More answers could tell a difference from chance."""


def judge(
    ours: Sequence[SeenAnswer], other: Sequence[SeenAnswer], *, sure: bool, explained: Mapping[str, int] | None = None
) -> Comparison:
    """Compare the answers of two servers, at least one each; `sure`: there will be no more answers.

    `explained` has the number of our tier for each URL, where our server has explained them.
    """
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
    own = max(seen.own_networks for seen in (*ours, *other))
    tiers, may_be_tiers = _tiers(mine_rows, other_rows, sure=sure, explained=explained or {}, own=own)
    found += [difference for difference in (mirrors, tiers) if difference]
    return Comparison(tuple(found), may_be_more or may_be_tiers)


def _mirrors(ours: Rows, other: Rows, *, sure: bool) -> tuple[Difference | None, bool]:
    constant = all(len({frozenset(row) for row in rows}) == 1 for rows in (ours, other))
    counts = [Counter(url for row in rows for url in row) for rows in (ours, other)]
    only: list[list[str]] = []
    doubts = 0
    for mine, theirs, rows in ((counts[0], counts[1], ours), (counts[1], counts[0], other)):
        missing = [url for url in mine if url not in theirs]
        certain = [url for url in missing if constant or (sure and mine[url] >= OFTEN * len(rows))]
        doubts += len(missing) - len(certain)
        only.append(sorted(certain))
    if not any(only):
        return None, doubts > 0
    same_hosts = {_host(url) for url in only[0]} == {_host(url) for url in only[1]}
    return Difference("urls" if same_hosts else "mirrors", *only), doubts > 0


def _tiers(
    ours: Rows, other: Rows, *, sure: bool, explained: Mapping[str, int], own: int
) -> tuple[Difference | None, bool]:
    common = frozenset(ours[0]).intersection(*ours, *other)
    mine, theirs = ([tuple(url for url in row if url in common) for row in rows] for rows in (ours, other))
    ends, their_ends = ends_of(mine), ends_of(theirs)
    if common <= explained.keys():
        numbers = [explained[url] for url in mine[0]]
        ends = [end for end in ends if max(numbers[:end]) < min(numbers[end:])]
    kept_by_us = _broken(mine, ends, theirs)
    broken = max(kept_by_us, _broken(theirs, their_ends, mine))
    if not (sure and broken >= OFTEN):
        return None, broken > 0
    if not explained and own and not _broken(theirs, their_ends, mine):
        shared = [end for end in their_ends if end in ends]
        first = [*shared, len(mine[0])][:own][-1]
        if not _broken(mine, [end for end in ends if end >= first], theirs):
            return None, True
    return Difference("tiers", _between(mine, ends), tiers_of(theirs)), False


def _broken(rows: Rows, ends: Sequence[int], others: Rows) -> float:
    """Return the largest share of the others that break an end of a tier which all the rows keep."""
    first = rows[0]
    worst = 0
    for end in ends:
        ahead = frozenset(first[:end])
        worst = max(worst, sum(not ahead.issuperset(row[:end]) for row in others))
    return worst / len(others)


def ends_of(rows: Rows) -> list[int]:
    """Return the places, except the last, before which all rows have the same URLs in any order."""
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
    """Return the URLs between two ends, sorted."""
    return _between(rows, ends_of(rows))


def _between(rows: Rows, ends: Sequence[int]) -> list[list[str]]:
    return [sorted(rows[0][begin:end]) for begin, end in pairwise((0, *ends, len(rows[0]))) if end > begin]


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]
