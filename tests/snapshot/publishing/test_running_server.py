"""A running server told to reload by its pid file and asked by /readyz: only the right one is ever signalled."""

from __future__ import annotations

import fcntl
import http.server
import json
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from mirrorlist_snapshot.errors import ServingError
from mirrorlist_snapshot.format import header
from mirrorlist_snapshot.publishing import running_server
from mirrorlist_snapshot.publishing.running_server import ReadyzEndpoint, reload_until_served, send_sighup
from support.processes import Server, stamped, write_snapshot
from support.snapshot_command import COMMAND, json_of, run

if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Iterator
    from pathlib import Path


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that SIGHUP would end."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


@pytest.fixture(params=["shown", "hidden"])
def files_of_processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let /proc/PID/fd be readable, or not, as of a process that the system protects: then /proc/locks must do."""
    if request.param == "hidden":

        def hidden(_pid: int, _status: os.stat_result) -> bool:
            raise PermissionError

        monkeypatch.setattr(running_server, "_has_locked", hidden)


def ignore(_: str) -> None:
    """Nobody listens."""


@pytest.mark.process
def test_a_number_is_not_enough(tmp_path: Path, bystander: subprocess.Popen[bytes]) -> None:
    """A pid file that nobody holds a lock on is a dead server's: whoever has its number now is left in peace."""
    pid_file = tmp_path / "pid"
    pid_file.write_text(f"{bystander.pid}\n")
    with pytest.raises(ServingError, match="no running server holds it; no process was signalled"):
        send_sighup(pid_file)
    assert bystander.poll() is None


@pytest.mark.parametrize("text", ["", "no number", "0", "1", "-1"])
def test_what_holds_no_process(tmp_path: Path, text: str) -> None:
    """A locked file with something else in it than a process is no pid file: groups and init are not signalled."""
    pid_file = tmp_path / "pid"
    pid_file.write_text(text)
    with pid_file.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ServingError, match=r"is no pid file|is no server"):
            send_sighup(pid_file)


@pytest.mark.process
def test_a_process_that_has_just_stopped(tmp_path: Path, bystander: subprocess.Popen[bytes]) -> None:
    """Where the process is gone, that is said."""
    bystander.kill()
    bystander.wait()
    pid_file = tmp_path / "pid"
    pid_file.write_text(str(bystander.pid))
    with pid_file.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ServingError, match="has just stopped"):
            send_sighup(pid_file)
    with pytest.raises(ServingError, match=r"missing: cannot be read: No such file"):
        send_sighup(tmp_path / "missing")


@pytest.mark.process
@pytest.mark.usefixtures("files_of_processes")
def test_only_the_holder_of_the_lock_is_signalled(tmp_path: Path, bystander: subprocess.Popen[bytes]) -> None:
    """A pid file that a process holds with the number of another one in it signals neither."""
    pid_file, other = tmp_path / "pid", tmp_path / "other"
    pid_file.write_text(f"{bystander.pid}\n")
    other.touch()
    program = "import fcntl, sys, time; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print(); time.sleep(60)"
    for held in (pid_file, other):
        # The second holds a lock, too, but of another file than the one that names it.
        command = [sys.executable, "-c", program, str(held)]
        with pid_file.open("r+") as ours, subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            if held is other:
                fcntl.flock(ours, fcntl.LOCK_EX)
                pid_file.write_text(f"{process.pid}\n")
            with pytest.raises(ServingError, match="which it names, does not hold it; no process was signalled"):
                send_sighup(pid_file)
            assert (bystander.poll(), process.poll()) == (None, None)
            process.kill()


@pytest.mark.process
@pytest.mark.usefixtures("files_of_processes")
def test_the_holder_is_signalled(tmp_path: Path) -> None:
    """The process that holds the lock and whose number is in the file gets SIGHUP."""
    pid_file = tmp_path / "pid"
    program = """if True:
        import fcntl, os, signal, sys, time
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has it ignored
        file = open(sys.argv[1], "w")
        fcntl.flock(file, fcntl.LOCK_EX)
        print(os.getpid(), file=file, flush=True)
        print(flush=True)
        time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", program, str(pid_file)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert send_sighup(pid_file) == process.pid
        assert process.wait(10) == -signal.SIGHUP


@pytest.mark.parametrize(
    "text", ["", "ftp://h/readyz", "http://", "unix:", "https://h/readyz", "http://h:0/", "http://h:99999/"]
)
def test_where_to_ask(text: str) -> None:
    """Only a URL or a socket that can be asked is one."""
    with pytest.raises(ValueError, match=r".*"):
        ReadyzEndpoint.parse(text)


@contextmanager
def answering(body: bytes) -> Generator[str]:
    """Something that answers anything with the same."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Be quiet."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/readyz"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"status": "ok"}', b"\xff"])
