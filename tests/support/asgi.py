"""An ASGI application asked in the same event loop, without a server or a client library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirrorlistd.web.app import App


async def request(
    app: App, target: str, headers: Iterable[tuple[bytes, bytes]], peer: str, method: str = "GET"
) -> tuple[int, dict[bytes, bytes], bytes]:
    """Ask once; return status, headers and body."""
    path, _, query = target.partition("?")
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": list(headers),
        "client": (peer, 1),
        "server": None,
    }
    await app(scope, receive, send)
    start, *rest = sent
    return start["status"], dict(start["headers"]), b"".join(message["body"] for message in rest)
