"""The preset `mirrormanager`: answers like MirrorManager's mirrorlist-server, for clients that expect them.

Comment lines and errors equal the original's byte for byte, but have the snapshot's names and canonical values: a
client's own text comes back escaped or not at all. docs/mirrormanager.md lists the differences and their reasons.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.tiers import CONTINENT, COUNTRY, GLOBAL, NETBLOCK
from mirrorlistd.errors import Reason
from mirrorlistd.presets.preset import UNLIMITED, Preset
from mirrorlistd.render import METALINK, TEXT_HEADERS, Rendered, not_a_metalink
from mirrorlistd.request.escapes import quoted
from mirrorlistd.request.query import parse_query
from mirrorlistd.selection.rank import of_asn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirrorlist_snapshot.model import Snapshot
    from mirrorlistd.presets.preset import Refused
    from mirrorlistd.request.query import Query
    from mirrorlistd.selection.index import Index, Target
    from mirrorlistd.selection.rank import Ranking, RankInput

_SOURCE: Final = "source"
"""A repository whose name contains this has this architecture, whatever `arch=` is."""
_NOT_NAMED: Final = "# either path=, or repo= and arch= must be specified"
_MOST_SHOWN: Final = 2_000
"""Repositories in an error: more than Fedora has, few enough to keep an error cheap."""


def _read(raw: bytes) -> Query:
    query = parse_query(raw, flags_by_presence=True)
    return replace(query, arch=_SOURCE) if query.repo and _SOURCE in query.repo else query


def _comment(query: Query, target: Target, rank_input: RankInput, ranking: Ranking) -> bytes:
    """Return the comment line: the content, then each network and country that mirrors were found for."""
    words = [target.label.rstrip(b"/"), *_found_via(query, rank_input, ranking)]
    protocols = b"protocol = " + ",".join(query.protocols).encode() if query.protocols else b""
    return b"".join(word + b" " for word in words) + protocols + b"\n"


def _found_via(query: Query, rank_input: RankInput, ranking: Ranking) -> Iterator[bytes]:
    """Yield a word for each source of mirrors, also where all of its mirrors are in an earlier tier."""
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
    codes, carried = rank_input.codes, rank_input.carried
    for code in sorted({codes[mirror] for mirror in carried}):
        if COUNTRY <= code <= CONTINENT:
            yield from map(
                _country,
                _countries(rank_input, [mirror for mirror in carried if codes[mirror] == code]),
            )
    if sum(len(tier.mirrors) for tier in ranking.tiers if tier.code != GLOBAL) < rank_input.minimum:
        yield b"country = global"


def _countries(rank_input: RankInput, mirrors: list[int]) -> list[str]:
    """Return the countries of some mirrors, sorted."""
    return sorted({country for number in mirrors if (country := rank_input.index.snapshot.mirrors[number].country)})


def _country(country: str) -> bytes:
    return b"country = " + country.encode()


class _Refusals:
    """Error texts: the original's, or the default preset's where it has none."""

    def __init__(self, index: Index, *, as_it_was: bool = False) -> None:
        """With `as_it_was`, some errors have the original's status 200."""
        self._snapshot = index.snapshot
        self._statuses = {Reason.NOT_NAMED: 200, Reason.DISABLED: 200} if as_it_was else {}
        self._known = "# following repositories are available:\n" + "".join(_available(index.snapshot))

    def __call__(self, refused: Refused) -> Rendered:
        reason, query = refused.error.reason, refused.query
        if reason is Reason.NO_REPOSITORY and query and query.arch is None:
            reason = Reason.NOT_NAMED
        match reason:
            case Reason.NOT_NAMED:
                message = _NOT_NAMED
            case Reason.DISABLED:
                message = "repo disabled"
            case Reason.NO_PATH:
                message = "error: invalid path"
            case Reason.NO_REPOSITORY:
                message = f"{self._named(query)}error: invalid repo or arch\n{self._known}"
            case _:
                message = refused.error.message + "\n"
        status = self._statuses.get(reason, reason.status)
        if refused.format == METALINK.name:
            return not_a_metalink(status, self._snapshot.built, message)
        return Rendered(status, TEXT_HEADERS, message.encode())

    def _named(self, query: Query | None) -> str:
        """Repeat the client's names, escaped, because the snapshot does not have them."""
        if query is None:
            return ""
        repo = query.repo or ""
        words = (self._snapshot.aliases.get(repo, repo), query.arch or "")
        return "# repo = {} arch = {} ".format(*(quoted(word.encode()).decode() for word in words))


def _available(snapshot: Snapshot) -> Iterator[str]:
    """Yield a line for each repository and architecture, sorted like the original's."""
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
"""The same, with the original's status 200 for disabled repositories and incomplete queries."""
