"""What is compared: nginx twice, bare ASGI, our lanes. Each a real process on loopback, ended when the block ends.

    with started(nginx(folder, body)) as server: ...

Only processes that were started here are ever signalled.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from geography import client_networks, database_file
from measuring import BenchError, Load
from mirrorlist_snapshot.format import decode
from mirrorlistd.answering.answer import answer
from mirrorlistd.answering.decider import Decider
from mirrorlistd.answering.plan import AnswerSettings
from mirrorlistd.geo.locate import Geo
from mirrorlistd.request.client_address import parse_address
from mirrorlistd.selection.index import Index

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

ROOT: Final = Path(__file__).resolve().parent.parent
PYTHON: Final = str(Path(os.environ.get("BENCH_PYTHON", sys.executable)).absolute())
"""What servers run in: `make bench` has made an environment without the developers' libraries, some of which others
import where they find them (structlog rich, for one: 4 MB and 40 ms)."""
SECONDS: Final = 30
"""How long a server may take to answer for the first time or to stop."""
MIRRORS_IN_LIST: Final = 20
NETWORKS: Final = 10_000
AGENTS: Final = 16
"""Distinct User-Agent headers: with 40 pairs of repository and architecture, 640 distinct heads."""
_BASE: Final = """\
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes {workers};
daemon off;
events {{ worker_connections 1024; }}
http {{
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  default_type text/plain;
  {settings}
  server {{ listen 127.0.0.1:{port}; root {folder}/www; }}
}}
"""
_LEAN: Final = "sendfile off; access_log off; keepalive_requests 1000000000;"
"""The baseline: one worker, no open_file_cache (off by default), connections as long-lived as everybody else's."""
_DEBIAN: Final = "sendfile on; tcp_nopush on; types_hash_max_size 2048; gzip on; access_log {folder}/access.log;"
"""What Debian's /etc/nginx/nginx.conf sets, with as many workers as cores."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to start one server."""

    name: str
    command: Sequence[str]
    port: int
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where it answers; the path is in each head, too."""
        return f"http://127.0.0.1:{self.port}/mirrorlist"


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs."""

    name: str
    url: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    """Whatever it says."""
    seconds: float
    """From exec to the first answer."""


def free_port() -> int:
    """Give a port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def nginx(folder: Path, body: bytes, *, debian: bool = False) -> Plan:
    """Serve a file of these bytes at /mirrorlist, whatever the query."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise BenchError("nginx is not installed; as root: tests/debian/install bench/debian-packages.txt")
    own = folder / ("debian" if debian else "lean")
    (own / "www").mkdir(parents=True)
    (own / "www" / "mirrorlist").write_bytes(body)
    port = free_port()
    text = _BASE.format(
        folder=own,
        port=port,
        workers="auto" if debian else "1",
        settings=(_DEBIAN if debian else _LEAN).format(folder=own),
    )
    (own / "nginx.conf").write_text(text)
    command = [program, "-p", str(own), "-e", str(own / "error.log"), "-c", str(own / "nginx.conf")]
    return Plan("nginx, Debian's default" if debian else "nginx", command, port)


def bare(folder: Path, body: bytes) -> Plan:
    """Serve these bytes from a constant ASGI application, under uvicorn set up as mirrorlistd sets it up."""
    (folder / "bare").write_bytes(body)
    port = free_port()
    command = [PYTHON, "-m", "uvicorn", "--app-dir", str(ROOT / "bench"), "bare_asgi:app", "--port", str(port)]
    command += ["--http", "httptools", "--ws", "none", "--lifespan", "off", "--no-access-log", "--no-proxy-headers"]
    command += ["--log-level", "warning", "--timeout-keep-alive", "15"]
    return Plan("bare ASGI", command, port, {"BARE_BODY": str(folder / "bare")})


def mirrorlistd(snapshot: Path, *flags: str, name: str = "mirrorlistd", registries: bool = False) -> Plan:
    """Serve a snapshot by one worker, believing what loopback says of the client.

    With the geo database, or with the built-in data (`registries`).
    """
    port = free_port()
    command = [PYTHON, "-m", "mirrorlistd", "serve", "--port", str(port), "--snapshot", str(snapshot)]
    command += [] if registries else ["--geo", str(database_file())]
    command += ["--trusted-proxy", "127.0.0.1", "--log-format", "json"]
    if serve_has("--workers") and "--workers" not in flags:
        command += ["--workers", "1"]
    return Plan(name, [*command, *flags], port)


