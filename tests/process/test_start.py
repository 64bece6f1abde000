"""A start that cannot succeed ends with one line and exit status 1; nothing fails later that could fail here."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.paths import ROOT
from support.processes import SECONDS, At, Server, eventually, listens, stamped, write_snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.process

SANDBOX = [sys.executable, str(ROOT / "tests" / "support" / "sandbox.py")]
WORKERS = pytest.mark.parametrize("workers", ["1", "2"])


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """A good snapshot."""
    return write_snapshot(tmp_path / "mirrors.mls", stamped(1))


def start(snapshot: Path, *flags: str, before: Sequence[str] = ()) -> str:
    """Start a server that must refuse to start, and return its one line."""
    command = [sys.executable, "-m", "mirrorlistd", "serve", "--snapshot", str(snapshot), "--port", "0", *flags]
    done = subprocess.run([*before, *command], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stdout) == (1, ""), done
    (line,) = done.stderr.splitlines()
    assert line.startswith("mirrorlistd: ")
    return line.removeprefix("mirrorlistd: ")


@WORKERS
@pytest.mark.parametrize("files", [5, 8, 12, 20, 63])
def test_too_few_open_files(snapshot: Path, files: int, workers: str) -> None:
    """Below what a reload and a few clients take, no server starts; the line names the limit and the remedy."""
    line = start(snapshot, "--workers", workers, before=["prlimit", f"--nofile={files}:{files}"])
    assert line.startswith(f"the limit of open files is {files}, and the server needs ")
    assert line.endswith("raise it (LimitNOFILE in systemd, ulimit -n in a shell)")


def test_a_low_soft_limit_is_raised_to_what_is_needed(snapshot: Path) -> None:
    """The hard limit is the administrator's word, the soft one a default; a limit that suffices is left alone."""
    for soft, expected in ((16, 64), (200, 200)):
        with Server("--snapshot", str(snapshot), before=["prlimit", f"--nofile={soft}:1000"]) as server:
            assert resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE) == (expected, 1000)
            write_snapshot(snapshot, stamped(2), serial=2)
            server.send_sighup()
            server.wait_for_log("reloaded")


@WORKERS
def test_a_host_whose_family_the_kernel_lacks(snapshot: Path, workers: str) -> None:
    """`--host ::` where there is no IPv6 names the address."""
    line = start(snapshot, "--host", "::", "--workers", workers, before=[*SANDBOX, "ipv6"])
    assert line == "cannot listen on :: port 0: Address family not supported by protocol"


def test_several_workers_without_shared_memory(snapshot: Path) -> None:
    """Where memfd_create is forbidden, they could start and never reload: the start says so; one worker serves."""
    assert start(snapshot, "--workers", "2", before=[*SANDBOX, "memfd"]) == (
        "--workers: several need memfd_create(2), which this system refuses; give --workers 1"
    )
    with Server("--snapshot", str(snapshot), before=[*SANDBOX, "memfd"]) as server:
        write_snapshot(snapshot, stamped(2), serial=2)
        server.send_sighup()
        assert server.wait_for_log("reloaded")["serial"] == 2


def test_no_memory_for_the_copies(snapshot: Path) -> None:
    """What cannot be copied is named."""
    line = start(snapshot, "--workers", "1", before=["prlimit", "--fsize=100"])
    assert line == f"{snapshot}: no memory for a private copy: File too large"


@WORKERS
def test_a_pid_file_that_cannot_be_written(snapshot: Path, tmp_path: Path, workers: str) -> None:
    """A disk without room, here a file size limit of nothing, is named; no empty pid file stays."""
    before = ["prlimit", "--fsize=0", *([*SANDBOX, "memfd"] if workers == "1" else [])]
    line = start(snapshot, "--workers", workers, "--pid-file", str(tmp_path / "pid"), before=before)
    if workers == "1":
        assert line == f"{tmp_path}/pid: cannot write the pid file: File too large"
    assert not (tmp_path / "pid").exists()


