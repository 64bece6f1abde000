"""Paths -> one State, or an error: what the server answers from, and what a reload swaps by one reference.

Everything is read, verified and probed before a State exists; nothing is read afterwards. Files are read once into
private copies and these are verified, so a file that is overwritten later can hurt nobody; and another process can make
the same State of the same copies.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import stat
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, Self

from mirrorlist_snapshot.errors import SnapshotError
from mirrorlist_snapshot.format import decode
from mirrorlistd.address import Networks, Trust, parse_address
from mirrorlistd.answer import answer
from mirrorlistd.copies import Copy
from mirrorlistd.decision import Decider, Settings
from mirrorlistd.errors import StateError
from mirrorlistd.geo import Geo
from mirrorlistd.index import Index
from mirrorlistd.memo import Memo
from mirrorlistd.mmdb import copy_mmdb
from mirrorlistd.presets import MIRRORMANAGER, MIRRORMANAGER_AS_IT_WAS, PRESETS
from mirrorlistd.routes import Routes, Template

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlistd.answer import Asker
    from mirrorlistd.config import Config
    from mirrorlistd.head import Head

MAX_SNAPSHOT_BYTES: Final = 1 << 30
"""A snapshot at the design point (150,000 directories) has some 10 MB; a hundred times that is a mistake."""
BUILT_IN: Final = Path("built-in")
"""What stands for the path of the default snapshot."""
_PROBES: Final = ("193.0.6.139", "202.12.29.205", "2001:db8::1", "127.0.0.1")
"""One address of each kind that must be answerable before a State serves."""
# Memo sizes, in entries. Heads: clients of one kind send the same bytes for a repository; up to 2 kB each.
_HEADS: Final = 4_096
# Who asks: some 400 bytes each.
_ASKERS: Final = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that an answer depends on, of one moment; immutable but for the memos."""

    decider: Decider
    trust: Trust
    """Whose forwarded addresses are believed."""
    explain_networks: Networks
    """Who may see full explanations."""
    access_log: bool
    """Whether lists are logged."""
    count_countries: bool = False
    """Whether answers are counted by the client's country."""
    source: str
    """Where the snapshot came from: a path, or `built-in`."""
    heads: Memo[bytes, Head] = field(default_factory=lambda: Memo(_HEADS))
    """The fast lane's: raw head, without the forwarded address -> what it asks for."""
    askers: Memo[tuple[str | None, bytes], Asker] = field(default_factory=lambda: Memo(_ASKERS))
    """The lanes': peer, what its forwarding header says -> who asks, and where they are."""

    @property
    def serial(self) -> int:
        """Serial of the snapshot."""
        return self.decider.index.snapshot.serial


@dataclass(frozen=True, slots=True)
class Files:
    """Private copies of the files that a configuration names: all that a State is made of besides the settings."""

    snapshot: Copy
    geo: Copy | None
    asn: Copy | None

    @classmethod
    def read(cls, config: Config) -> Files:
        """Copy what `config` names, to be closed by the caller; raise StateError or GeoError."""
        with contextlib.ExitStack() as copied:
            snapshot = copied.enter_context(_copy_snapshot(config))
            paths = config.geo, config.asn
            geo, asn = (copied.enter_context(copy_mmdb(path)) if path else None for path in paths)
            copied.pop_all()
        return cls(snapshot, geo, asn)

    @classmethod
    def received(cls, config: Config, descriptors: Sequence[int]) -> Files:
        """Take over, in another process, the `descriptors` of the files read for the same configuration."""
        paths = [config.snapshot or BUILT_IN, *filter(None, (config.geo, config.asn))]
        if len(descriptors) != len(paths):  # the kernel drops those for which a process has no room
            raise StateError(f"{len(paths)} files were handed over and {len(descriptors)} arrived: raise LimitNOFILE")
        copies = iter([Copy.received(path, number) for path, number in zip(paths, descriptors, strict=True)])
        return cls(next(copies), next(copies) if config.geo else None, next(copies) if config.asn else None)

    @property
    def descriptors(self) -> list[int]:
        """What `received` takes; StateError where the system has no memory that can be handed over."""
        numbers = [copy.descriptor for copy in (self.snapshot, self.geo, self.asn) if copy]
        found = [number for number in numbers if number is not None]
        if len(found) < len(numbers):
            raise StateError("several workers need memfd_create(2), which this system refuses; give --workers 1")
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for copy in (self.snapshot, self.geo, self.asn):
            if copy:
                copy.close()


