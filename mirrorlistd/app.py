"""The ASGI application: the reference lane, which runs under any ASGI server.

A path that is a list (see `routes`) is answered right here, by one call of `answer`; Starlette serves the rest. A
list URL is never redirected, compressed or answered in part, whatever the request's headers say (clients.md, 2-4).

    uvicorn --factory mirrorlistd.app:create_app      # settings from MIRRORLISTD_* variables
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from time import perf_counter, time
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from mirrorlist_snapshot.tiers import tier_name
from mirrorlistd import __version__
from mirrorlistd.address import Client, client_address
from mirrorlistd.answer import Around, answer
from mirrorlistd.config import load_config
from mirrorlistd.explain import explain
from mirrorlistd.logs import get_logger
from mirrorlistd.metrics import CONTENT_TYPE, Facts, exposition
from mirrorlistd.pages import HTML_HEADERS, front_page, repositories, repositories_text
from mirrorlistd.routes import Routes
from mirrorlistd.service import Service
from mirrorlistd.state import load_state

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping

    from starlette.requests import Request

    from mirrorlistd.config import Config
    from mirrorlistd.state import State

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

_NO_STORE: Final = {"cache-control": "no-store"}
_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")
_NOT_LOADED: Final = b"the first snapshot is not loaded yet\n"
_WRONG_METHOD: Final = b"only GET and HEAD; write /mirrorlist?repo=NAME\n"


def create_app(service: Service | None = None, config: Config | None = None) -> App:
    """Make the application.

    Under another ASGI server call it without arguments: settings come from MIRRORLISTD_* variables, the state is
    loaded by the lifespan's start, and a reload is a restart of that server. `mirrorlistd serve` hands in a service
    that it loads and reloads itself.
    """
    return App(service or Service(), config)


class App:
    """ASGI callable: lists first, everything else to Starlette."""

    def __init__(self, service: Service, config: Config | None) -> None:
        """Prepare the routes; nothing is read before the lifespan starts."""
        self.service = service
        self._config = config
        self._log = get_logger()
        self._others = Starlette(
            routes=[
                Route("/", self._front),
                Route("/repos", self._repos),
                Route("/explain", self._explain),
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/metrics", self._metrics),
            ],
            lifespan=self._lifespan,
            exception_handlers={HTTPException: _plain_error},
        )
        self._others.router.redirect_slashes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "http":
            state = self.service.state
            routes = state.decider.settings.routes if state else Routes()
            query = routes.query(scope.get("raw_path") or scope["path"].encode(), scope["query_string"])
            if query is not None:
                await self._list(scope, send, state, query)
                return
        await self._others(scope, receive, send)

    async def _list(self, scope: Scope, send: Send, state: State | None, query: bytes) -> None:
        started = perf_counter()
        service = self.service
        method = scope["method"]
        if state is None:
            await _send(send, 503, (_TEXT, (b"retry-after", b"1")), _NOT_LOADED, head=method == "HEAD")
            return
        if method not in ("GET", "HEAD"):
            await _send(send, 405, (_TEXT, (b"allow", b"GET, HEAD")), _WRONG_METHOD, head=False)
            return
        client = client_of(scope, state)
        reply = answer(state.decider, query, client.address, service.random, around(scope, state, query))
        await _send(send, reply.status, reply.headers, reply.body, head=method == "HEAD")
        elapsed = perf_counter() - started
        tier = tier_name(reply.tier) if reply.tier else None
        service.counters.observe(reply.status, tier, reply.format, elapsed)
        if client.failed:
            service.counters.address_failures += 1
        if state.access_log:
            self._log.info(
                "request",
                client=client.address.text if client.address else None,
                path=scope["path"],
                query=scope["query_string"].decode("latin-1"),
                status=reply.status,
                tier=tier,
                microseconds=round(elapsed * 1e6),
            )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncGenerator[None]:
        if self.service.state is None:
            self.service.state = load_state(self._config or load_config({}, os.environ))
        yield

    def _state(self) -> State:
        if self.service.state is None:
            raise HTTPException(503, _NOT_LOADED.decode().strip(), {"retry-after": "1"})
        return self.service.state

    async def _front(self, request: Request) -> Response:
        state = self._state()
        # Not `request.url`: it is built from the Host header and fails on bytes that are no UTF-8.
        asked: bytes = request.scope["query_string"]
        page = front_page(state.decider, asked, client_of(request.scope, state), self.service.random)
        return Response(page, headers=dict(HTML_HEADERS))

    async def _repos(self, request: Request) -> Response:
        state = self._state()
        wants_json = request.query_params.get("format") == "json" or (
            "application/json" in request.headers.get("accept", "") and not request.query_params.get("format")
        )
        headers = {"cache-control": "no-cache", "vary": "accept"}
        if wants_json:
            return _json(repositories(state.decider.index.snapshot), headers=headers)
        return PlainTextResponse(repositories_text(state.decider.index.snapshot), headers=headers)

    async def _explain(self, request: Request) -> Response:
        state = self._state()
        told = explain(
            state.decider,
            request.scope["query_string"],
            client_of(request.scope, state).address,
            self.service.random,
            full=is_insider(request.scope, state),
        )
        # The explanation of an error is not itself an error.
        return _json(told, headers=_NO_STORE)

    async def _healthz(self, _: Request) -> Response:
        return PlainTextResponse("ok\n", headers=_NO_STORE)

    async def _readyz(self, request: Request) -> Response:
        service = self.service
        state, counters = service.state, service.counters
        facts: dict[str, object] = {"ready": state is not None and not service.draining, "draining": service.draining}
        if state is not None:
            snapshot = state.decider.index.snapshot
            facts |= {
                "serial": snapshot.serial,
                "built": snapshot.built,
                "age_seconds": max(0, int(time()) - snapshot.built),
                "mirrors": len(snapshot.mirrors),
                "repositories": len(snapshot.repositories),
                "last_reload": None,
            }
            if counters.last_reload_at:
                facts["last_reload"] = {
                    "result": "ok" if counters.last_reload_ok else "failed",
                    "at": int(counters.last_reload_at),
                    "seconds": round(counters.last_reload_seconds, 3),
                }
            if service.reload_error and is_insider(request.scope, state):
                facts["reload_error"] = service.reload_error
        # A failed reload keeps the old state and the server ready: 503 would take a whole fleet out at once.
        return _json(facts, status=200 if facts["ready"] else 503, headers=_NO_STORE)

    async def _metrics(self, _: Request) -> Response:
        return Response(
            exposition(self.service.counters, facts_of(self.service)), headers={"content-type": CONTENT_TYPE}
        )


def client_of(scope: Scope, state: State) -> Client:
    """Who asks: the peer, or whom a trusted proxy names; see `address`."""
    trust = state.trust
    forwarded = [value for name, value in scope["headers"] if name == trust.header] if trust.anyone else ()
    return client_address(_peer(scope), forwarded, trust)


def _peer(scope: Scope) -> str | None:
    """The socket's address; None for a unix socket: some ASGI servers then leave the key out."""
    peer = scope.get("client")
    return peer[0] if peer else None


