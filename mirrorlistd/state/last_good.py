"""The last good snapshot: a copy in the state folder, from which a server starts when the configured one is bad."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from mirrorlist_snapshot.errors import InputFileError, MirrorlistSnapshotError
from mirrorlist_snapshot.input_file import SNAPSHOT, read_file
from mirrorlist_snapshot.publishing.file_target import replace_file
from mirrorlistd.errors import StateError
from mirrorlistd.state.inputs import LAST_GOOD

if TYPE_CHECKING:
    from mirrorlistd.config import Config
    from mirrorlistd.state.state import State


def keep_last_good(config: Config, state: State) -> None:
    """Keep a copy of the snapshot that is served now, if there is a folder for it; raise StateError on failure."""
    if config.state_dir is None or config.snapshot is None or state.origin.instead is not None:
        return
    path = config.state_dir / LAST_GOOD
    with contextlib.suppress(InputFileError):
        if memoryview(read_file(path, SNAPSHOT)) == state.data:
            return
    try:
        config.state_dir.mkdir(mode=0o755, exist_ok=True)
        replace_file(bytes(state.data), path)
    except (OSError, MirrorlistSnapshotError) as error:
        raise StateError(f"--state-dir: the last good snapshot could not be kept: {error}") from error