def test_a_pid_file_that_is_no_file(snapshot: Path, tmp_path: Path) -> None:
    """A pipe, a folder, a device, a socket, binary data: refused at once, and left as they are."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for path in (tmp_path / "pipe", tmp_path, Path("/dev/null"), tmp_path / "socket", tmp_path / "binary"):
            line = start(snapshot, "--workers", "1", "--pid-file", str(path))
            assert line.startswith(f"{path}: ")
            assert "pid file" in line
            assert path.exists()


@WORKERS
def test_a_statistics_file_that_is_no_file(snapshot: Path, tmp_path: Path, workers: str) -> None:
    """A pipe, a folder, a socket: refused at once, with one line that says what it is."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for path, kind in ((tmp_path / "pipe", "a pipe"), (tmp_path, "a folder"), (tmp_path / "socket", "a socket")):
            line = start(snapshot, "--workers", workers, "--statistics", str(path))
            assert line == f"--statistics: {path}: is not a regular file but {kind}; name a file to append to"


@WORKERS
@pytest.mark.parametrize("closed", ["2>&-", "0<&- 1>&- 2>&-"])
def test_closed_standard_files(snapshot: Path, closed: str, workers: str) -> None:
    """Without a standard error there is no log, and no other file takes its place: the server serves and reloads."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = f'exec "$0" -m mirrorlistd serve --snapshot "$1" --port {port} --workers {workers} {closed}'
    with subprocess.Popen(["sh", "-c", command, sys.executable, snapshot]) as server:
        try:
            eventually(lambda: listens(port), "listening")
            assert At(port).get("/mirrorlist?repo=r").status == 200
            for number in range(3):
                assert Path(f"/proc/{server.pid}/fd/{number}").exists()
            assert str(Path(f"/proc/{server.pid}/fd/2").readlink()) == os.devnull
            write_snapshot(snapshot, stamped(2), serial=2)
            server.send_signal(1)
            eventually(lambda: "/s2/" in At(port).get("/mirrorlist?repo=r").text, "the reload")
        finally:
            server.terminate()
        assert server.wait(SECONDS) == 0


@pytest.mark.parametrize("flag", ["config", "snapshot", "status", "geo", "asn", "trusted-key"])
def test_a_pipe_in_place_of_a_file(snapshot: Path, tmp_path: Path, flag: str) -> None:
    """It is refused at once at the start, and at a reload the old state keeps serving; SIGTERM works throughout."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    if flag not in ("status", "snapshot"):
        assert "is not a regular file but a pipe" in start(snapshot, f"--{flag}", str(pipe))
    pipe.unlink()
    settings = tmp_path / "mirrorlistd.toml"
    settings.write_text(f'snapshot = "{snapshot}"\n')
    with Server("--config", str(settings)) as server:
        if flag == "config":
            settings.unlink()
            os.mkfifo(settings)
        else:
            os.mkfifo(pipe)
            value = f'["{pipe}"]' if flag == "trusted-key" else f'"{pipe}"'
            others = "" if flag == "snapshot" else f'snapshot = "{snapshot}"\n'
            settings.write_text(f"{others}{flag} = {value}\n")
        server.send_sighup()
        status = flag == "status"
        event = server.wait_for_log(
            "the status file does not apply as it is" if status else "reload failed, the old state keeps serving"
        )
        assert "is not a regular file but a pipe" in event["error"]
        assert server.get("/mirrorlist?repo=r").status == 200
        assert server.stop() == 0


@WORKERS
def test_a_status_file_made_to_exhaust_memory(snapshot: Path, tmp_path: Path, workers: str) -> None:
    """One dotted key of 40 kB: the start and a reload serve without it, in the memory that they always take."""
    status = tmp_path / "status.toml"
    status.write_text(".".join(["a"] * 20_000) + ' = "down"\n')
    with Server("--snapshot", str(snapshot), "--status", str(status), "--workers", workers) as server:
        write_snapshot(snapshot, stamped(2), serial=2)
        server.send_sighup()
        assert server.wait_for_log("reloaded")["serial"] == 2
        event = server.wait_for_log("the status file does not apply as it is", count=2)
        assert "expected TOML in UTF-8, found: a dotted key of more than 20 parts (at line 1)" in event["error"]
        peak = Path(f"/proc/{server.process.pid}/status").read_text().partition("VmHWM:")[2].split()[0]
        assert int(peak) < 300_000, "kB"
