"""Sockets that a service manager hands over: by systemd's own tool, and by a test that holds them as systemd does."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from mirrorlistd.errors import StateError
from mirrorlistd.process.systemd import activated_sockets, notify
from support.processes import (
    SECONDS,
    Response,
    Server,
    eventually,
    exchange,
    listens,
    load,
    stamped,
    wait_for_more,
    write_snapshot,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

LIST = "/mirrorlist?repo=r"
HAND_OVER = """
import os, sys
count = int(sys.argv[1])
for place, held in enumerate(map(int, sys.argv[2 : 2 + count])):
    os.dup2(held, 3 + place)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(count), "LISTEN_FDNAMES": "first:second"}
os.execv(sys.argv[2 + count], sys.argv[2 + count :])
"""
"""What systemd does between fork and exec; the descriptors held are far from 3."""


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """A snapshot in place, serial 1."""
    return write_snapshot(tmp_path / "mirrors.mls", stamped(1))


@contextlib.contextmanager
def held(*addresses: tuple[str, int] | str) -> Iterator[list[socket.socket]]:
    """Listening sockets as systemd opens and keeps them; a text is a path."""
    with contextlib.ExitStack() as stack:
        sockets: list[socket.socket] = []
        for address in addresses:
            family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6
            if family == socket.AF_INET6 and ":" not in address[0]:
                family = socket.AF_INET
            one = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # systemd's BindIPv6Only=both
            one.bind(address)
            one.listen(4096)
            os.dup2(one.fileno(), 50 + len(sockets))
            stack.callback(os.close, 50 + len(sockets))
            sockets.append(one)
        yield sockets


def activated(sockets: Sequence[socket.socket], *flags: str, wait: bool = True) -> Server:
    """A server that is handed these sockets."""
    numbers = [50 + place for place in range(len(sockets))]
    before = (sys.executable, "-c", HAND_OVER, str(len(numbers)), *map(str, numbers))
    return Server(*flags, wait=wait, before=before, pass_fds=numbers)


def ask(address: tuple[str, int], target: str = LIST) -> Response:
    """Ask once on a connection of its own."""
    with contextlib.closing(http.client.HTTPConnection(*address, timeout=SECONDS)) as connection:
        return exchange(connection, target)


def free_port() -> int:
    """A port that nobody has; somebody might take it before we do, but nobody here does."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.process
@pytest.mark.parametrize("workers", ["1", "2"])
def test_systemd_socket_activate(snapshot: Path, workers: str) -> None:
    """Systemd's own tool starts the server with the first connection, whose request is answered."""
    port = free_port()
    before = ["systemd-socket-activate", "-l", f"127.0.0.1:{port}", "--fdname=http"]
    with Server("--snapshot", str(snapshot), "--workers", workers, wait=False, before=before) as server:
        eventually(lambda: any("Listening on" in line for line in list(server.lines)), "the tool listens")
        assert ask(("127.0.0.1", port)).status == 200
        assert server.port == port
        assert ask(("127.0.0.1", port), "/readyz").json["ready"] is True
        assert server.stop() == 0


@pytest.mark.process
@pytest.mark.network
def test_only_what_is_handed_over_is_listened_on(snapshot: Path, tmp_path: Path) -> None:
    """TCP for both families and a unix socket: --host, --port and --uds bind nothing; an IPv4 client stays one."""
    path = tmp_path / "handed"
    flags = ["--snapshot", str(snapshot), "--host", "127.0.0.9", "--uds", str(tmp_path / "own"), "--access-log"]
    with held(("::", 0), str(path)) as sockets, activated(sockets, *flags) as server:
        port = sockets[0].getsockname()[1]
        assert server.wait_for_log("listening", count=2)["url"] == f"unix:{path}"
        assert ask(("127.0.0.1", port)).status == 200
        assert server.wait_for_log("request")["client"] == "127.0.0.1"
        assert ask(("::1", port)).status == 200
        assert server.wait_for_log("request", count=2)["client"] == "::1"
        with socket.socket(socket.AF_UNIX) as stream:
            stream.connect(str(path))
            stream.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert stream.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert not (tmp_path / "own").exists()
        assert sum('"listening"' in line for line in server.lines) == 2
        server.stop()
        assert path.exists(), "it is the service manager's"


