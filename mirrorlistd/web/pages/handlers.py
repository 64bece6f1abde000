"""The routes of the pages: the form (HTML, JSON, text), validators, and the memo of bodies.

`/` depends on its reader and is never stored. The other pages are the same for every client and change with the
snapshot alone: their bodies are made once, remembered, and have an ETag.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote
from weakref import WeakKeyDictionary

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from mirrorlist_snapshot.countries import CONTINENT_CODES, CONTINENT_OF, country_code
from mirrorlist_snapshot.country_names import place_called
from mirrorlistd.memo import Memo
from mirrorlistd.request.accept import preferred
from mirrorlistd.web.client import accept_of, client_in
from mirrorlistd.web.pages import lists
from mirrorlistd.web.pages.front import front_page
from mirrorlistd.web.pages.html import HTML_HEADERS
from mirrorlistd.web.pages.public import carried, public_mirrors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request

    from mirrorlist_snapshot.model import Repository
    from mirrorlistd.answering.decider import Decider
    from mirrorlistd.state.service import Service
    from mirrorlistd.state.state import State
    from mirrorlistd.web.pages.public import PublicMirror

_REMEMBERED: Final = 32
"""Bodies of pages: each some 200 kB for 700 mirrors."""
_TYPES: Final = {
    "html": HTML_HEADERS,
    "json": {"content-type": "application/json", "x-content-type-options": "nosniff"},
    "text": {"content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff"},
}
_JSON: Final = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
_METHODS: Final = ("GET", "HEAD", "OPTIONS")
_CORS: Final = {"access-control-allow-origin": "*", "access-control-expose-headers": "etag"}
_PREFLIGHT: Final = {
    "allow": ", ".join(_METHODS),
    "access-control-allow-methods": ", ".join(_METHODS),
    "access-control-allow-headers": "*",
    "access-control-max-age": "86400",
}
_SHARED: Final = {"cache-control": "no-cache", "vary": "accept"}
"""Caches may store it and must revalidate it each time: a mirror may have been switched off."""


@dataclass(frozen=True, slots=True)
class _Site:
    """What the pages of one State are made from, and their bodies. It holds no reference to the Decider."""

    mirrors: tuple[PublicMirror, ...]
    """Under the status file: the mirrors that are offered now."""
    published: tuple[PublicMirror, ...]
    """As the snapshot has them. Firewalls are opened for these: a mirror that is down for a night will be up again."""
    repositories: dict[str, Repository]
    """By name and alias."""
    bodies: Memo[tuple[str, ...], bytes] = field(default_factory=lambda: Memo(_REMEMBERED))

    @classmethod
    def of(cls, state: State) -> _Site:
        snapshot = state.decider.index.snapshot
        named = {repository.name: repository for repository in snapshot.repositories}
        aliases = {alias: named[name] for alias, name in snapshot.aliases.items()}
        return cls(public_mirrors(snapshot), public_mirrors(state.published), aliases | named)

    def repository(self, name: str) -> Repository:
        """Return the repository of a name; raise HTTPException with the status that its list has, 404 or 403."""
        repository = self.repositories.get(name)
        if repository is None:
            raise HTTPException(404, "no such repository")
        if repository.disabled:
            raise HTTPException(403, f"repository {repository.name} is disabled")
        return repository


class Pages:
    """The pages of one server."""

    def __init__(self, service: Service, state: Callable[[], State]) -> None:
        """`state` returns what is served now, and raises an HTTPException before the first State."""
        self._service = service
        self._state = state
        self._sites: WeakKeyDictionary[Decider, _Site] = WeakKeyDictionary()
        """At most one. It goes with its State: what a reload replaces is freed without another request."""

    @property
    def routes(self) -> list[Route]:
        """For Starlette."""
        return [
            Route("/", self._front),
            Route("/repos", _for_every_origin(self._repositories), methods=_METHODS),
            Route("/repos/{name}", _for_every_origin(self._repository), methods=_METHODS),
            Route("/mirrors", _for_every_origin(self._mirrors), methods=_METHODS),
        ]

    def _now(self) -> tuple[Decider, _Site]:
        state = self._state()
        site = self._sites.get(state.decider)
        if site is None:
            site = self._sites[state.decider] = _Site.of(state)
        return state.decider, site

    async def _front(self, request: Request) -> Response:
        decider, site = self._now()
        # Not `request.url`: it is built from the Host header and fails on bytes that are no UTF-8.
        query_string: bytes = request.scope["query_string"]
        client = client_in(request.scope, self._state())
        page = front_page(decider, site.mirrors, query_string, client, self._service.random)
        return Response(page, headers=HTML_HEADERS | {"cache-control": "private, no-store"})

    async def _repositories(self, request: Request) -> Response:
        (decider, site), form = self._now(), _form(request)
        snapshot = decider.index.snapshot
        makers: dict[str, Callable[[], object]] = {
            "html": lambda: lists.repositories_page(snapshot),
            "json": lambda: lists.repositories(snapshot),
            "text": lambda: lists.repositories_text(snapshot),
        }
        return await _shared(request, form, site, ("repos",), makers[form])

    async def _repository(self, request: Request) -> Response:
        (decider, site), form = self._now(), _form(request, ("html", "json"))
        repository = site.repository(unquote(request.path_params["name"]))
        makers: dict[str, Callable[..., object]] = {"html": lists.repository_page, "json": lists.repository_data}
        return await _shared(
            request,
            form,
            site,
            ("repo", repository.name),
            lambda: makers[form](decider, carried(decider, repository, site.mirrors), site.mirrors),
        )

    async def _mirrors(self, request: Request) -> Response:
        (decider, site), form = self._now(), _form(request)
        snapshot = decider.index.snapshot
        filters = {name: request.query_params.get(name, "") for name in ("repo", "country")}
        repository = site.repository(filters["repo"]) if filters["repo"] else None
        filters["country"] = _country(filters["country"])
        makers: dict[str, Callable[[Sequence[PublicMirror]], object]] = {
            "html": lambda chosen: lists.mirrors_page(snapshot, site.published, chosen, filters),
            "json": lambda chosen: lists.mirrors_data(snapshot, chosen),
            "text": lists.mirrors_text,
        }
        return await _shared(
            request,
            form,
            site,
            ("mirrors", *filters.values()),
            lambda: makers[form](_chosen(decider, site.published, repository, filters["country"])),
        )


def _for_every_origin(page: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Let scripts of every origin read a page that is the same for every client, errors included (CORS)."""

    async def answer(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=_CORS | _PREFLIGHT)
        try:
            response = await page(request)
        except HTTPException as error:
            raise HTTPException(error.status_code, error.detail, {**(error.headers or {}), **_CORS}) from error
        response.headers.update(_CORS)
        return response

    return answer


