"""What every renderer gets and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from mirrorlist_snapshot.tiers import FALLBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mirrorlist_snapshot.model import FileDetails, Mirror
    from mirrorlistd.selection.index import Index, Offers, Target
    from mirrorlistd.selection.rank import Ranking

LIST_HEADERS: Final = ((b"cache-control", b"private, no-store"),)
"""No list client uses ETag or 304, and a shared cache would mix up places (docs/client-compatibility.md, Lists are not
cached)."""
TEXT_HEADERS: Final = ((b"content-type", b"text/plain; charset=utf-8"), *LIST_HEADERS)
"""Of plain lists, and of what is said instead of a list."""


@dataclass(slots=True, eq=False)
class Listing:
    """An answer before it has a shape: what was asked, who is near, who was drawn."""

    index: Index
    target: Target
    offers: Offers
    ranking: Ranking
    order: Sequence[int]
    """Mirror numbers, best first; never empty."""
    comment: bytes
    """Comment lines, each ending in LF; empty where the client wants none."""
    public_url: str
    """Where clients reach this server, without a slash at the end; empty where nobody has said."""

    @property
    def details(self) -> FileDetails | None:
        """What the snapshot knows of the file that was asked for."""
        return self.index.details(self.target)

    @property
    def file_name(self) -> str:
        """Last segment of the path; empty for a directory. Undecodable bytes are replaced."""
        return "" if self.target.is_directory else self.target.path.rpartition(b"/")[2].decode("utf-8", "replace")

    def lines(self) -> Iterator[tuple[Mirror, int, str]]:
        """(mirror, its number, URL) for every URL, best first."""
        suffix = self.target.suffix
        mirrors = self.index.snapshot.mirrors
        urls = self.offers.urls
        return ((mirrors[number], number, (url + suffix).decode()) for number in self.order for url in urls[number])


class Rendered(NamedTuple):
    """An answer in its shape."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    """Lower-case names, with the content type."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Renderer:
    """One format."""

    name: str
    """The value of `format=`."""
    render: Callable[[Listing], Rendered]
    stable: bool = False
    """The same client gets the same order for a while: its transaction stays on one mirror."""
    longest: int | None = None
    """Mirrors that it has room for where the client names no limit; None leaves it to the operator's."""
    file: str = ""
    """The file below a repository's directory that is meant where the client names none; it is about files only."""


def tiers_of(ranking: Ranking) -> dict[int, int]:
    """Mirror number -> code of the tier it stands in."""
    codes = {mirror: tier.code for tier in ranking.tiers for mirror in tier.mirrors}
    if ranking.fallback is not None:
        codes.update(dict.fromkeys(ranking.fallback.mirrors, FALLBACK))
    return codes
