"""The server's settings: one table of options, read once into one frozen Config."""

from mirrorlistd.config.loading import load_config
from mirrorlistd.config.option import ENV_PREFIX, Option
from mirrorlistd.config.option_types import LONGEST_PULL, MAX_WORKERS, SHORTEST_PULL
from mirrorlistd.config.options import add_arguments, changed_needing_restart, options_table
from mirrorlistd.config.protections import lost_guards
from mirrorlistd.config.server_config import OPTIONS, Config

__all__ = [
    "ENV_PREFIX",
    "LONGEST_PULL",
    "MAX_WORKERS",
    "OPTIONS",
    "SHORTEST_PULL",
    "Config",
    "Option",
    "add_arguments",
    "changed_needing_restart",
    "load_config",
    "lost_guards",
    "options_table",
]
