"""Parts of answers that are made once and joined for each answer: lines of URLs by category, frames by content. Pure.

A line of a metalink is the same in every answer, but for the URL's place in the list and the path behind the base URL.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mirrorlist_snapshot.model import Mirror
    from mirrorlistd.memo import Memo
    from mirrorlistd.selection.index import Index, Offers, Target

    LineOf = Callable[[Mirror, bytes], tuple[bytes, bytes]]
    """A mirror and a base URL -> what stands before the number of a line, and what follows it."""
    FrameOf = Callable[[Index, Target], "Frame"]


class UrlLines:
    """The line of every base URL of a category, in two parts: before the line's number and after it."""

    __slots__ = ("_after", "_before")

    def __init__(self, mirrors: Sequence[Mirror], offers: Offers, line_of: LineOf) -> None:
        """Make the lines of all mirrors."""
        lines = [[line_of(mirror, url) for url in urls] for mirror, urls in zip(mirrors, offers.urls, strict=True)]
        self._before = [tuple(before for before, _ in those) for those in lines]
        self._after = [tuple(after for _, after in those) for those in lines]

    def join(self, order: Sequence[int], numbers: Callable[[int], Sequence[bytes]], tail: bytes) -> bytes:
        """Return the lines of these mirrors; `numbers` makes so many numbers, one for each line; `tail` ends each."""
        before = [*chain.from_iterable(map(self._before.__getitem__, order))]
        parts = [tail] * (4 * len(before))
        parts[0::4] = before
        parts[1::4] = numbers(len(before))
        parts[2::4] = chain.from_iterable(map(self._after.__getitem__, order))
        return b"".join(parts)


class Frame(NamedTuple):
    """What a document says of its content, around the lines."""

    opening: bytes
    tail: bytes
    """What follows a base URL, to the end of its line."""
    closing: bytes


class Parts(NamedTuple):
    """The parts of one snapshot's answers, remembered."""

    lines: Memo[tuple[LineOf, Offers], UrlLines]
    frames: Memo[tuple[FrameOf, Target], Frame]

    def lines_of(self, line_of: LineOf, mirrors: Sequence[Mirror], offers: Offers) -> UrlLines:
        """Return the lines of a category's base URLs."""
        key = line_of, offers
        return self.lines.get(key) or self.lines.remember(key, UrlLines(mirrors, offers, line_of))

    def frame_of(self, frame_of: FrameOf, index: Index, target: Target) -> Frame:
        """Return the frame of a content."""
        key = frame_of, target
        return self.frames.get(key) or self.frames.remember(key, frame_of(index, target))
