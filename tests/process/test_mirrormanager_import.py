"""`serve --mirrormanager`: imported in a child at the start and on reloads, kept, and served meanwhile; never lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mirrorlistd.config import load_config
from mirrorlistd.errors import ConfigError, StateError
from mirrorlistd.process.file_watch import TICK
from mirrorlistd.process.mirrormanager_import import imported_aside
from support.caches import REPOSITORY, encode, pair, small_cache
from support.processes import Server, eventually

pytestmark = pytest.mark.process

CACHE = encode(small_cache())
LIST = "/mirrorlist?repo=epel&arch=x86_64&ip=198.51.100.7"
WORKERS = pytest.mark.parametrize("workers", ["1", "2"])


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """A folder as MirrorManager leaves it."""
    folder = tmp_path / "mirrormanager"
    folder.mkdir()
    (folder / "mirrorlist_cache.proto").write_bytes(CACHE)
    (folder / "country_continent.csv").write_text("DE,EU\nTR,AS\n", encoding="utf-8")
    (folder / "global_netblocks.txt").write_text("203.0.113.0/24 64500\nwhat is this\n", encoding="utf-8")
    return folder


def flags(folder: Path, workers: str = "1") -> tuple[str, ...]:
    """A server for a folder, with its state beside it."""
    return ("--mirrormanager", str(folder), "--state-dir", str(folder.with_name("state")), "--workers", workers)


def cut(folder: Path) -> None:
    """Leave a cache that was cut in the middle of a record, as an interrupted copy does."""
    (folder / "mirrorlist_cache.proto").write_bytes(CACHE[:-5])


@WORKERS
def test_what_mirrormanager_writes_is_served(folder: Path, workers: str) -> None:
    """Nothing but the folder is needed: its lists, in MirrorManager's words, imported before the first request."""
    with Server(*flags(folder, workers)) as server:
        reply = server.get(LIST)
        assert reply.status == 200
        assert reply.text.splitlines()[0].startswith("# repo = epel-9 arch = x86_64 ")
        assert "https://one.example/pub/epel/9/x86_64/" in reply.text.splitlines()
        assert server.wait_for_log("imported")["skipped_rows"] == 1
        assert "no netblock and AS number" in server.wait_for_log("imported in part")["reason"]


@WORKERS
def test_a_reload_imports_again_and_a_failing_one_keeps_everything(folder: Path, workers: str) -> None:
    """A cut cache is told in log, /readyz and metrics, and changes nothing; the next good one is served."""
    with Server(*flags(folder, workers)) as server:
        before = server.get("/readyz").json["serial"]
        kept = folder.with_name("state") / "mirrormanager.mls"
        data = kept.read_bytes()
        cut(folder)
        server.send_sighup()
        failed = server.wait_for_log("reload failed, the old state keeps serving")
        assert "mirrorlist_cache.proto" in failed["error"]
        ready = server.get("/readyz")
        assert (ready.status, ready.json["serial"], ready.json["last_reload"]["result"]) == (200, before, "failed")
        assert ready.json["reload_error"] == failed["error"]
        assert 'mirrorlistd_reloads_total{result="failed"} 1.0' in server.get("/metrics").text
        assert server.get(LIST).status == 200
        assert kept.read_bytes() == data
        (folder / "mirrorlist_cache.proto").write_bytes(CACHE)
        server.send_sighup()
        assert server.wait_for_log("reloaded")["serial"] > before


def test_damaged_caches_change_nothing(folder: Path) -> None:
    """Cut within a record, cut between two, empty, fuzzed: each is refused, and the same snapshot keeps serving."""
    chance = random.Random(5)
    rows = small_cache()
    fuzzed = bytearray(CACHE)
    fuzzed[chance.randrange(len(CACHE) - 1)] ^= 0xFF
    damaged = [CACHE[: chance.randrange(2, len(CACHE))] for _ in range(2)]
    damaged += [b"", encode(rows[:-1]), CACHE[:1] + chance.randbytes(200), bytes(fuzzed) + b"\x0b"]
    with Server(*flags(folder)) as server:
        serial = server.get("/readyz").json["serial"]
        kept = folder.with_name("state") / "mirrormanager.mls"
        data = kept.read_bytes()
        for number, cache in enumerate(damaged, 1):
            (folder / "mirrorlist_cache.proto").write_bytes(cache)
            server.send_sighup()
            failed = server.wait_for_log("reload failed, the old state keeps serving", count=number)
            assert "mirrorlist_cache.proto" in failed["error"]
            assert kept.read_bytes() == data
            assert server.get(LIST).status == 200
        assert server.get("/readyz").json["serial"] == serial


