"""The least that an ASGI application can do: one constant answer. What the ASGI lane is compared with.

    BARE_BODY=FILE uvicorn --app-dir bench bare_asgi:app

It sends the head and the bytes that mirrorlistd would send, so that all that differs is the deciding.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

_BODY = Path(os.environ["BARE_BODY"]).read_bytes()
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"cache-control", b"private, no-store"),
        (b"content-length", str(len(_BODY)).encode()),
    ],
}
_END = {"type": "http.response.body", "body": _BODY}


async def app(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Answer."""
    del scope, receive
    await send(_START)
    await send(_END)
