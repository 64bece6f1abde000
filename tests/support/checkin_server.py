"""A check-in endpoint with scripted answers, for tests of `mirrorlist-report`: it remembers what it was sent."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass
class ScriptedServer:
    """What is answered, and what was asked."""

    task: dict[str, Any]
    """Answered to GET, and to POST."""
    refusals: list[tuple[int, Mapping[str, str], bytes]] = field(default_factory=list)
    """Status, headers and body of the first answers; then the task is answered."""
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """Method, path and headers of each request."""
    reports: list[dict[str, Any]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def scripted_server(task: dict[str, Any]) -> Iterator[ScriptedServer]:
    """Run such a server on a loopback port."""
    script = ScriptedServer(task)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Stay quiet."""

        def do_GET(self) -> None:
            headers = {key.lower(): value for key, value in self.headers.items()}
            script.asked.append((self.command, self.path, headers))
            body = self.rfile.read(int(headers.get("content-length", 0)))
            if script.refusals:
                status, extra, answer = script.refusals.pop(0)
            else:
                status, extra, answer = 200, {}, json.dumps(script.task).encode()
                if body:
                    script.reports.append(json.loads(gzip.decompress(body)))
            self.send_response(status)
            for key, value in extra.items():
                self.send_header(key, value)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET  # noqa: N815 - the base class's name

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