@cache
def _serve_help() -> str:
    command = [PYTHON, "-m", "mirrorlistd", "serve", "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=_environ({})).stdout


def serve_has(flag: str) -> bool:
    """Whether this mirrorlistd has an option."""
    return f"{flag} " in _serve_help()


def _environ(more: Mapping[str, str]) -> dict[str, str]:
    """Our environment without settings of mirrorlistd's: what is measured is what the command says.

    And with compiled modules kept for the next start, as those of an installed program are.
    """
    ours = {key: value for key, value in os.environ.items() if not key.startswith("MIRRORLISTD_")}
    ours.pop("PYTHONDONTWRITEBYTECODE", None)
    return ours | dict(more)


@contextlib.contextmanager
def started(plan: Plan, folder: Path, target: str = "/mirrorlist", seconds: float = SECONDS) -> Generator[Server]:
    """Start a server and wait for its first 200; stop it in the end, whatever happens."""
    log = folder / f"{plan.port}.log"
    with log.open("wb") as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            plan.command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=_environ(plan.environ), cwd=folder
        )
    try:
        while not answers(plan.port, target):
            if process.poll() is not None or time.perf_counter() - began > seconds:
                raise BenchError(f"{plan.name} does not answer: {log.read_text() or process.poll()}")
            time.sleep(seconds / 30_000)
        yield Server(plan.name, plan.url, plan.port, process, log, time.perf_counter() - began)
    finally:
        stop(process)


def answers(port: int, target: str) -> bool:
    """Whether a port answers with 200 now."""
    try:
        return ask(port, target)[0] == 200  # noqa: PLR2004 - OK
    except (OSError, http.client.HTTPException):
        return False


def ask(port: int, target: str, client: str = "") -> tuple[int, bytes]:
    """Ask once on a connection of its own."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as connection:
        connection.request("GET", target, headers={"X-Forwarded-For": client} if client else {})
        response = connection.getresponse()
        return response.status, response.read()


def end_on_terminate() -> None:
    """Let SIGTERM and SIGINT (also where a shell had it ignored) end the program as Ctrl-C does: cleaning up."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process of ours, by force if it must be."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def folder_for_servers() -> Generator[Path]:
    """Make a folder for a run's files, readable for nginx's workers, who are somebody else if root started them."""
    with tempfile.TemporaryDirectory(prefix="mirrorlistd-bench-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests that all have a list of 20 mirrors for an answer, and one such answer."""

    keep_alive: Load
    cold: Load
    close: Load
    heads: int
    """How many distinct ones."""
    networks: int
    body: bytes
    """A typical answer: what the servers that do not decide send."""


def prepare(folder: Path, snapshot: Path, queries: Sequence[bytes], networks: int = NETWORKS) -> Requests:
    """Choose clients and write the files that wrk.lua reads; BenchError where too few clients get 20 mirrors."""
    decider = Decider(Index(decode(snapshot.read_bytes())), Geo.open(database_file(), None), AnswerSettings())
    random = Random(0)

    def body(query: bytes, address: str) -> bytes:
        return answer(decider, query, parse_address(address), random).body

    def lines(query: bytes, address: str) -> int:
        return body(query, address).count(b"\n") - 1  # the first is a comment

    near = client_networks(2 * networks, ("EU",))
    long: dict[object, bool] = {}
    chosen: list[str] = []
    for network in near:
        place = decider.place(parse_address(f"{network}.77"))
        if place not in long:
            long[place] = all(lines(query, f"{network}.77") == MIRRORS_IN_LIST for query in queries)
        if long[place]:
            chosen.append(network)
    chosen = chosen[:networks]
    if len(chosen) < networks:
        raise BenchError(f"only {len(chosen)} of {networks} networks get lists of {MIRRORS_IN_LIST} mirrors")
    heads = [_head(query.decode(), agent) for agent in range(AGENTS) for query in queries]
    _write(folder / "heads", heads)
    _write(folder / "heads.close", [f"{head}|Connection: close" for head in heads])
    _write(folder / "networks", chosen)
    bodies = sorted((body(query, f"{chosen[0]}.77") for query in queries), key=len)
    load = Load(folder / "heads", folder / "networks")
    return Requests(
        keep_alive=load,
        cold=load._replace(mode="cold"),
        close=load._replace(heads=folder / "heads.close"),
        heads=len(heads),
        networks=len(chosen),
        body=bodies[len(bodies) // 2],
    )


def _head(query: str, agent: int) -> str:
    """Write a head as a proxy passes a package client's on, without its end and the client's address."""
    return (
        f"GET /mirrorlist?{query} HTTP/1.1|Host: mirrors.example.org|Accept: */*|"
        f"User-Agent: libdnf (Fedora Linux {20 + agent}; generic; Linux.x86_64)|X-Forwarded-Proto: https"
    )


def _write(path: Path, lines: Sequence[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
