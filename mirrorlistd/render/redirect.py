"""A redirect to the best mirror, with the next ones as duplicates (RFC 6249) and the file's hash where it is known.

Our own metalinks are named only where the operator says under which URL clients reach us: nothing is built from the
Host header (docs/client-compatibility.md, Odd requests are answered), and a relative reference, which RFC 8288 allows,
sends wget2 to a host `metalink`.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Final

from mirrorlistd.render.listing import Listing, Rendered, Renderer, file_name
from mirrorlistd.render.parts import Frame
from mirrorlistd.request.escapes import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirrorlistd.selection.index import Index, Target

DUPLICATES: Final = 6
"""Mirrors in the `Link` headers: enough for failover, few enough for a small header. The first is among them because
wget2 downloads from the links only."""
_HEADERS: Final = (
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"cache-control", b"private"),
    (b"vary", b"accept"),
)


def _redirect(listing: Listing) -> Rendered:
    mirrors = list(listing.lines())
    best = mirrors[0][2]
    links = [
        f"<{url}>; rel=duplicate; pri={place}{f'; geo={mirror.country.lower()}' if mirror.country else ''}"
        for place, (mirror, _, url) in enumerate(mirrors, start=1)
    ]
    if file_name(listing.target) and listing.public_url:
        links += _described_by(listing)
    headers = [*_HEADERS, (b"location", best.encode())]
    headers += [(b"link", link.encode()) for link in links]
    if digest := listing.parts.frame_of(_digest, listing.index, listing.target).opening:
        headers.append((b"digest", digest))
    return Rendered(302, tuple(headers), best.encode() + b"\n")


def _digest(index: Index, target: Target) -> Frame:
    """Return the value of `Digest` (RFC 3230), empty where the hash is not known."""
    details = index.details(target)
    known = details is not None and details.current.sha256
    return Frame(b"SHA-256=" + b64encode(bytes.fromhex(known)) if known else b"", b"", b"")


def _described_by(listing: Listing) -> Iterator[str]:
    """Yield links to the metalinks of the file, by its path."""
    top = listing.index.snapshot.categories[listing.target.category].top.encode()
    path = b"/".join(filter(None, (quoted(top), listing.target.suffix))).replace(b"&", b"%26").decode()
    for shape, kind in (("metalink4", "metalink4+xml"), ("metalink", "metalink+xml")):
        yield f'<{listing.public_url}/metalink?path={path}&format={shape}>; rel=describedby; type="application/{kind}"'


REDIRECT: Final = Renderer("redirect", _redirect, stable=True, longest=DUPLICATES)
"""302 for one file or directory; also by `redirect=1`."""
