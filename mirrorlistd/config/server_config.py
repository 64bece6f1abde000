"""Config: everything that an operator can set, each setting described once.

A field has its type, its default and its Option. Flags, environment variables, keys of the TOML file, `--help` and
docs/options.md are made from them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mirrorlistd.config.option import OPTION, Option, setting
from mirrorlistd.config.option_types import (
    ADDRESS,
    FLAG,
    HEADER,
    HOST,
    LAYOUT,
    LONGEST_PULL,
    MODE,
    NAT64_PREFIX,
    NETWORK,
    PATH,
    PERCENT,
    PROXY,
    SHORTEST_PULL,
    STORE_URL,
    TEMPLATE,
    URL,
    WORKERS,
    one_of,
    seconds,
    whole,
)

if TYPE_CHECKING:
    from pathlib import Path

_DATA, _LISTEN, _CLIENTS, _LISTS, _RUN = "what to serve", "where to listen", "who asks", "lists", "operation"


# A table: the formatter would give each cell its own line.
# fmt: off
@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything an operator can set. Times are in seconds, shares in percent."""

    snapshot: Path | None = setting(None, _DATA, "FILE", PATH,
        "made by `mirrorlist-snapshot compile`; without one, the built-in default, on loopback only")
    pull: str | None = setting(None, _DATA, "URL", STORE_URL,
        "copy the snapshot from this object of a store (s3://, gs://, az://, https://) into --state-dir", reload=False)
    every: float = setting(60.0, _DATA, "SECONDS", seconds(LONGEST_PULL, SHORTEST_PULL),
        "how often to ask the store of --pull", reload=False)
    pull_redirects: tuple[str, ...] = setting((), _DATA, "HOST", HOST,
        "follow redirects of the store to this host, too; without, only to the store's own host",
        flag="pull-redirect", many=True, reload=False)
    mirrormanager: Path | None = setting(None, _DATA, "FOLDER", PATH,
        "import MirrorManager's mirrorlist_cache.proto and the files beside it at the start and on each reload; "
        "sets --preset mirrormanager")
    state_dir: Path | None = setting(None, _DATA, "FOLDER", PATH,
        "keep the last good snapshot here and start from it where the newest one is bad; "
        "systemd's $STATE_DIRECTORY where not set", reload=False)
    geo: Path | None = setting(None, _DATA, "FILE.mmdb", PATH,
        "country or city database; without one, built-in registry data")
    asn: Path | None = setting(None, _DATA, "FILE.mmdb", PATH,
        "AS number database; without one, the AS numbers in --geo, if any")
    status: Path | None = setting(None, _DATA, "FILE", PATH,
        "TOML or JSON file of mirrors that are down, draining or of another weight for now; see docs/operating.md")
    max_down: float = setting(50.0, _DATA, "PERCENT", PERCENT,
        "take away at most this part of the active mirrors, and of the public ones, by --status; offer the others last")
    trusted_keys: tuple[Path, ...] = setting((), _DATA, "FILE.pub", PATH,
        "refuse a snapshot that none of these keys has signed, or that is older than the one before",
        flag="trusted-key", many=True)
    max_loss: float = setting(10.0, _DATA, "PERCENT", PERCENT,
        "refuse to reload a snapshot that lacks more of the mirrors, repositories or directories; 100: never refuse")
    max_age: float = setting(0.0, _DATA, "SECONDS", seconds(31_536_000),
        "report a snapshot of this age as stale, and serve it all the same; 0: never")
    watch: bool = setting(default=False, group=_DATA, metavar="", kind=FLAG, text=
        "reload when one of the files is replaced, without a signal", reload=False)
    demo: bool = setting(default=False, group=_DATA, metavar="", kind=FLAG, text=
        "serve the built-in default on any address")
    hosts: tuple[str, ...] = setting(("127.0.0.1",), _LISTEN, "ADDRESS", ADDRESS,
        "listen on this address; `none`, the default with --uds, for no TCP", flag="host", many=True, reload=False)
    port: int = setting(8080, _LISTEN, "PORT", whole(0, 65535), "TCP port; 0 lets the system choose", reload=False)
    uds: Path | None = setting(None, _LISTEN, "PATH", PATH, "listen on this Unix socket", reload=False)
    uds_mode: int = setting(0o660, _LISTEN, "MODE", MODE,
        "who may connect to --uds, octal; with `--trusted-proxy unix` these peers state clients' addresses",
        shown="660", reload=False)
    backlog: int = setting(2048, _LISTEN, "N", whole(1, 65535),
        "connections that wait to be accepted, per socket; the kernel has its own limit", reload=False)
    keep_alive: float = setting(15.0, _LISTEN, "SECONDS", seconds(3600),
        "how long an idle connection stays open; 0 closes it after each answer", reload=False)
    lane: str = setting("fast", _LISTEN, "LANE", one_of("fast", "asgi"),
        "fast: plain requests for lists are answered directly; asgi: the ASGI application answers every request",
        reload=False)
    trusted_proxies: tuple[str, ...] = setting((), _CLIENTS, "CIDR|unix", PROXY,
        "take the client's address from the header that this peer sends; `unix`: the peer on --uds",
        flag="trusted-proxy", many=True)
    forwarded_header: str = setting("x-forwarded-for", _CLIENTS, "NAME", HEADER,
        "the one header in which trusted proxies name the client")
    nat64_prefixes: tuple[str, ...] = setting((), _CLIENTS, "CIDR", NAT64_PREFIX,
        "a NAT64 prefix of your own: an address behind it counts as the IPv4 address inside "
        "(behind 64:ff9b::/96 a public one always does; private ones, too, if you name it here)",
        flag="nat64-prefix", many=True)
    explain_networks: tuple[str, ...] = setting(("127.0.0.0/8", "::1/128"), _CLIENTS, "CIDR", NETWORK,
        "insiders: clients who see every mirror in explanations, and private ones in the sums of /readyz and /metrics",
        flag="explain-network", many=True)
    minimum: int = setting(5, _LISTS, "N", whole(0, 100),
        "with fewer near mirrors than this, fill the list with far ones")
    limit: int | None = setting(None, _LISTS, "N", whole(1, 100),
        "longest list where the client names no limit (20; with --preset mirrormanager all near mirrors)")
    preset: str = setting("default", _LISTS, "NAME", one_of("default", "mirrormanager"),
        "answer like this server, or like MirrorManager's mirrorlist-server; see docs/mirrormanager.md")
    original_statuses: bool = setting(default=False, group=_LISTS, metavar="", kind=FLAG, text=
        "with --preset mirrormanager: its status 200 for disabled repositories and incomplete requests")
    sticky: float = setting(600.0, _LISTS, "SECONDS", seconds(86400),
        "how long redirects of one client lead to one mirror; 0 chooses anew every second")
    redirect_scheme: str = setting("keep", _LISTS, "SCHEME", one_of("keep", "https"),
        "requests over http: redirect to http where the mirror has it (keep), or to https first; https stays https")
    public_url: str | None = setting(None, _LISTS, "URL", URL,
        "where clients reach this server; with it, redirects name the file's metalinks")
    pacman_layout: str = setting("$repo/os/$arch", _LISTS, "PATH", LAYOUT,
        "what follows a mirror's URL in lists for pacman, where the repository's own path has no architecture")
    url_templates: tuple[str, ...] = setting((), _LISTS, "PATH->QUERY", TEMPLATE,
        "a path of your own: /mirrorlist/{version}/{repo}->repo={repo}-{version}", flag="url-template", many=True)
    config: Path | None = setting(None, _RUN, "FILE.toml", PATH,
        "TOML file with these options as keys; a reload reads it again", reload=False, in_file=False)
    statistics: Path | None = setting(None, _RUN, "FILE", PATH,
        "append a line per list, for `mirrorlistd stats` and MirrorManager's scripts; SIGUSR1 opens the file again",
        reload=False)
    statistics_addresses: bool = setting(default=True, group=_RUN, metavar="", kind=FLAG, text=
        "write clients' addresses into the statistics, instead of `-`", reload=False)
    access_log: bool = setting(default=False, group=_RUN, metavar="", kind=FLAG, text="log a line per request")
    count_countries: bool = setting(default=False, group=_RUN, metavar="", kind=FLAG, text=
        "count answers by the client's country in /metrics: up to 252 more rows")
    log_format: str = setting("auto", _RUN, "FORMAT", one_of("auto", "text", "json"),
        "text, json, or auto: text on a terminal, else JSON lines")
    log_level: str = setting("info", _RUN, "LEVEL", one_of("debug", "info", "warning", "error"),
        "least level that is logged: debug, info, warning or error")
    drain: float = setting(0.0, _RUN, "SECONDS", seconds(3600),
        "after SIGTERM, how long /readyz answers 503 before the sockets close", reload=False)
    workers: int = setting(0, _RUN, "N", WORKERS,
        "processes that answer; `auto`: one per processor that affinity and cgroup quota leave",
        shown="auto", reload=False)
    pid_file: Path | None = setting(None, _RUN, "FILE", PATH, "write the process id here", reload=False)
# fmt: on


def _options() -> tuple[Option, ...]:
    fields = ((field.name, field.metadata[OPTION]) for field in dataclasses.fields(Config))
    return tuple(
        dataclasses.replace(option, field=name, name=option.name or name.replace("_", "-")) for name, option in fields
    )


OPTIONS: Final = _options()
"""In the order of the fields."""
