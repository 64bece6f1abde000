"""The values that answers are made of: what was asked, what an operator has set, and what was decided.

A `Decider` makes and remembers them. None of them holds a part of another snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirrorlistd.presets import DEFAULT
from mirrorlistd.request.routes import Routes

if TYPE_CHECKING:
    from random import Random

    from mirrorlistd.presets import Preset
    from mirrorlistd.render import Renderer
    from mirrorlistd.request.query import Query
    from mirrorlistd.selection.batches import BatchedDraw
    from mirrorlistd.selection.index import Offers, Target
    from mirrorlistd.selection.rank import Ranking, SelectionQuery


@dataclass(frozen=True, slots=True)
class AnswerSettings:
    """What an operator can set about lists."""

    preset: Preset = DEFAULT
    """Which way of answering; the index must have been made with its heaviest weight."""
    minimum: int = 5
    """Mirrors that the tiers before the global one must hold to do without it."""
    limit: int | None = None
    """Mirrors in a list, unless the client asks for another number; None leaves it to the preset."""
    sticky: float = 600.0
    """Seconds for which redirects of one client go to one mirror: a transaction should not change horses."""
    public_url: str = ""
    """Where clients reach this server, without a slash at the end; empty: nobody has said."""
    routes: Routes = field(default_factory=Routes)
    """Which paths are lists."""


@dataclass(frozen=True, slots=True, eq=False)
class ResolvedQuery:
    """A query understood: all of an answer that does not depend on who asks. Each is equal to itself alone."""

    query: Query
    target: Target
    selection_query: SelectionQuery
    offers: Offers
    renderer: Renderer
    limit: int
    times: bytes
    """The second comment line that `time` asks for, or nothing."""
    separator: bytes
    """What ends a line of a text list after the base URL: the path and LF."""
    plain: bool
    """A text list of one URL a mirror for whoever asks: what most clients want, and what a plan can write by itself."""


@dataclass(frozen=True, slots=True, eq=False)
class ResponseMeta:
    """All of what goes back to a client but the body; the lanes add `content-length`, `date` and `server`."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    """Lower-case names."""
    tier: int
    """Tier code of the first mirror (see `mirrorlist_snapshot.tiers`), 0 where there is no list: for statistics."""
    format: str
    """Name of the body's format, that of errors is the text format's: for statistics."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """All of an answer but chance: one query, one place."""

    ranking: Ranking
    comment: bytes
    """Comment lines, each ending in LF; empty where the client wants none."""
    meta: ResponseMeta
    """Of the plain list."""
    lines: BatchedDraw[bytes]
    """Deals base URLs: the first of each mirror."""
    separator: bytes
    """As of `ResolvedQuery`."""

    def body(self, random: Random) -> bytes:
        """Write a plain list (see `ResolvedQuery`); empty where nobody is offered."""
        urls = self.lines.draw(random)
        separator = self.separator
        return b"".join((self.comment, separator.join(urls), separator)) if urls else b""
