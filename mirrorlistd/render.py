"""Chosen mirrors -> bytes, one renderer per format: adding a format is one function and one row in `FORMATS`.

Lists for package clients are strict (clients.md): LF only, one comment line at the top and only there, nothing else
but URLs. Nothing is ever built from raw request bytes or from the Host header. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

import orjson
from mirrorlist_snapshot.tiers import FALLBACK, tier_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mirrorlistd.index import Index, Offers, Target
    from mirrorlistd.selection import Choice

LIST_HEADERS: Final = ((b"cache-control", b"private, no-store"),)
"""No list client uses ETag or 304, and a shared cache would mix up places (clients.md, trap 5)."""


@dataclass(frozen=True, slots=True)
class Listing:
    """An answer before it has a shape: what was asked, who is near, who was drawn."""

    index: Index
    target: Target
    offers: Offers
    choice: Choice
    order: Sequence[int]
    """Mirror numbers, best first; never empty."""
    comment: bytes
    """Comment lines, each ending in LF; empty where the client wants none."""


@dataclass(frozen=True, slots=True)
class Renderer:
    """One format."""

    name: str
    """The value of `format=`."""
    headers: tuple[tuple[bytes, bytes], ...]
    """Lower-case names, with the content type."""
    render: Callable[[Listing], bytes]


def _text(listing: Listing) -> bytes:
    """URLs, one a line: the body is joined with the path as the separator."""
    separator = listing.target.suffix + b"\n"
    offers = listing.offers
    if offers.single:
        lines = separator.join(map(offers.first.__getitem__, listing.order))
    else:
        lines = separator.join(chain.from_iterable(map(offers.urls.__getitem__, listing.order)))
    return listing.comment + lines + separator


def _json(listing: Listing) -> bytes:
    """An array at the top level, the shape libzypp takes; `prio` is the place in the list, 0 first."""
    suffix = listing.target.suffix
    tiers = tiers_of(listing.choice)
    mirrors = listing.index.snapshot.mirrors
    rows: list[dict[str, object]] = []
    for mirror in listing.order:
        for url in listing.offers.urls[mirror]:
            rows.append(
                {
                    "url": (url + suffix).decode(),
                    "prio": len(rows),
                    "country": mirrors[mirror].country,
                    "tier": tier_name(tiers[mirror]),
                }
            )
    return orjson.dumps(rows, option=orjson.OPT_APPEND_NEWLINE)


def tiers_of(choice: Choice) -> dict[int, int]:
    """Mirror number -> code of the tier it stands in."""
    codes = {mirror: tier.code for tier in choice.tiers for mirror in tier.mirrors}
    if choice.fallback is not None:
        codes.update(dict.fromkeys(choice.fallback.mirrors, FALLBACK))
    return codes


TEXT: Final = Renderer("text", ((b"content-type", b"text/plain; charset=utf-8"), *LIST_HEADERS), _text)
"""What every list client takes."""
FORMATS: Final[Mapping[str, Renderer]] = {
    renderer.name: renderer
    for renderer in (TEXT, Renderer("json", ((b"content-type", b"application/json"), *LIST_HEADERS), _json))
}
"""Every value of `format=`; none asked for means `text`."""
