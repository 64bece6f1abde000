"""Which settings protect an operator, and what would be lost where a reload drops one. Pure.

An options file that is emptied or cut off while a server runs must not end the checks that it has set up. A reload
refuses such settings, and a restart takes them. A setting that changes to another value than its default is meant.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from mirrorlistd.config.server_config import Config

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DEFAULT: Final = Config()
_ADVICE: Final = "a reload does not take that; restart if it is meant"


def lost_guards(before: Config, now: Config) -> list[str]:
    """Return a line for each protection that `before` has and `now` has lost."""
    return [f"{problem}; {_ADVICE}" for problem in _lost(before, now)]


def _lost(before: Config, now: Config) -> Iterator[str]:
    if before.trusted_keys and not now.trusted_keys:
        yield "--trusted-key is gone: signatures would not be checked any more"
    if before.snapshot and not now.snapshot:
        yield "--snapshot is gone: the built-in example would be served"
    if before.status and not now.status:
        yield "--status is gone: every mirror that it takes away would be offered (an empty file lifts it)"
    if before.trusted_proxies and not now.trusted_proxies:
        yield "--trusted-proxy is gone: every client behind a proxy would count as the proxy"
    if before.forwarded_header != now.forwarded_header == _DEFAULT.forwarded_header:
        yield f"--forwarded-header falls back to {now.forwarded_header}, which clients might send themselves"
    for name in ("max_loss", "max_down"):
        old, new = getattr(before, name), getattr(now, name)
        if old < new == getattr(_DEFAULT, name):
            yield f"--{name.replace('_', '-')} falls back from {old:g} to {new:g}"
    if before.max_age and not now.max_age:
        yield "--max-age is gone: a stale snapshot would not show any more"
    wider = now.explain_networks == _DEFAULT.explain_networks
    if wider and not _within(now.explain_networks, before.explain_networks):
        yield f"--explain-network falls back to {', '.join(now.explain_networks)}, which are more insiders"


def _within(inner: Iterable[str], outer: Iterable[str]) -> bool:
    """Whether each of some networks lies in one of others."""
    ranges = [[_range(text) for text in texts] for texts in (inner, outer)]
    return all(
        any(version == other[0] and other[1] <= first and last <= other[2] for other in ranges[1])
        for version, first, last in ranges[0]
    )


def _range(text: str) -> tuple[int, int, int]:
    """Return the version of a network, and its first and last address as numbers."""
    network = ip_network(text, strict=False)
    return network.version, int(network.network_address), int(network.broadcast_address)
