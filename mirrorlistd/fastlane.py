"""The fast lane: plain requests for lists are answered in the event loop's own call, in one write.

uvicorn makes a task, an event, a dictionary and two writes for each request, Starlette more. A list needs none of that:
the raw head is looked up among the heads already understood (`head`), and `respond` does the rest. Whatever is not such
a request goes on, unconsumed, to the ASGI lane behind (see `guard`), and so does whatever fails here: the client gets
what the ASGI lane gives, always.

The lookup leaves out the one part of a head that differs from client to client behind a proxy, the address in the
forwarding header. That value is checked and understood by itself.
"""

from __future__ import annotations

import re
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.protocols.utils import get_remote_addr, is_ssl

from mirrorlistd.decision import Prepared
from mirrorlistd.guard import Guard
from mirrorlistd.head import over_https, understand
from mirrorlistd.lane import asker_of, note, respond
from mirrorlistd.state import Known

if TYPE_CHECKING:
    import asyncio

    import uvicorn
    from uvicorn.server import ServerState

    from mirrorlistd.address import Trust
    from mirrorlistd.answer import Asker
    from mirrorlistd.decision import Manner
    from mirrorlistd.service import Service
    from mirrorlistd.state import State

    Headers = tuple[tuple[bytes, bytes], ...]

_SHORT: Final = 4_096
_LENGTHS: Final = tuple(b"%d" % length for length in range(_SHORT))
"""Lengths of lists, in digits: looked up in a tenth of the time that writing one takes."""
_LONGEST_REMEMBERED: Final = 2_048
"""Longer heads are answered, not remembered: bytes."""
_ADDRESSES: Final = re.compile(rb"[0-9A-Fa-f.:, ]{1,256}")
"""Forwarded addresses that need no parser to be a legal header value; others are left to llhttp."""


def fast_lane(service: Service) -> type[FastLane]:
    """Make the protocol that uvicorn's `http=` takes, for one service."""

    class Lane(FastLane):
        __slots__ = ()
        shared = Shared(service)
        counting = service

    return Lane


class Shared:
    """What the connections of one server share: the service, and the top of an answer, made once a second."""

    __slots__ = ("_defaults", "_headers", "_needles", "_top", "_trust", "service")

    def __init__(self, service: Service) -> None:
        self.service = service
        self._defaults: list[tuple[bytes, bytes]] | None = None
        self._headers: Headers = ()
        self._top = b""
        self._trust: Trust | None = None
        self._needles: tuple[bytes, ...] = ()

    def top(self, manner: Manner, defaults: list[tuple[bytes, bytes]]) -> bytes:
        """Status line and headers up to the value of content-length; `defaults` are uvicorn's: date and server."""
        if manner.headers is self._headers and defaults is self._defaults and manner.status == 200:  # noqa: PLR2004 - lists
            return self._top
        lines = [b"%b: %b\r\n" % header for header in (*defaults, *manner.headers)]
        top = b"".join((STATUS_LINE[manner.status], *lines, b"content-length: "))
        if manner.status == 200:  # noqa: PLR2004 - as above
            self._defaults, self._headers, self._top = defaults, manner.headers, top
        return top

    def needles(self, trust: Trust) -> tuple[bytes, ...]:
        """What stands before a forwarded address, as proxies write it; nothing where no proxy is trusted."""
        if trust is not self._trust:
            names = (trust.header.title(), trust.header) if trust.anyone else ()
            self._trust, self._needles = trust, tuple(b"\r\n%b: " % name for name in names)
        return self._needles


