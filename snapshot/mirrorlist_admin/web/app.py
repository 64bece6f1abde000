"""The ASGI application of the admin side."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from mirrorlist_admin.errors import AdminError
from mirrorlist_admin.web.checkin_endpoint import CheckInEndpoint
from mirrorlist_admin.web.database import Database
from mirrorlist_admin.web.pages import Pages

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path


def create_app(folder: Path, clock: Callable[[], float] = time.time) -> Starlette:
    """Make the application for the store in a folder; its connections are open from here to the end of the lifespan."""
    database = Database(folder)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        yield
        database.close()

    pages = Pages(database, clock)
    app = Starlette(
        routes=[*CheckInEndpoint(database, clock).routes, *pages.routes],
        lifespan=lifespan,
        exception_handlers={HTTPException: pages.error, AdminError: pages.error},
    )
    app.router.redirect_slashes = False
    return app
