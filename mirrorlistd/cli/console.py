"""What the verbs share: their place in the parser, and loading what the settings name."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mirrorlistd.config import load_config

if TYPE_CHECKING:
    from mirrorlistd.state.state import State

Verb = Callable[[argparse.Namespace, list[int]], int]
"""Arguments, SIGHUPs that came before -> exit status."""
Verbs = Any
"""The subparsers of argparse, whose class has no public name."""


def add_verb(verbs: Verbs, name: str, run: Verb, summary: str, examples: str) -> argparse.ArgumentParser:
    """Add a verb: `summary` is a clause without a full stop, `examples` stand below the options."""
    verb: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verb.set_defaults(run=run, parser=verb)
    return verb


def load(arguments: argparse.Namespace, *, afresh: bool = False) -> State:
    """Load what these arguments and the environment name; raise MirrorlistdError where `serve` would fall back, too.

    With --mirrormanager that is what a server has imported last; `afresh`, or where nobody has, it is imported now.
    """
    from mirrorlistd import logs  # noqa: PLC0415 - `--help` must not pay for the server
    from mirrorlistd.private_copy import is_there  # noqa: PLC0415 - as above
    from mirrorlistd.process.mirrormanager_import import imported_aside  # noqa: PLC0415 - as above
    from mirrorlistd.state.admission import admit  # noqa: PLC0415 - as above

    config = load_config(arguments, os.environ)
    logs.configure(config.log_format, config.log_level, sys.stderr)
    kept = not afresh and config.snapshot is not None and is_there(config.snapshot)
    with imported_aside(config, kept=kept) as aside, admit(aside, fall_back=False) as (state, _files):
        if aside is config:
            return state
        # The folder of what was imported aside goes with the block: MirrorManager's own is what can be named.
        return replace(state, origin=replace(state.origin, source=str(config.mirrormanager)))