class FastLane(Guard):
    """One connection whose plain requests for lists are answered here."""

    __slots__ = ("_asker", "_believed", "_needles", "_peer", "_scheme", "_trust")

    shared: ClassVar[Shared]

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._trust: Trust | None = None
        """Of the state that the following are true of; another state has another one."""
        self._needles: tuple[bytes, ...] = ()
        self._peer: str | None = None
        self._scheme = b""
        self._believed = False
        """The peer is a trusted proxy."""
        self._asker: Asker
        """Who asks when no proxy says so."""

    def data_received(self, data: bytes) -> None:
        """Answer at once a buffer that is exactly one known head."""
        started = perf_counter()
        state = self.shared.service.state
        if not (self.open and state is not None and self._answer(state, data, started)):
            super().data_received(data)

    def take(self, head: bytes) -> None:
        """Answer a head that is plain, and remember it."""
        started = perf_counter()
        state = self.shared.service.state
        if not (state is not None and self._answer(state, head, started, new=True)):
            self.hand_over(head)

    def _answer(self, state: State, raw: bytes, started: float, *, new: bool = False) -> bool:
        """Answer a known head, or also a `new` one, in one write; False if it is not plain: nothing is written then."""
        service = self.shared.service
        try:
            known, asker = self._recall(state, raw)
            if known is None or asker is None:
                found = self._understand(state, raw) if new else None
                if found is None:
                    return False
                known, asker = found
            head = known.head
            plan = state.decider.plans.get((known.prepared, asker.place, True))
            if plan is not None and (body := plan.body(service.random)):
                manner = plan.manner
                note(service, state, head.asked, asker, manner, started)
            else:
                asked = head.asked
                if asked.redirect and over_https(head.scheme if self._believed else b"", self._scheme):
                    asked = replace(asked, https=True)
                manner, body = respond(service, state, asked, asker, started)
        except Exception:  # noqa: BLE001 - a defect: the other lane will meet it again, log it, and answer 500
            return False
        keep_alive = head.keep_alive and self.seconds > 0
        self.transport.write(
            b"".join(
                (
                    self.shared.top(manner, self.server_state.default_headers),
                    _LENGTHS[length] if (length := len(body)) < _SHORT else b"%d" % length,
                    b"\r\n\r\n" if keep_alive else b"\r\nconnection: close\r\n\r\n",
                    body if head.wants_body else b"",
                )
            )
        )
        self.since = started
        self._head_since = 0.0
        self.server_state.total_requests += 1
        service.counters.fast += 1
        if not keep_alive:
            self.close()
        return True

    def _recall(self, state: State, raw: bytes) -> tuple[Known | None, Asker | None]:
        """Look a head up, without its forwarded address, and who that names; None where llhttp is to judge."""
        if state.trust is not self._trust:
            self._meet(state)
        for needle in self._needles:
            before, found, after = raw.partition(needle)
            if found:
                value, _, rest = after.partition(b"\r\n")
                known = state.heads.get(b"\0".join((before, rest)))
                return known, state.askers.get((self._peer, value)) or self._named(state, value)
        return state.heads.get(raw), self._asker

    def _named(self, state: State, value: bytes) -> Asker | None:
        """Who a forwarding header's value names; None where the value is llhttp's to judge."""
        return asker_of(state, self._peer, (value,)) if _ADDRESSES.fullmatch(value) else None

    def _understand(self, state: State, raw: bytes) -> tuple[Known, Asker] | None:
        """Read a new head."""
        trust = state.trust
        head = understand(raw, state.decider.settings.routes, trust.header)
        if head is None:
            return None
        prepared = state.decider.prepare(head.asked.query)
        known = Known(head, prepared if isinstance(prepared, Prepared) and prepared.plain else None)
        key = self._key(raw, head.forwarded if trust.anyone else ())
        if head.lasting and key is not None and len(key) <= _LONGEST_REMEMBERED:
            state.heads.remember(key, known)
        return known, asker_of(state, self._peer, head.forwarded)

    def _key(self, raw: bytes, forwarded: tuple[bytes, ...]) -> bytes | None:
        """What to remember a head by; None where a forwarded address was not found by its needle.

        That is the head without the address. NUL marks the place: no head that llhttp takes has one, so this is never
        the key of another head.
        """
        if not forwarded:
            return raw
        for needle in self._needles:
            before, found, after = raw.partition(needle)
            if found:
                return b"\0".join((before, after.partition(b"\r\n")[2]))
        return None

    def _meet(self, state: State) -> None:
        """Find out what this state makes of the peer."""
        trust = state.trust
        peer = get_remote_addr(self.transport)
        self._peer = peer[0] if peer else None
        self._scheme = b"https" if is_ssl(self.transport) else b"http"
        self._needles = self.shared.needles(trust)
        self._believed = trust.believes(self._peer)
        self._asker = asker_of(state, self._peer, ())
        self._trust = trust