def around(scope: Scope, state: State, query: bytes) -> Around | None:
    """What redirects need to know of a request; None for the others, who must not pay for it."""
    if b"redirect" not in query:
        return None
    headers = dict(scope["headers"])
    forwarded = headers.get(b"x-forwarded-proto", b"") if state.trust.believes(_peer(scope)) else b""
    scheme = forwarded.rpartition(b",")[2].strip().lower() or scope["scheme"].encode()
    return Around(https=scheme == b"https", accept=headers.get(b"accept", b""), now=time())


def is_insider(scope: Scope, state: State) -> bool:
    """Whether the client may see everything.

    A proxy that nobody configured as trusted makes all the world look like its own, often loopback, address: a
    request that was forwarded, but not by a trusted proxy with the trusted header, is a stranger's.
    """
    client = client_of(scope, state).address
    if client is None or not state.explain_networks.contains(client):
        return False
    trust = state.trust
    names = {name for name, _ in scope["headers"]}
    if trust.header in names:
        return trust.believes(_peer(scope))
    return not names & _FORWARDING


_FORWARDING: Final = frozenset(
    (b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip")
)
"""What proxies add to a request, each its own selection."""


def facts_of(service: Service) -> Facts | None:
    """What is served right now, for the metrics; None before the first state."""
    if service.state is None:
        return None
    decider = service.state.decider
    snapshot = decider.index.snapshot
    service.counters.geo_failures = service.geo_failures_before + decider.geo.failures
    return Facts(
        version=__version__,
        serial=snapshot.serial,
        built=snapshot.built,
        mirrors=len(snapshot.mirrors),
        repositories=len(snapshot.repositories),
        databases={source.kind: source.build_epoch for source in decider.geo.sources if source.build_epoch},
    )


async def _send(send: Send, status: int, headers: tuple[tuple[bytes, bytes], ...], body: bytes, *, head: bool) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": b"" if head else body})


def _json(data: object, *, status: int = 200, headers: dict[str, str]) -> Response:
    body = orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    return Response(body, status, headers={"content-type": "application/json", **headers})


async def _plain_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):  # the signature is Starlette's; only HTTPException is registered
        raise error
    hint = "; try / or /mirrorlist?repo=NAME" if error.status_code == 404 else ""  # noqa: PLR2004 - a status
    return PlainTextResponse(f"{error.detail}{hint}\n", error.status_code, headers=error.headers)
