"""`serve`: serve mirror lists over HTTP."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from mirrorlistd.cli.console import add_verb
from mirrorlistd.config import Config, add_arguments, load_config

if TYPE_CHECKING:
    import argparse

    from mirrorlistd.cli.console import Verbs

_EXAMPLES: Final = """\
examples:
  mirrorlistd serve                                     the built-in mirrors, on http://127.0.0.1:8080/
  mirrorlistd serve --snapshot mirrors.mls --geo GeoLite2-City.mmdb
  mirrorlistd serve --snapshot mirrors.mls --uds /run/mirrorlistd/http --trusted-proxy unix
  mirrorlistd serve --mirrormanager /var/lib/mirrormanager --state-dir /var/lib/mirrorlistd
  mirrorlistd serve --config /etc/mirrorlistd.toml      settings as keys: snapshot = "mirrors.mls"

SIGHUP reads snapshot (or MirrorManager's files), databases and settings again; SIGTERM finishes what is under way and
stops.

exit status: 0 stopped as asked, 1 refused (the message names the file or the setting), 2 wrong usage"""


def add(verbs: Verbs) -> None:
    """Add the verb to the command's parser."""
    add_arguments(add_verb(verbs, "serve", run, "serve mirror lists over HTTP", _EXAMPLES))


def run(arguments: argparse.Namespace, hangups: list[int]) -> int:
    """Serve until told to stop."""
    from mirrorlistd.serve import serve  # noqa: PLC0415 - `--help` must not pay for the server

    def reread() -> Config:
        return load_config(arguments, os.environ)

    return serve(reread(), reread, hangups)
