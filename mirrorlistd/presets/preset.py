"""The parts of a preset."""

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
    from mirrorlistd.selection.rank import Question, Tiers


UNLIMITED: Final = MAX_MIRRORS
"""No limit: a list may have every mirror."""


class Refused(NamedTuple):
    """A query that gets no list, with what its error text is made from. Small, because memos keep it."""

    error: QueryError | NotServedError
    query: Query | None
    """None where it could not be parsed."""
    format: str
    """The wanted format, empty for none: an error may have to come in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One way of answering."""

    name: str
    """The value of --preset."""
    limit: int
    """Mirrors in a list, where neither the client nor the operator sets a limit."""
    heaviest: int
    """Mbit/s: the greatest weight of a mirror in a shuffle."""
    bare_metalinks: bool
    """Whether files without file details in the snapshot have metalinks."""
    read: Callable[[bytes], Query]
    """Parses a canonical query string; raises QueryError."""
    comment: Callable[[Query, Target], tuple[bytes, bytes]]
    """What a list's comment line says of the content: before the place's words, and after them, ending in LF."""
    words: Callable[[Index, Tiers, Question, int], Callable[[int], bytes]]
    """Makes, once per place, the function that writes the place's words for a mask of carriers; the number is the
    operator's minimum."""
    refusals: Callable[[Index], Callable[[Refused], Rendered]]
    """Makes, once per snapshot, the function that renders errors."""
