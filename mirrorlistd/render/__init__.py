"""Formats of answers: one module per family, one row per format in `FORMATS`.

Adding a format touches one file and this table. Lists for package clients are strict (docs/client-compatibility.md): LF
only, comment lines at the top and only there, nothing else but what the client parses. Nothing is ever built from raw
request bytes or from the Host header. Pure: no clock, no randomness.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirrorlistd.render.hashes import HASH_FORMATS
from mirrorlistd.render.list_formats import APT, JSON, PACMAN, TEXT
from mirrorlistd.render.listing import TEXT_HEADERS, Listing, Rendered, Renderer, tiers_of
from mirrorlistd.render.metalink import METALINK, METALINK4, not_a_metalink
from mirrorlistd.render.redirect import REDIRECT

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "FORMATS",
    "METALINK",
    "METALINK4",
    "REDIRECT",
    "TEXT",
    "TEXT_HEADERS",
    "Listing",
    "Rendered",
    "Renderer",
    "not_a_metalink",
    "tiers_of",
]

FORMATS: Final[Mapping[str, Renderer]] = {
    renderer.name: renderer for renderer in (TEXT, JSON, APT, PACMAN, METALINK, METALINK4, REDIRECT, *HASH_FORMATS)
}
"""Every value of `format=`; the default is `text`."""
