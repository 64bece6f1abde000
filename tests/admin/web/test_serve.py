"""`mirrorlist-admin serve` and `token` with `mirrorlist-report`: real processes, from the token to the page."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from mirrorlist_admin.checkin.settling import settle
from mirrorlist_admin.cli import main
from mirrorlist_admin.store import schema
from support.admin_server import AdminServer, admin_server
from support.observed_networks import Network, content, observed_network
from support.processes import SECONDS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.process

MIRROR = "ftp.example.de"


def admin(*words: str) -> str:
    """Run `mirrorlist-admin`; return its output."""
    return subprocess.check_output([sys.executable, "-m", "mirrorlist_admin", *words], text=True)


def report(folder: Path, server: AdminServer, token: str, tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Download `mirrorlist-report` from the server as a mirror's admin does, and run it."""
    program = folder / "mirrorlist-report"
    with urllib.request.urlopen(f"{server.url}/mirrorlist-report") as answer:
        program.write_bytes(answer.read())
    command = [sys.executable, str(program), "--server", server.url, "-v", *words, f"epel={tree}"]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"MIRRORLIST_TOKEN": token}
    )


def page(server: AdminServer) -> dict[str, Any]:
    """The mirror's page, as JSON."""
    with urllib.request.urlopen(f"{server.url}/mirrors/{MIRROR}?format=json") as answer:
        return dict(json.load(answer))


def synchronise(network: Network, tree: Path, version: int) -> None:
    """Let the mirror's disk have a version of everything."""
    for unit in network.units:
        (tree / unit).parent.mkdir(parents=True, exist_ok=True)
        (tree / unit).write_bytes(content(unit, version))


def test_a_mirror_reports_and_its_page_follows(tmp_path: Path) -> None:
    """Token, download, report, maintenance, a wrong report: each shows on the page, all by real processes."""
    (tmp_path / "state").mkdir()
    network = observed_network(tmp_path / "state")
    network.add_mirror(MIRROR)
    tree, state = tmp_path / "epel", str(network.folder)
    synchronise(network, tree, 2)
    with admin_server(network.folder) as server:
        token = admin("token", MIRROR, "--state", state).strip()
        done = report(tmp_path, server, token, tree)
        assert done.returncode == 0, done.stderr
        assert "6 changed units; 6 to be looked at within a minute" in done.stderr
        assert page(server)["report"]["received"] >= int(time.time()) - 60
        again = report(tmp_path, server, token, tree, "--down-until", "2h", "--reason", "new disks")
        assert again.returncode == 0, again.stderr
        with network.store() as store, store.transaction():
            now = int(time.time())
            units = [row.unit for row in store.read(schema.DUE)]
            store.write(schema.UNIT_PROBE, [network.probe(MIRROR, unit, 1, now + 5) for unit in units])
            settle(store, now + 6)
        events = [event["after"] for event in admin_json("explain", MIRROR, "--state", state)["events"]]
        assert events[0] == "wrong"
        assert events[1].startswith("down until ")
        refused = report(tmp_path, server, "mlr_" + "x" * 43, tree)
        assert refused.returncode == 4
        assert "the token is not known" in refused.stderr


def admin_json(*words: str) -> dict[str, Any]:
    """Run a verb with --json."""
    return dict(json.loads(admin(*words, "--json")))


def test_a_head_without_end_is_refused(tmp_path: Path) -> None:
    """A head of more than 16 KiB is 400, and the server goes on."""
    with admin_server(tmp_path) as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=SECONDS) as connection:
            connection.sendall(b"GET /mirrors HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000)
            assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
        with urllib.request.urlopen(f"{server.url}/healthz") as answer:
            assert answer.read() == b"alive\n"


def test_a_port_that_is_taken_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 1, and no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--state", str(tmp_path), "--port", str(port)]) == 1
    assert capsys.readouterr().err == (
        f"mirrorlist-admin: cannot listen on 127.0.0.1 port {port}: Address already in use\n"
    )


def test_a_folder_that_is_none_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 1, and the file is named."""
    assert main(["serve", "--state", str(tmp_path / "nowhere"), "--port", "0"]) == 1
    assert f"{tmp_path}/nowhere/observations.db: unable to open database file" in capsys.readouterr().err
