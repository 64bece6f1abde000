"""Statistics that compare what was drawn with what was expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter


def chi_square(observed: Counter[int], weights: dict[int, int], draws: int) -> float:
    """How far counts lie from the shares of the weights."""
    total = sum(weights.values())
    return sum(
        (observed[number] - draws * weight / total) ** 2 / (draws * weight / total)
        for number, weight in weights.items()
    )
