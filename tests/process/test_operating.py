"""Guards in real servers, one process and several: bad pushes, brakes, old data, files replaced without a signal."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mirrorlist_snapshot.format import encode
from mirrorlist_snapshot.signing import SigningKey
from mirrorlistd.cli.check_result import Level, judge
from support.geo_databases import write_records
from support.processes import SECONDS, Server, eventually, stamped, write_snapshot
from support.snapshot_command import run
from support.worlds import compiled

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.process

WORKERS = pytest.mark.parametrize("workers", ["1", "2"])


def readyz(server: Server) -> Any:
    """What it says of itself."""
    return server.get("/readyz").json


def metric(server: Server, name: str, **labels: str) -> float:
    """One sample of /metrics."""
    for family in text_string_to_metric_families(server.get("/metrics").text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    raise AssertionError(name)


def serial(server: Server) -> str:
    """The snapshot from which a list is made."""
    return server.get("/mirrorlist?repo=r").text.split("/s")[1].split("/")[0]


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`mirrorlistd check`."""
    bare = {key: value for key, value in os.environ.items() if not key.startswith("MIRRORLISTD_")}
    command = [sys.executable, "-m", "mirrorlistd", "check", *arguments]
    return subprocess.run(command, env=bare, capture_output=True, text=True, timeout=SECONDS, check=False)


@WORKERS
def test_a_bad_night(tmp_path: Path, workers: str) -> None:
    """A push that loses half is refused twice; the brake takes a mirror out; a rollback is served; nothing is lost."""
    served, pid, status = tmp_path / "mirrors.mls", tmp_path / "pid", tmp_path / "status.toml"
    SigningKey.generate().write(tmp_path / "one")
    for number, mirrors in ((1, 10), (2, 10), (3, 5)):
        write_snapshot(tmp_path / f"{number}.mls", stamped(number, mirrors), serial=number)
    run(tmp_path, "publish", "1.mls", "mirrors.mls", "--sign-key", "one.key")
    status.write_text("")
    flags = ("--trusted-key", str(tmp_path / "one.pub"), "--status", str(status), "--pid-file", str(pid))
    with Server("--snapshot", str(served), *flags, "--workers", workers) as server:
        how = ("--sign-key", "one.key", "--signal", "pid", "--readyz", f"http://127.0.0.1:{server.port}/readyz")
        run(tmp_path, "publish", "2.mls", "mirrors.mls", *how)
        assert serial(server) == "2"
        assert "5 of 10 mirrors (50.0 %)" in run(tmp_path, "publish", "3.mls", "mirrors.mls", *how, code=1).stderr
        forced = run(tmp_path, "publish", "3.mls", "mirrors.mls", *how, "--force", code=3)
        assert "the server does not serve serial 3: " in forced.stderr
        assert "more than 10 % would be lost: 5 of 10 mirrors" in forced.stderr
        assert serial(server) == "2"
        status.write_text(
            '"m1.example" = { status = "down", reason = "fire" }\n"m2.example" = "draining"\nm99 = "down"\n'
        )
        server.send_sighup()
        error = server.wait_for_log("the snapshot is refused, the old one keeps serving")["error"]
        assert "more than 10 % would be lost: 5 of 10 mirrors" in error
        assert "m1.example" not in server.get("/mirrorlist?repo=r").text
        assert readyz(server)["last_reload"]["result"] == "failed"
        assert readyz(server)["reload_error"] == error
        back = run(tmp_path, "rollback", "mirrors.mls", *how, "--force")
        assert back.stderr.endswith("served: serial 4\n")
        text = server.get("/mirrorlist?repo=r").text
        assert "m1.example" not in text
        assert text.rstrip().endswith("https://m2.example/s2/")
        assert readyz(server)["status"] == {"down": 1, "draining": 1, "weighted": 0, "unknown": 1, "failed": False}
        assert metric(server, "mirrorlistd_status_mirrors", status="down") == 1
        assert server.wait_for_log("the status file names mirrors that are not in the snapshot")["mirrors"] == ["m99"]
        assert "down: fire (by the status file)" in server.get("/explain?repo=r&as=text").text
        write_snapshot(served, stamped(9), serial=9)
        server.send_sighup()
        assert "unsigned" in server.wait_for_log("reload failed, the old state keeps serving", count=2)["error"]
        assert serial(server) == "2"


