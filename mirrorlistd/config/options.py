"""The table of options, a row each.

Flags, variables, keys of the TOML file, `--help` and the README's table are made from it, so they cannot disagree.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mirrorlistd.config.kinds import (
    ADDRESS,
    FLAG,
    HEADER,
    LONGEST_PULL,
    NETWORK,
    PATH,
    PERCENT,
    PROXY,
    SHORTEST_PULL,
    STORE_URL,
    TEMPLATE,
    URL,
    WORKERS,
    Kind,
    one_of,
    seconds,
    whole,
)
from mirrorlistd.config.server_config import Config

if TYPE_CHECKING:
    from collections.abc import Container

ENV_PREFIX: Final = "MIRRORLISTD_"


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the table."""

    field: str
    """Of Config; also the attribute of the parsed flags."""
    name: str
    """The flag without its dashes; also the TOML key."""
    group: str
    """Heading in `--help`."""
    metavar: str
    kind: Kind
    help: str
    """What it means, for `--help` and the README: one sentence, no full stop."""
    many: bool = False
    """A list: the flag repeats, the variable is split at commas and spaces, the key takes a list."""
    reload: bool = True
    """A reload (SIGHUP) applies a change; else the change waits for a restart."""
    in_file: bool = True
    """There is a TOML key."""

    @property
    def flag(self) -> str:
        """`--trusted-proxy`."""
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """`MIRRORLISTD_TRUSTED_PROXY`."""
        return ENV_PREFIX + self.name.replace("-", "_").upper()

    @property
    def default(self) -> str:
        """The default in words that the option itself would accept; empty where there is none."""
        return _DEFAULTS[self.field]


