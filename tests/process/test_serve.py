"""The process: sockets, files, signals, exit statuses, log lines; as a user and as systemd see it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from mirrorlistd.process.sockets import bind_unix
from support.processes import SECONDS, Server, eventually, exchange, stamped, write_snapshot

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.process


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """A snapshot in place."""
    return write_snapshot(tmp_path / "mirrors.mls", stamped(1))


def run(*arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """One `mirrorlistd` command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "mirrorlistd", *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
        env=dict(os.environ) | (environ or {}),
    )


def over_unix(path: Path, target: str, **headers: str) -> tuple[int, str]:
    """Ask over a unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.connect(str(path))
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        stream.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n".encode())
        response = http.client.HTTPResponse(stream)
        response.begin()
        return response.status, response.read().decode()


@pytest.mark.parametrize("umask", [0o000, 0o027, 0o777])
@pytest.mark.parametrize(("mode", "expected"), [(0o660, 0o660), (0o666, 0o666), (0o600, 0o600)])
def test_a_unix_socket_has_its_mode_whatever_the_umask(tmp_path: Path, umask: int, mode: int, expected: int) -> None:
    """Peers of a trusted Unix socket state clients' addresses, so who may connect must not depend on the umask."""
    before = os.umask(umask)
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.closing(bind_unix(tmp_path / "http", mode, stack)))
            assert stat.S_IMODE((tmp_path / "http").stat().st_mode) == expected
            assert os.umask(umask) == umask, "the umask is as it was"
    finally:
        os.umask(before)


@pytest.mark.network
def test_several_addresses_and_a_unix_socket(snapshot: Path, tmp_path: Path) -> None:
    """Every --host and the --uds are listened on; the unix peer is nobody unless it is trusted."""
    uds = tmp_path / "http"
    flags = ["--snapshot", str(snapshot), "--host", "127.0.0.1", "--host", "127.0.0.2", "--uds", str(uds)]
    with Server(*flags, "--trusted-proxy", "unix") as server:
        last = server.wait_for_log("listening", count=3)
        assert last["url"] == f"unix:{uds}"
        assert stat.S_IMODE(uds.stat().st_mode) == 0o660
        assert over_unix(uds, "/mirrorlist?repo=r", X_Forwarded_For="193.0.6.139")[1].startswith(
            "# repo = r country = NL continent = EU\n"
        )
        second = server.wait_for_log("listening", count=2)["url"]
        port = int(second.rstrip("/").rpartition(":")[2])
        with contextlib.closing(http.client.HTTPConnection("127.0.0.2", port, timeout=SECONDS)) as connection:
            assert exchange(connection, "/healthz").text == "ok\n"
    assert not uds.exists()


def test_stale_unix_socket_is_replaced_but_nothing_else(snapshot: Path, tmp_path: Path) -> None:
    """What a crashed server left is removed; a socket somebody listens on, or a file, is not."""
    uds = tmp_path / "http"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as crashed:
        crashed.bind(str(uds))
    with Server("--snapshot", str(snapshot), "--uds", str(uds)) as server:
        assert over_unix(uds, "/healthz")[0] == 200
        second = run("serve", "--snapshot", str(snapshot), "--uds", str(uds))
        assert second.returncode == 1
        assert f"cannot listen on {uds}" in second.stderr
        assert server.process.poll() is None
        assert over_unix(uds, "/healthz")[0] == 200
    (tmp_path / "file").write_text("precious")
    third = run("serve", "--snapshot", str(snapshot), "--uds", str(tmp_path / "file"))
    assert third.returncode == 1
    assert (tmp_path / "file").read_text() == "precious"


def test_untrusted_unix_peer_is_unknown(snapshot: Path, tmp_path: Path) -> None:
    """Without `--trusted-proxy unix` a header over the socket is not believed."""
    uds = tmp_path / "http"
    with Server("--snapshot", str(snapshot), "--uds", str(uds)):
        assert over_unix(uds, "/mirrorlist?repo=r", X_Forwarded_For="193.0.6.139")[1].startswith("# repo = r\n")


