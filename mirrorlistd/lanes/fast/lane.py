"""The fast lane: plain requests for lists are answered inside the event loop's callback, in one write.

For each request uvicorn makes a task, an event, a dictionary and two writes; Starlette adds more. A list needs none of
these: the raw head is looked up among the heads already parsed, and the tiers of the client's place give the answer.
Every other request goes, unconsumed, to the ASGI lane (see `connection`). So does a request on which this lane raises
an exception: the client still gets an answer.

docs/hot-path.md lists the facts that decide whether this lane answers, and the memos that it reads.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Final

from mirrorlistd.lanes.connection import Guard
from mirrorlistd.lanes.fast.cached_heads import new_client, read_head, split_head
from mirrorlistd.lanes.fast.shared import Shared
from mirrorlistd.lanes.respond import client_of, peer_at, record_use, records_use, respond
from mirrorlistd.logs import get_logger
from mirrorlistd.request.http_head import over_https
from mirrorlistd.state.state import CONNECTION_CLOSE
from mirrorlistd.telemetry.counters import BUCKETS

if TYPE_CHECKING:
    import asyncio

    import uvicorn

    from mirrorlistd.answering.answer import Client
    from mirrorlistd.lanes.uvicorn_internals import ServerState
    from mirrorlistd.request.client_address import Trust
    from mirrorlistd.state.service import Service
    from mirrorlistd.state.state import CachedHead, Peer, State

_SHORT: Final = 4_096
_LENGTHS: Final = tuple(b"%d" % length for length in range(_SHORT))
"""Lengths of bodies in digits: a lookup takes a tenth of the time of formatting a number."""
_FIRST_BUCKET: Final = BUCKETS[0]
"""Seconds; most answers take less, and their bucket need not be searched."""


def fast_lane(serving: Service) -> type[FastLane]:
    """Return the fast lane of one service: the class that uvicorn takes as `http=`."""

    class Lane(FastLane):
        __slots__ = ()
        shared = Shared(serving)
        service = serving

    return Lane


class FastLane(Guard):
    """One connection whose plain requests for lists are answered here."""

    __slots__ = ("_address", "_client", "_hot", "_peer", "_prefix", "_recorded", "_scheme", "_trust")

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
        """The Trust of the State that the following attributes belong to; every State has its own object."""
        self._address: str | None = None
        """The socket's peer address; None for a unix socket."""
        self._peer: Peer
        self._scheme = b""
        self._prefix = b""
        """The bytes before the address in the heads of this trusted proxy; empty where the peer is no proxy."""
        self._client: Client | None = None
        """The client where the peer is no proxy; None where its address cannot be parsed."""
        self._hot = False
        """A plain list may be answered without `_answer`: no log line, no `Connection: close`."""
        self._recorded = False
        """Lists are recorded for the statistics, or counted by country."""

    def data_received(self, data: bytes) -> None:  # noqa: C901 - each call would cost up to 5 % of an answer
        """Answer a buffer that is exactly one cached head for a plain list.

        Almost all requests end here, also those of new clients, so this repeats `_answer` without its calls: each costs
        up to 5 % of the time.
        """
        started = perf_counter()
        shared = self.shared
        service = shared.service
        state = service.state
        if state is not None and self.idle:
            answer = connection_close = b""
            try:
                if state.trust is not self._trust:
                    self._inspect_peer(state)
                if prefix := self._prefix:
                    before, _, after = data.partition(prefix)
                    address, _, rest = after.partition(b"\r\n")
                    cached = state.proxied_heads.recent(b"\0".join((before, rest)))
                    client = state.forwarded_clients.recent(address) or new_client(state, self._address, address)
                else:
                    cached, client = state.heads.recent(data), self._client
                if (
                    cached is not None
                    and client is not None
                    and self._hot
                    and (query := cached.plain_query) is not None
                ):
                    carriers, separator, tiers = query.carriers, query.separator, client.tiers
                    mask = carriers.mask
                    if tiers.instead is not None:
                        tiers = tiers.for_content(mask)
                    if urls := tiers.urls(carriers, query.limit, service.random):
                        before, after = query.comment
                        words, lines = tiers.words(mask) if after else b"", separator.join(urls)
                        length = query.fixed_length + len(words) + len(lines)
                        defaults = self.server_state.default_headers
                        connection_close = cached.connection_close
                        answer = b"".join(
                            (
                                shared.list_top if defaults is shared.defaults else shared.renew(defaults),
                                _LENGTHS[length] if length < _SHORT else b"%d" % length,
                                connection_close,
                                b"\r\n\r\n",
                                before,
                                words,
                                after,
                                lines,
                                separator,
                            )
                        )
                        counters = service.counters
                        tier = tiers.nearest[0] if tiers.nearest[1] & mask else tiers.first_code(mask)
                        elapsed = perf_counter() - started
                        bucket = bisect_left(BUCKETS, elapsed) if elapsed > _FIRST_BUCKET else 0
                        counters.plain_fast[tier][bucket] += 1
                        counters.seconds += elapsed
                        if self._recorded:
                            record_use(service, state, cached.head.list_request.query, client, tier)
            except Exception:  # noqa: BLE001 - a defect: the ASGI lane answers instead
                self._count_error(service)
                answer = b""
            if answer:
                self.last_active = started
                self._head_started = 0.0
                self.transport.write(answer)  # outside `try`: an error from here on must not cause a second answer
                if connection_close:
                    self.close()
                return
            if self._answer(state, data, started):
                return
        super().data_received(data)

    def answer_last(self) -> None:
        """Make the next answer the last one."""
        super().answer_last()
        self._hot = False

    def handle_head(self, head: bytes) -> None:
        """Answer a plain head and cache it, or pass it to the ASGI lane."""
        started = perf_counter()
        state = self.shared.service.state
        if not (state is not None and self._answer(state, head, started, new=True)):
            self.pass_to_asgi(head)

    def _answer(self, state: State, raw_head: bytes, started: float, *, new: bool = False) -> bool:
        """Answer a cached head, or with `new` any plain one, in one write; else write nothing and return False."""
        service = self.shared.service
        try:
            found = self._find(state, raw_head, new=new)
            if found is None:
                return False
            cached, client = found
            head = cached.head
            list_request = head.list_request
            if list_request.redirect and over_https(head.scheme if self._peer.trusted else b"", self._scheme):
                list_request = replace(list_request, https=True)
            meta, body = respond(service, state, list_request, client, started)
            keep_alive = head.keep_alive and self.seconds > 0
            length = len(body)
            answer = b"".join(
                (
                    self.shared.top(meta, self.server_state.default_headers),
                    _LENGTHS[length] if length < _SHORT else b"%d" % length,
                    b"" if keep_alive else CONNECTION_CLOSE,
                    b"\r\n\r\n",
                    body if head.wants_body else b"",
                )
            )
        except Exception:  # noqa: BLE001 - as above
            self._count_error(service)
            return False
        service.counters.fast += 1
        self.last_active = started
        self._head_started = 0.0
        self.transport.write(answer)
        if not keep_alive:
            self.close()
        return True

    @staticmethod
    def _count_error(service: Service) -> None:
        """Count an exception, and log some of them: a defect in every request must not fill the disk."""
        service.counters.fast_lane_errors += 1
        if service.counters.fast_lane_errors.bit_count() == 1:  # the first, the second, the fourth, the eighth ...
            get_logger().exception(
                "the fast lane failed, the ASGI lane answers", errors=service.counters.fast_lane_errors
            )

    def _find(self, state: State, raw_head: bytes, *, new: bool) -> tuple[CachedHead, Client] | None:
        """Return the cached head, and the client that it comes from; with `new` parse a head that is not cached."""
        if state.trust is not self._trust:
            self._inspect_peer(state)
        split = split_head(raw_head, self.shared.prefixes(state.trust))
        if split.prefix and self._peer.trusted:
            self._prefix = split.prefix
        if (cached := split.cached(state)) is not None:
            forwarded = split.address
            return cached, self._peer.client if forwarded is None else client_of(state, self._address, (forwarded,))
        if new and (cached := read_head(state, raw_head, split)) is not None:
            return cached, client_of(state, self._address, cached.head.forwarded)
        return None

    def _inspect_peer(self, state: State) -> None:
        """Look up how this State treats the peer."""
        # uvicorn's `get_remote_addr` makes the loop create a socket object: a tenth of the cost of a connection.
        name: tuple[str, int] | str | None = self.transport.get_extra_info("peername")
        self._address = name[0] if isinstance(name, tuple) else None  # a unix socket's name is a string
        self._scheme = b"https" if self.transport.get_extra_info("sslcontext") else b"http"
        self._peer = peer_at(state, self._address)
        self._prefix = self.shared.prefixes(state.trust)[0] if self._peer.trusted else b""
        self._trust = state.trust
        self._client = None if self._peer.client.failed or self._peer.trusted else self._peer.client
        self._hot = self.seconds > 0 and not state.access_log
        self._recorded = records_use(self.shared.service, state)
