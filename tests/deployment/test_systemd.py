"""The units, under a real systemd: they are verified, rated, started, reloaded, restarted and stopped."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mirrorlistd.config import load_config
from support.deployment.manager import booted
from support.paths import ROOT
from support.processes import SECONDS, At, eventually, listens, load, stamped, wait_for_more, write_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.deployment.manager import Manager
    from support.processes import Response

pytestmark = [pytest.mark.process, pytest.mark.root]

UNITS = ROOT / "deploy/systemd"
SERVICE, SOCKET = "mirrorlistd.service", "mirrorlistd.socket"
STATISTICS = "/var/log/mirrorlistd/statistics.log"
TARGET = "/srv/mirrorlistd/mirrors.mls"
TELL = ("--signal", "/run/mirrorlistd/pid", "--readyz", "unix:/run/mirrorlistd.sock")
LIST = "/mirrorlist?repo=r"


@pytest.fixture(scope="module")
def port() -> int:
    """A free one on loopback, in place of port 80."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        found: int = probe.getsockname()[1]
        return found


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Manager]:
    """Systemd with our units as they are, the example's settings, and this interpreter as /opt/mirrorlistd."""
    folder = tmp_path_factory.mktemp("systemd")
    files = folder / "files"
    units = files / "etc/systemd/system"
    shutil.copytree(UNITS, units)
    (units / "test.target").write_text("[Unit]\nRequires=systemd-journald.service systemd-journald.socket\n")
    (units / f"{SOCKET}.d").mkdir()
    (units / f"{SOCKET}.d/port.conf").write_text(
        f"[Socket]\nListenStream=\nListenStream=127.0.0.1:{port}\nListenStream=/run/mirrorlistd.sock\n"
    )
    # Interpreter and checkout may be in somebody's home, which the unit hides: as systemd.exec(5) recommends.
    needed = [Path(sys.base_prefix).resolve(), Path(sys.prefix), ROOT]
    (units / f"{SERVICE}.d").mkdir()
    (units / f"{SERVICE}.d/checkout.conf").write_text(
        f"[Service]\nProtectHome=tmpfs\nBindReadOnlyPaths={' '.join(map(str, needed))}\n"
    )
    (files / "etc/systemd/journald.conf").write_text("[Journal]\nReadKMsg=no\nStorage=volatile\n")
    (units / f"{SERVICE}.d/statistics.conf").write_text(f"[Service]\nEnvironment=MIRRORLISTD_STATISTICS={STATISTICS}\n")
    (files / "etc/logrotate.d").mkdir()
    shutil.copy(ROOT / "deploy/logrotate", files / "etc/logrotate.d/mirrorlistd")
    (files / "opt").mkdir()
    (files / "opt/mirrorlistd").symlink_to(sys.prefix)
    shutil.copy(ROOT / "deploy/mirrorlistd.toml", files / "etc/mirrorlistd.toml")
    (files / "srv/mirrorlistd").mkdir(parents=True)
    write_snapshot(files / "srv/mirrorlistd/mirrors.mls", stamped(1))
    (files / "srv/mirrorlistd/status.toml").touch()
    with booted(folder, files, needed) as running:
        yield running


@pytest.fixture
def started(manager: Manager, port: int) -> Iterator[Manager]:
    """The socket is enabled, nobody has asked yet; snapshot 1 is in place."""
    publish(manager, 1)
    for copy in (manager.root / "var/lib/private/mirrorlistd").glob("*"):
        copy.unlink()
    manager.run("systemctl", "start", SOCKET)
    yield manager
    manager.run("systemctl", "stop", SOCKET, SERVICE)
    assert manager.show(SERVICE, "Result") == "success", journal(manager)
    assert not listens(port)


def publish(manager: Manager, serial: int) -> None:
    """Put a snapshot in place on the manager's machine."""
    write_snapshot(manager.root / "srv/mirrorlistd/mirrors.mls", stamped(serial), serial=serial)


def ask(port: int, target: str = LIST) -> Response:
    """Ask on a connection of its own."""
    return At(port).get(target)


def _good(response: Response) -> None:
    assert response.status == 200


def journal(manager: Manager) -> str:
    """What the service has said."""
    return manager.run("journalctl", "--unit", SERVICE, "--output=cat", "--no-pager")


