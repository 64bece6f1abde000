"""Paths -> one State, or an error: what the server answers from, and what a reload swaps by one reference.

Everything is read, verified and probed before a State exists; nothing is read afterwards. Whether it may be served
instead of another one is not decided here (see `admission`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from random import Random
from typing import TYPE_CHECKING, Any, Final, Self

from mirrorlist_snapshot.errors import SnapshotError
from mirrorlist_snapshot.format import decode
from mirrorlistd.answering.answer import answer
from mirrorlistd.answering.decider import Decider
from mirrorlistd.answering.plan import AnswerSettings, ResolvedQuery
from mirrorlistd.errors import StateError
from mirrorlistd.geo.locate import Geo
from mirrorlistd.memo import Memo
from mirrorlistd.presets import MIRRORMANAGER, MIRRORMANAGER_AS_IT_WAS, PRESETS
from mirrorlistd.request.client_address import NetworkSet, Trust, parse_address
from mirrorlistd.request.routes import Routes, Template
from mirrorlistd.selection.index import Index
from mirrorlistd.selection.status_file import NO_STATUS, parse
from mirrorlistd.state.input_files import InputFiles, SnapshotOrigin

if TYPE_CHECKING:
    from mirrorlist_snapshot.model import Snapshot
    from mirrorlistd.answering.answer import Client
    from mirrorlistd.config import Config
    from mirrorlistd.request.http_head import ListRequest, RequestHead
    from mirrorlistd.selection.index import Place
    from mirrorlistd.selection.status_file import StatusFile

_PROBES: Final = ("193.0.6.139", "202.12.29.205", "2001:db8::1", "127.0.0.1")
"""One address of each kind that must be answerable before a State serves."""
_PROBED_AT_ONCE: Final = 32
"""Repositories after which what was remembered is forgotten: what a process once needed it seldom gives back."""
# Memo sizes, in entries. Heads: clients of one kind send the same bytes for a repository; up to 2 kB each.
_HEADS: Final = 4_096
_TARGETS: Final = 4_096
# As many as the decider has plans: some 300 bytes each.
_FAST_PLANS: Final = 16_384
# Who asks: some 400 bytes each.
_ASKERS: Final = 16_384


CONNECTION_CLOSE: Final = b"\r\nconnection: close"
"""The header of an answer after which the connection is closed, and the line break before it."""


@dataclass(frozen=True, slots=True)
class CachedHead:
    """A head, and what the decider has made of it."""

    head: RequestHead
    plain_query: ResolvedQuery | None
    """What is asked, if that is a plain list (see `ResolvedQuery`) with its body; None for everything else."""
    connection_close: bytes
    """What an answer says where the client wishes to close: a header, and the line break before it."""

    @classmethod
    def of(cls, decider: Decider, head: RequestHead) -> Self:
        """Make of a head what is remembered of it."""
        resolved = decider.resolve_query(head.list_request.query)
        plain_query = resolved if head.wants_body and isinstance(resolved, ResolvedQuery) and resolved.plain else None
        return cls(head, plain_query, b"" if head.keep_alive else CONNECTION_CLOSE)


@dataclass(slots=True)  # not frozen: one is made for each new connection, and that would take thrice as long
class Peer:
    """The other end of a socket."""

    believed: bool
    """It is a trusted proxy."""
    client: Client
    """Who asks where no proxy says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that an answer depends on, of one moment; immutable but for the memos."""

    decider: Decider
    trust: Trust
    """Whose forwarded addresses are believed."""
    explain_networks: NetworkSet
    """Who may see full explanations."""
    access_log: bool
    """Whether lists are logged."""
    count_countries: bool = False
    """Whether answers are counted by the client's country."""
    origin: SnapshotOrigin
    """Where the snapshot came from, and what could not be used."""
    data: memoryview
    """The snapshot's file, whose tables `published` looks into."""
    published: Snapshot
    """The snapshot as it was published: the decider's has the overlay laid over it."""
    overlay: StatusFile
    max_age: float
    """Seconds after its compilation from which the snapshot counts as stale; 0: never."""
    heads: Memo[bytes, CachedHead] = field(default_factory=lambda: Memo(_HEADS))
    """The fast lane's: raw head -> what it asks for."""
    proxied: Memo[bytes, CachedHead] = field(default_factory=lambda: Memo(_HEADS))
    """The fast lane's: raw head with NUL in place of the forwarded address -> the same. No head has NUL, but bytes that
    claim to be one may: nobody can write a key of this memo into the other."""
    fast_plans: Memo[tuple[ResolvedQuery | None, Place], Any] = field(default_factory=lambda: Memo(_FAST_PLANS))
    """The fast lane's: plain query and place -> its `FastPlan`, a type of that room."""
    list_requests: Memo[tuple[bytes, bytes], ListRequest] = field(default_factory=lambda: Memo(_TARGETS))
    """The ASGI lane's: raw path and query string -> what they ask for, if that is a list."""
    peers: Memo[str | None, Peer] = field(default_factory=lambda: Memo(_ASKERS))
    """The lanes': address of a socket's other end (see `address.client_address`) -> what is known of it."""
    named: Memo[bytes, Client] = field(default_factory=lambda: Memo(_ASKERS))
    """The lanes': what a trusted proxy's forwarding header says, legibly -> who asks, and where they are."""

    @property
    def memos(self) -> list[Memo[Any, Any]]:
        """All that this State and its decider remember, memo by memo."""
        own = (getattr(self, each.name) for each in fields(self))
        return [*(value for value in own if isinstance(value, Memo)), *self.decider.memos]

    @property
    def serial(self) -> int:
        """Serial of the snapshot."""
        return self.published.serial

    @property
    def source(self) -> str:
        """Where the snapshot came from: a path, or `built-in`."""
        return self.origin.source

    def stale(self, now: float) -> bool:
        """Whether the snapshot is too old at a time (seconds since 1970 UTC); it is served all the same."""
        return bool(self.max_age) and now - self.published.built > self.max_age


