"""The pages that everyone may read, and the same as JSON: mirrors, one mirror's timeline, propagation.

They show public mirrors alone. A body is the same for all readers and is kept for seconds, so that many readers cost as
much as one.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections import OrderedDict
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from mirrorlist_admin.views.timeline import parse_moment
from mirrorlist_admin.web import bodies
from mirrorlist_admin.web.html import HTML_HEADERS, html

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from mirrorlist_admin.store import Store
    from mirrorlist_admin.web.database import Database

KEPT: Final = 10.0
"""Seconds for which a body is given to everyone."""
_BODIES: Final = 64
"""Bodies that are kept: each some 300 kB for 1,000 mirrors."""
_JSON: Final = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
_JSON_HEADERS: Final = {
    "content-type": "application/json",
    "x-content-type-options": "nosniff",
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "etag",
}


class Pages:
    """The pages of one server."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives the seconds since 1970."""
        self._database = database
        self._clock = clock
        self._bodies: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    @property
    def routes(self) -> list[Route]:
        """For Starlette."""
        return [
            Route("/", _front),
            Route("/mirrors", self._mirrors),
            Route("/mirrors/{name:path}", self._mirror),
            Route("/repos", self._repositories),
            Route("/repos/{name:path}", self._repository),
            Route("/mirrorlist-report", _report_program),
            Route("/healthz", _alive),
        ]

    async def _mirrors(self, request: Request) -> Response:
        filters = {name: request.query_params.get(name, "")[:40] for name in ("state", "country")}
        return await self._shared(request, lambda store, now, form: bodies.all_mirrors(store, now, form, filters))

    async def _mirror(self, request: Request) -> Response:
        name, query = request.path_params["name"], request.query_params
        at = _moment(query["at"]) if query.get("at") else None
        before = int(query["before"]) if re.fullmatch("[0-9]{1,12}", query.get("before", "")) else None
        return await self._shared(
            request, lambda store, now, form: bodies.one_mirror(store, now, form, name, at, before)
        )

    async def _repositories(self, request: Request) -> Response:
        return await self._shared(request, bodies.all_repositories)

    async def _repository(self, request: Request) -> Response:
        name, arch = request.path_params["name"], request.query_params.get("arch")
        return await self._shared(request, lambda store, now, form: bodies.one_repository(store, now, form, name, arch))

    async def error(self, request: Request, error: Exception) -> Response:
        """Render an error, as JSON for programs. Anything but an HTTPException is a store that cannot be read."""
        status, text = 503, "the store cannot be read"
        if isinstance(error, HTTPException):
            status, text = error.status_code, str(error.detail)
        if _form(request, strict=False) == "json":
            return Response(orjson.dumps({"error": text}, option=_JSON), status, headers=_JSON_HEADERS)
        page = html("error.html", now=int(self._clock()), page="", title=f"{status}", text=text)
        return Response(page, status, headers=HTML_HEADERS)

    async def _shared(self, request: Request, make: Callable[[Store, int, str], str | Any]) -> Response:
        """Answer with a body that was made within the last seconds, or with 304 where the client has it."""
        form = _form(request)
        key = f"{form} {request.url.path}?{request.url.query}"
        now = self._clock()
        kept = self._bodies.get(key)
        if kept is None or not 0 <= now - kept[0] < KEPT:
            made = await self._database.read(lambda store: make(store, int(now), form))
            kept = now, made.encode() if isinstance(made, str) else orjson.dumps(made, option=_JSON)
            self._bodies[key] = kept
            self._bodies.move_to_end(key)
            if len(self._bodies) > _BODIES:
                self._bodies.popitem(last=False)
        body = kept[1]
        tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        headers = (HTML_HEADERS if form == "html" else _JSON_HEADERS) | {
            "cache-control": "no-cache",
            "vary": "accept",
            "etag": tag,
        }
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers)


def _form(request: Request, *, strict: bool = True) -> str:
    """Return `html` or `json`: `format=` if given, otherwise JSON for those who accept it and no HTML."""
    wanted = request.query_params.get("format")
    if wanted in {"html", "json"}:
        return str(wanted)
    if wanted and strict:
        raise HTTPException(400, "format= takes html or json")
    accept = request.headers.get("accept", "")
    return "json" if "application/json" in accept and "text/html" not in accept else "html"


def _moment(text: str) -> int:
    try:
        return parse_moment(text)
    except ValueError as error:
        raise HTTPException(400, f"at=: {error}") from None


async def _front(_: Request) -> Response:
    return RedirectResponse("/mirrors", 307)


async def _alive(_: Request) -> Response:
    return Response("alive\n", media_type="text/plain")


async def _report_program(_: Request) -> Response:
    """Give the program that mirrors run, as one file."""
    program = resources.files("mirrorlist_admin").joinpath("mirrorlist_report.py").read_bytes()
    headers = {"x-content-type-options": "nosniff", "cache-control": "no-cache"}
    return Response(program, media_type="text/plain; charset=utf-8", headers=headers)