@WORKERS
def test_a_start_from_the_last_good_copy(tmp_path: Path, workers: str) -> None:
    """The configured file is bad: the last good copy is served, loudly; once the file is good again, it is."""
    served = write_snapshot(tmp_path / "mirrors.mls", stamped(1))
    flags = ("--snapshot", str(served), "--state-dir", str(tmp_path / "state"), "--workers", workers)
    with Server(*flags) as server:
        assert not readyz(server)["last_good"]
        write_snapshot(served, stamped(2), serial=2)
        server.send_sighup()
        server.wait_for_log("reloaded")
        kept = tmp_path / "state" / "last-good.mls"
        eventually(lambda: kept.read_bytes() == served.read_bytes(), "the copy")
    served.write_bytes(b"damaged")
    with Server(*flags) as server:
        assert (
            "mirrors.mls: expected"
            in server.wait_for_log("the last good copy is served instead of the snapshot")["error"]
        )
        assert serial(server) == "2"
        assert "mirrors.mls: expected" in readyz(server)["snapshot_error"]
        assert metric(server, "mirrorlistd_snapshot_last_good") == 1
        found = check("--url", f"http://127.0.0.1:{server.port}")
        assert (found.returncode, found.stdout.startswith("MIRRORLISTD WARNING - the last good copy is served (")) == (
            1,
            True,
        )
        write_snapshot(served, stamped(3), serial=3)
        server.send_sighup()
        server.wait_for_log("reloaded")
        assert serial(server) == "3"
        assert (readyz(server)["last_good"], metric(server, "mirrorlistd_snapshot_last_good")) == (False, 0)


@WORKERS
def test_replaced_files_are_noticed(tmp_path: Path, workers: str) -> None:
    """With --watch a new snapshot, overlay or setting is served without a signal; a bad one is refused, once."""
    served = write_snapshot(tmp_path / "mirrors.mls", stamped(1))
    settings, status = tmp_path / "mirrorlistd.toml", tmp_path / "status.json"
    settings.write_text('snapshot = "mirrors.mls"\nstatus = "status.json"\nwatch = true\n')
    status.write_text("{}")
    with Server("--config", str(settings), "--workers", workers) as server:
        write_snapshot(served, stamped(2), serial=2)
        server.wait_for_log("reloaded")
        assert serial(server) == "2"
        status.write_text(json.dumps({f"m{number}.example": "down" for number in range(3)}))
        server.wait_for_log("reloaded", count=2)
        assert server.get("/mirrorlist?repo=r").text.count("https://") == 5
        status.write_text(json.dumps({f"m{number}.example": "down" for number in range(8)}))
        server.wait_for_log("the status file does not apply as it is")
        assert server.get("/mirrorlist?repo=r").text.count("https://") == 5
        assert (metric(server, "mirrorlistd_status_failed"), readyz(server)["status"]["down"]) == (1, 3)
        served.write_bytes(b"damaged")
        server.wait_for_log("reload failed, the old state keeps serving")
        settings.write_text('snapshot = "mirrors.mls"\nstatus = "status.json"\nlimit = 2\n')
        write_snapshot(served, stamped(3), serial=3)
        server.wait_for_log("reloaded", count=4)
        assert server.get("/mirrorlist?repo=r").text.count("https://") == 2
        time.sleep(2.5)
        events = [event["event"] for event in server.events()]
        assert (events.count("files have changed"), events.count("reload failed, the old state keeps serving")) == (
            5,
            1,
        )


def test_a_config_map(tmp_path: Path) -> None:
    """As a pod sees a ConfigMap: the files are links through `..data`, which is swapped for another folder."""
    volume = tmp_path / "volume"
    for number in (1, 2):
        (volume / str(number)).mkdir(parents=True)
        write_snapshot(volume / str(number) / "mirrors.mls", stamped(number), serial=number)
    (volume / "..data").symlink_to("1")
    (volume / "mirrors.mls").symlink_to("..data/mirrors.mls")
    with Server("--snapshot", str(volume / "mirrors.mls"), "--watch") as server:
        (volume / "..fresh").symlink_to("2")
        (volume / "..fresh").replace(volume / "..data")
        shutil.rmtree(volume / "1")
        server.wait_for_log("reloaded")
        assert serial(server) == "2"


