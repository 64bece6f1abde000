"""State: all that answers depend on at one moment. A reload replaces it by swapping one reference.

`loading` makes a State. Everything is read, judged and probed before a State exists; nothing is read afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Self

from mirrorlistd.answering.answer import Client
from mirrorlistd.answering.plan import ResolvedQuery
from mirrorlistd.memo import Memo
from mirrorlistd.selection.rank import PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mirrorlist_snapshot.model import Snapshot
    from mirrorlistd.answering.decider import Decider
    from mirrorlistd.config import Config
    from mirrorlistd.request.client_address import NetworkSet, Trust
    from mirrorlistd.request.http_head import ListRequest, RequestHead
    from mirrorlistd.selection.index import Place
    from mirrorlistd.selection.status_file import StatusFile

_CLOCK_SKEW: Final = 300
"""Seconds that two clocks may differ."""
# Memo sizes, in entries. Heads: clients of one kind send the same bytes for a repository; up to 2 kB each.
_HEADS: Final = 4_096
_TARGETS: Final = 4_096
# Clients: some 400 bytes each.
_CLIENTS: Final = 16_384

CONNECTION_CLOSE: Final = b"\r\nconnection: close"
"""The header of an answer after which the connection is closed, and the line break before it."""


@dataclass(frozen=True, slots=True)
class CachedHead:
    """A request head, with the query that the decider has resolved from it."""

    head: RequestHead
    plain_query: ResolvedQuery | None
    """The query, if it asks a plain question for a plain list (see `ResolvedQuery`) with its body; else None."""
    connection_close: bytes
    """CONNECTION_CLOSE if the client asks for that, else empty."""

    @classmethod
    def of(cls, decider: Decider, head: RequestHead) -> Self:
        """Resolve the query of a head."""
        resolved = decider.resolve_query(head.list_request.query)
        plain_query = None
        if head.wants_body and isinstance(resolved, ResolvedQuery) and resolved.plain and resolved.question == PLAIN:
            plain_query = resolved
        return cls(head, plain_query, b"" if head.keep_alive else CONNECTION_CLOSE)


@dataclass(slots=True)  # not frozen: each new connection makes one, and a frozen one takes three times as long
class Peer:
    """The peer of a socket: a client, or a trusted proxy."""

    trusted: bool
    """It is a trusted proxy."""
    client: Client
    """The client, where no trusted proxy names another one."""


class Renewal:
    """Computes a new State's values for the questions that an old State has answered."""

    __slots__ = ("decider", "places")

    def __init__(self, decider: Decider) -> None:
        """Use the new State's decider."""
        self.decider = decider
        self.places: dict[Place, Place] = {}
        """The new place of each old one, as far as clients were renewed."""

    def client(self, client: Client) -> Client:
        """Place a client anew."""
        fresh = Client.at(self.decider, client.address, failed=client.failed)
        self.places[client.place] = fresh.place
        return fresh

    def peer(self, peer: Peer) -> Peer:
        """Place a peer anew."""
        return Peer(peer.trusted, self.client(peer.client))

    def head(self, cached: CachedHead) -> CachedHead:
        """Resolve a head anew."""
        return CachedHead.of(self.decider, cached.head)

    def list_request(self, list_request: ListRequest) -> ListRequest:
        """Keep a list request, which depends on the settings alone."""
        return list_request


