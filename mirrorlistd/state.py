"""Paths -> one State, or an error: what the server answers from, and what a reload swaps by one reference.

Everything is read, verified and probed before a State exists; nothing is read afterwards. The snapshot file is read
once into memory and that copy is verified, so a file that is overwritten later can hurt nobody.
"""

from __future__ import annotations

import ipaddress
import os
import stat
from dataclasses import dataclass
from importlib import resources
from random import Random
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.errors import SnapshotError
from mirrorlist_snapshot.format import decode
from mirrorlistd.address import Networks, Trust, parse_address
from mirrorlistd.answer import answer
from mirrorlistd.decision import Decider, Settings
from mirrorlistd.errors import StateError
from mirrorlistd.geo import Geo
from mirrorlistd.index import Index
from mirrorlistd.routes import Routes, Template

if TYPE_CHECKING:
    from pathlib import Path

    from mirrorlistd.config import Config

MAX_SNAPSHOT_BYTES: Final = 1 << 30
"""A snapshot at the design point (150,000 directories) has some 10 MB; a hundred times that is a mistake."""
_PROBES: Final = ("193.0.6.139", "202.12.29.205", "2001:db8::1", "127.0.0.1")
"""One address of each kind that must be answerable before a State serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that an answer depends on, of one moment; immutable but for the memos inside the decider."""

    decider: Decider
    trust: Trust
    """Whose forwarded addresses are believed."""
    explain_networks: Networks
    """Who may see full explanations."""
    access_log: bool
    """Whether lists are logged."""
    source: str
    """Where the snapshot came from: a path, or `built-in`."""

    @property
    def serial(self) -> int:
        """Serial of the snapshot."""
        return self.decider.index.snapshot.serial


def load_state(config: Config) -> State:
    """Read everything that `config` names; raise StateError, GeoError or ConfigError and change nothing otherwise."""
    if config.snapshot is None:
        _refuse_exposed_demo(config)
        data = resources.files("mirrorlistd").joinpath("default.mls").read_bytes()
        source = "built-in"
    else:
        data = read_private_copy(config.snapshot)
        source = str(config.snapshot)
    try:
        snapshot = decode(data)
    except SnapshotError as error:
        raise StateError(f"{source}: {error}") from error
    decider = Decider(
        Index(snapshot),
        Geo.open(config.geo, config.asn),
        Settings(
            minimum=config.minimum,
            limit=config.limit,
            sticky=config.sticky,
            public_url=config.public_url or "",
            routes=Routes([Template.parse(text) for text in config.url_templates]),
        ),
    )
    _probe(decider)
    return State(
        decider=decider,
        trust=Trust.parse(config.trusted_proxies, config.forwarded_header),
        explain_networks=Networks.parse(config.explain_networks),
        access_log=config.access_log,
        source=source,
    )


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