def _country(text: str) -> str:
    """Return the code of a country, or of a continent that no country shares it with; empty for no text."""
    code = country_code(text)
    if not text or code in CONTINENT_OF or code in CONTINENT_CODES:
        return code
    hint = f"; did you mean {named}?" if (named := place_called(text)) else ", as in country=PL"
    raise HTTPException(400, f"country= takes the two-letter code of one country or continent{hint}")


def _chosen(
    decider: Decider, mirrors: Sequence[PublicMirror], repository: Repository | None, place: str
) -> list[PublicMirror]:
    """Return the mirrors that carry a repository and are in a country or continent; None and "" mean any."""
    carriers = carried(decider, repository, mirrors).carriers if repository else None
    where = "continent" if place in CONTINENT_CODES else "country"
    return [
        mirror
        for mirror in mirrors
        if (carriers is None or mirror.number in carriers) and (not place or getattr(mirror, where) == place)
    ]


def _form(request: Request, forms: tuple[str, ...] = ("text", "html", "json")) -> str:
    """Return the wanted form: `format=` if given, otherwise by `Accept`, where the first of `forms` is the default."""
    wanted = request.query_params.get("format")
    if wanted:
        if wanted not in forms:
            raise HTTPException(400, f"format= takes {' or '.join(forms)}")
        return wanted
    offered = {f"{_TYPES[form]['content-type'].partition(';')[0]}": form for form in forms}
    return offered[preferred(accept_of(request.scope), tuple(offered)) or next(iter(offered))]


async def _shared(
    request: Request, form: str, site: _Site, key: tuple[str, ...], make: Callable[[], object]
) -> Response:
    """Answer with a body that is the same for every client, or with 304 where the client has it."""
    body = site.bodies.get((form, *key))
    if body is None:
        made = await run_in_threadpool(make)  # it takes milliseconds, for which lists must not wait
        whole = made.encode() if isinstance(made, str) else orjson.dumps(made, option=_JSON)
        body = site.bodies.remember((form, *key), whole)
    tag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    headers = _TYPES[form] | _SHARED | {"etag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers)
