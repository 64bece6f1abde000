"""The preset `mirrormanager`: answers like MirrorManager's mirrorlist-server, for clients that expect them.

Comment lines and errors equal the original's byte for byte, but have the snapshot's names and canonical values: a
client's own text comes back escaped or not at all. docs/mirrormanager.md lists the differences and their reasons.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.tiers import ASN, NETBLOCK
from mirrorlistd.errors import Reason
from mirrorlistd.presets.preset import UNLIMITED, Preset
from mirrorlistd.render import METALINK, TEXT_HEADERS, Rendered, not_a_metalink
from mirrorlistd.request.escapes import quoted
from mirrorlistd.request.query import parse_query
from mirrorlistd.selection.draw import mask_union

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mirrorlist_snapshot.model import Snapshot
    from mirrorlistd.presets.preset import Refused
    from mirrorlistd.request.query import Query
    from mirrorlistd.selection.index import Index, Target
    from mirrorlistd.selection.rank import Question, Tiers

_SOURCE: Final = "source"
"""A repository whose name contains this has this architecture, whatever `arch=` is."""
_NOT_NAMED: Final = "# either path=, or repo= and arch= must be specified"
_MOST_SHOWN: Final = 2_000
"""Repositories in an error: more than Fedora has, few enough to keep an error cheap."""


def _read(raw: bytes) -> Query:
    query = parse_query(raw, flags_by_presence=True)
    return replace(query, arch=_SOURCE) if query.repo and _SOURCE in query.repo else query


def _comment(query: Query, target: Target) -> tuple[bytes, bytes]:
    protocols = b"protocol = " + ",".join(query.protocols).encode() if query.protocols else b""
    return target.label.rstrip(b"/") + b" ", protocols + b"\n"


def _words(index: Index, tiers: Tiers, question: Question, minimum: int) -> Callable[[int], bytes]:
    """Write each network and country that mirrors were found for, also where all are in an earlier tier."""
    found: list[tuple[bytes, int]] = []
    netblocks = mask_union(mask for code, mask in tiers.near if code == NETBLOCK)
    found.append((b"Using preferred netblock ", netblocks))
    for code, tier in tiers.near:
        if code == ASN:
            found.append((b"Using ASN %d " % tiers.place.asn, tier))
        elif code != NETBLOCK:
            found += [
                (b"country = %b " % country.encode(), mirrors & tier)
                for country, mirrors in index.countries.items()
                if mirrors & tier and (country in question.countries or not (tiers.by_country and question.everywhere))
            ]
    reach = tiers.reach  # the function must not refer to `tiers`, which refers to it
    least = (1 << 30 if question.everywhere else 0) if tiers.by_country else 0 if tiers.exclusive else minimum

    def words(mask: int) -> bytes:
        enough = (reach & mask).bit_count() >= least
        return b"".join(word for word, mirrors in found if mirrors & mask) + (b"" if enough else b"country = global ")

    return words


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
    words=_words,
    refusals=_Refusals,
)
MIRRORMANAGER_AS_IT_WAS: Final = replace(MIRRORMANAGER, refusals=partial(_Refusals, as_it_was=True))
"""The same, with the original's status 200 for disabled repositories and incomplete queries."""
