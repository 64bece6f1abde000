"""Values of answering: the settings, a resolved query, and what goes with the body of an answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mirrorlistd.presets import DEFAULT
from mirrorlistd.request.client_address import NO_PREFIXES
from mirrorlistd.request.routes import Routes

if TYPE_CHECKING:
    from mirrorlist_snapshot.embedded_ipv4 import OwnPrefixes
    from mirrorlistd.presets import Preset
    from mirrorlistd.render import Renderer
    from mirrorlistd.request.query import Query
    from mirrorlistd.selection.index import Offers, Target
    from mirrorlistd.selection.rank import Carriers, Question, Tiers


KEEP: Final = "keep"


@dataclass(frozen=True, slots=True)
class AnswerSettings:
    """What an operator can set about lists."""

    preset: Preset = DEFAULT
    """Which way of answering; the index must have been made with its heaviest weight."""
    minimum: int = 5
    """The global tier is left out where the nearer tiers hold at least this many mirrors."""
    limit: int | None = None
    """Mirrors in a list, unless the client asks for another number; None leaves it to the preset."""
    sticky: float = 600.0
    """Seconds for which redirects of one client go to one mirror: a transaction should stay on one."""
    redirect_scheme: str = KEEP
    """KEEP: a redirect of a request over http goes to http where the mirror has it. `https`: to https first.

    A request over https is redirected to https alone, in any case.
    """
    own_prefixes: OwnPrefixes = NO_PREFIXES
    """The operator's NAT64 prefixes: addresses behind them count as IPv4."""
    public_url: str = ""
    """Where clients reach this server, without a slash at the end; empty where it is not configured."""
    pacman_layout: str = "$repo/os/$arch"
    """What follows the URL of a directory in lists for pacman; it replaces the variables."""
    routes: Routes = field(default_factory=Routes)
    """Which paths are lists."""


@dataclass(frozen=True, slots=True, eq=False)
class ResolvedQuery:
    """A query, resolved: the part of an answer that does not depend on the client. Compared by identity."""

    query: Query
    target: Target
    question: Question
    offers: Offers
    carriers: Carriers
    renderer: Renderer
    limit: int
    comment: tuple[bytes, bytes]
    """What stands in the comment lines before and after the place's words; empty where the client wants none."""
    separator: bytes
    """What follows a base URL in a text list: the path and LF."""
    for_client: bool
    """Whether the list is for the client itself, without `ip=`, and its order need not be stable."""
    fixed_length: int
    """Length of a text list without the place's words, its URLs and the separators between them, in bytes."""
    plain: bool
    """Whether this is a text list of one URL a mirror, without `ip=`: most requests are."""

    def comment_at(self, tiers: Tiers) -> bytes:
        """Return the comment lines of a list at a place, each ending in LF."""
        before, after = self.comment
        return b"".join((before, tiers.words(self.carriers.mask), after)) if after else b""


@dataclass(frozen=True, slots=True, eq=False)
class ResponseMeta:
    """All of an answer but the body; the lanes add `content-length`, `date` and `server`."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    """Lower-case names."""
    tier: int
    """Tier code of the first mirror (see `mirrorlist_snapshot.tiers`), 0 where there is no list; for statistics."""
    format: str
    """Name of the body's format; errors have the text format's; for statistics."""
