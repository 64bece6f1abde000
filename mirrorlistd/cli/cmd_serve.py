"""`serve`: serve mirror lists over HTTP."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from mirrorlistd.config import Config, add_arguments, load_config
from mirrorlistd.serve import serve

if TYPE_CHECKING:
    import argparse

EXAMPLES: Final = """\
examples:
  mirrorlistd serve                                     the built-in mirrors, on http://127.0.0.1:8080/
  mirrorlistd serve --snapshot mirrors.mls --geo GeoLite2-City.mmdb
  mirrorlistd serve --snapshot mirrors.mls --uds /run/mirrorlistd/http --trusted-proxy unix
  mirrorlistd serve --mirrormanager /var/lib/mirrormanager --state-dir /var/lib/mirrorlistd
  mirrorlistd serve --config /etc/mirrorlistd.toml      settings as keys: snapshot = "mirrors.mls"

SIGHUP makes the server read its snapshot (or MirrorManager's files), databases and settings again. SIGTERM makes it
finish the requests under way and stop.

exit status: 0 stopped by a signal, 1 refused (the message names the file or the setting), 2 wrong usage"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add every setting."""
    add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal ends it."""

    def read_config() -> Config:
        return load_config(options, os.environ)

    return serve(read_config(), read_config, options.early_sighups)
