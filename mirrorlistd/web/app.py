"""The ASGI application. It can answer every request, and runs under any ASGI server.

`App` answers a request for a list (see `request.routes`) itself, by one call of `respond`; Starlette serves the rest.
A list URL is never redirected, compressed or answered in part, whatever headers the request has
(docs/client-compatibility.md).

    uvicorn --factory mirrorlistd.web.app:create_app      # settings from MIRRORLISTD_* variables
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse

from mirrorlistd.config import load_config
from mirrorlistd.errors import StateError
from mirrorlistd.lanes.respond import respond
from mirrorlistd.render import Rendered
from mirrorlistd.request.http_head import ListRequest, is_redirect
from mirrorlistd.request.query import MAX_PARAMETERS
from mirrorlistd.request.routes import Routes
from mirrorlistd.request.target import SERVER
from mirrorlistd.state.loading import load
from mirrorlistd.state.service import Service
from mirrorlistd.web.client import accept_of, client_in, is_https
from mirrorlistd.web.operations import Operations
from mirrorlistd.web.pages import Pages

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping

    from starlette.requests import Request
    from starlette.responses import Response

    from mirrorlistd.config import Config
    from mirrorlistd.state.state import State

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

_LONGEST_REMEMBERED: Final = 512
"""Bytes; longer targets are parsed every time."""
_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")
_NOT_LOADED: Final = b"the first snapshot is not loaded yet\n"
_TOO_MANY: Final = Rendered(400, (_TEXT,), b"the query has too many parameters: at most %d\n" % MAX_PARAMETERS)
_ALLOWED: Final = Rendered(200, ((b"allow", b"GET, HEAD, OPTIONS"),), b"")
"""The answer to OPTIONS for the server as a whole."""
_WRONG_METHOD: Final = b"only GET and HEAD; write /mirrorlist?repo=NAME\n"


def create_app(service: Service | None = None, config: Config | None = None) -> App:
    """Make the application.

    Under another ASGI server call it without arguments: settings come from MIRRORLISTD_* variables, and the state is
    loaded when the lifespan starts. To reload, restart that server. `mirrorlistd serve` passes a service that it loads
    and reloads itself.
    """
    return App(service or Service(), config)


class App:
    """ASGI callable that answers lists and passes every other request to Starlette."""

    def __init__(self, service: Service, config: Config | None) -> None:
        """Prepare the routes; nothing is read before the lifespan starts."""
        self.service = service
        self._config = config
        self._others = Starlette(
            routes=[*Pages(service, self._state).routes, *Operations(service, self._state).routes],
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
                await _send(send, scope, self._list(scope, state, list_request))
                return
            if target[1].count(b"&") >= MAX_PARAMETERS:
                await _send(send, scope, _TOO_MANY)
                return
            if target[0] == SERVER:
                await _send(send, scope, _ALLOWED)
                return
            # Starlette would route by the decoded path, but a proxy's rule for `/metrics` may not match `/%6detrics`.
            if raw_path := scope.get("raw_path"):
                scope = {**scope, "path": raw_path.decode("latin-1")}
        await self._others(scope, receive, send)

    def _list(self, scope: Scope, state: State | None, list_request: ListRequest) -> Rendered:
        started = perf_counter()
        if state is None:
            return Rendered(503, (_TEXT, (b"retry-after", b"1")), _NOT_LOADED)
        if scope["method"] not in ("GET", "HEAD"):
            return Rendered(405, (_TEXT, (b"allow", b"GET, HEAD")), _WRONG_METHOD)
        if list_request.redirect:
            list_request = replace(list_request, accept=accept_of(scope), https=is_https(scope, state))
        try:
            meta, body = respond(self.service, state, list_request, client_in(scope, state), started)
        except Exception:  # a defect: uvicorn logs it and answers 500, which operators see in the metrics
            self.service.counters.observe(500, None, "text", perf_counter() - started)
            raise
        return Rendered(meta.status, meta.headers, body)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncGenerator[None]:
        if self.service.state is None:
            config = self._config or load_config({}, os.environ)
            if config.snapshot is None and not config.demo:  # unlike `serve`, this cannot see the bound addresses
                raise StateError("no MIRRORLISTD_SNAPSHOT: name one, or serve the built-in with MIRRORLISTD_DEMO=1")
            self.service.state = load(config)
            with self.service.recording(config):
                yield
        else:
            yield

    def _state(self) -> State:
        if self.service.state is None:
            raise HTTPException(503, _NOT_LOADED.decode().strip(), {"retry-after": "1"})
        return self.service.state


async def _send(send: Send, scope: Scope, rendered: Rendered) -> None:
    status, headers, body = rendered
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _read(state: State | None, path: bytes, query_string: bytes) -> ListRequest | None:
    """Parse the target of a request; return None if it does not ask for a list."""
    routes = state.decider.settings.routes if state else Routes()
    query = routes.query(path, query_string)
    if query is None:
        return None
    list_request = ListRequest(path, query_string, query, is_redirect(query))
    if state is not None and len(path) + len(query_string) <= _LONGEST_REMEMBERED:
        state.list_requests.remember((path, query_string), list_request)
    return list_request


async def _plain_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):  # the signature is Starlette's; only HTTPException is registered
        raise error
    hint = "; try / or /mirrorlist?repo=NAME" if error.status_code == 404 else ""  # noqa: PLR2004 - a status
    return PlainTextResponse(f"{error.detail}{hint}\n", error.status_code, headers=error.headers)
