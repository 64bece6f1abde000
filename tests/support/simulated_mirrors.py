"""A mirror network without sockets, for days of the prober's life: a master that publishes, mirrors that follow it.

What is true is known at every moment: who serves, and which version each has. So a test can hold the prober's lists
against the truth.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mirrorlist_admin.exchange import Answer, Failure, HostAddresses
from mirrorlist_snapshot.source import read_sources

if TYPE_CHECKING:
    from pathlib import Path

    from mirrorlist_admin.exchange import Request
    from mirrorlist_snapshot.records import NetworkRecords
    from support.virtual_time import Clock

Span = tuple[float, float]
"""From, until: seconds since 1970."""


def repomd(number: int, made: float) -> bytes:
    """A unit's content."""
    root = '<repomd xmlns="http://linux.duke.edu/metadata/repo">'
    return f"{root}<revision>{int(made)}</revision><!-- {number} --></repomd>".encode()


@dataclass
class Mirror:
    """What a mirror does."""

    name: str
    delay: float
    """Seconds after a publication at which it has it."""
    outages: list[Span] = field(default_factory=list)
    """When it answers nothing."""
    frozen: list[Span] = field(default_factory=list)
    """When it does not synchronise."""
    mistakes: float = 0.0
    """Fraction of requests that fail although it serves."""
    slow: float = 0.05
    """Seconds for an answer."""
    defect: str = ""
    """`404`, `503`, `html`, `other bytes`: how it answers all the time."""
    asked: int = 0

    def serves(self, now: float) -> bool:
        """Whether it answers."""
        return not any(begin <= now < end for begin, end in self.outages)


class SimulatedNetwork:
    """What asks: a `Fetcher`."""

    def __init__(self, clock: Clock, mirrors: list[Mirror], published: list[float], units: int, seed: int = 1) -> None:
        """`published` are the times at which the master changes all of its units."""
        self.clock = clock
        self.mirrors = {mirror.name: mirror for mirror in mirrors}
        self.published = published
        self.units = units
        self.offline: list[Span] = []
        """When the prober is off line."""
        self.half_offline: list[Span] = []
        """When two requests in three fail, and the master answers."""
        self.master_defect = ""
        self.master_behind = False
        """Whether the master has the first version again."""
        self._random = Random(seed)

    def records(self, folder: Path, *, extra: str = "") -> NetworkRecords:
        """The description of the network; `extra` is more of it."""
        lines = ["[categories.c]", 'kind = "open"', 'master = "http://master.example/"', extra]
        for unit in range(self.units):
            lines += [f"[repositories.r{unit}]", 'category = "c"', f'path = "r{unit}"', 'unit = "repodata/repomd.xml"']
        for name in self.mirrors:
            lines += [f"[mirrors.{name}]", 'country = "DE"', f"[mirrors.{name}.categories.c]"]
            lines += [f'urls = ["http://{name}.example/"]']
        path = folder / "net.toml"
        path.write_text("\n".join(lines))
        return read_sources([path])[0]

    def version(self, mirror: Mirror | None, now: float) -> int:
        """The number of the version that the master, or a mirror, has."""
        if mirror is not None:
            frozen = [begin for begin, end in mirror.frozen if begin <= now < end]
            now = min([now, *frozen]) - mirror.delay
        return sum(1 for at in self.published if at <= now) - 1

    def lag(self, mirror: Mirror, now: float, since: float) -> float:
        """For how long the mirror's version has been superseded, as far as somebody can know who watches since then.

        Of what was superseded before, only that is known: it is older than the version that was there then.
        """
        number = self.version(mirror, now)
        if number >= self.version(None, now):
            return 0.0
        return now - self.published[max(number + 1, self.version(None, since))]

    async def lookup(self, host: str, *, again: bool = False) -> HostAddresses:
        """Every host has one address."""
        del again
        if self._is(self.offline):
            return HostAddresses(failure=Failure(cause="resolver", evidence=host, certain=False, host=True))
        return HostAddresses(("192.0.2.1",))

    async def get(self, request: Request) -> Answer:
        """Answer as the network would."""
        parts = urlsplit(request.url)
        name = (parts.hostname or "").removesuffix(".example")
        mirror = self.mirrors.get(name)
        await asyncio.sleep(mirror.slow if mirror else 0.01)
        if mirror is not None:
            mirror.asked += 1
        now = self.clock()
        if self._is(self.offline):
            return self._failed("timeout")
        if mirror is None:
            return self._answer(request, parts.path, None, self.master_defect)
        if self._is(self.half_offline) and self._random.random() < 2 / 3:
            return self._failed("reset")
        if not mirror.serves(now):
            return self._failed("refused")
        if self._random.random() < mirror.mistakes:
            return self._failed(self._random.choice(["timeout", "reset"]))
        return self._answer(request, parts.path, mirror, mirror.defect)

    def _answer(self, request: Request, path: str, mirror: Mirror | None, defect: str) -> Answer:
        at = int(self.clock())
        if defect == "503":
            failure = Failure(cause="status 503", evidence="503 Service Unavailable", wait=600)
            return Answer(at=at, status=503, failure=failure)
        if defect == "404" or "does-not-exist" in path:
            return Answer(at=at, status=404)
        number = 0 if mirror is None and self.master_behind else self.version(mirror, self.clock())
        body = repomd(number, self.published[number])
        if defect == "html":
            body = b"<!doctype html><html></html>"
        if defect == "other bytes":
            body = body.replace(b"repomd>", b"repomd >")
        etag = hashlib.sha256(body).hexdigest()
        if request.etag == etag:
            return Answer(at=at, status=304, etag=etag)
        return Answer(at=at, status=200, head=body, sha256=etag, size=len(body), etag=etag)

    def _failed(self, cause: str) -> Answer:
        return Answer(at=int(self.clock()), failure=Failure(cause=cause, evidence=cause, host=True))

    def _is(self, spans: list[Span]) -> bool:
        return any(begin <= self.clock() < end for begin, end in spans)
