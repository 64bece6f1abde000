"""Mirrors that are one real nginx: each loopback address has a folder of its own, and the log tells who was asked.

with NginxMirrors(folder, addresses=["127.3.0.1", "127.3.0.2"]) as mirrors:
    mirrors.root("127.3.0.1")  # the folder that is served there
    mirrors.url("127.3.0.1")   # http://127.3.0.1:PORT/
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from support.processes import SECONDS, eventually

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from support.namespaces import Namespace

_CONFIGURATION = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1; {user}
events {{ worker_connections 8192; }}
worker_rlimit_nofile 16384;
http {{
    log_format prober '$server_addr $status $request_method $request_uri $http_user_agent';
    access_log {folder}/access.log prober; keepalive_requests 1000000; keepalive_timeout 600s;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{ {listen} root {folder}/roots/$server_addr; {extra} }}
}}
"""


def network() -> str:
    """Return the start of 65,536 loopback addresses that no other test uses: `127.42`."""
    return f"127.{random.Random(os.getpid()).randrange(32, 224)}"


def free_port(address: str) -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Asked:
    """One line of the log."""

    address: str
    status: int
    method: str
    path: str
    agent: str


class NginxMirrors:
    """An nginx that listens on some addresses, on the same port of each."""

    def __init__(
        self,
        folder: Path,
        addresses: Sequence[str],
        *,
        port: int | None = None,
        extra: str = "",
        inside: Namespace | None = None,
    ) -> None:
        """`extra` goes into the server's configuration; `inside` is where it runs."""
        self._inside = inside
        self.folder = folder
        self.addresses = addresses
        self.port = port or free_port(addresses[0])
        self._extra = extra
        self._process: subprocess.Popen[bytes] | None = None
        for address in addresses:
            self.root(address).parent.mkdir(parents=True, exist_ok=True)

    def root(self, address: str) -> Path:
        """The folder that is served at an address; the test makes it."""
        return self.folder / "roots" / address

    def url(self, address: str) -> str:
        """The base URL of an address."""
        return f"http://{address}:{self.port}/"

    def start(self) -> Self:
        """Start, and wait until it listens."""
        settings = self.folder / "nginx.conf"
        listen = " ".join(f"listen {address}:{self.port};" for address in self.addresses)
        user = "user root;" if os.getuid() == 0 else ""
        settings.write_text(_CONFIGURATION.format(folder=self.folder, listen=listen, extra=self._extra, user=user))
        words = ["nginx", "-c", str(settings), "-p", str(self.folder), "-e", str(self.folder / "error.log")]
        command = words if self._inside is None else self._inside.command(*words)
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        eventually(self._listens, "nginx listens")
        return self

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "error.log").read_text()
        if self._inside is not None:
            return (self.folder / "nginx.pid").exists()
        with socket.socket() as probe:
            return probe.connect_ex((self.addresses[-1], self.port)) == 0

    def stop(self) -> None:
        """Stop listening."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(SECONDS)
            self._process = None

    def asked(self) -> list[Asked]:
        """What was asked so far."""
        log = self.folder / "access.log"
        found: list[Asked] = []
        for line in log.read_text().splitlines() if log.exists() else ():
            address, status, method, path, agent = line.split(" ", 4)
            found.append(Asked(address, int(status), method, path, agent))
        return found

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
