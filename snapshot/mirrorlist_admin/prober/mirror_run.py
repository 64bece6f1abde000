"""One mirror in one run: who asks, what all mirrors have in common, and what was seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from mirrorlist_admin.exchange import Failure
from mirrorlist_admin.store.rows import Arrival
from mirrorlist_admin.verdict.reach import DEFAULT_DOWN_RULE, DownRule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mirrorlist_admin.exchange import Answer, HostAddresses, Listing, Request
    from mirrorlist_admin.network import AskedMirror, Unit
    from mirrorlist_admin.prober.known import UnitKey, UrlKey
    from mirrorlist_admin.store.rows import MirrorProbe, UnitProbe, UrlProbe


class Fetcher(Protocol):
    """What asks: `fetch.Client`, or a simulated network."""

    async def lookup(self, host: str, *, again: bool = False) -> HostAddresses:
        """Return the addresses of a host that may be asked; those of this run, unless `again`."""
        ...

    async def get(self, request: Request) -> Answer:
        """Send a request."""
        ...


class Lister(Protocol):
    """What asks over rsync: `rsync.Lister`."""

    @property
    def is_there(self) -> bool:
        """Whether anything can be asked."""
        ...

    async def list_names(self, url: str, address: str, names: Sequence[str]) -> Listing:
        """Return the sizes of the named files below a base URL, asked at an address."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AskingRules:
    """What the operator may set."""

    down: DownRule = DEFAULT_DOWN_RULE
    every: int = 300
    """Seconds between two runs; the pauses between questions for a changed unit are multiples of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What all mirrors of a run have in common."""

    fetcher: Fetcher
    lister: Lister | None
    """What asks over rsync, if anything does."""
    clock: Callable[[], float]
    rules: AskingRules
    busiest: Mapping[str, Unit]
    """The unit of each category that changes most."""
    due: Mapping[str, Mapping[UnitKey, int]]
    """Mirror -> the units that others ask for, with times."""


@dataclass(slots=True)
class MirrorRun:
    """What a run saw of one mirror."""

    mirror: AskedMirror
    probe: MirrorProbe
    urls: dict[UrlKey, UrlProbe]
    """What is known of its URLs after the run."""
    units: dict[UnitKey, UnitProbe] = field(default_factory=dict["UnitKey", "UnitProbe"])
    """The units that it gave an answer about."""
    failed: set[UrlKey] = field(default_factory=set["UrlKey"])
    """URLs whose last answer in this run was a failure."""
    stumbled: set[UrlKey] = field(default_factory=set["UrlKey"])
    """URLs that failed at least once in this run: if many do, it is the prober's own network."""
    asked: set[UrlKey] = field(default_factory=set["UrlKey"])
    arrivals: list[Arrival] = field(default_factory=list[Arrival])
    unsure: list[Failure] = field(default_factory=list[Failure])
    """Failures from which nothing is concluded."""
    odd: dict[UrlKey, str] = field(default_factory=dict["UrlKey", str])
    """What was noticed and is no state: one line for people."""
    requests: int = 0
