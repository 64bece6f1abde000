"""Reload in a real process, over real sockets, with real signals: nothing lost, nothing mixed, failures visible."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mirrorlist_snapshot.format import reissue
from mirrorlist_snapshot.signing import SigningKey
from support.geo_databases import write_records
from support.processes import Response, Server, eventually, exchange, load, stamped, write_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.process

CONNECTIONS = 32


def one_serial(response: Response) -> None:
    """Fail unless the answer is a whole list of one snapshot."""
    assert response.status == 200, response
    serials = set(re.findall(r"/s(\d+)/", response.text))
    assert len(serials) == 1, response.text
    assert response.text.count("\n") == 9, response.text  # a comment and eight mirrors


def metric(server: Server, name: str, **labels: str) -> float:
    """One sample of /metrics."""
    for family in text_string_to_metric_families(server.get("/metrics").text):
        for sample in family.samples:
            if sample.name == name and all(sample.labels.get(key) == value for key, value in labels.items()):
                return float(sample.value)
    raise AssertionError(name)


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """A snapshot in place, serial 1."""
    return write_snapshot(tmp_path / "mirrors.mls", stamped(1))


@pytest.fixture
def server(snapshot: Path) -> Iterator[Server]:
    """A server of it."""
    with Server("--snapshot", str(snapshot)) as running:
        yield running


def corrupted(good: bytes, case: int) -> bytes:
    """One of many ways in which a file is broken."""
    chance = random.Random(case)
    match case % 5:
        case 0:
            return good[: chance.randrange(len(good))]
        case 1:
            place = chance.randrange(len(good))
            return good[:place] + bytes((good[place] ^ 1 << chance.randrange(8),)) + good[place + 1 :]
        case 2:
            return b""
        case 3:
            return chance.randbytes(len(good))
        case _:
            return good.replace(b"\r\n", b"\n") + b"\n"


@pytest.mark.timeout(300)
def test_100_reloads_under_load_lose_and_mix_nothing(snapshot: Path, server: Server) -> None:
    """100 new snapshots and 20 broken ones under 32 busy connections: every answer whole, every failure visible."""
    good, failed, last = 0, 0, 1
    with load(server, "/mirrorlist?repo=r", CONNECTIONS, one_serial) as answers:
        for serial in range(2, 102):
            write_snapshot(snapshot, stamped(serial), serial=serial)
            server.send_sighup()
            good, last = good + 1, serial
            assert server.wait_for_log("reloaded", count=good)["serial"] == serial
            if serial % 5 == 0:
                snapshot.write_bytes(corrupted(snapshot.read_bytes(), serial // 5))
                server.send_sighup()
                failed += 1
                event = server.wait_for_log("reload failed, the old state keeps serving", count=failed)
                assert event["serial"] == last
                ready = server.get("/readyz")
                assert (ready.status, ready.json["serial"]) == (200, last)
                assert ready.json["last_reload"]["result"] == "failed"
                assert str(snapshot) in ready.json["reload_error"]
        assert failed == 20
        eventually(lambda: len(answers) > 1000, "a thousand answers")
    assert f"/s{last}/" in server.get("/mirrorlist?repo=r").text
    assert metric(server, "mirrorlistd_reloads_total", result="failed") == failed
    assert metric(server, "mirrorlistd_snapshot_serial") == last


def test_signals_close_together_are_not_lost(snapshot: Path, server: Server) -> None:
    """A burst of signals ends with the newest snapshot served, whatever was being loaded meanwhile.

    See docs/prior-defects.md, Defect 1.
    """
    for serial in range(2, 30):
        write_snapshot(snapshot, stamped(serial), serial=serial)
        server.send_sighup()
    eventually(lambda: server.get("/readyz").json["serial"] == 29, "the newest serial")


def test_overwritten_in_place(snapshot: Path, server: Server) -> None:
    """An operator's `cp new mirrors.mls`, half done, then done: whole answers throughout."""
    fresh = write_snapshot(snapshot.with_name("fresh.mls"), stamped(2), serial=2).read_bytes()
    with load(server, "/mirrorlist?repo=r", 4, one_serial), snapshot.open("r+b") as file:
        file.truncate(0)
        file.write(fresh[: len(fresh) // 2])
        file.flush()
        server.send_sighup()
        server.wait_for_log("reload failed, the old state keeps serving")
        file.write(fresh[len(fresh) // 2 :])
        file.flush()
        server.send_sighup()
        server.wait_for_log("reloaded")
    assert "/s2/" in server.get("/mirrorlist?repo=r").text


def test_snapshot_disappears(snapshot: Path, server: Server) -> None:
    """A removed file is a failed reload; the next good one is served."""
    snapshot.unlink()
    server.send_sighup()
    server.wait_for_log("reload failed, the old state keeps serving")
    assert "/s1/" in server.get("/mirrorlist?repo=r").text
    write_snapshot(snapshot, stamped(3), serial=3)
    server.send_sighup()
    assert server.wait_for_log("reloaded")["serial"] == 3
    assert "reload_error" not in server.get("/readyz").json


def test_geo_database_overwritten_in_place_under_load(snapshot: Path, tmp_path: Path) -> None:
    """Truncated, filled with junk, copied over: places stay known until a good one is loaded.

    See docs/prior-defects.md, Defect 2.
    """
    database = write_records(tmp_path / "geo.mmdb", {"192.0.2.0/24": {"country": {"iso_code": "DE"}}})
    other = write_records(tmp_path / "other.mmdb", {"192.0.2.0/24": {"country": {"iso_code": "FR"}}})
    target = "/mirrorlist?repo=r&ip=192.0.2.7"

    def known(response: Response) -> None:
        one_serial(response)
        assert "country = DE" in response.text or "country = FR" in response.text, response.text

    with Server("--snapshot", str(snapshot), "--geo", str(database)) as server:
        assert "country = DE" in server.get(target).text
        with load(server, target, 8, known):
            for failed, junk in enumerate((b"", b"junk" * 1000, other.read_bytes()[:-200]), start=1):
                database.write_bytes(junk)
                server.send_sighup()
                server.wait_for_log("reload failed, the old state keeps serving", count=failed)
            shutil.copyfile(other, database)
            server.send_sighup()
            server.wait_for_log("reloaded")
        assert "country = FR" in server.get(target).text
        database.unlink()
        server.send_sighup()
        server.wait_for_log("reload failed, the old state keeps serving", count=4)
        assert "country = FR" in server.get(target).text


def test_configuration_is_read_again(snapshot: Path, tmp_path: Path) -> None:
    """SIGHUP applies what can change, says what waits for a restart, and keeps everything where the file is wrong."""
    settings = tmp_path / "mirrorlistd.toml"
    settings.write_text(f'snapshot = "{snapshot.name}"\nlimit = 3\n')
    with Server("--config", str(settings)) as server:
        assert server.get("/mirrorlist?repo=r").text.count("https://") == 3
        settings.write_text(f'snapshot = "{snapshot.name}"\nlimit = 5\nbacklog = 99\n')
        server.send_sighup()
        assert server.wait_for_log("changed settings wait for a restart")["settings"] == ["backlog"]
        assert server.get("/mirrorlist?repo=r").text.count("https://") == 5
        settings.write_text("limit = 0\nlimt = 5\n")
        server.send_sighup()
        error = server.wait_for_log("reload failed, the old state keeps serving")["error"]
        assert "limt" in error
        assert "limit" in error
        assert server.get("/mirrorlist?repo=r").text.count("https://") == 5


def test_an_older_snapshot_and_a_pending_restart_are_said_every_time(snapshot: Path, tmp_path: Path) -> None:
    """Going back to an older serial is served, with a warning; a setting that waits is named until the restart."""
    settings = tmp_path / "mirrorlistd.toml"
    settings.write_text(f'snapshot = "{snapshot.name}"\n')
    write_snapshot(snapshot, stamped(7), serial=7)
    with Server("--config", str(settings)) as server:
        settings.write_text(f'snapshot = "{snapshot.name}"\nbacklog = 99\n')
        write_snapshot(snapshot, stamped(3), serial=3)
        server.send_sighup()
        assert server.wait_for_log("the snapshot is older than the one before")["was"] == 7
        server.wait_for_log("changed settings wait for a restart")
        server.send_sighup()
        server.wait_for_log("changed settings wait for a restart", count=2)
        assert "/s3/" in server.get("/mirrorlist?repo=r").text


def test_sighup_from_the_first_moment(snapshot: Path) -> None:
    """Signals during start-up, before and amid heavy imports, neither kill nor get lost."""
    starting = Server("--snapshot", str(snapshot), wait=False)
    with starting as server:
        # The interpreter itself needs a moment before any line of ours runs; the environment shows when it has.
        eventually(lambda: handles_sighup(server.process.pid), "the handler")
        for _ in range(20):
            server.send_sighup()
            time.sleep(0.002)
        server.wait_for_log("listening")
        server.wait_for_log("reloaded")
        assert server.get("/mirrorlist?repo=r").status == 200


def handles_sighup(pid: int) -> bool:
    """Whether the kernel knows of a handler for signal 1."""
    with contextlib.suppress(FileNotFoundError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) & 1)
    return False


def test_keep_alive_connection_sees_the_new_state(snapshot: Path, server: Server) -> None:
    """A connection that was open before the reload is answered from the new state after it."""
    with contextlib.closing(server.connect()) as connection:
        assert "/s1/" in exchange(connection, "/mirrorlist?repo=r").text
        write_snapshot(snapshot, stamped(2), serial=2)
        server.send_sighup()
        server.wait_for_log("reloaded")
        assert "/s2/" in exchange(connection, "/mirrorlist?repo=r").text


def test_systemd_is_told(snapshot: Path, tmp_path: Path) -> None:
    """READY when it can be asked, RELOADING and READY around a reload, STOPPING at the end; sd_notify(3)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        with Server("--snapshot", str(snapshot), environ={"NOTIFY_SOCKET": str(tmp_path / "notify")}) as server:
            assert manager.recv(4096).startswith(b"READY=1\nSTATUS=serving snapshot 1")
            server.send_sighup()
            assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", manager.recv(4096))
            assert manager.recv(4096).startswith(b"READY=1")
            server.stop()
            assert manager.recv(4096) == b"STOPPING=1"


def test_memory_stays_flat(snapshot: Path, server: Server) -> None:
    """Fifty reloads leave no old state behind."""

    def resident() -> int:
        fields = Path(f"/proc/{server.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def reload_until(count: int) -> None:
        for number in range(len([event for event in server.events() if event["event"] == "reloaded"]), count):
            write_snapshot(snapshot, stamped(number, mirrors=300), serial=number)
            server.send_sighup()
            server.wait_for_log("reloaded", count=number + 1)

    reload_until(10)
    before = resident()
    reload_until(60)
    assert resident() - before < 8 << 20


@pytest.mark.parametrize(
    ("content", "workers"),
    [("", "1"), (None, "1"), ("limit = 3\n", "1"), ("", "2")],
    ids=["emptied", "lost", "cut off", "emptied, two workers"],
)
def test_an_emptied_options_file_does_not_lower_the_guard(
    snapshot: Path, tmp_path: Path, content: str | None, workers: str
) -> None:
    """Keys and status file stay in force, a new signed snapshot is served, and the log and /readyz say it."""
    key, public = SigningKey.generate().write(tmp_path / "key")
    write_signed(snapshot, key, serial=1)
    settings, status = tmp_path / "mirrorlistd.toml", tmp_path / "status.toml"
    status.write_text('"m0.example" = "down"\n')
    settings.write_text(f'snapshot = "{snapshot.name}"\nstatus = "status.toml"\ntrusted-key = ["{public.name}"]\n')
    with Server("--config", str(settings), "--workers", workers) as server:
        if content is None:
            settings.unlink()
        else:
            settings.write_text(content)
        server.send_sighup()
        event = server.wait_for_log("reload failed, the old state keeps serving")
        if content is not None:
            assert "--trusted-key is gone" in event["error"]
            assert "--status is gone" in event["error"]
        assert event["error"] == server.get("/readyz").json["reload_error"]
        write_snapshot(snapshot, stamped(2), serial=2)
        server.send_sighup()
        server.wait_for_log("reload failed, the old state keeps serving", count=2)
        write_signed(snapshot, key, serial=3)
        server.send_sighup()
        assert server.wait_for_log("reloaded")["serial"] == 3
        assert server.wait_for_log("the settings are refused, the old ones stay in force")
        assert server.get("/readyz").json["reload_error"]
        assert "https://m0.example/" not in server.get("/mirrorlist?repo=r&limit=100").text


def write_signed(path: Path, key: Path, serial: int) -> None:
    """Put a signed snapshot in place."""
    write_snapshot(path, stamped(serial), serial=serial)
    path.write_bytes(reissue(path.read_bytes(), serial=serial, signer=SigningKey.read(key)))