@pytest.mark.network
def test_port_in_use(snapshot: Path) -> None:
    """A port that is taken is one line that names it, and exit status 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--snapshot", str(snapshot), "--port", str(port))
    assert done.returncode == 1
    assert done.stderr == f"mirrorlistd: cannot listen on 127.0.0.1 port {port}: Address already in use\n"


def test_pid_file_is_locked_and_removed(snapshot: Path, tmp_path: Path) -> None:
    """The file holds our process id under a lock; a second server is refused; a stale file is taken over."""
    pid_file = tmp_path / "pid"
    pid_file.write_text("4194304\n")
    with Server("--snapshot", str(snapshot), "--pid-file", str(pid_file)) as server:
        assert pid_file.read_text() == f"{server.process.pid}\n"
        second = run("serve", "--snapshot", str(snapshot), "--port", "0", "--pid-file", str(pid_file))
        assert second.returncode == 1
        assert f"another server holds it, process {server.process.pid}" in second.stderr
        assert pid_file.read_text() == f"{server.process.pid}\n"
    assert not pid_file.exists()


def test_a_file_of_somebodys_is_no_pid_file(snapshot: Path, tmp_path: Path) -> None:
    """--pid-file with the name of a file that holds anything but a number is refused, and the file left alone."""
    precious = tmp_path / "mirrorlistd.toml"
    precious.write_text("limit = 3\n")
    done = run("serve", "--snapshot", str(snapshot), "--port", "0", "--pid-file", str(precious))
    assert done.returncode == 1
    assert "is no pid file" in done.stderr
    assert precious.read_text() == "limit = 3\n"


def test_sigusr1_is_harmless(snapshot: Path) -> None:
    """A logrotate script's habit does not end the server."""
    with Server("--snapshot", str(snapshot)) as server:
        server.process.send_signal(signal.SIGUSR1)
        assert server.get("/mirrorlist?repo=r").status == 200


def test_sigterm_finishes_what_is_under_way(snapshot: Path) -> None:
    """A request whose head is half sent when SIGTERM comes is not cut off by the drain; exit status 0."""
    with Server("--snapshot", str(snapshot), "--drain", "1") as server:
        with contextlib.closing(server.connect()) as connection:
            assert exchange(connection, "/readyz").status == 200
            server.process.terminate()
            eventually(lambda: server.get("/readyz").status == 503, "draining")
            assert server.get("/readyz").json["draining"] is True
            assert exchange(connection, "/mirrorlist?repo=r").status == 200  # lists are still given
            assert server.get("/mirrorlist?repo=r").status == 200
        assert server.process.wait(SECONDS) == 0


def test_sigterm_without_drain_stops_at_once(snapshot: Path) -> None:
    """Idle connections do not hold a stop up; exit status 0 and a last log line."""
    with Server("--snapshot", str(snapshot)) as server, contextlib.closing(server.connect()) as idle:
        exchange(idle, "/healthz")
        assert server.stop() == 0
        assert server.events()[-1]["event"] == "stopped"


@pytest.mark.parametrize(
    ("flags", "environ", "words"),
    [
        (["--snapshot", "/nowhere/mirrors.mls"], {}, ["/nowhere/mirrors.mls", "No such file"]),
        (["--host", "0.0.0.0"], {}, ["--snapshot", "--demo"]),
        (["--limit", "0"], {}, ["--limit"]),
        ([], {"MIRRORLISTD_LIMT": "3"}, ["MIRRORLISTD_LIMT", "MIRRORLISTD_LIMIT"]),
        (["--geo", "/nowhere/geo.mmdb"], {}, ["/nowhere/geo.mmdb"]),
        (["--trusted-proxy", "10.0.0.1/8"], {}, ["10.0.0.1/8"]),
        (["--config", "/nowhere/m.toml"], {}, ["/nowhere/m.toml"]),
    ],
)
def test_start_up_errors_name_the_fix(flags: list[str], environ: dict[str, str], words: list[str]) -> None:
    """What cannot be served is said before anything listens: exit status 1, no traceback."""
    done = run("serve", "--port", "0", *flags, environ=environ)
    assert done.returncode == 1
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.network
def test_demo_serves_the_built_in_snapshot_anywhere() -> None:
    """--demo lifts the rule that the built-in mirrors are for loopback only; loopback needs no flag."""
    with Server("--demo", "--host", "127.0.0.3") as server:
        assert server.wait_for_log("listening")["url"].startswith("http://127.0.0.3:")
        assert server.wait_for_log("serving")["snapshot"] == "built-in"


