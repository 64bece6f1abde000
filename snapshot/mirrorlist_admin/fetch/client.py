"""Requests: a name becomes an address, redirects are followed by us, and every step is checked and paced.

A redirect may lead elsewhere, but to the same file name: a mirror that sends every request to its front page has
nothing. Each host that a redirect names is resolved and judged like a mirror's.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

import pycurl

from mirrorlist_admin.exchange import Answer, Failure, failure_of
from mirrorlist_admin.fetch import transfer
from mirrorlist_admin.fetch.multi import Multi

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirrorlist_admin.exchange import HostAddresses, Request
    from mirrorlist_admin.fetch.names import Names
    from mirrorlist_admin.fetch.pacing import Pace
    from mirrorlist_admin.netguard import Netguard

MOST_REDIRECTS: Final = 3
_REDIRECTS: Final = {301, 302, 303, 307, 308}
_MOST_ADDRESSES: Final = 3
"""Of one host that are tried if no connection can be made."""
_NO_CONNECTION: Final = {"refused", "unreachable"}
"""Causes after which another address is tried."""
_MOST_IDLE: Final = 64
"""Handles that wait for their next use."""


class Client:
    """The HTTP client of a run; it belongs to one event loop."""

    patience = transfer.Patience()

    def __init__(
        self, names: Names, guard: Netguard, pace: Pace, agent: str, clock: Callable[[], float] = time.time
    ) -> None:
        """`agent` is the User-Agent: who asks, and where to complain."""
        self._names = names
        self._guard = guard
        self._pace = pace
        self._agent = agent
        self._clock = clock
        self._multi = Multi()
        self._idle: list[pycurl.Curl] = []
        self.sent = 0
        """Requests since the client was made."""

    def close(self) -> None:
        """Close all connections."""
        self._multi.close()
        self._names.close()

    def new_run(self) -> None:
        """Resolve names anew."""
        self._names.forget()
        self._pace.forget()

    async def lookup(self, host: str, *, again: bool = False) -> HostAddresses:
        """Return the addresses of a host that may be asked; those of this run, unless `again`."""
        return await self._names.lookup(host, again=again)

    async def get(self, request: Request) -> Answer:
        """Send a request and follow its redirects; every failure is an answer with `failure`."""
        url, file_name, sent = request.url, _file_name(request.url), 0
        for _ in range(MOST_REDIRECTS + 1):
            parts = urlsplit(url)
            found = await self._names.lookup(parts.hostname or "")
            if found.failure is not None:
                return self._failed(found.failure, sent)
            addresses = found.of(request.family)
            if not addresses:
                failure = Failure(
                    cause="no address", evidence=f"{parts.hostname} has no IPv{request.family}", host=True
                )
                return self._failed(failure, sent)
            answer, location = await self._ask(request, url, addresses[0])
            sent += 1
            for address in addresses[1:_MOST_ADDRESSES]:
                if answer.failure is None or answer.failure.cause not in _NO_CONNECTION:
                    break
                answer, location = await self._ask(request, url, address)
                sent += 1
            if not location:
                return answer if sent == 1 else replace(answer, requests=sent)
            target = _target(url, location)
            if target is None:
                reason = f"redirected to {location[:100]!a}, which is no place of a mirror"
                return self._failed(Failure(cause="redirect", evidence=reason), sent)
            if _file_name(target) != file_name:
                reason = f"redirected to another file: {target[:150]}"
                return self._failed(Failure(cause="redirect", evidence=reason), sent)
            url = target
        return self._failed(Failure(cause="redirect", evidence=f"more than {MOST_REDIRECTS} redirects"), sent)

    async def _ask(self, request: Request, url: str, address: str) -> tuple[Answer, str]:
        """Send one request to one address; return the answer, and where it redirects to."""
        handle = self._idle.pop() if self._idle else pycurl.Curl()
        try:
            received = transfer.prepare(handle, request, url, address, self._guard)
            transfer.limit(handle, self.patience)
            handle.setopt(pycurl.USERAGENT, self._agent)
            async with self._pace.turn(address):
                self.sent += 1
                code, text = await self._multi.perform(handle)
            return self._answer(handle, received, code, text, address)
        finally:
            handle.reset()
            if len(self._idle) < _MOST_IDLE:
                self._idle.append(handle)

    def _answer(
        self, handle: pycurl.Curl, received: transfer.Received, code: int, text: str, address: str
    ) -> tuple[Answer, str]:
        now = self._clock()
        if code:
            return Answer(at=int(now), failure=transfer.failure_of(handle, code, text, address)), ""
        status = int(handle.getinfo(pycurl.RESPONSE_CODE))
        location = received.headers.get(b"location", "") if status in _REDIRECTS else ""
        answer = Answer(
            at=int(now),
            status=status,
            failure=None if location else failure_of(status, received.wait(now)),
            head=bytes(received.head),
            sha256=received.hash.hexdigest() if received.hash else "",
            size=received.size,
            etag=received.headers.get(b"etag", "")[:200],
            modified=received.headers.get(b"last-modified", "")[:64],
        )
        return answer, location

    def _failed(self, failure: Failure, sent: int) -> Answer:
        return Answer(at=int(self._clock()), failure=failure, requests=sent)


def _file_name(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[2]


def _target(url: str, location: str) -> str | None:
    """Return where a redirect leads; None if that is no URL that may be asked."""
    if not location.isascii() or not location.isprintable():
        return None
    try:
        target = urljoin(url, location)
        parts = urlsplit(target)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or port == 0:
        return None
    return parts._replace(fragment="").geturl()
