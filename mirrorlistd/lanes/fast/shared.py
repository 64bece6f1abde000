"""What all connections of one service share: the first lines of answers, the bytes before forwarded addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorlistd.lanes.uvicorn_internals import STATUS_LINE
from mirrorlistd.render import TEXT_HEADERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlistd.answering.plan import ResponseMeta
    from mirrorlistd.request.client_address import Trust
    from mirrorlistd.state.service import Service

    Defaults = list[tuple[bytes, bytes]]


class Shared:
    """The service of all connections, and values that are renewed once a second or once a state."""

    __slots__ = ("_prefixes", "_trust", "defaults", "list_top", "service")

    def __init__(self, service: Service) -> None:
        self.service = service
        self.defaults: Defaults | None = None
        """uvicorn's list of headers, date and server, from which `list_top` was made."""
        self.list_top = b""
        """The top of an answer with a list (see `top`)."""
        self._trust: Trust | None = None
        self._prefixes: tuple[bytes, ...] = ()

    def top(self, meta: ResponseMeta, defaults: Defaults) -> bytes:
        """Return the top of an answer: status line and headers up to the value of content-length."""
        if meta.headers is TEXT_HEADERS and meta.status == 200:  # noqa: PLR2004 - lists
            return self.list_top if defaults is self.defaults else self.renew(defaults)
        return _top(meta.status, (*defaults, *meta.headers))

    def renew(self, defaults: Defaults) -> bytes:
        """Make `list_top` anew: uvicorn makes another list of headers each second."""
        self.defaults = defaults
        self.list_top = _top(200, (*defaults, *TEXT_HEADERS))
        return self.list_top

    def prefixes(self, trust: Trust) -> tuple[bytes, ...]:
        """Return the bytes that stand before a forwarded address, as proxies spell them; none without a proxy."""
        if trust is not self._trust:
            names = (trust.header.title(), trust.header) if trust.anyone else ()
            self._trust, self._prefixes = trust, tuple(b"\r\n%b: " % name for name in names)
        return self._prefixes


def _top(status: int, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    lines = [b"%b: %b\r\n" % header for header in headers]
    return b"".join((STATUS_LINE[status], *lines, b"content-length: "))
