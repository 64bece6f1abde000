"""`compare` asks servers that others operate: their answers are bounded in size and time, and half of one is none."""

from __future__ import annotations

import contextlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from mirrorlistd.compare.comparer import LONGEST_BODY, PATIENCE, Comparer, LoadBounds, ServerUrl
from mirrorlistd.compare.requests import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.network
LIST = b"https://a.example/\n"


@pytest.fixture
def start() -> Iterator[Callable[..., ServerUrl]]:
    """Start servers that end with the test; a function answers all of a server's requests."""
    with contextlib.ExitStack() as stack:

        def server(answer: Callable[[BaseHTTPRequestHandler], None]) -> ServerUrl:
            class Handler(BaseHTTPRequestHandler):
                protocol_version = "HTTP/1.1"

                def do_GET(self) -> None:
                    with contextlib.suppress(ConnectionError):
                        answer(self)

                def log_message(self, *_: object) -> None:
                    """Keep quiet."""

            started = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            stack.callback(started.server_close)
            stack.callback(started.shutdown)
            threading.Thread(target=started.serve_forever, daemon=True).start()
            return ServerUrl.parse(f"http://127.0.0.1:{started.server_address[1]}")

        yield server


def give(request: BaseHTTPRequestHandler, body: bytes, size: int | None = None) -> None:
    """Answer with a body, of which another size may be announced."""
    request.send_response(200)
    request.send_header("Content-Length", str(len(body) if size is None else size))
    request.end_headers()
    request.wfile.write(body)


def trouble(ours: ServerUrl, other: ServerUrl, timeout: float = 10.0) -> str:
    """Why one request could not be compared."""
    bounds = LoadBounds(asks=1, rate=1000, timeout=timeout)
    (result,) = Comparer(ours, other, "x-forwarded-for", bounds).run({Request("/mirrorlist?repo=r", None): 1})
    assert result.verdict is None
    return result.trouble


@pytest.mark.parametrize("body", [False, True])
def test_an_answer_that_drips_is_given_up(start: Callable[..., ServerUrl], body: bool) -> None:
    """A byte now and then, of the head or of the body, does not hold up the comparison."""
    over = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        if body:
            give(request, b"", size=1000)
        while not over.wait(0.05):
            request.wfile.write(b"h")

    began = time.monotonic()
    try:
        assert f"no whole answer within {PATIENCE * 0.5:g} s" in trouble(
            start(lambda request: give(request, LIST)), start(drip), timeout=0.5
        )
    finally:
        over.set()
    assert time.monotonic() - began < 15


def test_an_answer_that_is_too_long_or_cut_off_is_not_compared(start: Callable[..., ServerUrl]) -> None:
    """What is read of it would be compared as if it were all."""
    good = start(lambda request: give(request, LIST))

    def cut(request: BaseHTTPRequestHandler) -> None:
        give(request, LIST, size=len(LIST) + 7)
        request.close_connection = True

    assert f"an answer of more than {LONGEST_BODY} bytes" in trouble(
        good, start(lambda request: give(request, bytes(LONGEST_BODY + 2)))
    )
    assert "an answer without its last 7 bytes" in trouble(start(cut), good)
