"""The ASGI application: the reference lane, which runs under any ASGI server.

A path that is a list (see `routes`) is answered right here, by one call of `respond`; Starlette serves the rest. A
list URL is never redirected, compressed or answered in part, whatever the request's headers say (clients.md, 2-4).

    uvicorn --factory mirrorlistd.web.app:create_app      # settings from MIRRORLISTD_* variables
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import replace
from time import perf_counter, time
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from mirrorlistd import __version__
from mirrorlistd.answering.explain import explain
from mirrorlistd.answering.explain_text import text
from mirrorlistd.config import load_config
from mirrorlistd.errors import StateError
from mirrorlistd.lanes.respond import peer_at, respond
from mirrorlistd.render import Rendered
from mirrorlistd.request.http_head import ListRequest, is_redirect, over_https
from mirrorlistd.request.routes import Routes
from mirrorlistd.state.admission import admit
from mirrorlistd.state.service import Service
from mirrorlistd.telemetry.counters import Facts
from mirrorlistd.telemetry.prometheus import CONTENT_TYPE, exposition
from mirrorlistd.web.client import client_in, is_insider, peer_of
from mirrorlistd.web.pages import Pages

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping

    from starlette.requests import Request

    from mirrorlistd.config import Config
    from mirrorlistd.pull.watching import Pulls
    from mirrorlistd.request.client_address import Address
    from mirrorlistd.state.state import State
    from mirrorlistd.telemetry.scoreboard import ScoreboardSlot

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

_LONGEST_REMEMBERED: Final = 512
"""Longer targets are understood every time: bytes."""
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
        self._others = Starlette(
            routes=[
                *Pages(service, self._state).routes,
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
            target = scope.get("raw_path") or scope["path"].encode(), scope["query_string"]
            list_request = (state.list_requests.get(target) if state else None) or _read(state, *target)
            if list_request is not None:
                status, headers, body = self._list(scope, state, list_request)
                length = (b"content-length", b"%d" % len(body))
                await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
                await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
                return
        await self._others(scope, receive, send)

    def _list(self, scope: Scope, state: State | None, list_request: ListRequest) -> Rendered:
        started = perf_counter()
        if state is None:
            return Rendered(503, (_TEXT, (b"retry-after", b"1")), _NOT_LOADED)
        if scope["method"] not in ("GET", "HEAD"):
            return Rendered(405, (_TEXT, (b"allow", b"GET, HEAD")), _WRONG_METHOD)
        if list_request.redirect:
            headers = dict(scope["headers"])
            scheme = headers.get(b"x-forwarded-proto", b"") if peer_at(state, peer_of(scope)).believed else b""
            https = over_https(scheme, scope["scheme"].encode())
            list_request = replace(list_request, accept=headers.get(b"accept", b""), https=https)
        try:
            meta, body = respond(self.service, state, list_request, client_in(scope, state), started)
        except Exception:  # a defect: uvicorn logs it and answers 500, which an operator must see
            self.service.counters.observe(500, None, "text", perf_counter() - started)
            raise
        return Rendered(meta.status, meta.headers, body)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncGenerator[None]:
        if self.service.state is None:
            config = self._config or load_config({}, os.environ)
            if config.snapshot is None and not config.demo:  # which addresses another server binds is not ours to see
                raise StateError("no MIRRORLISTD_SNAPSHOT: name one, or serve the built-in with MIRRORLISTD_DEMO=1")
            with admit(config) as (state, _files):
                self.service.state = state
            with self.service.recording(config):
                yield
        else:
            yield

    def _state(self) -> State:
        if self.service.state is None:
            raise HTTPException(503, _NOT_LOADED.decode().strip(), {"retry-after": "1"})
        return self.service.state

    async def _explain(self, request: Request) -> Response:
        state = self._state()
        full = is_insider(request.scope, state)
        client: Address | str | None = client_in(request.scope, state).address
        if full:
            client = request.query_params.get("from") or client
        told = explain(state.decider, request.scope["query_string"], client, self.service.random, full=full, now=time())
        status: int = told["status"]
        headers = _NO_STORE | {"vary": "accept", "x-content-type-options": "nosniff"}
        # Not `format=`: that is the list's, and every format is explained.
        if _wants_text(request.query_params.get("as"), request.headers.get("accept", "")):
            return PlainTextResponse(text(told), status, headers)
        return _json(told, status=status, headers=headers)

    async def _healthz(self, _: Request) -> Response:
        return PlainTextResponse("ok\n", headers=_NO_STORE)

    async def _readyz(self, request: Request) -> Response:
        service = self.service
        state, counters = service.state, service.totals()
        facts: dict[str, object] = {"ready": state is not None and not service.draining, "draining": service.draining}
        if service.pulls is not None:
            facts["pull"] = _pull(service.pulls)
        if state is not None:
            snapshot = state.decider.index.snapshot
            facts |= {
                "serial": snapshot.serial,
                "built": snapshot.built,
                "age_seconds": max(0, int(time()) - snapshot.built),
                "mirrors": len(snapshot.mirrors),
                "repositories": len(snapshot.repositories),
                "last_reload": None,
                **public_warnings(state, time()),
            }
            if counters.last_reload_at:
                facts["last_reload"] = {
                    "number": sum(counters.reloads.values()),
                    "result": "ok" if counters.last_reload_ok else "failed",
                    "at": int(counters.last_reload_at),
                    "seconds": round(counters.last_reload_seconds, 3),
                }
            if is_insider(request.scope, state):
                failed = service.pulls and service.pulls.last and service.pulls.last.error
                facts |= {"pull_error": failed} if failed else {}
                facts |= insider_errors(service)
                facts |= {"workers": _workers(service.scoreboard_slot)} if service.scoreboard_slot else {}
        # A failed reload keeps the old state and the server ready: 503 would take a whole fleet out at once.
        return _json(facts, status=200 if facts["ready"] else 503, headers=_NO_STORE)

    async def _metrics(self, _: Request) -> Response:
        service = self.service
        totals = service.totals()
        workers = service.scoreboard_slot.scoreboard.workers() if service.scoreboard_slot else ()
        return Response(
            exposition(totals, facts_of(service), workers, service.pulls), headers={"content-type": CONTENT_TYPE}
        )


def _read(state: State | None, path: bytes, query_string: bytes) -> ListRequest | None:
    """Tell what a target asks for; None where it is no list."""
    routes = state.decider.settings.routes if state else Routes()
    query = routes.query(path, query_string)
    if query is None:
        return None
    list_request = ListRequest(path, query_string, query, is_redirect(query))
    if state is not None and len(path) + len(query_string) <= _LONGEST_REMEMBERED:
        state.list_requests.remember((path, query_string), list_request)
    return list_request


def facts_of(service: Service) -> Facts | None:
    """What is served right now, for the metrics; None before the first state."""
    if service.state is None:
        return None
    decider = service.state.decider
    snapshot = decider.index.snapshot
    return Facts(
        version=__version__,
        serial=snapshot.serial,
        built=snapshot.built,
        mirrors=len(snapshot.mirrors),
        active=sum(mirror.active for mirror in snapshot.mirrors),
        repositories=len(snapshot.repositories),
        directories=len(snapshot.directories),
        databases={source.kind: source.build_epoch for source in decider.geo.sources if source.build_epoch},
        stale=service.state.stale(time()),
        max_age=service.state.max_age,
        last_good=service.state.origin.instead is not None,
        status=service.state.overlay.counts(service.state.published),
        status_failed=service.state.origin.status_error is not None,
    )


def _pull(pulls: Pulls) -> dict[str, object] | None:
    """What /readyz says of pulling; None before the first attempt. Why it fails is for insiders."""
    last = pulls.last
    if last is None:
        return None
    return {
        "result": last.result,
        "at": int(last.at),
        "seconds": round(last.seconds, 3),
        "failures_in_a_row": last.failures,
        "succeeded_at": int(pulls.succeeded_at) or None,
    }


def public_warnings(state: State, now: float) -> dict[str, object]:
    """What /readyz says, to anyone, of a State that is served although something is not as it should be."""
    return {
        "stale": state.stale(now),
        "max_age_seconds": state.max_age or None,
        "last_good": state.origin.instead is not None,
        "status": {**state.overlay.counts(state.published), "failed": state.origin.status_error is not None},
    }


def insider_errors(service: Service) -> dict[str, object]:
    """What it says to insiders: these may name files."""
    origin = service.state.origin if service.state else None
    found = {
        "reload_error": service.reload_error,
        "snapshot_error": origin and origin.instead,
        "status_error": origin and origin.status_error,
    }
    return {name: error for name, error in found.items() if error}


def _workers(scoreboard_slot: ScoreboardSlot) -> dict[str, object]:
    """What /readyz says of all workers, to insiders."""
    workers = scoreboard_slot.scoreboard.workers()
    return {
        "answered_by": scoreboard_slot.number,
        "up": sum(worker.up for worker in workers),
        "all": len(workers),
        "serials": sorted({worker.serial for worker in workers if worker.up}),
        "pids": [worker.pid for worker in workers],
    }


def _wants_text(form: str | None, accept: str) -> bool:
    """Whether an explanation is for people: `as=text` or `as=json` says so, else what browsers accept; else JSON."""
    if form:
        if form not in ("text", "json"):
            raise HTTPException(400, "as= takes text or json")
        return form == "text"
    return "text/" in accept and "application/json" not in accept


def _json(data: object, *, status: int = 200, headers: dict[str, str]) -> Response:
    body = orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    return Response(body, status, headers={"content-type": "application/json", **headers})


async def _plain_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):  # the signature is Starlette's; only HTTPException is registered
        raise error
    hint = "; try / or /mirrorlist?repo=NAME" if error.status_code == 404 else ""  # noqa: PLR2004 - a status
    return PlainTextResponse(f"{error.detail}{hint}\n", error.status_code, headers=error.headers)
