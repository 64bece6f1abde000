"""Step two of loading: judge the inputs. Pure.

With trusted keys a snapshot must be signed and not older than the last one. A reload must not lose too many mirrors,
repositories or directories. A refused input keeps its old value, and the others are updated: a bad geo database does
not block the snapshot. If a reload refuses an input and none of the others is new, it fails. At the start there is no
old value: then the last good snapshot replaces a refused one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mirrorlist_snapshot.errors import LossError, SnapshotError
from mirrorlist_snapshot.format import decode, header
from mirrorlist_snapshot.loss import check_loss
from mirrorlistd.errors import ConfigError, GeoError, StateError, StatusError
from mirrorlistd.private_copy import PrivateCopy
from mirrorlistd.selection.status_file import NO_STATUS, StatusFile, parse
from mirrorlistd.state.inputs import BUILT_IN, GeoFiles
from mirrorlistd.state.state import StateOrigin

if TYPE_CHECKING:
    from mirrorlist_snapshot.model import Snapshot
    from mirrorlist_snapshot.signing import TrustedKeys
    from mirrorlistd.config import Config
    from mirrorlistd.errors import MirrorlistdError
    from mirrorlistd.state.inputs import Inputs
    from mirrorlistd.state.state import State


_Error = TypeVar("_Error", bound="MirrorlistdError")


class DecodedSnapshot(NamedTuple):
    """An accepted snapshot."""

    copy: PrivateCopy
    data: memoryview
    """The bytes of the file; `content` reads its tables from them."""
    content: Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be served."""

    config: Config
    origin: StateOrigin
    status: StatusFile
    snapshot: DecodedSnapshot | None
    """None: keep the one that is served."""
    geo: GeoFiles | None
    """None: keep those in use."""


def judge(inputs: Inputs, before: State | None = None, *, fall_back: bool = True) -> Verdict:
    """Decide what is served instead of `before` (None: at the start); raise MirrorlistdError if nothing new may be.

    Without `fall_back` a refused snapshot is an error at the start, too.
    """
    if before is None:
        return _judge_start(inputs, fall_back=fall_back)
    refused = dict(inputs.refused)
    snapshot: DecodedSnapshot | None = None
    try:
        snapshot = _accepted(inputs.snapshot, _keys(inputs), before.serial)
        _check_loss(before, snapshot, inputs.config.max_loss)
    except (StateError, ConfigError) as error:
        snapshot, refused["snapshot"] = None, _fresh(error)
    geo: GeoFiles | None = None
    if isinstance(inputs.geo, GeoError):
        refused["geo databases"] = inputs.geo
    else:
        geo = inputs.geo
    status, status_error = _status(inputs, before, snapshot.content if snapshot else before.published)
    if refused and not (
        status != before.status_file
        or (snapshot and header(snapshot.data).digest != header(before.data).digest)
        or (geo and geo.fingerprint != before.geo_fingerprint)
    ):
        raise _fresh(next(iter(refused.values())))
    origin = StateOrigin(
        source=str(snapshot.copy.path) if snapshot else before.source,
        instead=None if snapshot else before.origin.instead,
        refused={what: f"{error!s:.2000}" for what, error in refused.items()},
        status_error=status_error,
    )
    return Verdict(config=inputs.config, origin=origin, status=status, snapshot=snapshot, geo=geo)


def _judge_start(inputs: Inputs, *, fall_back: bool) -> Verdict:
    keys, instead = _keys(inputs), None
    try:
        snapshot = _accepted(inputs.snapshot, keys, _trusted_serial(inputs, keys))
    except StateError as error:
        if inputs.last_good is None or not fall_back:
            raise
        instead = f"{error!s:.2000}"
        try:
            snapshot = _accepted(inputs.last_good, keys, None)
        except StateError as other:
            raise StateError(f"{error}; and the last good copy cannot be served, either: {other}") from error
    if isinstance(inputs.geo, GeoError):
        raise _fresh(inputs.geo)
    status, status_error = _status(inputs, None, snapshot.content)
    origin = StateOrigin(source=str(snapshot.copy.path), instead=instead, status_error=status_error)
    return Verdict(config=inputs.config, origin=origin, status=status, snapshot=snapshot, geo=inputs.geo)


def _fresh(error: _Error) -> _Error:
    """Return a copy of an error that a local variable holds; raise the copy instead.

    A raised error refers, by its traceback, to the frame whose variable holds it. That is a cycle with all
    inputs, which the garbage collector does not look at (see `process.gc_policy`).
    """
    fresh = type(error).__new__(type(error), *error.args)
    fresh.__dict__.update(error.__dict__)
    return fresh


def _keys(inputs: Inputs) -> TrustedKeys | None:
    if isinstance(inputs.keys, ConfigError):
        raise _fresh(inputs.keys)
    return inputs.keys


def _accepted(copy: PrivateCopy | StateError, keys: TrustedKeys | None, floor: int | None) -> DecodedSnapshot:
    """Decode a snapshot; with trusted keys one of them must have signed it, and it must not be older than `floor`."""
    if isinstance(copy, StateError):
        raise _fresh(copy)
    data = copy.view()
    try:
        if keys is not None:
            keys.verify(data)
        content = decode(data)
    except SnapshotError as error:
        raise StateError(f"{copy.path}: {error}") from error
    if keys is not None and floor is not None and content.serial < floor:
        raise StateError(
            f"{copy.path}: serial {content.serial} is less than {floor}, which was served before, and signed "
            "snapshots never go back: give the old content a new serial (mirrorlist-snapshot rollback)"
        )
    return DecodedSnapshot(copy, data, content)


def _check_loss(before: State, snapshot: DecodedSnapshot, limit: float) -> None:
    """Refuse a loss of more than `limit` percent; replacing the built-in example, or the same content, is no loss."""
    if before.source == str(BUILT_IN) or header(before.data).digest == header(snapshot.data).digest:
        return
    try:
        check_loss(before.published, snapshot.content, limit / 100)
    except LossError as error:
        raise StateError(f"{snapshot.copy.path}: {error}; if that is meant, raise --max-loss, or restart") from error


def _trusted_serial(inputs: Inputs, keys: TrustedKeys | None) -> int | None:
    """Return the serial of the last good copy; None where no trusted key has signed one."""
    if keys is None or not isinstance(inputs.last_good, PrivateCopy):
        return None
    data = inputs.last_good.view()
    try:
        keys.verify(data)
        return header(data).serial
    except SnapshotError:
        return None


def _status(inputs: Inputs, before: State | None, snapshot: Snapshot) -> tuple[StatusFile, str | None]:
    """Return the status to apply, and why it is not the file's as written, if so; a bad file keeps the one in force."""
    in_force = before.status_file if before else NO_STATUS
    if inputs.status is None:
        return NO_STATUS, None
    name = str(inputs.config.status)
    try:
        if isinstance(inputs.status, StatusError):
            raise _fresh(inputs.status)
        status = parse(name, inputs.status)
    except StatusError as error:
        return in_force, f"{error!s:.2000}"
    status, limited = status.limited(snapshot, inputs.config.max_down / 100, in_force)
    return status, limited and f"{name}: {limited}"