def test_an_old_snapshot(tmp_path: Path) -> None:
    """It keeps serving and is visible: in /readyz, in a metric, and in the exit status of both kinds of check.

    A check that cannot be made as it was meant names the flag and what it found.
    """
    served = write_snapshot(tmp_path / "mirrors.mls", stamped(1))
    with Server("--snapshot", str(served), "--max-age", "0.5") as server:
        url = f"http://127.0.0.1:{server.port}/"
        eventually(lambda: bool(readyz(server)["stale"]), "age")
        assert (server.get("/readyz").status, serial(server)) == (200, "1")
        assert metric(server, "mirrorlistd_snapshot_stale") == 1
        assert metric(server, "mirrorlistd_snapshot_max_age_seconds") == 0.5
        found = check("--url", url)
        assert found.returncode == Level.WARNING
        assert found.stdout.startswith("MIRRORLISTD WARNING - the snapshot is stale: ")
        found = check("--url", url, "--max-age", "3600", "--json")
        assert (found.returncode, json.loads(found.stdout)["level"]) == (0, "OK")
    found = check("--url", url)
    assert (found.returncode, found.stdout.startswith("MIRRORLISTD CRITICAL - cannot query ")) == (2, True)
    for words, named in ((["ftp://x"], "--url: expected "), ([url, "--max-age", "1d"], "--max-age: expected ")):
        found = check("--url", *words)
        assert found.returncode == Level.UNKNOWN
        assert found.stdout.startswith(f"MIRRORLISTD UNKNOWN - {named}")
        assert found.stdout.endswith(f", found {words[-1]!r}\n")
    old = check("--snapshot", str(served), "--max-age", "0.5")
    assert (old.returncode, old.stderr) == (1, "mirrorlistd: the snapshot is stale: more than 0.5 s old\n")
    assert check("--snapshot", str(served), "--max-age", "3600").returncode == 0
    (tmp_path / "status.toml").write_text("x")
    bad = check("--snapshot", str(served), "--status", str(tmp_path / "status.toml"))
    assert bad.returncode == 1
    assert bad.stderr.startswith("mirrorlistd: --status: ")


@WORKERS
def test_one_bad_file_holds_no_other_up(tmp_path: Path, workers: str) -> None:
    """With a bad geo database a new snapshot is served, with a bad snapshot a new database and a new status file.

    Every worker keeps what it has of the refused file, and counts failed lookups on.
    """
    served = write_snapshot(tmp_path / "mirrors.mls", stamped(1))
    geo, status = tmp_path / "geo.mmdb", tmp_path / "status.toml"
    write_records(geo, {"192.0.2.0/24": {"country": {"iso_code": "DE"}}})
    status.write_text("")
    flags = ["--snapshot", str(served), "--geo", str(geo), "--status", str(status), "--workers", workers]
    with Server(*flags) as server:

        def answers() -> list[str]:
            return [server.get("/mirrorlist?repo=r&ip=192.0.2.7").text for _ in range(12)]

        geo.write_bytes(b"damaged")
        write_snapshot(served, stamped(2), serial=2)
        server.send_sighup()
        server.wait_for_log("the geo databases are refused, the old ones stay in use")
        assert all("country = DE" in text and "/s2/" in text for text in answers())
        assert readyz(server)["refused"] == ["geo databases"]
        served.write_bytes(b"damaged")
        geo.unlink()
        write_records(geo, {"192.0.2.0/24": {"country": {"iso_code": "FR"}}})
        status.write_text('"m0.example" = "down"\n')
        server.send_sighup()
        server.wait_for_log("the snapshot is refused, the old one keeps serving")
        assert all("country = FR" in text and "/s2/" in text and "//m0." not in text for text in answers())
        assert readyz(server)["refused"] == ["snapshot"]
        write_snapshot(served, stamped(3), serial=3)
        server.send_sighup()
        server.wait_for_log("reloaded", count=3)
        assert all("/s3/" in text for text in answers())
        assert (readyz(server)["refused"], "reload_error" in readyz(server)) == ([], False)
        assert not [event for event in server.events() if "worker ended" in event["event"]]


def test_a_snapshot_from_the_future(tmp_path: Path) -> None:
    """It is served and visible: in the log, in /readyz, in a metric, and in both kinds of check."""
    served = tmp_path / "mirrors.mls"
    served.write_bytes(encode(compiled(stamped(1), serial=1, built=int(time.time()) + 86_400)))
    with Server("--snapshot", str(served), "--max-age", "3600") as server:
        ahead = server.wait_for_log("the snapshot was built in the future, a clock is wrong")["seconds"]
        assert 86_000 < ahead <= 86_400
        assert (readyz(server)["stale"], serial(server)) == (True, "1")
        assert 86_000 < readyz(server)["seconds_ahead"] <= 86_400
        assert 86_000 < metric(server, "mirrorlistd_snapshot_seconds_ahead") <= 86_400
        found = check("--url", f"http://127.0.0.1:{server.port}/")
        assert found.returncode == Level.WARNING
        assert re.match(r"MIRRORLISTD WARNING - the snapshot was built \d+ s in the future: a clock", found.stdout)
    bad = check("--snapshot", str(served))
    assert bad.returncode == 1
    assert re.fullmatch(r"mirrorlistd: the snapshot was built \d+ s in the future: a clock is wrong\n", bad.stderr)


