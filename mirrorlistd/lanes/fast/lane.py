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
from bisect import bisect_left
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from mirrorlistd.lanes.connection import Guard
from mirrorlistd.lanes.respond import client_of, needs_recording, peer_at, respond
from mirrorlistd.render import TEXT_HEADERS
from mirrorlistd.request.http_head import over_https, parse_head
from mirrorlistd.state.state import CONNECTION_CLOSE, CachedHead
from mirrorlistd.telemetry.counters import BUCKETS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    import uvicorn
    from uvicorn.server import ServerState

    from mirrorlistd.answering.answer import Client
    from mirrorlistd.answering.plan import ResponseMeta
    from mirrorlistd.request.client_address import Trust
    from mirrorlistd.state.service import Service
    from mirrorlistd.state.state import Peer, State

    Defaults = list[tuple[bytes, bytes]]

_SHORT: Final = 4_096
_LENGTHS: Final = tuple(b"%d" % length for length in range(_SHORT))
"""Lengths of lists, in digits: looked up in a tenth of the time that writing one takes."""
_QUICK: Final = BUCKETS[0]
"""Seconds; most answers take less, and need not be looked for among the buckets."""
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

    __slots__ = ("_needles", "_trust", "defaults", "plain_top", "service")

    def __init__(self, service: Service) -> None:
        self.service = service
        self.defaults: Defaults | None = None
        """uvicorn's headers, date and server, that the top of usual answers was made with."""
        self.plain_top = b""
        self._trust: Trust | None = None
        self._needles: tuple[bytes, ...] = ()

    def top(self, meta: ResponseMeta, defaults: Defaults) -> bytes:
        """Status line and headers up to the value of content-length."""
        if meta.headers is TEXT_HEADERS and meta.status == 200:  # noqa: PLR2004 - lists
            return self.plain_top if defaults is self.defaults else self.renew(defaults)
        return _top(meta.status, (*defaults, *meta.headers))

    def renew(self, defaults: Defaults) -> bytes:
        """Make the top of usual answers anew; uvicorn makes another list of headers each second."""
        self.defaults = defaults
        self.plain_top = _top(200, (*defaults, *TEXT_HEADERS))
        return self.plain_top

    def needles(self, trust: Trust) -> tuple[bytes, ...]:
        """What stands before a forwarded address, as proxies write it; nothing where no proxy is trusted."""
        if trust is not self._trust:
            names = (trust.header.title(), trust.header) if trust.anyone else ()
            self._trust, self._needles = trust, tuple(b"\r\n%b: " % name for name in names)
        return self._needles


