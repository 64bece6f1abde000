"""Hashes of a file, as `sha256sum --check` reads them: one line of hash, two spaces and the file's name."""

from __future__ import annotations

from functools import partial
from typing import Final

from mirrorlistd.render.listing import TEXT_HEADERS, Listing, Rendered, Renderer

HASHES: Final = ("sha256", "sha512", "sha1", "md5")
"""Names of formats, and fields of `FileVersion`."""


def _hash(kind: str, listing: Listing) -> Rendered:
    details = listing.details
    value: str = getattr(details.current, kind) if details is not None else ""  # the decider refuses an unknown one
    name = listing.target.path.rpartition(b"/")[2]
    return Rendered(200, TEXT_HEADERS, value.encode() + b"  " + name + b"\n")


HASH_FORMATS: Final = tuple(
    Renderer(kind, partial(_hash, kind), longest=1, file="repodata/repomd.xml", hash=kind) for kind in HASHES
)
