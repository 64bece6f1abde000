"""Orders: weighted shuffles of a place's mirrors, whatever the clients there ask for.

A weighted shuffle without the mirrors that do not carry some content is a weighted shuffle of those that do, with the
same weights (Plackett and Luce: the order of the others does not depend on who is left out). So one drawn order serves
any content: its answer takes the carriers, in order. Each order is used once.

An order has every mirror of all tiers but the last one, and the first mirrors of the last. Where these are not enough,
another order goes on: what it has and the list does not is a weighted shuffle of the rest.

Small networks draw one order at a time, all others draw batches (see `order_maker`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from mirrorlistd.selection.draw import mask_union, shuffled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from mirrorlistd.memo import Memo


class Orders:
    """Orders of the mirrors of some tiers, nearest first."""

    __slots__ = ("_masks", "_weights", "complete", "mask", "ready")

    in_batches: ClassVar[bool] = False
    """Whether `lists` draws many lists at once."""

    def __init__(self, masks: tuple[int, ...], weights: Sequence[int], *, complete: bool = True) -> None:
        """Take the masks of the tiers; draw nothing yet."""
        self._masks = masks
        self._weights = weights
        self.complete: Final = complete
        """Whether an order has every mirror of the tiers."""
        self.mask: Final = mask_union(masks)
        self.ready: Final[list[Sequence[int]]] = []
        """What `draw` returns next, the last one first; the fast lane takes from it without a call."""

    def suit(self, mask: int, wanted: int) -> bool:  # noqa: ARG002 - of short orders this depends on both
        """Whether an order has so many of the mirrors in a mask, on average, or all of them."""
        return True

    def lists(
        self, mask: int, urls: Sequence[bytes], limit: int, random: Random
    ) -> tuple[list[list[bytes]], list[Sequence[int]]]:
        """Draw lists of one content, and orders: lists of exactly `limit` URLs, and orders that are too short for one.

        `mask` has the content's carriers, `urls` their base URLs, by mirror number.
        """
        raise NotImplementedError

    def draw(self, random: Random) -> Sequence[int]:
        """Return the numbers of mirrors, best first, and in between, any number of times, the number of no mirror."""
        if not self.ready:
            self.refill(random)
        return self.ready.pop()

    def refill(self, random: Random) -> None:
        """Draw at least one order."""
        order: list[int] = []
        for mask in self._masks:
            order += shuffled(mask, mask.bit_count(), self._weights, random)
        self.ready.append(order)


def orders_of(
    known: Memo[tuple[tuple[int, ...], int], Orders],
    make: Callable[[tuple[int, ...], int], Orders],
    masks: tuple[int, ...],
    count: int,
) -> Orders:
    """Return the orders of some tiers, one object for equal tiers: places share them."""
    key = (masks, count)
    return known.get(key) or known.remember(key, make(masks, count))