def _top(status: int, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    lines = [b"%b: %b\r\n" % header for header in headers]
    return b"".join((STATUS_LINE[status], *lines, b"content-length: "))


class FastLane(Guard):
    """One connection whose plain requests for lists are answered here."""

    __slots__ = ("_client", "_hot", "_needle", "_peer", "_scheme", "_trust", "_who")

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
        self._peer: str | None = None
        self._who: Peer
        self._scheme = b""
        self._needle = b""
        """What stands before the address in the heads of a trusted proxy, as this one writes it."""
        self._client: Client | None = None
        """Who asks where the peer is no proxy; None where that cannot be told."""
        self._hot = False
        """Usual requests need no more ado than being counted."""

    def data_received(self, data: bytes) -> None:
        """Answer at once a buffer that is exactly one known head.

        Almost all requests end here, so this is `_answer` without its calls: each would take a twentieth of the time.
        """
        started = perf_counter()
        shared = self.shared
        service = shared.service
        state = service.state
        if state is None:
            super().data_received(data)
            return
        if self.open:
            try:
                if state.trust is not self._trust:
                    self._meet(state)
                if needle := self._needle:
                    before, _, after = data.partition(needle)
                    value, _, rest = after.partition(b"\r\n")
                    known, client = state.proxied.get(b"\0".join((before, rest))), state.named.get(value)
                else:
                    known, client = state.heads.get(data), self._client
                if (
                    known is not None
                    and client is not None
                    and self._hot
                    and (plan := state.decider.plans.get((known.plain_query, client.place))) is not None
                    and (urls := plan.ready.pop() if plan.ready else plan.lines.draw(service.random))
                ):
                    separator = plan.separator
                    lines = separator.join(urls)
                    length = plan.around + len(lines)
                    defaults = self.server_state.default_headers
                    answer = b"".join(
                        (
                            shared.plain_top if defaults is shared.defaults else shared.renew(defaults),
                            _LENGTHS[length] if length < _SHORT else b"%d" % length,
                            known.connection_close,
                            plan.opening,
                            lines,
                            separator,
                        )
                    )
                    counters = service.counters
                    elapsed = perf_counter() - started
                    counters.plain_fast[plan.tier][bisect_left(BUCKETS, elapsed) if elapsed > _QUICK else 0] += 1
                    counters.seconds += elapsed
                    self.since = started
                    self._head_since = 0.0
                    self.transport.write(answer)
                    if known.connection_close:
                        self.close()
                    return
            except Exception:  # noqa: BLE001, S110 - a defect: the other lane will meet it again
                pass
        if not (self.open and self._answer(state, data, started)):
            super().data_received(data)

    def answer_last(self) -> None:
        """Make the next answer the last."""
        super().answer_last()
        self._hot = False

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
            known, client = self._recall(state, raw)
            if known is None or client is None:
                found = self._understand(state, raw) if new else None
                if found is None:
                    return False
                known, client = found
            head = known.head
            list_request = head.list_request
            if list_request.redirect and over_https(head.scheme if self._who.believed else b"", self._scheme):
                list_request = replace(list_request, https=True)
            meta, body = respond(service, state, list_request, client, started)
        except Exception:  # noqa: BLE001 - a defect: the other lane will meet it again, log it, and answer 500
            return False
        keep_alive = head.keep_alive and self.seconds > 0
        self.transport.write(
            b"".join(
                (
                    self.shared.top(meta, self.server_state.default_headers),
                    _LENGTHS[length] if (length := len(body)) < _SHORT else b"%d" % length,
                    b"" if keep_alive else CONNECTION_CLOSE,
                    b"\r\n\r\n",
                    body if head.wants_body else b"",
                )
            )
        )
        self.since = started
        self._head_since = 0.0
        service.counters.fast += 1
        if not keep_alive:
            self.close()
        return True

    def _recall(self, state: State, raw: bytes) -> tuple[CachedHead | None, Client | None]:
        """Look a head up, without its forwarded address, and who that names; None where llhttp is to judge."""
        if state.trust is not self._trust:
            self._meet(state)
        key, value = self._cut(state, raw)
        if value is None:
            return state.heads.get(raw), self._who.client
        known = state.proxied.get(key)
        return known, client_of(state, self._peer, (value,)) if _ADDRESSES.fullmatch(value) else None

    def _cut(self, state: State, raw: bytes) -> tuple[bytes, bytes | None]:
        """Give what to remember a head by: itself, and None; or it with NUL for the forwarded address, and that."""
        for needle in self.shared.needles(state.trust):
            before, found, after = raw.partition(needle)
            if found:
                if self._who.believed:
                    self._needle = needle
                value, _, rest = after.partition(b"\r\n")
                return b"\0".join((before, rest)), value
        return raw, None

    def _understand(self, state: State, raw: bytes) -> tuple[CachedHead, Client] | None:
        """Read a new head."""
        trust = state.trust
        head = parse_head(raw, state.decider.settings.routes, trust.header)
        if head is None:
            return None
        known = CachedHead.of(state.decider, head)
        key, value = self._cut(state, raw)
        # An address that no needle found must not become a part of what is remembered.
        told = value is not None or not (head.forwarded and trust.anyone)
        if head.lasting and told and len(key) <= _LONGEST_REMEMBERED:
            (state.heads if value is None else state.proxied).remember(key, known)
        return known, client_of(state, self._peer, head.forwarded)

    def _meet(self, state: State) -> None:
        """Find out what this state makes of the peer."""
        # Not by uvicorn's `get_remote_addr`: the loop makes a socket object for it, a tenth of what connecting costs.
        name: tuple[str, int] | str | None = self.transport.get_extra_info("peername")
        self._peer = name[0] if isinstance(name, tuple) else None  # that of a unix socket is a string
        self._scheme = b"https" if self.transport.get_extra_info("sslcontext") else b"http"
        self._who = peer_at(state, self._peer)
        self._needle = self.shared.needles(state.trust)[0] if self._who.believed else b""
        self._trust = state.trust
        self._client = None if self._who.client.failed or self._who.believed else self._who.client
        self._hot = self.seconds > 0 and not needs_recording(self.shared.service, state)
