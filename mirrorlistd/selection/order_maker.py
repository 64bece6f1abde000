"""Choose how a network's orders are drawn: batches need numpy, whose import takes 13 MB and a tenth of a second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirrorlistd.selection.orders import Orders

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FEW: Final = 16
"""Mirrors of a small network: a batch would save some microseconds of an answer."""


def maker(weights: Sequence[int]) -> Callable[[tuple[int, ...], int], Orders]:
    """Return what makes orders in a network of mirrors with these weights, of masks of tiers and a length.

    No batch may be drawn before a process forks: its children would draw the same orders.
    """
    if len(weights) <= FEW:
        return lambda masks, _: Orders(masks, weights)
    from mirrorlistd.selection.batched_orders import BatchedOrders, Chance  # noqa: PLC0415 - numpy

    chance = Chance(weights)
    return lambda masks, count: BatchedOrders(masks, count, chance)