def test_built_in_default_answers_as_promised() -> None:
    """A Dutch address gets Dutch mirrors first, then European ones; an Australian one Australian ones first."""
    with Server() as server:
        explained = server.get("/explain?repo=debian&ip=193.0.6.139").json
        countries = [(row["tier"], row["country"]) for row in explained["list"]]
        assert countries[0] == ("country", "NL")
        tiers = [tier for tier, _ in countries]
        assert tiers == sorted(tiers, key=["country", "neighbours", "continent"].index)
        text = server.get("/mirrorlist?repo=debian&ip=202.12.29.205").text
        assert text.startswith("# repo = debian country = AU continent = OC\n")
        first = server.get("/explain?repo=debian&ip=202.12.29.205").json["list"][0]
        assert first["country"] == "AU"
        unknown = server.get("/mirrorlist?repo=nonsense")
        assert unknown.status == 404
        assert {"debian", "ubuntu", "cran", "pypi"} <= set(unknown.text.split())


def test_access_log_is_one_json_line_and_off_by_default(snapshot: Path) -> None:
    """With --access-log each list is one line of JSON, whatever bytes the client sent; without, nothing."""
    with Server("--snapshot", str(snapshot)) as server:
        server.get("/mirrorlist?repo=r")
        server.stop()
        assert not [event for event in server.events() if event["event"] == "request"]
    with Server("--snapshot", str(snapshot), "--access-log") as server:
        server.get("/mirrorlist?repo=r&x=%0Aevil%85\"'{}")
        line = server.wait_for_log("request")
        assert (line["status"], line["client"], line["tier"]) == (200, "127.0.0.1", "global")


def test_upgrade_h2c_is_ignored_and_not_logged(snapshot: Path) -> None:
    """Libostree offers h2c with every request: it gets its list and the log stays quiet.

    See docs/client-compatibility.md, Odd requests are answered.
    """
    headers = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"}
    with Server("--snapshot", str(snapshot)) as server:
        for _ in range(3):
            assert server.get("/mirrorlist?repo=r", headers).status == 200
        server.stop()
        assert [event["level"] for event in server.events() if event["level"] != "info"] == []


def test_client_goes_away_mid_request(snapshot: Path) -> None:
    """Half a head, then a reset: nobody else notices, nothing is logged as an error."""
    with Server("--snapshot", str(snapshot)) as server:
        for _ in range(20):
            stream = socket.create_connection(("127.0.0.1", server.port))
            stream.sendall(b"GET /mirrorlist?repo=r HTTP/1.1\r\nHost:")
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            stream.close()
        assert server.get("/mirrorlist?repo=r").status == 200
        server.stop()
        assert not [event for event in server.events() if event["level"] in ("error", "critical")]


def test_check_and_explain(snapshot: Path, tmp_path: Path) -> None:
    """`check` says what would be served; `explain` prints the decision; both as JSON; both fail with status 1."""
    checked = run("check", "--snapshot", str(snapshot), "--json")
    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout)["repositories"] == ["r"]
    good = run("check", "--snapshot", str(snapshot)).stdout
    assert "serial 1" in good
    assert good.endswith("ok: settings, snapshot and databases are good\n")
    (tmp_path / "bad.mls").write_bytes(b"junk")
    bad = run("check", "--snapshot", str(tmp_path / "bad.mls"))
    assert bad.returncode == 1
    assert "bad.mls" in bad.stderr
    told = run("explain", "--snapshot", str(snapshot), "--repo", "r", "--ip", "193.0.6.139", "--json")
    assert told.returncode == 0, told.stderr
    facts: dict[str, Any] = json.loads(told.stdout)
    assert (facts["place"]["country"], len(facts["list"]), facts["left_out"]) == ("NL", 8, [])
    people = run("explain", "--snapshot", str(snapshot), "--repo", "r", "--ip", "193.0.6.139").stdout
    assert "country NL" in people
    assert "https://m0.example/s1/" in people
    wrong = run("explain", "--snapshot", str(snapshot), "--repo", "nope")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "known repositories: r" in wrong.stderr
    assert run("explain", "--repo", "r", "--ip", "1.2.3").returncode == 1