def load_state(config: Config, files: InputFiles | None = None, snapshot: Snapshot | None = None) -> State:
    """Make a State of `files`, which stay open, or of what `config` names, whatever it loses (see `admission`).

    `snapshot` is what is in the files, where it has been decoded already. Raises StateError, GeoError or ConfigError
    and changes nothing otherwise.
    """
    if files is None:
        with InputFiles.read(config) as own:
            return load_state(config, own)
    origin = files.origin or SnapshotOrigin(source=str(files.snapshot.path))
    data = files.snapshot.view()
    snapshot = snapshot or decode_snapshot(origin.source, data)
    overlay = parse(files.overlay.path.name, bytes(files.overlay.view())) if files.overlay else NO_STATUS
    preset = PRESETS[config.preset]
    if preset is MIRRORMANAGER and config.original_statuses:
        preset = MIRRORMANAGER_AS_IT_WAS
    index, geo = Index(overlay.apply(snapshot), preset.heaviest, overlay.standings), Geo.open(files.geo, files.asn)
    settings = AnswerSettings(
        preset=preset,
        minimum=config.minimum,
        limit=config.limit,
        sticky=config.sticky,
        public_url=config.public_url or "",
        routes=Routes(tuple(Template.parse(text) for text in config.url_templates)),
    )
    _probe(Decider(index, geo, settings))  # a twin: what chance put into its memos must not be served
    return State(
        decider=Decider(index, geo, settings),
        trust=Trust.parse(config.trusted_proxies, config.forwarded_header),
        explain_networks=NetworkSet.parse(config.explain_networks),
        access_log=config.access_log,
        count_countries=config.count_countries,
        origin=origin,
        data=data,
        published=snapshot,
        overlay=overlay,
        max_age=config.max_age,
    )


def decode_snapshot(source: str, data: memoryview) -> Snapshot:
    """Decode a snapshot from somewhere; raise StateError."""
    try:
        return decode(data)
    except SnapshotError as error:
        raise StateError(f"{source}: {error}") from error


def _probe(decider: Decider) -> None:
    """Ask for every repository once and from each kind of address: whatever would fail, fails here."""
    random = Random(0)  # noqa: S311 - a throw-away shuffle, not a secret
    addresses = [parse_address(text) for text in _PROBES]
    for number, repository in enumerate(decider.index.snapshot.repositories):
        if number % _PROBED_AT_ONCE == 0:
            for memo in decider.memos:
                memo.clear()
        query = f"repo={repository.name}&arch={repository.directories[0].arch}".encode()
        try:
            answer(decider, query, addresses[number % len(addresses)], random)
        except Exception as error:  # a defect of ours or of a reader: better a refused reload than a 500 for everyone
            raise StateError(f"the snapshot fails on repository {repository.name}: {error!r}") from error
