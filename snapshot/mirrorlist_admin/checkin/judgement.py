"""Judge the claims of reports by what the prober has seen since. Pure.

One claim that was found wrong costs a public mirror a day: its reports do not count, and all its units are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from mirrorlist_admin.store.checkin_rows import ClaimKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mirrorlist_admin.checkin.acceptance import UnitName
    from mirrorlist_admin.store.checkin_rows import Claim
    from mirrorlist_admin.store.rows import UnitProbe

DISTRUST: Final = 86_400
"""Seconds for which reports do not count after a wrong one."""
ABSENT: Final = 2
"""Answers of 404 in a row that say that a unit is missing; one may be a slip."""


class Finding(Enum):
    """What the prober's look says of a claim."""

    OPEN = auto()
    """It has not looked since, or cannot say yet."""
    RIGHT = auto()
    """The mirror has the claimed version, or a later one."""
    WRONG = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A unit of a mirror, of which a report counts as if the prober had seen it."""

    mirror: str
    category: str
    unit: str
    sha256: str
    """Empty: the mirror does not have it."""
    size: int
    at: int
    """When the report arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What follows for the claims of one mirror."""

    words: tuple[Word, ...]
    done: tuple[Claim, ...]
    """Claims that are settled and can be forgotten."""
    waiting: bool
    """Whether the report is still to be judged."""
    wrong: Claim | None
    """The claim that was found wrong."""


def find(claim: Claim, probe: UnitProbe | None, ages: Mapping[str, int]) -> Finding:
    """Compare a claim with what was last seen of the unit; `ages`: version of the master -> when it appeared there."""
    if probe is None or probe.asked <= claim.received or 0 < probe.absent < ABSENT:
        return Finding.OPEN
    if probe.absent:
        return Finding.WRONG if claim.sha256 else Finding.RIGHT
    if probe.sha256 == claim.sha256:
        return Finding.RIGHT
    appeared = ages.get(probe.sha256)
    if appeared is None:  # neither of the master's versions: probably ahead of it
        return Finding.RIGHT
    later = claim.sha256 in ages and appeared > ages[claim.sha256]
    return Finding.RIGHT if later or appeared > claim.received else Finding.WRONG


def judge(
    claims: Sequence[Claim],
    probes: Mapping[UnitName, UnitProbe],
    ages: Mapping[UnitName, Mapping[str, int]],
    *,
    private: bool,
    waiting: bool,
) -> Judged:
    """Judge the claims of one mirror."""
    lowering = [claim for claim in claims if claim.kind == ClaimKind.LOWERS]
    raising = [claim for claim in claims if claim.kind != ClaimKind.LOWERS]
    words = [_word(claim) for claim in lowering]
    if private:
        words += [_word(claim) for claim in raising]
        return Judged(words=tuple(words), done=tuple(claims), waiting=False, wrong=None)
    found = {
        claim: find(claim, probes.get((claim.category, claim.unit)), ages.get((claim.category, claim.unit), {}))
        for claim in raising
    }
    wrong = next((claim for claim, finding in found.items() if finding is Finding.WRONG), None)
    if wrong is not None:
        return Judged(words=tuple(words), done=tuple(claims), waiting=False, wrong=wrong)
    still = [claim for claim, finding in found.items() if finding is Finding.OPEN]
    sampling = any(claim.kind == ClaimKind.SAMPLED for claim in still)
    if waiting and not sampling:
        words += [_word(claim) for claim in still]
    done = [*lowering, *(claim for claim, finding in found.items() if finding is Finding.RIGHT)]
    return Judged(words=tuple(words), done=tuple(done), waiting=waiting and sampling, wrong=None)


def _word(claim: Claim) -> Word:
    return Word(
        mirror=claim.mirror,
        category=claim.category,
        unit=claim.unit,
        sha256=claim.sha256,
        size=claim.size,
        at=claim.received,
    )