def load_state(config: Config, files: Files | None = None) -> State:
    """Read everything that `config` names, or take it from `files`, which stay open.

    Raises StateError, GeoError or ConfigError and changes nothing otherwise.
    """
    if files is None:
        with Files.read(config) as own:
            return load_state(config, own)
    source = str(files.snapshot.path)
    try:
        snapshot = decode(files.snapshot.view())
    except SnapshotError as error:
        raise StateError(f"{source}: {error}") from error
    preset = PRESETS[config.preset]
    if preset is MIRRORMANAGER and config.original_statuses:
        preset = MIRRORMANAGER_AS_IT_WAS
    index, geo = Index(snapshot, preset.heaviest), Geo.open(files.geo, files.asn)
    settings = Settings(
        preset=preset,
        minimum=config.minimum,
        limit=config.limit,
        sticky=config.sticky,
        public_url=config.public_url or "",
        routes=Routes([Template.parse(text) for text in config.url_templates]),
    )
    _probe(Decider(index, geo, settings))  # a twin: what chance put into its memos must not be served
    return State(
        decider=Decider(index, geo, settings),
        trust=Trust.parse(config.trusted_proxies, config.forwarded_header),
        explain_networks=Networks.parse(config.explain_networks),
        access_log=config.access_log,
        count_countries=config.count_countries,
        source=source,
    )


def _copy_snapshot(config: Config) -> Copy:
    if config.snapshot is not None:
        return Copy.of(config.snapshot, read_private_copy(config.snapshot))
    _refuse_exposed_demo(config)
    return Copy.of(BUILT_IN, resources.files("mirrorlistd").joinpath("default.mls").read_bytes())


def _refuse_exposed_demo(config: Config) -> None:
    """The built-in snapshot is an example: nobody should find out in production that it is what they serve."""
    exposed = [host for host in config.hosts if not ipaddress.ip_address(host).is_loopback]
    if config.uds is not None:  # whoever listens there on our behalf faces the world
        exposed.append(str(config.uds))
    if exposed and not config.demo:
        raise StateError(
            f"no --snapshot, and the built-in one is not for {exposed[0]}: give --snapshot FILE, "
            "or --demo if you mean it"
        )


def read_private_copy(path: Path) -> bytes:
    """Read a file that may be replaced or overwritten meanwhile; raise StateError where it cannot be trusted.

    A file changed while it was read is refused here with the true reason; the digest would refuse it with a puzzle.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for a writer, for ever
            raise StateError(f"{path}: is not a regular file; name the file that mirrorlist-snapshot has written")
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            if before.st_size > MAX_SNAPSHOT_BYTES:
                raise StateError(
                    f"{path}: {before.st_size} bytes, more than the {MAX_SNAPSHOT_BYTES} that a snapshot may have"
                )
            data = file.read(before.st_size + 1)
            after = os.fstat(file.fileno())
    except OSError as error:
        raise StateError(f"{path}: cannot be read: {error.strerror}") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise StateError(f"{path}: changed while it was read; replace snapshots by rename (mirrorlist-snapshot does)")
    return data


def _probe(decider: Decider) -> None:
    """Ask for every repository once and from each kind of address: whatever would fail, fails here."""
    random = Random(0)  # noqa: S311 - a throw-away shuffle, not a secret
    addresses = [parse_address(text) for text in _PROBES]
    for number, repository in enumerate(decider.index.snapshot.repositories):
        query = f"repo={repository.name}&arch={repository.directories[0].arch}".encode()
        try:
            answer(decider, query, addresses[number % len(addresses)], random)
        except Exception as error:  # a defect of ours or of a reader: better a refused reload than a 500 for everyone
            raise StateError(f"the snapshot fails on repository {repository.name}: {error!r}") from error
