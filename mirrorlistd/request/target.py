"""Request targets (RFC 9112, 3.2): the four forms, and the path and query that each of them means. Pure.

Both lanes read targets here, so they understand and refuse the same ones.
"""

from __future__ import annotations

import re
from typing import Final

_SCHEME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://")
_AUTHORITY: Final = re.compile(
    rb"(?:[A-Za-z0-9._~!$&'()*+,;=:%-]*@)?"  # user information
    rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.v]+\])"  # a name or an IPv4 address; an IPv6 address
    rb"(?::([0-9]*))?"
)
_END_OF_AUTHORITY: Final = re.compile(rb"[/?#]")
_MAX_PORT: Final = 65_535
_PORT_DIGITS: Final = 5
SERVER: Final = b"*"
"""The asterisk form: OPTIONS for the server as a whole."""


def origin_form(method: bytes, target: bytes) -> bytes:
    """Return what a target means in origin form (`/path?query`), or SERVER; raise ValueError for any other target.

    Of an absolute form (`http://host/path?query`) scheme and authority are checked and dropped: the server has one
    site, whatever a client calls it. The authority form belongs to CONNECT, and a server that is no proxy has no use
    for it.
    """
    if method == b"CONNECT":
        raise ValueError("CONNECT is for proxies")
    if target.startswith(b"/"):
        return target
    if target == SERVER:
        if method != b"OPTIONS":
            raise ValueError("the asterisk form is for OPTIONS")
        return target
    scheme = _SCHEME.match(target)
    if scheme is None:
        raise ValueError("neither a path nor a URL")
    end = _END_OF_AUTHORITY.search(target, scheme.end())
    authority = _AUTHORITY.fullmatch(target, scheme.end(), end.start() if end else len(target))
    if authority is None:
        raise ValueError("no host, or characters that none has")
    port = (authority[1] or b"").lstrip(b"0")
    if len(port) > _PORT_DIGITS or int(port or b"0") > _MAX_PORT:
        raise ValueError("the port is too large")
    rest = target[authority.end() :]
    return rest if rest.startswith(b"/") else b"/" + rest
