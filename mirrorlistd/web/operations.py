"""The endpoints of operators: /explain, /healthz, /readyz, /metrics."""

from __future__ import annotations

from dataclasses import replace
from time import time
from typing import TYPE_CHECKING, Final

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from mirrorlistd import __version__
from mirrorlistd.answering.answer import RedirectContext
from mirrorlistd.answering.explain import explain, only_mirrors
from mirrorlistd.answering.explain_text import text
from mirrorlistd.errors import QueryError
from mirrorlistd.request.accept import preferred
from mirrorlistd.telemetry.counters import Facts
from mirrorlistd.telemetry.process_usage import ServerUsage
from mirrorlistd.web.client import accept_of, client_in, is_https, is_insider

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from mirrorlist_snapshot.model import Snapshot
    from mirrorlistd.pull.puller_process import Pulls
    from mirrorlistd.request.client_address import Address
    from mirrorlistd.state.service import Service
    from mirrorlistd.state.state import State
    from mirrorlistd.telemetry.counters import Counters
    from mirrorlistd.telemetry.scoreboard import ScoreboardSlot

_FOR_INSIDERS: Final = "from= and mirror= are for the operators of this server (--explain-network); ask without them"
_NO_STORE: Final = {"cache-control": "no-store"}


class Operations:
    """The endpoints of operators of one server."""

    def __init__(self, service: Service, state: Callable[[], State]) -> None:
        """`state` returns what is served now, and raises an HTTPException before the first State."""
        self._service = service
        self._state = state

    @property
    def routes(self) -> list[Route]:
        """For Starlette."""
        return [
            Route("/explain", self._explain),
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
            Route("/metrics", self._metrics),
        ]

    async def _explain(self, request: Request) -> Response:
        state = self._state()
        full = is_insider(request.scope, state)
        client: Address | str | None = client_in(request.scope, state).address
        country = request.query_params.get("from")
        mirrors = [name for name in request.query_params.getlist("mirror") if name]
        if country or mirrors:
            if not full:
                raise HTTPException(403, _FOR_INSIDERS)
            client = country or client
        query_string: bytes = request.scope["query_string"]
        context = RedirectContext(is_https(request.scope, state), now=time())
        explanation = explain(state.decider, query_string, client, self._service.random, context, full=full)
        if mirrors and "error" not in explanation:
            try:
                explanation |= only_mirrors(explanation, mirrors)
            except QueryError as error:
                raise HTTPException(400, f"mirror=: {error.message}") from error
        status: int = explanation["status"]
        headers = _NO_STORE | {"vary": "accept", "x-content-type-options": "nosniff"}
        # Not `format=`: that is the list's, and every format is explained.
        if _wants_text(request.query_params.get("as"), accept_of(request.scope)):
            return PlainTextResponse(text(explanation), status, headers)
        return _json(explanation, status=status, headers=headers)

    async def _healthz(self, _: Request) -> Response:
        return PlainTextResponse("ok\n", headers=_NO_STORE)

    async def _readyz(self, request: Request) -> Response:
        service = self._service
        state = service.state
        facts: dict[str, object] = {"ready": state is not None and not service.draining, "draining": service.draining}
        if service.pulls is not None:
            facts["pull"] = _pull(service.pulls)
        if state is not None:
            insider = is_insider(request.scope, state)
            facts |= _served(state, time(), insider=insider) | {"last_reload": _last_reload(service.totals())}
            facts |= _for_insiders(service) if insider else {}
        # A failed reload keeps the old state and the server ready: 503 would take a whole fleet out at once.
        return _json(facts, status=200 if facts["ready"] else 503, headers=_NO_STORE)

    async def _metrics(self, request: Request) -> Response:
        # 3 MB, and 20 ms of the first request: a server that nobody monitors needs no Prometheus.
        from mirrorlistd.telemetry.prometheus import CONTENT_TYPE, exposition  # noqa: PLC0415

        service = self._service
        state, totals = service.state, service.totals()
        insider = state is not None and is_insider(request.scope, state)
        facts = _facts(state, insider=insider) if state else None
        if service.scoreboard_slot is None:
            body = exposition(totals, facts, pulls=service.pulls, insider=insider)
        else:
            scoreboard = service.scoreboard_slot.scoreboard
            workers = scoreboard.workers()
            # It looks at every open file of every worker: lists must not wait for that.
            usage = await run_in_threadpool(ServerUsage.read, workers, scoreboard.supervisor)
            body = exposition(totals, facts, workers, service.pulls, usage=usage, insider=insider)
        return Response(body, headers={"content-type": CONTENT_TYPE, "cache-control": "no-store"})