@WORKERS
def test_a_check_reports_every_brake_in_force(tmp_path: Path, workers: str) -> None:
    """A refused status file, a refused snapshot, a refused pull: OK before, a warning while it lasts, OK afterwards."""
    store, status = write_snapshot(tmp_path / "store.mls", stamped(1, 10)), tmp_path / "status.toml"
    status.write_text("")
    flags = ("--state-dir", str(tmp_path), "--status", str(status), "--every", "0.2", "--workers", workers)
    with Server("--pull", store.as_uri(), *flags) as server:
        url = f"http://127.0.0.1:{server.port}"

        def result() -> str:
            return check("--url", url).stdout.partition(" | ")[0]

        eventually(lambda: result().startswith("MIRRORLISTD OK"), "the first pull")
        status.write_text("not = [toml")
        server.send_sighup()
        eventually(lambda: "the status file does not apply as it is (" in result(), "the status file")
        status.write_text("")
        server.send_sighup()
        eventually(lambda: result().startswith("MIRRORLISTD OK"), "the good status file")
        write_snapshot(store, stamped(2, 5), serial=2)
        eventually(lambda: "MIRRORLISTD WARNING - the last pull failed: refused (" in result(), "the loss")
        write_snapshot(store, stamped(3, 10), serial=3)
        eventually(lambda: result().startswith("MIRRORLISTD OK - serial 3"), "the good snapshot")


GOOD: dict[str, Any] = {"ready": True, "draining": False, "serial": 7, "mirrors": 12, "age_seconds": 90}


@pytest.mark.parametrize(
    ("facts", "level", "line"),
    [
        ({}, 0, "OK - serial 7, 12 mirrors, built 90 s ago | age=90s mirrors=12"),
        ({"ready": False, "draining": True}, 2, "CRITICAL - draining; serial 7"),
        ({"ready": False}, 2, "CRITICAL - not ready; serial 7"),
        ({"stale": True, "max_age_seconds": 60}, 1, "WARNING - the snapshot is stale: more than 60 s old; serial 7"),
        (
            {"last_reload": {"result": "failed"}, "reload_error": "a|b\nc"},
            1,
            "WARNING - the last reload failed (a/b; c); serial 7",
        ),
        (
            {"status": {"failed": True}, "status_error": "s: bad"},
            1,
            "WARNING - the status file does not apply as it is (s: bad); ",
        ),
        (
            {"pull": {"failures_in_a_row": 5, "result": "missing"}, "pull_error": "s3://a/b: is not there"},
            1,
            "WARNING - 5 pulls in a row have failed: missing (s3://a/b: is not there); serial 7",
        ),
        ({"pull": {"failures_in_a_row": 4, "result": "unreachable"}}, 0, "OK - serial 7"),
        (
            {"pull": {"failures_in_a_row": 1, "result": "refused"}, "pull_error": "s3://a/b: a loss"},
            1,
            "WARNING - the last pull failed: refused (s3://a/b: a loss); serial 7",
        ),
        ({"pull": {"failures_in_a_row": 1, "result": "local"}}, 1, "WARNING - the last pull failed: local; serial 7"),
        (
            {"refused": ["geo databases", "snapshot"], "last_reload": {"result": "failed"}},
            1,
            "WARNING - refused, the old ones are in use: geo databases, snapshot; serial 7",
        ),
        (
            {"workers": {"up": 2, "all": 2, "serials": [6, 7]}},
            1,
            "WARNING - workers serve different snapshots: serials 6, 7; serial 7",
        ),
        ({"pull": None}, 0, "OK - serial 7"),
        ({"workers": {"up": 1, "all": 2}}, 1, "WARNING - 1 of 2 workers are up; serial 7"),
        ({"last_reload": None, "workers": {"up": 2, "all": 2}, "status": {"failed": False}}, 0, "OK - serial 7"),
    ],
)
def test_verdicts(facts: dict[str, Any], level: int, line: str) -> None:
    """What does not serve is critical, what somebody should look at is a warning; one line, with performance data."""
    verdict = judge(GOOD | facts)
    assert verdict.level == level
    assert verdict.line.startswith(f"MIRRORLISTD {line}")
    assert verdict.line.count("|") == 1
    assert "\n" not in verdict.line


def test_a_probe_of_an_operators_own(tmp_path: Path) -> None:
    """The example of the handbook: a probe writes what it found aside, renames it, and the server takes it up."""
    served, status = write_snapshot(tmp_path / "mirrors.mls", stamped(1)), tmp_path / "status.json"
    status.write_text("{}")
    with Server("--snapshot", str(served), "--status", str(status)) as server, closing(server.connect()) as connection:
        fresh = tmp_path / "fresh"
        fresh.write_text(json.dumps({"m0.example": {"status": "down", "reason": "no answer"}}))
        fresh.replace(status)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_log("reloaded")
        connection.request("GET", "/mirrorlist?repo=r")
        assert b"m0.example" not in connection.getresponse().read()
