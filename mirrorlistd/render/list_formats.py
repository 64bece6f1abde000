"""Lists, one line or one row per URL: text, apt, pacman, JSON."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

import orjson

from mirrorlist_snapshot.tiers import tier_name
from mirrorlistd.render.listing import LIST_HEADERS, TEXT_HEADERS, Listing, Rendered, Renderer

if TYPE_CHECKING:
    from collections.abc import Iterator

_JSON_HEADERS: Final = ((b"content-type", b"application/json"), *LIST_HEADERS)


def _text(listing: Listing) -> Rendered:
    """Render URLs, one a line. `Plan.body` renders lists of one URL a mirror in the same way."""
    separator = listing.target.suffix + b"\n"
    urls = chain.from_iterable(map(listing.offers.urls.__getitem__, listing.order))
    return Rendered(200, TEXT_HEADERS, b"".join((listing.comment, separator.join(urls), separator)))


def _apt(listing: Listing) -> Rendered:
    """Render for apt's mirror method: it shuffles lines of equal priority, so each tier has its own.

    Without priorities apt would mix the tiers; the TAB before them breaks dnf (docs/client-compatibility.md, Priorities
    for apt), hence a format.
    """
    code_of = listing.ranking.code
    codes = sorted({code for code, _ in listing.ranking.all_tiers})
    ranks = {code: rank for rank, code in enumerate(codes, start=1)}
    lines = [f"{url}\tpriority:{ranks[code_of(number)]}\n" for _, number, url in listing.lines()]
    return Rendered(200, TEXT_HEADERS, listing.comment + "".join(lines).encode())


def _pacman(listing: Listing) -> Rendered:
    """Render for pacman's `Include`: it fills in `$repo` and `$arch` itself.

    A path with such variables is taken as it is. In the path of a repository the architecture becomes `$arch`. Anything
    else is where all repositories are, and the layout follows.
    """
    path = listing.target.suffix.decode().strip("/").replace("%24repo", "$repo").replace("%24arch", "$arch")
    segments = path.split("/") if path else []
    if "$repo" not in segments and "$arch" not in segments:
        arch = listing.target.arch
        segments = ["$arch" if segment == arch else segment for segment in segments]
        if not arch or "$arch" not in segments:
            segments.append(listing.pacman_layout)
    tail = "/".join(segments).encode()
    lines = (b"Server = %b%b\n" % (url, tail) for number in listing.order for url in listing.offers.urls[number])
    return Rendered(200, TEXT_HEADERS, listing.comment + b"".join(lines))


def _json(listing: Listing) -> Rendered:
    """Render an array at the top level, the shape libzypp takes; `prio` is the place in the list, 0 first."""
    code_of = listing.ranking.code

    def rows() -> Iterator[dict[str, object]]:
        for place, (mirror, number, url) in enumerate(listing.lines()):
            yield {"url": url, "prio": place, "country": mirror.country, "tier": tier_name(code_of(number))}

    return Rendered(200, _JSON_HEADERS, orjson.dumps(list(rows()), option=orjson.OPT_APPEND_NEWLINE))


TEXT: Final = Renderer("text", _text)
"""What every list client takes."""
APT: Final = Renderer("apt", _apt)
PACMAN: Final = Renderer("pacman", _pacman)
JSON: Final = Renderer("json", _json)
