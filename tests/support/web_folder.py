"""A folder served over HTTP by a thread: a mirror, or a master, of one RPM repository."""

from __future__ import annotations

import contextlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from support.processes import SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REPOMD = f"""\
<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1790000000</revision><data type="primary">
<checksum type="sha256">{"a" * 64}</checksum><location href="repodata/p.xml"/><timestamp>1790000000</timestamp>
<size>5</size></data></repomd>
"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


def repository(folder: Path) -> None:
    """Make a folder an RPM repository, as far as its index goes."""
    (folder / "repodata").mkdir(parents=True)
    (folder / "repodata/repomd.xml").write_text(REPOMD)


@contextlib.contextmanager
def served(folder: Path, port: int = 0) -> Iterator[int]:
    """Serve a folder on 127.0.0.1; give the port."""
    with ThreadingHTTPServer(("127.0.0.1", port), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join(SECONDS)
