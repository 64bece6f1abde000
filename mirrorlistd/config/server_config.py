"""Config: everything that an operator can set, as one frozen value with the product's defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything an operator can set; the defaults are the product's."""

    config: Path | None = None
    """The TOML file that the other values may come from."""
    snapshot: Path | None = None
    """Compiled snapshot; None means the built-in one, which is served on loopback or with `demo` only."""
    geo: Path | None = None
    """Country or city database (MMDB); None means the built-in registry data."""
    asn: Path | None = None
    """AS number database (MMDB); None means AS numbers are taken from `geo` where it has them."""
    pull: str | None = None
    """Object in a store from which the snapshot is taken, into `state_dir`; excludes `snapshot`."""
    every: float = 60.0
    """Seconds, 0.1..86400, between two questions to the store."""
    mirrormanager: Path | None = None
    """Folder of MirrorManager's files, imported into `snapshot`, in `state_dir`; excludes other snapshots."""
    state_dir: Path | None = None
    """Folder for what must outlive the process, the last good snapshot first; None: nothing does."""
    status: Path | None = None
    """Overlay: mirrors that are down, draining or of another weight for the time being; None: none is."""
    max_down: float = 50.0
    """Percent of the active mirrors that an overlay may take away; one that takes more is not used."""
    trusted_keys: tuple[Path, ...] = ()
    """Public keys, any one of which must have signed the snapshot; empty: signatures are not looked at."""
    max_loss: float = 10.0
    """Percent of the mirrors, repositories or directories that a reload may take away; 100 allows everything."""
    max_age: float = 0.0
    """Seconds after its compilation from which a snapshot counts as stale; 0: never."""
    watch: bool = False
    """Reload when a file is replaced, without a signal."""
    demo: bool = False
    """Serve the built-in snapshot to everyone."""
    hosts: tuple[str, ...] = ("127.0.0.1",)
    """Addresses (no names) to listen on; empty for `uds` alone, which is what setting only `uds` gives."""
    port: int = 8080
    """TCP port, 0..65535; 0 lets the system choose."""
    uds: Path | None = None
    """Unix socket to listen on."""
    backlog: int = 2048
    """Connections waiting to be accepted, per socket; the kernel lowers it to its own limit."""
    keep_alive: float = 15.0
    """Seconds that an idle connection stays open; 0 closes it after each answer."""
    lane: str = "fast"
    """`fast` answers plain requests for lists by itself; `asgi` gives every request to the ASGI application."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks (CIDR) whose word about the client's address is taken; `unix` stands for the peer of `uds`."""
    forwarded_header: str = "x-forwarded-for"
    """The one header, lower case, in which trusted proxies name the client."""
    explain_networks: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks (CIDR) whose clients see every mirror in an explanation, not only those of their own list."""
    minimum: int = 5
    """Mirrors, 0..100: with fewer near ones than this a list is filled with far ones."""
    limit: int | None = None
    """Mirrors in a list, 1..100, where the client names no limit; None leaves it to the preset."""
    preset: str = "default"
    """Which way of answering, a key of `presets.PRESETS`: `default` or `mirrormanager`."""
    original_statuses: bool = False
    """With the preset mirrormanager: its status 200 for two kinds of errors, instead of 400 and 403."""
    sticky: float = 600.0
    """Seconds for which redirects of one client go to one mirror; 0 chooses anew every second."""
    public_url: str | None = None
    """Where clients reach this server, without a slash at the end; None: redirects name no metalinks."""
    url_templates: tuple[str, ...] = ()
    """Paths of the operator's own that are lists, as `routes.Template` reads them."""
    statistics: Path | None = None
    """Where a line per list is appended, as MirrorManager's scripts read it; None: nowhere."""
    statistics_addresses: bool = True
    """Whether these lines name clients' addresses."""
    access_log: bool = False
    """One log line per request."""
    count_countries: bool = False
    """Count answers by the client's country in /metrics: up to 252 more rows."""
    log_format: str = "auto"
    """`text`, `json`, or `auto`: text on a terminal, else JSON lines."""
    log_level: str = "info"
    """`debug`, `info`, `warning` or `error`."""
    drain: float = 0.0
    """Seconds between SIGTERM and closing the sockets, while /readyz says 503."""
    workers: int = 0
    """Processes that answer, 1..256; 0 means as many as there are processors to use."""
    pid_file: Path | None = None
    """Where to write the process id."""