def test_who_else_answers(body: bytes) -> None:
    """Something else than mirrorlistd at that address is told apart, whatever it says."""
    with answering(body) as url, pytest.raises(ServingError, match="cannot query"):
        ReadyzEndpoint(url).ask()


@pytest.mark.process
@pytest.mark.parametrize("workers", [1, 2])
def test_publish_and_roll_back_with_a_server(tmp_path: Path, workers: int) -> None:
    """Published, signalled, served; refused by the server: said, with its reason; rolled back: served again."""
    served, pid = write_snapshot(tmp_path / "served.mls", stamped(1)), tmp_path / "pid"
    write_snapshot(tmp_path / "two", stamped(2), serial=2)
    socket = tmp_path / "http"
    flags = ("--workers", str(workers), "--pid-file", str(pid), "--uds", str(socket), "--host", "127.0.0.1")
    with Server("--snapshot", str(served), *flags) as server:
        where = ("--signal", "pid", "--readyz", f"http://127.0.0.1:{server.port}/readyz")
        done = run(tmp_path, "publish", "two", "served.mls", *where)
        assert "sent SIGHUP to process" in done.stderr
        assert done.stderr.endswith("served: serial 2\n")
        assert "/s2/" in server.get("/mirrorlist?repo=r").text
        again = run(tmp_path, "publish", "two", "served.mls", "--signal", "pid", "--readyz", f"unix:{socket}", "--json")
        assert (json_of(again)["changed"], json_of(again)["served"]) == (False, True)
        back = run(tmp_path, "rollback", "served.mls", *where)
        assert back.stderr.endswith("served: serial 3\n")
        assert "/s1/" in server.get("/mirrorlist?repo=r").text
        write_snapshot(tmp_path / "four", stamped(4), serial=4)
        lost = run(tmp_path, "publish", "four", "served.mls", "--signal", "pid", "--readyz", f"unix:{tmp_path}/no",
                   "--wait", "0.2", "--json", code=3)  # fmt: skip
        assert (
            "served.mls is published, but the server does not serve serial 4 after 0.2 s: cannot query" in lost.stderr
        )
        assert json_of(lost)["ok"] is False
    gone = run(tmp_path, "publish", "four", "served.mls", "--signal", "pid", code=3)
    assert "pid: cannot be read: No such file or directory; is the server running?" in gone.stderr


@pytest.mark.process
def test_a_server_that_refuses(tmp_path: Path) -> None:
    """If the reload fails, the publication reports the reason at once; the old snapshot is still served."""
    served, pid = write_snapshot(tmp_path / "served.mls", stamped(1)), tmp_path / "pid"
    with Server("--snapshot", str(served), "--pid-file", str(pid)) as server:
        two = write_snapshot(tmp_path / "two", stamped(2), serial=2)
        two.write_bytes(two.read_bytes()[:-8])
        readyz = ReadyzEndpoint(f"http://127.0.0.1:{server.port}/readyz")
        two.replace(served)
        for _ in range(2):  # the same failure again is another one
            with pytest.raises(ServingError, match=r"does not serve serial 2: .*cut off"):
                reload_until_served(pid, readyz, 2, 30, ignore)
        assert "/s1/" in server.get("/mirrorlist?repo=r").text


@pytest.mark.process
def test_ctrl_c_while_waiting_for_the_server_is_no_failure_of_the_publication(tmp_path: Path) -> None:
    """Exit status 3: the file is published, and whether the server serves it is not known."""
    served, pid = write_snapshot(tmp_path / "served.mls", stamped(1)), tmp_path / "pid"
    write_snapshot(tmp_path / "two", stamped(2), serial=2)
    with Server("--snapshot", str(served), "--pid-file", str(pid)):
        nobody = f"unix:{tmp_path}/nobody"
        command = [*COMMAND, "publish", "two", "served.mls", "--signal", "pid", "--readyz", nobody, "--json"]
        with subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as publisher:
            assert publisher.stderr is not None
            while "waiting" not in (line := publisher.stderr.readline()) and "SIGHUP" not in line:
                assert line, "it ended early"
            publisher.send_signal(signal.SIGINT)
            output, errors = publisher.communicate(timeout=30)
    assert publisher.returncode == 3
    assert "served.mls is published, but the wait for the server was interrupted" in errors
    assert json.loads(output)["changed"] is True
    assert header(served.read_bytes()).serial == 2