# How the entries of a memo are carried over to the next State: `renew` computes a value, `by_route`: the entries
# depend on the routes.
_HEAD: Final[dict[str, Any]] = {"renew": Renewal.head, "by_route": True}
_LIST_REQUEST: Final[dict[str, Any]] = {"renew": Renewal.list_request, "by_route": True}
_PEER: Final[dict[str, Any]] = {"renew": Renewal.peer, "by_route": False}
_CLIENT: Final[dict[str, Any]] = {"renew": Renewal.client, "by_route": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class StateOrigin:
    """Where a State's parts came from, and what was refused."""

    source: str
    """Of the snapshot: a path, or `built-in`."""
    instead: str | None = None
    """Why, since the start, the last good snapshot is served instead of the configured one."""
    refused: Mapping[str, str] = field(default_factory=dict[str, str])
    """What a reload has refused (`settings`, `import`, `snapshot`, `geo databases`), and why; the old one is used."""
    status_error: str | None = None
    """Why the status file is not applied as written: it is bad, so the previous one applies, or it removes too much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that an answer depends on at one moment; immutable but for the memos."""

    config: Config
    decider: Decider
    trust: Trust
    """The proxies whose forwarded addresses are believed."""
    explain_networks: NetworkSet
    """The networks of insiders."""
    access_log: bool
    """Whether lists are logged."""
    count_countries: bool = False
    """Whether answers are counted by the client's country."""
    origin: StateOrigin
    data: memoryview
    """The bytes of the snapshot's file; `published` reads its tables from them."""
    published: Snapshot
    """The snapshot as it was published; the decider's copy has the status file applied."""
    status_file: StatusFile
    geo_fingerprint: object = None
    """Changes with the files of the geo databases."""
    max_age: float
    """The age in seconds above which the snapshot counts as stale; 0: never."""
    heads: Memo[bytes, CachedHead] = field(default_factory=lambda: Memo(_HEADS), metadata=_HEAD)
    """For the fast lane: raw head -> the parsed head."""
    proxied_heads: Memo[bytes, CachedHead] = field(default_factory=lambda: Memo(_HEADS), metadata=_HEAD)
    """For the fast lane: raw head with NUL in place of the forwarded address -> the parsed head. A client may send NUL
    in bytes that only look like a head. Because the memos are separate, these never match a key of the other memo."""
    list_requests: Memo[tuple[bytes, bytes], ListRequest] = field(
        default_factory=lambda: Memo(_TARGETS), metadata=_LIST_REQUEST
    )
    """For the ASGI lane: raw path and query string -> the list request, if they ask for a list."""
    peers: Memo[str | None, Peer] = field(default_factory=lambda: Memo(_CLIENTS), metadata=_PEER)
    """For both lanes: a socket's peer address (see `request.client_address`) -> the peer."""
    forwarded_clients: Memo[bytes, Client] = field(default_factory=lambda: Memo(_CLIENTS), metadata=_CLIENT)
    """For both lanes: value of a trusted proxy's forwarding header, if it is valid -> the client."""

    @property
    def memos(self) -> list[Memo[Any, Any]]:
        """All memos, the decider's included."""
        own = [getattr(self, each.name) for each in fields(self) if "renew" in each.metadata]
        return [*own, *self.decider.memos]

    def renew(self, before: State, renewal: Renewal) -> Iterator[None]:
        """Fill the memos with new values for the questions in those of `before`, one question for each step.

        If the trusted proxies differ, any client may have another address: nothing is carried over. If the routes
        differ, heads may mean something else: they are left out. Requests may add to the memos between two steps.
        """
        if self.trust != before.trust:
            return
        same_routes = self.decider.settings.routes == before.decider.settings.routes
        for each in fields(self):
            renew: Callable[[Renewal, Any], object] | None = each.metadata.get("renew")
            if renew is not None and (same_routes or not each.metadata["by_route"]):
                memo: Memo[Any, Any] = getattr(self, each.name)
                for question, value in getattr(before, each.name).entries():
                    memo.remember(question, renew(renewal, value))
                    yield

    @property
    def serial(self) -> int:
        """Serial of the snapshot."""
        return self.published.serial

    @property
    def source(self) -> str:
        """Where the snapshot came from: a path, or `built-in`."""
        return self.origin.source

    def stale(self, now: float) -> bool:
        """Whether the snapshot is too old at a time (seconds since 1970 UTC); it is served all the same.

        A snapshot built in the future has no known age and counts as too old; otherwise it would not become stale.
        """
        return bool(self.max_age) and (now - self.published.built > self.max_age or self.seconds_ahead(now) > 0)

    def seconds_ahead(self, now: float) -> int:
        """Return how far in the future the snapshot was built; 0 if a small difference between clocks explains it."""
        ahead = self.published.built - int(now)
        return ahead if ahead > _CLOCK_SKEW else 0