def _in_words(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case tuple():
            return ", ".join(map(str, value)) or "none"  # pyright: ignore[reportUnknownArgumentType] - of anything
        case _:
            return str(value)


_DEFAULTS: Final = {field.name: _in_words(field.default) for field in dataclasses.fields(Config)} | {"workers": "auto"}

_DATA, _LISTEN, _CLIENTS, _LISTS, _RUN = "what to serve", "where to listen", "who asks", "lists", "operation"

# A table: the formatter would give each cell its own line.
# fmt: off
OPTIONS: Final = (
    Option("snapshot", "snapshot", _DATA, "FILE", PATH,
           "made by `mirrorlist-snapshot compile`; without one, the built-in default, on loopback only"),
    Option("pull", "pull", _DATA, "URL", STORE_URL,
           "take the snapshot from this object of a store (s3://, gs://, az://, https://), into --state-dir",
           reload=False),
    Option("every", "every", _DATA, "SECONDS", seconds(LONGEST_PULL, SHORTEST_PULL),
           "how often to ask the store of --pull", reload=False),
    Option("mirrormanager", "mirrormanager", _DATA, "FOLDER", PATH,
           "import mirrorlist_cache.proto and what is beside it, at the start and on reloads; --preset mirrormanager"),
    Option("state_dir", "state-dir", _DATA, "FOLDER", PATH,
           "keep the last good snapshot here, to start from it if need be; systemd's $STATE_DIRECTORY where not set",
           reload=False),
    Option("geo", "geo", _DATA, "FILE.mmdb", PATH,
           "country or city database; without one, built-in registry data"),
    Option("asn", "asn", _DATA, "FILE.mmdb", PATH,
           "AS number database; without one, the numbers in --geo, if any"),
    Option("status", "status", _DATA, "FILE", PATH,
           "TOML or JSON: mirrors that are down, draining or of another weight for now; see docs/operating.md"),
    Option("max_down", "max-down", _DATA, "PERCENT", PERCENT,
           "do not use a --status that takes away more of the mirrors than this"),
    Option("trusted_keys", "trusted-key", _DATA, "FILE.pub", PATH,
           "refuse snapshots that none of these keys has signed, and older ones than before", many=True),
    Option("max_loss", "max-loss", _DATA, "PERCENT", PERCENT,
           "refuse to reload what loses more mirrors, repositories or directories; 100: never refuse"),
    Option("max_age", "max-age", _DATA, "SECONDS", seconds(31_536_000),
           "say that a snapshot is stale (it is served all the same); 0: never"),
    Option("watch", "watch", _DATA, "", FLAG,
           "reload when one of the files is replaced, where nobody can send a signal", reload=False),
    Option("demo", "demo", _DATA, "", FLAG, "serve the built-in default on any address"),
    Option("hosts", "host", _LISTEN, "ADDRESS", ADDRESS,
           "listen on this address; `none`, the default with --uds, for no TCP", many=True, reload=False),
    Option("port", "port", _LISTEN, "PORT", whole(0, 65535),
           "TCP port; 0 lets the system choose", reload=False),
    Option("uds", "uds", _LISTEN, "PATH", PATH, "listen on this Unix socket", reload=False),
    Option("backlog", "backlog", _LISTEN, "N", whole(1, 65535),
           "connections waiting to be accepted, per socket", reload=False),
    Option("keep_alive", "keep-alive", _LISTEN, "SECONDS", seconds(3600),
           "how long an idle connection stays open", reload=False),
    Option("lane", "lane", _LISTEN, "LANE", one_of("fast", "asgi"),
           "fast: answer plain requests for lists at once; asgi: all by the ASGI application", reload=False),
    Option("trusted_proxies", "trusted-proxy", _CLIENTS, "CIDR|unix", PROXY,
           "believe what this peer says about the client's address", many=True),
    Option("forwarded_header", "forwarded-header", _CLIENTS, "NAME", HEADER,
           "the one header in which trusted proxies name the client"),
    Option("explain_networks", "explain-network", _CLIENTS, "CIDR", NETWORK,
           "clients who see every mirror in an explanation; others see those of their own list", many=True),
    Option("minimum", "minimum", _LISTS, "N", whole(0, 100),
           "with fewer near mirrors than this, fill the list with far ones"),
    Option("limit", "limit", _LISTS, "N", whole(1, 100),
           "longest list, where the client names no limit (20; with --preset mirrormanager all there are)"),
    Option("preset", "preset", _LISTS, "NAME", one_of("default", "mirrormanager"),
           "answer as we do, or as MirrorManager's mirrorlist-server does; see docs/mirrormanager.md"),
    Option("original_statuses", "original-statuses", _LISTS, "", FLAG,
           "with --preset mirrormanager: its status 200 for disabled repositories and incomplete requests"),
    Option("sticky", "sticky", _LISTS, "SECONDS", seconds(86400),
           "how long redirects of one client go to one mirror"),
    Option("public_url", "public-url", _LISTS, "URL", URL,
           "where clients reach this server; with it, redirects name the file's metalinks"),
    Option("url_templates", "url-template", _LISTS, "PATH->QUERY", TEMPLATE,
           "a path of your own: /mirrorlist/{version}/{repo}->repo={repo}-{version}", many=True),
    Option("config", "config", _RUN, "FILE.toml", PATH,
           "TOML file with these options as keys; read again on reload", reload=False, in_file=False),
    Option("statistics", "statistics", _RUN, "FILE", PATH,
           "append a line per list, for `mirrorlistd stats` and MirrorManager's scripts; SIGUSR1 opens it anew",
           reload=False),
    Option("statistics_addresses", "statistics-addresses", _RUN, "", FLAG,
           "name clients' addresses in the statistics; without, they stand as `-`", reload=False),
    Option("access_log", "access-log", _RUN, "", FLAG, "log a line per request"),
    Option("count_countries", "count-countries", _RUN, "", FLAG, "count answers by the client's country in /metrics"),
    Option("log_format", "log-format", _RUN, "FORMAT", one_of("auto", "text", "json"),
           "text, json, or auto: text on a terminal, else JSON lines"),
    Option("log_level", "log-level", _RUN, "LEVEL", one_of("debug", "info", "warning", "error"),
           "least that is logged: debug, info, warning or error"),
    Option("drain", "drain", _RUN, "SECONDS", seconds(3600),
           "after SIGTERM, how long /readyz says 503 before the sockets close", reload=False),
    Option("workers", "workers", _RUN, "N", WORKERS,
           "processes that answer; `auto`: one per processor that affinity and cgroup quota leave", reload=False),
    Option("pid_file", "pid-file", _RUN, "FILE", PATH, "write the process id here", reload=False),
)
# fmt: on


def add_arguments(parser: argparse.ArgumentParser, names: Container[str] | None = None) -> None:
    """Add the options of these names (None: all) as flags, in groups; the values stay text for `load_config` to judge.

    An option without a flag is still read from the environment and the TOML file.
    """
    wanted = [option for option in OPTIONS if names is None or option.name in names]
    for heading, options in itertools.groupby(wanted, lambda option: option.group):
        add = parser.add_argument_group(heading).add_argument
        for option in options:
            flag, field = option.flag, option.field
            facts = f"default: {option.default}; {option.variable}" if option.default else option.variable
            text = f"{option.help} ({'repeatable; ' if option.many else ''}{facts})".replace("%", "%%")
            if option.kind is FLAG:
                add(flag, dest=field, action=argparse.BooleanOptionalAction, help=text)
            else:
                action = "append" if option.many else "store"
                add(flag, dest=field, action=action, metavar=option.metavar, help=text)


def changed_needing_restart(old: Config, new: Config) -> tuple[str, ...]:
    """Name the options that differ although a reload cannot apply them."""
    fixed = [option for option in OPTIONS if not option.reload]
    return tuple(option.name for option in fixed if getattr(old, option.field) != getattr(new, option.field))


def options_table() -> str:
    """Render the README's table of options, in Markdown."""
    rows = ["| Flag | Variable | TOML key | Default | Reload | Meaning |", "| --- " * 6 + "|"]
    for option in OPTIONS:
        flag = f"{option.flag} {option.metavar}".strip() + ("..." if option.many else "")
        cells = (
            f"`{flag}`".replace("|", r"\|"),
            f"`{option.variable}`",
            f"`{option.name}`" if option.in_file else "",
            f"`{option.default}`" if option.default else "",
            "yes" if option.reload else "restart",
            option.help,
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"