@WORKERS
def test_how_much_may_be_lost_is_the_servers_setting(folder: Path, workers: str) -> None:
    """--max-loss, as it is at each reload, holds for what is imported; 100 takes repositories without directories."""
    config = folder.with_name("mirrorlistd.toml")
    config.write_text("max-loss = 16\n", encoding="utf-8")
    with Server(*flags(folder, workers), "--config", str(config)) as server:
        (folder / "mirrorlist_cache.proto").write_bytes(encode(small_cache()[:-1]))
        server.send_sighup()
        refused = server.wait_for_log("reload failed, the old state keeps serving")["error"]
        assert "1 of 6 directories (16.7 %)" in refused
        assert refused.endswith("if that is intended, raise --max-loss")
        config.write_text("max-loss = 17\n", encoding="utf-8")
        server.send_sighup()
        server.wait_for_log("reloaded")
        missing = (REPOSITORY, pair("gone+x86_64", "pub/gone"))
        (folder / "mirrorlist_cache.proto").write_bytes(encode([*small_cache(), missing]))
        server.send_sighup()
        refused = server.wait_for_log("reload failed, the old state keeps serving", count=2)["error"]
        assert "serve --max-loss 100" in refused
        config.write_text("max-loss = 100\n", encoding="utf-8")
        server.send_sighup()
        server.wait_for_log("reloaded", count=2)
        assert server.get("/mirrorlist?repo=gone&arch=x86_64").status == 404


def test_what_a_killed_import_left_is_cleared_away(folder: Path) -> None:
    """A start finds half a snapshot of an import that was killed while writing, and removes it; other files stay."""
    state = folder.with_name("state")
    state.mkdir()
    (state / ".mirrormanager.mls.0123456789abcdef.tmp").write_bytes(b"half")
    (state / ".last-good.mls.0123456789abcdef.tmp").write_bytes(b"half")
    (state / "notes").write_text("keep me", encoding="utf-8")
    with Server(*flags(folder)) as server:
        assert server.get(LIST).status == 200
    assert {path.name for path in state.iterdir()} == {"mirrormanager.mls", "last-good.mls", "notes"}


@WORKERS
def test_what_was_imported_last_is_served_while_the_next_import_runs(folder: Path, workers: str) -> None:
    """A restart answers at once, from the state folder, even if what MirrorManager has left since is broken."""
    with Server(*flags(folder, workers)) as server:
        serial = server.get("/readyz").json["serial"]
    cut(folder)
    with Server(*flags(folder, workers)) as server:
        assert server.wait_for_log("serving")["serial"] == serial
        assert server.get(LIST).status == 200
        server.wait_for_log("reload failed, the old state keeps serving")
        assert server.get(LIST).status == 200
        assert not [event for event in server.events() if event["event"] == "importing"]


def test_a_kept_snapshot_that_is_broken_is_imported_anew(folder: Path) -> None:
    """A state folder can hold rubbish: what is there is told, and replaced."""
    kept = folder.with_name("state") / "mirrormanager.mls"
    kept.parent.mkdir()
    kept.write_bytes(b"rubbish")
    with Server(*flags(folder)) as server:
        assert server.get(LIST).status == 200
        assert "mirrormanager.mls" in server.wait_for_log("what was imported last cannot be served")["error"]


def test_nothing_to_serve_is_refused(folder: Path) -> None:
    """A first import that fails ends the start with one line that names the file, and status 1."""
    cut(folder)
    with Server(*flags(folder), wait=False) as server:
        assert server.process.wait(30) == 1
        eventually(lambda: bool(server.lines), "it says why")
    assert "mirrorlist_cache.proto" in server.lines[-1]
    assert not list(folder.with_name("state").iterdir())


@WORKERS
def test_stopping_does_not_wait_for_an_import(folder: Path, workers: str) -> None:
    """A server that is told to stop ends its import, which else would go on for as long as its input lasts."""
    with Server(*flags(folder, workers)) as server:
        (folder / "mirrorlist_cache.proto").unlink()
        os.mkfifo(folder / "mirrorlist_cache.proto")
        server.send_sighup()
        eventually(lambda: bool(children(server, "mirrorlist_snapshot")), "the import runs")
        (child,) = children(server, "mirrorlist_snapshot")
        assert server.get(LIST).status == 200
        assert server.stop() == 0
    eventually(lambda: not Path(f"/proc/{child}").exists(), "the import has ended")


