"""MirrorManager's way, as its mirrorlist-server answers: a drop-in for the clients that know it.

What departs from the original, and why, is a table in docs/mirrormanager.md. Header and errors are the original's to
the byte, but made of the snapshot's names and canonical values: what a client wrote comes back escaped, if at all.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.tiers import CONTINENT, COUNTRY, GLOBAL, NETBLOCK
from mirrorlistd.errors import Reason
from mirrorlistd.presets.preset import UNLIMITED, Preset
from mirrorlistd.render import METALINK, TEXT_HEADERS, Rendered, not_a_metalink
from mirrorlistd.request.query import parse_query
from mirrorlistd.selection.index import quoted
from mirrorlistd.selection.rank import of_asn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirrorlist_snapshot.model import Snapshot
    from mirrorlistd.presets.preset import Refused
    from mirrorlistd.request.query import Query
    from mirrorlistd.selection.index import Index, Target
    from mirrorlistd.selection.rank import Ranking, RankInput

_SOURCE: Final = "source"
"""A repository whose name holds this has this one architecture, whatever clients say."""
_NOT_NAMED: Final = "# either path=, or repo= and arch= must be specified"
_MOST_SHOWN: Final = 2_000
"""Repositories that an error lists: Fedora has some 800, and an error must stay cheap."""


def _read(raw: bytes) -> Query:
    query = parse_query(raw, flags_by_presence=True)
    return replace(query, arch=_SOURCE) if query.repo and _SOURCE in query.repo else query


def _comment(query: Query, target: Target, rank_input: RankInput, ranking: Ranking) -> bytes:
    """Say what was asked and which networks and countries there are mirrors for, a space after each word."""
    words = [target.label.rstrip(b"/"), *_found_via(query, rank_input, ranking)]
    protocols = b"protocol = " + ",".join(query.protocols).encode() if query.protocols else b""
    return b"".join(word + b" " for word in words) + protocols + b"\n"


def _found_via(query: Query, rank_input: RankInput, ranking: Ranking) -> Iterator[bytes]:
    """Yield a word for each source of mirrors, even where all of its mirrors stand in an earlier tier, too."""
    by_country = bool(query.countries or query.everywhere)
    if ranking.by_country:
        countries = _countries(rank_input, [mirror for tier in ranking.tiers for mirror in tier.mirrors])
        yield from (_country(country) for country in countries if country in query.countries or not query.everywhere)
        if query.everywhere:
            yield b"country = global"
        return
    if any(tier.code == NETBLOCK for tier in ranking.tiers):
        yield b"Using preferred netblock"
    if ranking.exclusive:
        return
    if rank_input.selection_query.own_network and not by_country and of_asn(rank_input):
        yield b"Using ASN %d" % rank_input.place.asn
    for code in sorted({rank_input.codes[mirror] for mirror in rank_input.carried}):
        if COUNTRY <= code <= CONTINENT:
            yield from map(
                _country, _countries(rank_input, [one for one in rank_input.carried if rank_input.codes[one] == code])
            )
    if sum(len(tier.mirrors) for tier in ranking.tiers if tier.code != GLOBAL) < rank_input.minimum:
        yield b"country = global"


def _countries(rank_input: RankInput, mirrors: list[int]) -> list[str]:
    """Name the countries of some mirrors, in an order that depends on nothing else."""
    return sorted({country for number in mirrors if (country := rank_input.index.snapshot.mirrors[number].country)})


def _country(country: str) -> bytes:
    return b"country = " + country.encode()


class _Refusals:
    """The original's words for what it does not serve; ours where it has none."""

    def __init__(self, index: Index, *, as_it_was: bool = False) -> None:
        """`as_it_was`: with the status 200 where the original gives it."""
        self._snapshot = index.snapshot
        self._statuses = {Reason.NOT_NAMED: 200, Reason.DISABLED: 200} if as_it_was else {}
        self._known = "# following repositories are available:\n" + "".join(_available(index.snapshot))

    def __call__(self, refused: Refused) -> Rendered:
        reason, query = refused.error.reason, refused.query
        if reason is Reason.NO_REPOSITORY and query and query.arch is None:
            reason = Reason.NOT_NAMED
        match reason:
            case Reason.NOT_NAMED:
                said = _NOT_NAMED
            case Reason.DISABLED:
                said = "repo disabled"
            case Reason.NO_PATH:
                said = "error: invalid path"
            case Reason.NO_REPOSITORY:
                said = f"{self._named(query)}error: invalid repo or arch\n{self._known}"
            case _:
                said = refused.error.message + "\n"
        status = self._statuses.get(reason, reason.status)
        if refused.format == METALINK.name:
            return not_a_metalink(status, self._snapshot.built, said)
        return Rendered(status, TEXT_HEADERS, said.encode())

    def _named(self, query: Query | None) -> str:
        """Repeat what was asked for: it is in no snapshot, so it is escaped."""
        if query is None:
            return ""
        repo = query.repo or ""
        words = (self._snapshot.aliases.get(repo, repo), query.arch or "")
        return "# repo = {} arch = {} ".format(*(quoted(word.encode()).decode() for word in words))


def _available(snapshot: Snapshot) -> Iterator[str]:
    """Yield a line for each repository and architecture that can be asked for, as the original sorts them."""
    pairs = [
        (repository.name, directory.arch)
        for repository in snapshot.repositories
        if not repository.disabled
        for directory in repository.directories
    ]
    for repo, arch in sorted(pairs, key="+".join)[:_MOST_SHOWN]:
        yield f"# repo={repo}&arch={arch}\n" if arch else f"# repo={repo}\n"
    if len(pairs) > _MOST_SHOWN:
        yield f"# and {len(pairs) - _MOST_SHOWN} more: see /repos\n"


MIRRORMANAGER: Final = Preset(
    name="mirrormanager",
    limit=UNLIMITED,
    heaviest=10_000,
    bare_metalinks=False,
    read=_read,
    comment=_comment,
    refusals=_Refusals,
)
MIRRORMANAGER_AS_IT_WAS: Final = replace(MIRRORMANAGER, refusals=partial(_Refusals, as_it_was=True))
"""The same with the original's statuses: 200 for disabled repositories and where too little was named."""
