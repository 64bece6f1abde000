"""`/checkin`: GET gives a mirror its task, POST takes its report. docs/http-api.md, Check-in, describes both."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.routing import Route

from mirrorlist_admin.checkin.counter import authenticate, hand_out, note_use, receive, waiting_task
from mirrorlist_admin.checkin.report_form import LARGEST, Refusal, inflate, parse_report, too_large
from mirrorlist_admin.checkin.tokens import digest_of
from mirrorlist_admin.errors import AdminError
from mirrorlist_admin.web.rates import Rate

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from mirrorlist_admin.checkin.report_form import Report
    from mirrorlist_admin.store import Store
    from mirrorlist_admin.web.database import Database

REQUESTS_OF_A_TOKEN: Final = (60, 600.0)
"""Requests in seconds. A report takes two, so a mirror that synchronises every minute stays below."""
REQUESTS_OF_AN_ADDRESS: Final = (300, 60.0)
"""The mirrors of a campus may share one."""
FAILURES_OF_AN_ADDRESS: Final = (20, 600.0)
"""Requests without a valid token."""
PATIENCE: Final = 30.0
"""Seconds for a body to arrive."""
_ONE_CUSTOMER: Final = 64
"""Length of the IPv6 prefix that counts as one address."""
_FORBIDDEN: Final = (401, 403)
_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class CheckInEndpoint:
    """The endpoint of one server. The rates live here: a restart begins anew."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives the seconds since 1970."""
        self._database = database
        self._clock = clock
        self._random = SystemRandom()
        self._tokens = Rate(*REQUESTS_OF_A_TOKEN)
        self._addresses = Rate(*REQUESTS_OF_AN_ADDRESS)
        self._failures = Rate(*FAILURES_OF_AN_ADDRESS)

    @property
    def routes(self) -> list[Route]:
        """For Starlette."""
        return [Route("/checkin", self._answer, methods=["GET", "POST"])]

    async def _answer(self, request: Request) -> Response:
        address = _network(request.client.host if request.client else "")
        header = request.headers.get("authorization", "")
        now = self._clock()
        wait = self._addresses.take(address, now) or self._failures.wait(address, now)
        wait = wait or self._tokens.take(digest_of(header), now)
        if wait:
            return _refused(429, f"too many requests; come back in {wait} s", wait)
        try:
            if request.method != "POST":
                task = await self._database.read(lambda store: self._waiting(store, header))
                if task is None:
                    task = await self._database.write(lambda store: self._task(store, header))
                return JSONResponse(task, headers=_HEADERS)
            # The token before the body: nobody without one makes us read a megabyte.
            await self._database.read(lambda store: authenticate(store, header, int(now)))
            report = await _report(request)
            answer = await self._database.write(lambda store: self._receive(store, header, report))
            return JSONResponse(answer, 202, headers=_HEADERS)
        except Refusal as refusal:
            if refusal.status in _FORBIDDEN:
                self._failures.take(address, now)
            return _refused(refusal.status, str(refusal))
        except AdminError:  # the file is locked for long, or the disk is full: neither is the mirror's fault
            return _refused(503, "the store cannot be written; try again later", 60)

    def _waiting(self, store: Store, header: str) -> dict[str, Any] | None:
        now = int(self._clock())
        return waiting_task(store, authenticate(store, header, now)[0], now)

    def _task(self, store: Store, header: str) -> dict[str, Any]:
        token, mirror = authenticate(store, header, int(self._clock()))
        note_use(store, token, int(self._clock()))
        return hand_out(store, mirror.mirror, self._random)

    def _receive(self, store: Store, header: str, report: Report) -> dict[str, Any]:
        token, mirror = authenticate(store, header, int(self._clock()))
        note_use(store, token, int(self._clock()))
        return receive(store, mirror, report, int(self._clock()), self._random)


async def _report(request: Request) -> Report:
    """Read a body, never more than the limit; raise Refusal."""
    body = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LARGEST:
                    raise too_large()
    except TimeoutError:
        raise Refusal(408, f"the body did not arrive within {PATIENCE:g} s") from None
    except ClientDisconnect:
        raise Refusal(400, "the body ended early") from None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal(415, "a report is application/json")
    encoding = request.headers.get("content-encoding", "").strip().lower()
    return await run_in_threadpool(lambda: parse_report(inflate(bytes(body), encoding)))


def _network(host: str) -> str:
    """Return what counts as one address: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if address.version == 4:  # noqa: PLR2004 - IPv4
        return str(address)
    return str(address.ipv4_mapped or ipaddress.ip_network((address, _ONE_CUSTOMER), strict=False))


def _refused(status: int, text: str, wait: int = 0) -> Response:
    headers = dict(_HEADERS)
    if wait:
        headers["retry-after"] = str(wait)
    if status == 401:  # noqa: PLR2004 - HTTP's own number
        headers["www-authenticate"] = "Bearer"
    return JSONResponse({"error": text}, status, headers=headers)
