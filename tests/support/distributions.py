"""Statistics that compare what was drawn with what was expected."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

T = TypeVar("T")


def chi_square(observed: Counter[T], weights: Mapping[T, float], draws: int) -> float:
    """How far counts lie from the shares of the weights."""
    total = sum(weights.values())
    return sum(
        (observed[thing] - draws * weight / total) ** 2 / (draws * weight / total) for thing, weight in weights.items()
    )


def unlikely(statistic: float, degrees: int) -> bool:
    """Whether a chi-square statistic is above the upper 0.1 % point of its distribution (Wilson and Hilferty, 1931)."""
    spread = 2 / (9 * degrees) if degrees else 0
    highest: float = degrees * (1 - spread + 3.09 * spread**0.5) ** 3
    return statistic > highest
