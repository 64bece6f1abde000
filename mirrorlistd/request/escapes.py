"""Percent-encoding of paths: what a client escaped stays escaped on its way to the mirror. Pure.

Reserved characters change their meaning when they are escaped or unescaped (RFC 3986, 2.2). Object stores read `+` as a
space, so apt writes `%2B`. Paths are looked up decoded and sent as they came.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote_to_bytes

# Everything that may be unescaped in the path of a URL (RFC 3986, 3.3) and in a comment line.
_SAFE_IN_PATH: Final = "/!$&'()*+,;=:@~"
_HEX: Final = b"0123456789ABCDEFabcdef"
_LONGEST: Final = 3 * 1_024
"""Bytes of a percent-encoded path; longer ones are refused where they are looked up."""
_MOST: Final = 384
"""Escapes that are kept; a path with more of them is escaped anew, which bounds the cost."""


def quoted(path: bytes) -> bytes:
    """Percent-encode every byte with a meaning of its own in the path of a URL or in a comment line."""
    return quote(path, safe=_SAFE_IN_PATH).encode()


def kept(raw: bytes) -> bytes:
    """Return a percent-encoded path as it is sent to mirrors: its escapes kept, in upper case, other bytes made safe.

    Slashes are collapsed and cut at the ends. Empty where the path is `quoted` of its decoded bytes.
    """
    if len(raw) > _LONGEST or not 0 < raw.count(b"%") <= _MOST:
        return b""
    path = b"/".join(filter(None, raw.split(b"/")))
    start, *escapes = path.split(b"%")
    parts = [start]
    for escape in escapes:
        digits = escape[:2]
        is_escape = len(digits) == 2 and not digits.translate(None, _HEX)  # noqa: PLR2004 - digits of an escape
        parts.append(b"%" + digits.upper() + escape[2:] if is_escape else b"%25" + escape)
    sent = quote(b"".join(parts), safe=_SAFE_IN_PATH + "%").encode()
    return b"" if sent == quoted(b"/".join(filter(None, unquote_to_bytes(path).split(b"/")))) else sent