def _shown(snapshot: Snapshot, *, insider: bool) -> Snapshot:
    """Return the snapshot with the mirrors that a client may learn of: for strangers without the private ones."""
    return snapshot if insider else replace(snapshot, mirrors=tuple(one for one in snapshot.mirrors if not one.private))


def _facts(state: State, *, insider: bool) -> Facts:
    """Return what is served right now, for the metrics."""
    decider = state.decider
    snapshot = _shown(decider.index.snapshot, insider=insider)
    return Facts(
        version=__version__,
        serial=snapshot.serial,
        built=snapshot.built,
        mirrors=len(snapshot.mirrors),
        active=sum(mirror.active for mirror in snapshot.mirrors),
        repositories=len(snapshot.repositories),
        directories=len(snapshot.directories) if insider else None,
        databases={source.kind: source.build_epoch for source in decider.geo.sources if source.build_epoch},
        stale=state.stale(time()),
        seconds_ahead=state.seconds_ahead(time()),
        max_age=state.max_age,
        last_good=state.origin.instead is not None,
        status=state.status_file.counts(_shown(state.published, insider=insider)),
        status_failed=state.origin.status_error is not None,
    )


def _served(state: State, now: float, *, insider: bool) -> dict[str, object]:
    """Return what /readyz shows of a State, with what is not as the configuration has it."""
    snapshot = _shown(state.decider.index.snapshot, insider=insider)
    return {
        "serial": snapshot.serial,
        "built": snapshot.built,
        "age_seconds": max(0, int(now) - snapshot.built),
        "seconds_ahead": state.seconds_ahead(now),
        "mirrors": len(snapshot.mirrors),
        "repositories": len(snapshot.repositories),
        "stale": state.stale(now),
        "max_age_seconds": state.max_age or None,
        "last_good": state.origin.instead is not None,
        "refused": sorted(state.origin.refused),
        "status": {
            **state.status_file.counts(_shown(state.published, insider=insider)),
            "failed": state.origin.status_error is not None,
        },
        "geo": {source.kind: source.build_epoch for source in state.decider.geo.sources},
    }


def _last_reload(counters: Counters) -> dict[str, object] | None:
    """Give the outcome of the latest load; None before the first reload."""
    if not counters.last_reload_at:
        return None
    return {
        "number": sum(counters.reloads.values()),
        "result": "ok" if counters.last_reload_ok else "failed",
        "at": int(counters.last_reload_at),
        "seconds": round(counters.last_reload_seconds, 3),
    }


def _pull(pulls: Pulls) -> dict[str, object] | None:
    """Give what /readyz shows of pulling; None before the first attempt. The error is for insiders."""
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


def _for_insiders(service: Service) -> dict[str, object]:
    """Give what /readyz shows to insiders besides: errors, which may name files, and the workers."""
    origin = service.state.origin if service.state else None
    errors = {
        "pull_error": service.pulls and service.pulls.last and service.pulls.last.error,
        "reload_error": service.reload_error,
        "snapshot_error": origin and origin.instead,
        "status_error": origin and origin.status_error,
    }
    facts: dict[str, object] = {name: error for name, error in errors.items() if error}
    return facts | ({"workers": _workers(service.scoreboard_slot)} if service.scoreboard_slot else {})


def _workers(scoreboard_slot: ScoreboardSlot) -> dict[str, object]:
    workers = scoreboard_slot.scoreboard.workers()
    return {
        "answered_by": scoreboard_slot.number,
        "up": sum(worker.up for worker in workers),
        "all": len(workers),
        "serials": sorted({worker.serial for worker in workers if worker.up}),
        "pids": [worker.pid for worker in workers],
    }


def _wants_text(form: str | None, accept: bytes) -> bool:
    """Whether an explanation is text: by `as=`, else by `Accept`. Browsers take no JSON, so text counts as HTML."""
    if form:
        if form not in ("text", "json"):
            raise HTTPException(400, "as= takes text or json")
        return form == "text"
    return preferred(accept, ("application/json", "text/plain", "text/html")) in {"text/plain", "text/html"}


def _json(data: object, *, status: int = 200, headers: dict[str, str]) -> Response:
    body = orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    return Response(body, status, headers={"content-type": "application/json", **headers})
