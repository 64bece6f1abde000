"""Percent-encoding of paths: what a client escaped stays escaped on its way to the mirror. Pure.

Reserved characters change their meaning when they are escaped or unescaped (RFC 3986, 2.2). Object stores read `+` as a
space, so apt writes `%2B`. Paths are looked up decoded and sent as they came.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes

# Everything that may be unescaped in the path of a URL (RFC 3986, 3.3) and in a comment line.
_SAFE_IN_PATH: Final = "/!$&'()*+,;=:@~"
_NO_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ESCAPE: Final = re.compile(rb"%[0-9A-Fa-f]{2}")


def quoted(path: bytes) -> bytes:
    """Percent-encode every byte with a meaning of its own in the path of a URL or in a comment line."""
    return quote(path, safe=_SAFE_IN_PATH).encode()


def kept(raw: bytes) -> bytes:
    """Return a percent-encoded path as it is sent to mirrors: its escapes kept, in upper case, other bytes made safe.

    Slashes are collapsed and cut at the ends. Empty where the path is `quoted` of its decoded bytes.
    """
    path = b"/".join(filter(None, raw.split(b"/")))
    if b"%" not in path:
        return b""
    escaped = _ESCAPE.sub(lambda found: found[0].upper(), _NO_ESCAPE.sub(b"%25", path))
    sent = quote(escaped, safe=_SAFE_IN_PATH + "%").encode()
    return b"" if sent == quoted(b"/".join(filter(None, unquote_to_bytes(path).split(b"/")))) else sent
