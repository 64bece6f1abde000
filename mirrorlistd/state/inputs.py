"""Step one of loading: read every file that a configuration names, once, into private copies.

What was read is judged and served; a file that is overwritten later can change neither. A file that cannot be read is
an error among the inputs, so that it does not hold up the others.
"""

from __future__ import annotations

import contextlib
import ipaddress
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from mirrorlist_snapshot.errors import FileProblem, InputFileError, MirrorlistSnapshotError
from mirrorlist_snapshot.input_file import SNAPSHOT, STATUS_FILE, read_file
from mirrorlistd.errors import ConfigError, GeoError, MirrorlistdError, StateError, StatusError
from mirrorlistd.geo.locate import Geo
from mirrorlistd.geo.mmdb import copy_mmdb
from mirrorlistd.private_copy import PrivateCopy, is_there

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirrorlist_snapshot.signing import TrustedKeys
    from mirrorlistd.config import Config

LAST_GOOD: Final = "last-good.mls"
"""Name of the last good snapshot's copy in the state folder."""
BUILT_IN: Final = Path("built-in")
"""Stands for the path of the built-in snapshot."""
_ADVICE: Final = {
    FileProblem.NOT_REGULAR: "; name the file that mirrorlist-snapshot has written",
    FileProblem.CHANGED: "; replace snapshots by rename (mirrorlist-snapshot does)",
}


@dataclass(frozen=True, slots=True)
class GeoFiles:
    """The geo databases: their copies, and the databases opened from them."""

    country: PrivateCopy | None
    """None: the built-in data."""
    asn: PrivateCopy | None
    opened: Geo

    @property
    def fingerprint(self) -> object:
        """Changes with the files."""
        return tuple(copy and (str(copy.path), copy.fingerprint) for copy in (self.country, self.asn))


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """All that a State is made of, or the error about each part; to be closed."""

    config: Config
    refused: Mapping[str, MirrorlistdError] = field(default_factory=dict[str, "MirrorlistdError"])
    """On a reload, what was refused before any file was read: `settings` (`config` is the one in force), `import`."""
    snapshot: PrivateCopy | StateError
    last_good: PrivateCopy | StateError | None
    """None: there is no such copy, or it is not needed."""
    keys: TrustedKeys | ConfigError | None
    """None: signatures are not checked."""
    status: bytes | StatusError | None
    """None: there is no status file."""
    geo: GeoFiles | GeoError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        files = (self.geo.country, self.geo.asn) if isinstance(self.geo, GeoFiles) else ()
        for file in (self.snapshot, self.last_good, *files):
            if isinstance(file, PrivateCopy):
                file.close()


def read(config: Config, *, start: bool, refused: Mapping[str, MirrorlistdError] | None = None) -> Inputs:
    """Read what `config` names; `start`: the last good snapshot, too."""
    kept = config.state_dir / LAST_GOOD if start and config.state_dir and config.snapshot else None
    with contextlib.ExitStack() as opened:
        snapshot = _snapshot(config)
        last_good = _copy(kept) if kept and is_there(kept) else None
        for file in (snapshot, last_good):
            if isinstance(file, PrivateCopy):
                opened.enter_context(file)
        inputs = Inputs(
            config=config,
            refused=refused or {},
            snapshot=snapshot,
            last_good=last_good,
            keys=_trusted_keys(config),
            status=_status(config.status) if config.status else None,
            geo=_geo(config),
        )
        opened.pop_all()
    return inputs


def _snapshot(config: Config) -> PrivateCopy | StateError:
    """Copy the snapshot that `config` names, or the built-in one."""
    if config.snapshot is not None:
        return _copy(config.snapshot)
    # The built-in snapshot is an example: it must not be served in production by mistake.
    exposed = [host for host in config.hosts if not ipaddress.ip_address(host).is_loopback]
    if config.uds is not None:  # a proxy behind the socket faces the world
        exposed.append(str(config.uds))
    if exposed and not config.demo:
        return StateError(
            f"no --snapshot, and the built-in one is not for {exposed[0]}: give --snapshot FILE, "
            "or --demo if you mean it"
        )
    return PrivateCopy.of(BUILT_IN, resources.files("mirrorlistd").joinpath("default.mls").read_bytes())


def _copy(path: Path) -> PrivateCopy | StateError:
    try:
        return PrivateCopy.read(path, SNAPSHOT)
    except InputFileError as error:
        return StateError(f"{error}{_ADVICE.get(error.problem, '')}")
    except StateError as error:
        return error


def _trusted_keys(config: Config) -> TrustedKeys | ConfigError | None:
    if not config.trusted_keys:
        return None
    from mirrorlist_snapshot.signing import TrustedKeys  # noqa: PLC0415 - see its first lines

    try:
        return TrustedKeys.read(config.trusted_keys)
    except MirrorlistSnapshotError as error:
        return ConfigError(f"--trusted-key: {error}")


def _status(path: Path) -> bytes | StatusError:
    try:
        return read_file(path, STATUS_FILE)
    except InputFileError as error:
        return StatusError([f"{error}; where no mirror has a status, leave the file empty"])


def _geo(config: Config) -> GeoFiles | GeoError:
    with contextlib.ExitStack() as opened:
        try:
            country, asn = (
                opened.enter_context(copy_mmdb(path)) if path else None for path in (config.geo, config.asn)
            )
            files = GeoFiles(country, asn, Geo.open(country, asn))
        except GeoError as error:
            return error
        opened.pop_all()
    return files