def test_units_are_verified(manager: Manager) -> None:
    """`systemd-analyze verify` has nothing to say about either unit."""
    done = manager.attempt(
        "systemd-analyze", "verify", f"/etc/systemd/system/{SERVICE}", f"/etc/systemd/system/{SOCKET}"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_security_is_as_stated() -> None:
    """`systemd-analyze security` rates the service no worse than its first lines say."""
    stated = re.search(r"gives it (\d)\.(\d) ", (UNITS / SERVICE).read_text())
    assert stated
    command = [
        "systemd-analyze",
        "security",
        "--offline=true",
        f"--threshold={stated[1]}{stated[2]}",
        str(UNITS / SERVICE),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout[-300:]


def test_the_first_client_starts_it_without_any_privilege(started: Manager, port: int) -> None:
    """Started by the first connection, which is answered; as nobody in particular, without capabilities, sandboxed."""
    assert started.show(SERVICE, "ActiveState") == "inactive"
    assert ask(port).status == 200
    assert started.show(SERVICE, "ActiveState") == "active"
    assert started.show(SERVICE, "StatusText") == "serving snapshot 1"
    process = started.process(SERVICE)
    facts = dict(line.split(":\t", 1) for line in process.joinpath("status").read_text().splitlines() if ":\t" in line)
    assert "0" not in facts["Uid"].split()
    assert (facts["CapEff"], facts["CapBnd"], facts["CapAmb"]) == ("0" * 16,) * 3
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
    environ = process.joinpath("environ").read_bytes().split(b"\0")
    assert b"STATE_DIRECTORY=/var/lib/mirrorlistd" in environ
    assert (started.root / "var/lib/private/mirrorlistd").is_dir()
    assert not (process / "root/srv/mirrorlistd/mirrors.mls").stat().st_mode & 0o022
    assert started.run("stat", "--format=%a %G", "/run/mirrorlistd.sock") == "660 www-data\n"


def test_reload_swaps_the_snapshot_in_the_same_process(started: Manager, port: int) -> None:
    """`systemctl reload` serves the new file; the process stays, and a bad file changes nothing."""
    ask(port)
    before = started.show(SERVICE, "MainPID")
    publish(started, 2)
    started.run("systemctl", "reload", SERVICE)
    eventually(lambda: "/s2/" in ask(port).text, "serial 2")
    (started.root / "srv/mirrorlistd/mirrors.mls").write_bytes(b"junk")
    started.run("systemctl", "reload", SERVICE)
    eventually(lambda: ask(port, "/readyz").json["last_reload"]["result"] == "failed", "the reload fails")
    assert "/s2/" in ask(port).text
    assert started.show(SERVICE, "MainPID") == before
    assert started.show(SERVICE, "ActiveState") == "active"


def test_restarts_under_load_lose_no_connection(started: Manager, port: int) -> None:
    """Three times `systemctl restart`, clients on new and on kept-alive connections all the while: all are answered."""
    ask(port)
    pids = {started.show(SERVICE, "MainPID")}
    with load(At(port), LIST, 3, _good) as kept, load(At(port), LIST, 3, _good, keep=False) as new:
        for _ in range(3):
            started.run("systemctl", "restart", SERVICE)
            pids.add(started.show(SERVICE, "MainPID"))
            wait_for_more(50, kept, new)
    assert len(pids) == 4


def test_a_start_with_a_bad_file_serves_the_last_good_copy(started: Manager, port: int) -> None:
    """What was served last is in the unit's state folder: a restart with a bad file goes on from there, and says so."""
    assert "/s1/" in ask(port).text
    (started.root / "srv/mirrorlistd/mirrors.mls").write_bytes(b"junk")
    started.run("systemctl", "restart", SERVICE)
    assert "/s1/" in ask(port).text
    assert ask(port, "/readyz").json["last_good"] is True


def test_a_start_that_fails_heals_with_the_file(started: Manager, port: int) -> None:
    """A bad file and no copy: nothing starts, systemd does not give up; once it is good, who has waited is answered."""
    (started.root / "srv/mirrorlistd/mirrors.mls").write_bytes(b"junk")
    answers: list[Response] = []
    client = threading.Thread(target=lambda: answers.append(ask(port)))
    client.start()
    eventually(lambda: int(started.show(SERVICE, "NRestarts")) >= 2, "two more attempts")
    assert answers == []
    publish(started, 3)
    client.join(SECONDS)
    assert "/s3/" in answers[0].text


def test_the_example_of_the_options(manager: Manager) -> None:
    """`mirrorlistd check` finds it good; and every line that is commented out is an option with a legal value."""
    publish(manager, 1)
    done = manager.attempt("/opt/mirrorlistd/bin/mirrorlistd", "check", "--config", "/etc/mirrorlistd.toml")
    assert done.returncode == 0, done.stderr
    text = (manager.root / "etc/mirrorlistd.toml").read_text()
    offered = re.findall(r"^# ([a-z-]+ = .*)$", text, re.MULTILINE)
    assert len(offered) >= 8
    for line in offered:
        (manager.root / "tmp/one.toml").write_text(f"{line}\n")
        load_config({}, {}, manager.root / "tmp/one.toml")


def test_it_pulls_from_within_its_sandbox(manager: Manager, port: int, tmp_path: Path) -> None:
    """With `pull` the unit asks a store over HTTP, by a name that must be looked up, and serves what it got."""
    write_snapshot(tmp_path / "mirrors.mls", stamped(7), serial=7)
    options = manager.root / "etc/mirrorlistd.toml"
    before = options.read_text()
    with store(tmp_path) as url:
        options.write_text(f'pull = "{url}/mirrors.mls"\nevery = 1\nlog-format = "json"\n')
        manager.run("systemctl", "start", SOCKET)
        try:
            eventually(lambda: "/s7/" in ask(port).text, "it has pulled")
            write_snapshot(tmp_path / "mirrors.mls", stamped(8), serial=8)
            eventually(lambda: "/s8/" in ask(port).text, "it has pulled again")
        finally:
            manager.run("systemctl", "stop", SOCKET, SERVICE)
            options.write_text(before)


@contextlib.contextmanager
def store(folder: Path) -> Iterator[str]:
    """A plain web server for a folder; gives its address, by name."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(SECONDS)


def test_logrotate_loses_no_line(started: Manager, port: int) -> None:
    """The real logrotate moves the file away and tells the server, which goes on in a new one: each line is in one."""
    folder = started.root / "var/log/private/mirrorlistd"
    current = folder / "statistics.log"

    def lines() -> dict[str, int]:
        return {path.name: len(path.read_text().splitlines()) for path in folder.glob("statistics.log*")}

    for path in folder.glob("*"):
        path.unlink()
    for _ in range(5):
        ask(port)
    eventually(lambda: sum(lines().values()) == 5, "five lines")
    started.run("logrotate", "--force", "/etc/logrotate.d/mirrorlistd")
    eventually(current.exists, "a new file")
    for _ in range(3):
        ask(port)
    eventually(lambda: lines()[current.name] == 3, "three lines more")
    assert sorted(lines().values()) == [3, 5]


def test_the_drill(started: Manager, port: int) -> None:
    """The handbook's bad push at night, on the real unit: refused twice, then served, braked, rolled back."""
    served = started.root / "srv/mirrorlistd"

    def command(*words: str) -> tuple[int, str]:
        done = started.attempt("/opt/mirrorlistd/bin/" + words[0], *words[1:])
        return done.returncode, done.stdout + done.stderr

    def push(serial: int, mirrors: int, *more: str) -> tuple[int, str]:
        write_snapshot(served / "build.mls", stamped(serial, mirrors), serial=serial)
        return command("mirrorlist-snapshot", "publish", "/srv/mirrorlistd/build.mls", TARGET, *TELL, *more)

    ask(port)
    assert push(10, 8)[0] == 0
    assert "/s10/" in ask(port).text
    refused = push(11, 4)
    assert refused[0] == 1, refused
    assert "4 of 8 mirrors (50.0 %)" in refused[1]
    forced = push(11, 4, "--force")
    assert forced[0] == 3, forced
    assert "/s10/" in ask(port).text
    warned = command("mirrorlistd", "check", "--url", "unix:/run/mirrorlistd.sock")
    assert warned[0] == 1, warned
    assert "the last reload failed" in warned[1]
    assert command("mirrorlist-snapshot", "rollback", TARGET, *TELL)[0] == 0
    assert push(20, 8)[0] == 0, "what no limit can see is served"
    assert "/s20/" in ask(port).text
    (served / "status.new").write_text('"m3.example" = { status = "down", reason = "a wrong path" }\n')
    (served / "status.new").replace(served / "status.toml")
    started.run("systemctl", "reload", SERVICE)
    eventually(lambda: "m3.example" not in ask(port).text, "the brake is on")
    assert command("mirrorlist-snapshot", "rollback", TARGET, *TELL)[0] == 0
    assert "/s10/" in ask(port).text
    assert "m3.example" not in ask(port).text, "a roll back lifts no brake"
    (served / "status.new").touch()
    (served / "status.new").replace(served / "status.toml")
    started.run("systemctl", "reload", SERVICE)
    eventually(lambda: "m3.example" in ask(port).text, "the brake is off")
    assert command("mirrorlistd", "check", "--url", "unix:/run/mirrorlistd.sock")[0] == 0