def test_explain_for_a_country_and_some_mirrors(snapshot: Path) -> None:
    """--from puts the client anywhere in a country, --mirror shows the rows of some mirrors alone, in both forms."""
    command = ("explain", "--snapshot", str(snapshot), "--repo", "r", "--from", "nl", "--query", "limit=4")
    whole: dict[str, Any] = json.loads(run(*command, "--json").stdout)
    assert (whole["place"]["country"], whole["client"]["address"]) == ("NL", None)
    assert (len(whole["list"]), len(whole["left_out"])) == (4, 4)
    everyone = sorted(row["mirror"] for key in ("list", "left_out") for row in whole[key])
    some = json.loads(run(*command, "--json", "--mirror", everyone[0], "--mirror", everyone[5].upper()).stdout)
    assert sorted(row["mirror"] for key in ("list", "left_out") for row in some[key]) == [everyone[0], everyone[5]]
    assert some["tiers"] == whole["tiers"]
    one = run(*command, "--mirror", everyone[0]).stdout
    assert "client     anyone in NL\n" in one
    assert sum(everyone[0] in line for line in one.splitlines()) == 1
    assert not any(name in one for name in everyone[1:])
    nobody = run(*command, "--mirror", "nosuch")
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert "no mirror's name contains 'nosuch'" in nobody.stderr
    wrong = run(*command[:-4], "--from", "ZZ")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "from=PL" in wrong.stderr
    assert run(*command, "--ip", "192.0.2.1").returncode == 2


@pytest.mark.parametrize("verb", ["serve", "check", "explain"])
def test_help_has_examples_and_exit_statuses(verb: str) -> None:
    """--help of every verb shows how it is used, and what its exit status says."""
    done = run(verb, "--help")
    assert done.returncode == 0
    assert f"  mirrorlistd {verb} " in done.stdout
    assert "exit status: 0" in done.stdout
    assert "2 wrong usage" in done.stdout


def test_help_of_explain_is_about_lists() -> None:
    """Options that decide no list are not its flags; the environment may hold them all the same."""
    flags = run("explain", "--help").stdout
    for flag in ("--snapshot", "--geo", "--asn", "--minimum", "--limit", "--config"):
        assert f"  {flag} " in flags
    for flag in ("--host", "--port", "--uds", "--backlog", "--drain", "--pid-file", "--access-log"):
        assert flag not in flags
    assert run("explain", "--port", "1").returncode == 2
    assert run("explain", "--repo", "debian", "--ip", "193.0.6.139", environ={"MIRRORLISTD_PORT": "1"}).returncode == 0


def test_wrong_usage_is_2() -> None:
    """An unknown flag is a usage error of its verb, which names the flag that is most like it."""
    done = run("serve", "--snaphot=x")
    assert done.returncode == 2
    assert done.stderr.endswith(
        "mirrorlistd serve: error: unrecognized arguments: --snaphot=x; did you mean --snapshot?\n"
    )
    assert run().returncode == 2


def test_many_connections_are_served_at_once(snapshot: Path) -> None:
    """200 connections opened before any of them asks: all are answered."""
    with Server("--snapshot", str(snapshot)) as server:
        connections = [server.connect() for _ in range(200)]
        for connection in connections:
            connection.connect()
        statuses: list[int] = []
        threads = [
            threading.Thread(target=lambda one=connection: statuses.append(exchange(one, "/mirrorlist?repo=r").status))
            for connection in connections
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
        for connection in connections:
            connection.close()
        assert statuses == [200] * 200
