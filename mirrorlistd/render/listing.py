"""Input and output of every renderer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from mirrorlistd.selection.draw import members

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mirrorlist_snapshot.model import FileDetails, Mirror
    from mirrorlistd.render.parts import Parts
    from mirrorlistd.selection.index import Index, Offers, Target
    from mirrorlistd.selection.rank import Ranking

LIST_HEADERS: Final = ((b"cache-control", b"private, no-store"),)
"""No list client uses ETag or 304, and a shared cache would mix up places (docs/client-compatibility.md, Lists are not
cached)."""
TEXT_HEADERS: Final = ((b"content-type", b"text/plain; charset=utf-8"), *LIST_HEADERS)
"""Of plain lists and of errors."""


@dataclass(slots=True, eq=False)
class Listing:
    """A list before it is rendered: content, base URLs, tiers and the drawn mirrors."""

    index: Index
    target: Target
    offers: Offers
    ranking: Ranking
    order: Sequence[int]
    """Mirror numbers, best first; never empty."""
    comment: bytes
    """Comment lines, each ending in LF; empty where the client wants none."""
    public_url: str
    """Where clients reach this server, without a slash at the end; empty where it is not configured."""
    parts: Parts
    """What is remembered between answers from one snapshot."""
    pacman_layout: str
    """What follows the URL of a directory for pacman, if its path has no variables."""

    @property
    def details(self) -> FileDetails | None:
        """Return the file's details in the snapshot."""
        return self.index.details(self.target)

    def lines(self) -> Iterator[tuple[Mirror, int, str]]:
        """Yield (mirror, its number, URL) for every URL, best first."""
        suffix = self.target.suffix
        mirrors = self.index.snapshot.mirrors
        urls = self.offers.urls
        return ((mirrors[number], number, (url + suffix).decode()) for number in self.order for url in urls[number])


def file_name(target: Target) -> str:
    """Return the last segment of the path, with undecodable bytes replaced; empty for a directory."""
    return "" if target.is_directory else target.path.rpartition(b"/")[2].decode("utf-8", "replace")


class Rendered(NamedTuple):
    """A rendered answer."""

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
    """Whether one client gets the same order for a while, so that its transaction stays on one mirror."""
    longest: int | None = None
    """Most mirrors where the client names no limit; None: the operator's limit."""
    file: str = ""
    """The file that is meant where the client names none. Set for formats that describe one file."""
    hash: str = ""
    """The field of `FileVersion` that must be known of the file."""


def tiers_of(ranking: Ranking) -> dict[int, int]:
    """Return mirror number -> tier code."""
    return {mirror: code for code, mask in ranking.all_tiers for mirror in members(mask)}