@pytest.mark.process
@pytest.mark.parametrize("workers", ["1", "2"])
def test_restarts_under_load_lose_no_connection(snapshot: Path, workers: str) -> None:
    """Three restarts, one server gone before the next is started: every client, new or kept alive, gets its list."""
    flags = ["--snapshot", str(snapshot), "--workers", workers]

    def whole(response: Response) -> None:
        assert response.status == 200
        assert response.text.count("\n") == 9, response.text

    with held(("127.0.0.1", 0)) as sockets, contextlib.ExitStack() as stack:
        address = sockets[0].getsockname()
        server = activated(sockets, *flags)
        with load(server, LIST, 6, whole) as kept, load(server, LIST, 6, whole, keep=False) as new:
            for _ in range(3):
                wait_for_more(100, kept, new)
                assert server.stop() == 0
                server = stack.enter_context(activated(sockets, *flags))
            wait_for_more(100, kept, new)
        assert ask(address).status == 200


@pytest.mark.process
def test_who_has_come_and_not_asked_is_waited_for(snapshot: Path) -> None:
    """A connection that was made before SIGTERM and asks after it is answered, as its last; an idle one is closed."""
    with Server("--snapshot", str(snapshot)) as server:
        with contextlib.closing(server.connect()) as early, contextlib.closing(server.connect()) as idle:
            early.connect()
            exchange(idle, LIST)
            server.process.terminate()
            eventually(lambda: not listens(server.port), "the socket is closed")
            early.request("GET", LIST)
            answer = early.getresponse()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert idle.sock is not None
            assert idle.sock.recv(1) == b""
        assert server.process.wait(SECONDS) == 0


@pytest.mark.process
@pytest.mark.parametrize("target", [LIST, "/repos"])
def test_answers_while_draining_are_the_last_of_their_connections(snapshot: Path, target: str) -> None:
    """Both lanes: a client that keeps its connection alive is told to leave before the sockets close."""
    with Server("--snapshot", str(snapshot), "--drain", "30") as server, contextlib.closing(server.connect()) as kept:
        assert "connection" not in exchange(kept, target).headers
        server.process.terminate()
        server.wait_for_log("draining")
        assert exchange(kept, target).headers["connection"] == "close"
        assert server.get(target).headers["connection"] == "close"
        server.process.terminate()  # impatient
        assert server.process.wait(SECONDS) == 0


def test_sockets_of_another_process_are_left_alone() -> None:
    """Variables that a parent left behind name its process, not ours; without them nothing is taken."""
    with contextlib.ExitStack() as stack:
        assert activated_sockets({}, stack) == []
        assert activated_sockets({"LISTEN_FDS": "1", "LISTEN_PID": str(os.getppid())}, stack) == []
        assert activated_sockets({"LISTEN_FDS": "0", "LISTEN_PID": str(os.getpid())}, stack) == []


@pytest.mark.parametrize("count", ["", "-1", "x", "99999", "\u0661"])
def test_a_count_that_is_none_is_refused(count: str) -> None:
    """Whatever LISTEN_FDS holds: sockets, or the one error."""
    with contextlib.ExitStack() as stack, pytest.raises(StateError, match="LISTEN_FDS: expected the number"):
        activated_sockets({"LISTEN_FDS": count, "LISTEN_PID": str(os.getpid())}, stack)


@pytest.mark.process
@pytest.mark.parametrize("what", ["file", "datagrams", "accepted"])
def test_what_is_no_listening_socket_is_refused(snapshot: Path, what: str) -> None:
    """A file, a datagram socket, a connection (Accept=yes): one line that names it and the fix, exit status 1."""
    with contextlib.ExitStack() as stack:
        if what == "file":
            stack.callback(os.close, 50)
            os.dup2(os.open(snapshot, os.O_RDONLY), 50)
        else:
            kind = socket.SOCK_DGRAM if what == "datagrams" else socket.SOCK_STREAM
            for end in socket.socketpair(socket.AF_UNIX, kind):
                os.dup2(stack.enter_context(end).fileno(), 50)
            stack.callback(os.close, 50)
        before = (sys.executable, "-c", HAND_OVER, "1", "50")
        with Server("--snapshot", str(snapshot), wait=False, before=before, pass_fds=[50]) as server:
            assert server.process.wait(SECONDS) == 1
            server.stop()
        (line,) = server.lines
        assert "socket 0 handed over ('first'): expected a stream socket that listens" in line
        assert "ListenStream=" in line


@pytest.mark.parametrize("length", [10, 1_000, 4_096, 1_000_000])
def test_a_state_of_any_length_leaves_a_message_that_systemd_reads(tmp_path: Path, length: int) -> None:
    """The reason of a failed reload may be long: READY=1 arrives all the same, within systemd's 4,096 bytes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(0)
        notify({"NOTIFY_SOCKET": str(tmp_path / "notify")}, "READY=1", f"STATUS=last reload failed: {'é' * length}")
        message = manager.recv(1 << 20)
        assert len(message) < 4_096
        assert message.startswith(b"READY=1\nSTATUS=last reload failed: \xc3\xa9")
