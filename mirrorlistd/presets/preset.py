"""What a preset is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from mirrorlist_snapshot.model import MAX_MIRRORS

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirrorlistd.errors import NotServedError, QueryError
    from mirrorlistd.render import Rendered
    from mirrorlistd.request.query import Query
    from mirrorlistd.selection.index import Index, Target
    from mirrorlistd.selection.rank import Ranking, RankInput


UNLIMITED: Final = MAX_MIRRORS
"""As many mirrors in a list as there can be."""


class Refused(NamedTuple):
    """A request that gets no list: what any words for it are made from. Small, because memos are full of them."""

    error: QueryError | NotServedError
    query: Query | None
    """What was asked, where it could be read."""
    format: str
    """The format that was asked for, empty for none: a refusal may have to come in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One way of answering."""

    name: str
    """The value of --preset."""
    limit: int
    """Mirrors in a list, where neither the client nor the operator says how many."""
    heaviest: int
    """Mbit/s: no mirror weighs more in a shuffle."""
    bare_metalinks: bool
    """There are metalinks of files of which the snapshot knows nothing but where they are."""
    read: Callable[[bytes], Query]
    """What stands after the `?` -> what is asked; raises QueryError."""
    comment: Callable[[Query, Target, RankInput, Ranking], bytes]
    """The comment line of a list, ending in LF."""
    refusals: Callable[[Index], Callable[[Refused], Rendered]]
    """Makes, once per snapshot, what turns refusals into answers."""
