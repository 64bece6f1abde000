"""Private copies of the files that a configuration names: all that a State is made of besides the settings.

Files are read once and what was read is verified, so a file that is overwritten later can hurt nobody; and another
process can make the same State of the same copies.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import stat
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from mirrorlistd.errors import StateError
from mirrorlistd.geo.mmdb import copy_mmdb
from mirrorlistd.private_copy import PrivateCopy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorlistd.config import Config

MAX_SNAPSHOT_BYTES: Final = 1 << 30
"""A snapshot at the design point (150,000 directories) has some 10 MB; a hundred times that is a mistake."""
BUILT_IN: Final = Path("built-in")
"""What stands for the path of the default snapshot."""
_OVERLAY: Final = Path("overlay.json")
"""What stands for the path of an overlay that has been accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotOrigin:
    """Where a State's parts have come from, in so far as that is not simply what the configuration names."""

    source: str
    """Of the snapshot: a path, or `built-in`."""
    instead: str | None = None
    """Why, since the start, the last good copy is served instead of the configured snapshot."""
    refused: str | None = None
    """Why a reload has left the snapshot as it was, although the status file has been read anew."""
    status_error: str | None = None
    """Why the status file is not used, but what it said before."""


@dataclass(frozen=True, slots=True)
class InputFiles:
    """The copies; to be closed."""

    snapshot: PrivateCopy
    geo: PrivateCopy | None
    asn: PrivateCopy | None
    overlay: PrivateCopy | None = None
    """What the status file says, as `overlay.parse` reads it, once it has been accepted."""
    origin: SnapshotOrigin | None = None
    """None: from what the configuration names."""

    @classmethod
    def read(cls, config: Config, snapshot: PrivateCopy | None = None) -> InputFiles:
        """Copy what `config` names, but for a `snapshot` that is there already; raise StateError or GeoError.

        That one is closed, too, where another file cannot be copied.
        """
        with contextlib.ExitStack() as copied:
            snapshot = copied.enter_context(snapshot or copy_snapshot(config))
            paths = config.geo, config.asn
            geo, asn = (copied.enter_context(copy_mmdb(path)) if path else None for path in paths)
            copied.pop_all()
        return cls(snapshot, geo, asn)

    def accepted(self, overlay: bytes, origin: SnapshotOrigin) -> InputFiles:
        """Add what has been decided about them: these and the result are closed together."""
        return replace(self, overlay=PrivateCopy.of(_OVERLAY, overlay), origin=origin)

    @classmethod
    def received(cls, config: Config, descriptors: Sequence[int], origin: SnapshotOrigin) -> InputFiles:
        """Take over, in another process, the `descriptors` of the files accepted for the same configuration."""
        paths = [Path(origin.source), *filter(None, (config.geo, config.asn)), _OVERLAY]
        if len(descriptors) != len(paths):  # the kernel drops those for which a process has no room
            raise StateError(f"{len(paths)} files were handed over and {len(descriptors)} arrived: raise LimitNOFILE")
        copies = iter([PrivateCopy.received(path, number) for path, number in zip(paths, descriptors, strict=True)])
        snapshot, geo, asn = next(copies), next(copies) if config.geo else None, next(copies) if config.asn else None
        return cls(snapshot, geo, asn, next(copies), origin)

    @property
    def descriptors(self) -> list[int]:
        """What `received` takes; StateError where the system has no memory that can be handed over."""
        numbers = [copy.descriptor for copy in self._all()]
        found = [number for number in numbers if number is not None]
        if len(found) < len(numbers):
            raise StateError("several workers need memfd_create(2), which this system refuses; give --workers 1")
        return found

    def _all(self) -> list[PrivateCopy]:
        return [copy for copy in (self.snapshot, self.geo, self.asn, self.overlay) if copy]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for copy in self._all():
            copy.close()


def copy_snapshot(config: Config) -> PrivateCopy:
    """Copy the snapshot that `config` names, or the built-in one; raise StateError."""
    if config.snapshot is not None:
        return PrivateCopy.of(config.snapshot, read_private_copy(config.snapshot))
    _refuse_exposed_demo(config)
    return PrivateCopy.of(BUILT_IN, resources.files("mirrorlistd").joinpath("default.mls").read_bytes())


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
