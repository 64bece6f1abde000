"""Loading in three steps: read all files, judge them, build the State. Step three is here, and all three in `load`.

With several workers the supervisor takes the three steps and sends its verdict to the workers, which build the same
State from the same memory.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.embedded_ipv4 import OwnPrefixes
from mirrorlist_snapshot.errors import SnapshotError
from mirrorlist_snapshot.format import decode
from mirrorlistd.answering.answer import answer
from mirrorlistd.answering.decider import Decider
from mirrorlistd.answering.plan import AnswerSettings
from mirrorlistd.errors import StateError
from mirrorlistd.geo.locate import Geo
from mirrorlistd.presets import MIRRORMANAGER, MIRRORMANAGER_AS_IT_WAS, PRESETS
from mirrorlistd.private_copy import PrivateCopy
from mirrorlistd.request.client_address import NetworkSet, Trust, parse_address
from mirrorlistd.request.routes import Routes, Template
from mirrorlistd.selection.index import Index
from mirrorlistd.state.admission import DecodedSnapshot, Verdict, judge
from mirrorlistd.state.inputs import GeoFiles, read
from mirrorlistd.state.state import State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mirrorlistd.config import Config
    from mirrorlistd.errors import MirrorlistdError
    from mirrorlistd.selection.status_file import StatusFile
    from mirrorlistd.state.state import StateOrigin

_PROBES: Final = ("193.0.6.139", "202.12.29.205", "2001:db8::1", "127.0.0.1")
"""One address of each kind that must be answerable before a State serves."""
_PROBED_AT_ONCE: Final = 32
"""Repositories after which the memos of the probe are emptied: a process seldom returns memory to the system."""
_PROBE_RANKS: Final = 2_000_000
"""Mirrors that the probe ranks at most, over all repositories: seven times the design point, some seconds of work."""


def load(
    config: Config,
    before: State | None = None,
    *,
    refused: Mapping[str, MirrorlistdError] | None = None,
    fall_back: bool = True,
) -> State:
    """Load what `config` names, to be served instead of `before` (None: at the start); raise MirrorlistdError.

    For `refused` see `Inputs`. Without `fall_back` a refused snapshot is an error at the start, too.
    """
    with read(config, start=before is None, refused=refused) as inputs:
        return build(judge(inputs, before, fall_back=fall_back), before)


def build(verdict: Verdict, before: State | None) -> State:
    """Make the State of a verdict; `before` has the parts that the verdict keeps. Raise StateError or ConfigError."""
    config = verdict.config
    if verdict.snapshot is not None:
        data, published = verdict.snapshot.data, verdict.snapshot.content
    else:
        data, published = _kept(before).data, _kept(before).published
    if verdict.geo is not None:
        geo, fingerprint = verdict.geo.opened, verdict.geo.fingerprint
    else:
        geo, fingerprint = _kept(before).decider.geo.again(), _kept(before).geo_fingerprint
    preset = PRESETS[config.preset]
    if preset is MIRRORMANAGER and config.original_statuses:
        preset = MIRRORMANAGER_AS_IT_WAS
    status_file = verdict.status
    index = Index(status_file.apply(published), preset.heaviest, status_file.statuses)
    own_prefixes = OwnPrefixes.parse(config.nat64_prefixes)
    settings = AnswerSettings(
        preset=preset,
        minimum=config.minimum,
        limit=config.limit,
        sticky=config.sticky,
        redirect_scheme=config.redirect_scheme,
        own_prefixes=own_prefixes,
        public_url=config.public_url or "",
        pacman_layout=config.pacman_layout,
        routes=Routes(tuple(Template.parse(text) for text in config.url_templates)),
    )
    _probe(Decider(index, geo, settings))  # a second Decider: its memos get draws of a fixed seed, not to be served
    return State(
        config=config,
        decider=Decider(index, geo, settings),
        trust=Trust.parse(config.trusted_proxies, config.forwarded_header, own_prefixes=own_prefixes),
        explain_networks=NetworkSet.parse(config.explain_networks, own_prefixes=own_prefixes),
        access_log=config.access_log,
        count_countries=config.count_countries,
        origin=verdict.origin,
        data=data,
        published=published,
        status_file=status_file,
        geo_fingerprint=fingerprint,
        max_age=config.max_age,
    )


def _kept(before: State | None) -> State:
    assert before is not None, "only a reload keeps parts"  # noqa: S101 - for the type checkers
    return before


def _probe(decider: Decider) -> None:
    """Answer one request for every repository, from each kind of address, so that a defect shows before the swap.

    Of a snapshot far beyond the design point repositories at even distances are taken: no file holds a start up.
    """
    snapshot = decider.index.snapshot
    step = 1 + len(snapshot.repositories) * len(snapshot.mirrors) // _PROBE_RANKS
    random = Random(0)  # noqa: S311 - a throw-away shuffle, not a secret
    addresses = [parse_address(text) for text in _PROBES]
    for number, repository in enumerate(snapshot.repositories[::step]):
        if number % _PROBED_AT_ONCE == 0:
            for memo in decider.memos:
                memo.clear()
        query = f"repo={repository.name}&arch={repository.directories[0].arch}".encode()
        try:
            answer(decider, query, addresses[number % len(addresses)], random)
        except Exception as error:  # a defect here or in a library: refuse the reload, instead of a 500 for all
            raise StateError(f"the snapshot fails on repository {repository.name}: {error!r}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class SentVerdict:
    """A verdict as it is sent to another process, without its files; their descriptors go along."""

    config: Config
    origin: StateOrigin
    status: StatusFile
    files: tuple[str, ...]
    """The names of the descriptors: `snapshot`, `country`, `asn`. Kept parts and built-in data have none."""
    new_geo: bool

    @classmethod
    def of(cls, verdict: Verdict) -> tuple[SentVerdict, list[int]]:
        """Return what to send, and the descriptors; raise StateError where the system has no memory to share."""
        geo = verdict.geo
        copies = {
            "snapshot": verdict.snapshot and verdict.snapshot.copy,
            "country": geo and geo.country,
            "asn": geo and geo.asn,
        }
        descriptors = {name: copy.descriptor for name, copy in copies.items() if copy}
        found = [descriptor for descriptor in descriptors.values() if descriptor is not None]
        if len(found) < len(descriptors):
            raise StateError("several workers need memfd_create(2), which this system refuses; give --workers 1")
        sent = cls(
            config=verdict.config,
            origin=verdict.origin,
            status=verdict.status,
            files=tuple(descriptors),
            new_geo=geo is not None,
        )
        return sent, found

    def build(self, descriptors: Sequence[int], before: State | None) -> State:
        """Build the State in the process that has received the descriptors, and close them; raise StateError."""
        with contextlib.ExitStack() as received:
            copies = {
                name: received.enter_context(PrivateCopy.received(self._path(name), descriptor))
                for name, descriptor in zip(self.files, descriptors, strict=False)
            }
            if len(descriptors) != len(self.files):  # the kernel drops descriptors above a process's limit
                wanted = len(self.files)
                raise StateError(f"{wanted} files were handed over and {len(descriptors)} arrived: raise LimitNOFILE")
            snapshot = None
            if (copy := copies.get("snapshot")) is not None:
                data = copy.view()
                try:
                    snapshot = DecodedSnapshot(copy, data, decode(data))
                except SnapshotError as error:
                    raise StateError(f"{copy.path}: {error}") from error
            geo = None
            if self.new_geo:
                country, asn = copies.get("country"), copies.get("asn")
                geo = GeoFiles(country, asn, Geo.open(country, asn))
            verdict = Verdict(config=self.config, origin=self.origin, status=self.status, snapshot=snapshot, geo=geo)
            return build(verdict, before)

    def _path(self, name: str) -> Path:
        paths = {"snapshot": Path(self.origin.source), "country": self.config.geo, "asn": self.config.asn}
        return paths[name] or Path(name)
