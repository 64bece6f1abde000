"""What may be served instead of what is being served: signed, not older, not much less; and what else is served then.

The rules stand between reading and serving, in the process that decides: a single one, or the parent of workers. On a
reload whatever is refused leaves the old State. At the start there is none: then the last good copy is served, loudly,
from the server's own folder. Snapshot and status file do not hold one another up: where one cannot be used, what it
said before goes on, and the other is taken.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.errors import LossError, MirrorlistSnapshotError, SnapshotError
from mirrorlist_snapshot.format import header
from mirrorlist_snapshot.loss import check_loss
from mirrorlist_snapshot.publishing.file_target import replace_file
from mirrorlistd.errors import ConfigError, StateError, StatusError
from mirrorlistd.private_copy import PrivateCopy, is_there
from mirrorlistd.selection.status_file import NO_STATUS, StatusFile, parse
from mirrorlistd.state.input_files import BUILT_IN, InputFiles, SnapshotOrigin, copy_snapshot, read_private_copy
from mirrorlistd.state.state import decode_snapshot, load_state

if TYPE_CHECKING:
    from collections.abc import Generator

    from mirrorlist_snapshot.model import Snapshot
    from mirrorlist_snapshot.signing import TrustedKeys
    from mirrorlistd.config import Config
    from mirrorlistd.state.state import State

LAST_GOOD: Final = "last-good.mls"
"""In the state folder."""
_LARGEST_STATUS: Final = 4 << 20
"""Bytes: a line for each of 65,535 mirrors."""


@contextlib.contextmanager
def admit(
    config: Config, before: State | None = None, *, fall_back: bool = True
) -> Generator[tuple[State, InputFiles]]:
    """Load what `config` names, if it may be served instead of `before`; None: at the start, when nothing is.

    Gives the State and the files that it was made of, open meanwhile. Raises MirrorlistdError. Without `fall_back` a
    bad snapshot is refused at the start, too.
    """
    copy, snapshot, origin = _choose(config, before, fall_back=fall_back)
    with InputFiles.read(config, copy) as files:
        overlay, error = _overlay(config, before, snapshot)
        with files.accepted(overlay.document(), replace(origin, status_error=error)) as accepted:
            yield load_state(config, accepted, snapshot), accepted


def keep_last_good(config: Config, state: State) -> None:
    """Keep a copy of the snapshot that is served now, if there is a folder for it; raise StateError on failure."""
    if config.state_dir is None or config.snapshot is None or state.origin.instead is not None:
        return
    path = config.state_dir / LAST_GOOD
    with contextlib.suppress(StateError):
        if is_there(path) and memoryview(read_private_copy(path)) == state.data:
            return
    try:
        config.state_dir.mkdir(mode=0o755, exist_ok=True)
        replace_file(bytes(state.data), path)
    except (OSError, MirrorlistSnapshotError) as error:
        raise StateError(f"--state-dir: the last good snapshot could not be kept: {error}") from error


def _choose(config: Config, before: State | None, *, fall_back: bool) -> tuple[PrivateCopy, Snapshot, SnapshotOrigin]:
    """Give the snapshot to serve: the configured one; where it is refused, another one or the reason."""
    keys = _trusted(config)
    kept = config.state_dir / LAST_GOOD if config.state_dir and config.snapshot and before is None else None
    try:
        copy = copy_snapshot(config)
        with _closed_on_error(copy):
            floor = before.serial if before is not None else _serial(kept, keys) if keys and kept else None
            snapshot = _accepted(copy, keys, floor)
            if before is not None:
                _check_loss(config, before, copy, snapshot)
            return copy, snapshot, SnapshotOrigin(source=str(copy.path))
    except StateError as error:
        if before is not None:
            if (chosen := _as_before(config, before, str(error))) is None:
                raise
            return chosen
        if kept is None or not fall_back or not is_there(kept):
            raise
        return _last_good(kept, keys, error)


def _as_before(config: Config, before: State, error: str) -> tuple[PrivateCopy, Snapshot, SnapshotOrigin] | None:
    """Give the snapshot that is served, where the status file has changed: a bad push must not block the brake."""
    overlay, _ = _overlay(config, before, before.published)
    if overlay == before.overlay:
        return None
    copy = PrivateCopy.of(Path(before.source), bytes(before.data))
    return copy, before.published, replace(before.origin, refused=error[:2000])


def _last_good(kept: Path, keys: TrustedKeys | None, error: StateError) -> tuple[PrivateCopy, Snapshot, SnapshotOrigin]:
    """Give the last good copy, instead of what there is an error about."""
    try:
        copy = PrivateCopy.of(kept, read_private_copy(kept))
        with _closed_on_error(copy):
            return copy, _accepted(copy, keys, None), SnapshotOrigin(source=str(kept), instead=f"{error!s:.2000}")
    except StateError as other:
        raise StateError(f"{error}; and the last good copy cannot be served, either: {other}") from error


@contextlib.contextmanager
def _closed_on_error(copy: PrivateCopy) -> Generator[None]:
    try:
        yield
    except BaseException:
        copy.close()
        raise


def _accepted(copy: PrivateCopy, keys: TrustedKeys | None, floor: int | None) -> Snapshot:
    """Decode a snapshot that a trusted key has signed, where there are any, and that is not older than `floor`."""
    data = copy.view()
    if keys is not None:
        try:
            keys.verify(data)
        except SnapshotError as error:  # a SignatureError, or a header that is not even whole
            raise StateError(f"{copy.path}: {error}") from error
    snapshot = decode_snapshot(str(copy.path), data)
    if keys is not None and floor is not None and snapshot.serial < floor:
        raise StateError(
            f"{copy.path}: serial {snapshot.serial} is less than {floor}, which was served before, and signed "
            "snapshots never go back: give the old content a new serial (mirrorlist-snapshot rollback)"
        )
    return snapshot


def _check_loss(config: Config, before: State, copy: PrivateCopy, snapshot: Snapshot) -> None:
    """Refuse a large loss; the built-in example is no loss, nor is what has not changed."""
    same = header(before.data).digest == header(copy.view()).digest
    if same or before.source == str(BUILT_IN):
        return
    try:
        check_loss(before.published, snapshot, config.max_loss / 100)
    except LossError as error:
        raise StateError(f"{copy.path}: {error}; if that is meant, raise --max-loss, or restart") from error


def _trusted(config: Config) -> TrustedKeys | None:
    if not config.trusted_keys:
        return None
    from mirrorlist_snapshot.signing import TrustedKeys  # noqa: PLC0415 - see its first lines

    try:
        return TrustedKeys.read(config.trusted_keys)
    except MirrorlistSnapshotError as error:
        raise ConfigError(f"--trusted-key: {error}") from error


def _serial(kept: Path, keys: TrustedKeys) -> int | None:
    """Serial of the last good copy; None where there is none that could be trusted."""
    with contextlib.suppress(StateError, SnapshotError):
        data = read_private_copy(kept)
        keys.verify(data)
        return header(data).serial
    return None


def _overlay(config: Config, before: State | None, snapshot: Snapshot) -> tuple[StatusFile, str | None]:
    """Give what the status file says, or what it said before and why."""
    if config.status is None:
        return NO_STATUS, None
    try:
        overlay = parse(str(config.status), _status(config.status))
        try:
            overlay.check(snapshot, config.max_down / 100)
        except StatusError as error:
            raise StatusError(f"{config.status}: {problem}" for problem in error.problems) from error
    except StatusError as error:
        return (before.overlay if before is not None else NO_STATUS), f"{error!s:.2000}"
    return overlay, None


def _status(path: Path) -> bytes:
    try:
        if not path.is_file():  # opening a pipe would wait for a writer, for ever
            raise StatusError([f"{path}: is missing, or no regular file; where nothing is to be said, let it be empty"])
        with path.open("rb") as file:
            data = file.read(_LARGEST_STATUS + 1)
    except OSError as error:
        raise StatusError([f"{path}: cannot be read: {error.strerror}"]) from error
    if len(data) > _LARGEST_STATUS:
        raise StatusError([f"{path}: has more than {_LARGEST_STATUS} bytes"])
    return data