@WORKERS
def test_an_import_that_is_killed_is_told(folder: Path, workers: str) -> None:
    """Out of memory, say: the log says how it ended, workers live on, and the next reload works."""
    with Server(*flags(folder, workers)) as server:
        (folder / "mirrorlist_cache.proto").unlink()
        os.mkfifo(folder / "mirrorlist_cache.proto")
        server.send_sighup()
        eventually(lambda: bool(children(server, "mirrorlist_snapshot")), "the import runs")
        os.kill(children(server, "mirrorlist_snapshot")[0], signal.SIGKILL)
        assert "killed by signal 9" in server.wait_for_log("reload failed, the old state keeps serving")["error"]
        (folder / "mirrorlist_cache.proto").unlink()
        (folder / "mirrorlist_cache.proto").write_bytes(CACHE)
        server.send_sighup()
        server.wait_for_log("reloaded")
        assert not [event for event in server.events() if event["event"].startswith("worker ended")]


def children(server: Server, word: str) -> list[int]:
    """Processes whose parent is the server and whose command line holds a word."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                command = (entry / "cmdline").read_text()
            except OSError:
                continue
            if parent == server.process.pid and word in command:
                found.append(int(entry.name))
    return found


def check(folder: Path, *more: str) -> tuple[int, Any, str]:
    """`mirrorlistd check --json`: status, facts, what is said."""
    command = [sys.executable, "-m", "mirrorlistd", "check", "--json", *flags(folder), *more]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return result.returncode, json.loads(result.stdout or "null"), result.stderr


def test_check_imports_aside(folder: Path) -> None:
    """`check` says what the files would give, by their folder's name, and leaves the server's state as it is."""
    status, facts, _ = check(folder)
    assert facts["snapshot"] == str(folder)
    assert (status, facts["mirrors"], facts["preset"], facts["limit"]) == (0, 4, "mirrormanager", None)
    assert not folder.with_name("state").exists()
    cut(folder)
    status, _, said = check(folder)
    assert status == 1
    assert "mirrorlist_cache.proto" in said


def test_the_preset_is_implied_and_the_state_has_a_place(tmp_path: Path) -> None:
    """Unless another preset is named; a user's own folder for state, unless systemd or a flag says where."""
    given = {"mirrormanager": "/mm"}
    home = {"HOME": "/home/me"}
    config = load_config(given, home)
    assert config.preset == "mirrormanager"
    assert config.snapshot == Path("/home/me/.local/state/mirrorlistd/%2Fmm/mirrormanager.mls")
    assert load_config(given, home | {"XDG_STATE_HOME": "/x"}).state_dir == Path("/x/mirrorlistd/%2Fmm")
    assert load_config(given, home | {"STATE_DIRECTORY": "/s"}).snapshot == Path("/s/mirrormanager.mls")
    assert load_config(given | {"preset": "default", "state_dir": str(tmp_path)}, home).preset == "default"


@pytest.mark.parametrize("other", [{"snapshot": "/s.mls"}, {"pull": "https://store.example/s.mls"}])
def test_one_source_is_enough(other: dict[str, str]) -> None:
    """Two sources of snapshots are a mistake that is named; so is no place for what was imported."""
    with pytest.raises(ConfigError, match="--mirrormanager: found --"):
        load_config({"mirrormanager": "/mm", "state_dir": "/s"} | other, {})
    with pytest.raises(ConfigError, match="an imported snapshot is not signed"):
        load_config({"mirrormanager": "/mm", "state_dir": "/s", "trusted_keys": ["/k.pub"]}, {})
    with pytest.raises(ConfigError, match="expected --state-dir"):
        load_config({"mirrormanager": "/mm"}, {})


def test_watching_looks_at_what_is_imported(folder: Path) -> None:
    """With --watch a replaced cache is imported without a signal; what the import itself writes is no change."""
    with Server(*flags(folder), "--watch") as server:
        fresh = folder / "fresh"
        fresh.write_bytes(CACHE)
        fresh.replace(folder / "mirrorlist_cache.proto")
        server.wait_for_log("reloaded")
        time.sleep(3 * TICK)
        assert [event["event"] for event in server.events()].count("files have changed") == 1


def test_an_import_aside_reads_what_was_imported_last(tmp_path: Path) -> None:
    """Where that cannot be read, as in a folder of another user, nothing is judged without it: one clear error."""
    config = load_config({"mirrormanager": str(tmp_path), "state_dir": str(tmp_path / ("x" * 300))}, {})
    with pytest.raises(StateError, match="what was imported last cannot be read: "), imported_aside(config):
        pass
