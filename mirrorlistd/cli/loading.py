"""Load what the settings name, for the verbs that need it without serving it."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from mirrorlistd import logs
from mirrorlistd.config import load_config
from mirrorlistd.private_copy import is_there
from mirrorlistd.process.mirrormanager_import import imported_aside
from mirrorlistd.state.loading import load as load_state

if TYPE_CHECKING:
    import argparse

    from mirrorlistd.state.state import State


def load(options: argparse.Namespace, *, afresh: bool = False) -> State:
    """Load what the flags and the environment name; raise MirrorlistdError also where `serve` would fall back.

    With --mirrormanager this is the snapshot that a server imported last. If there is none, or with `afresh`,
    MirrorManager's files are imported now.
    """
    config = load_config(options, os.environ)
    logs.configure(config.log_format, config.log_level, sys.stderr)
    kept = not afresh and config.snapshot is not None and is_there(config.snapshot)
    with imported_aside(config, kept=kept) as aside:
        state = load_state(aside, fall_back=False)
        if aside is config:
            return state
        # The snapshot was imported into a folder that ends with this block: name MirrorManager's folder instead.
        return replace(state, origin=replace(state.origin, source=str(config.mirrormanager)))
