"""`serve --pull` in real processes: starts with and without a store, ends without orphans, says how it goes."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from mirrorlist_snapshot.format import reissue
from mirrorlist_snapshot.signing import SigningKey
from support.processes import Server, alive, eventually, puller_of, serial_of, stamped, total, write_snapshot
from support.stores import nginx_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.stores import Nginx

pytestmark = pytest.mark.process

LIST = "/mirrorlist?repo=r"
EVERY = "0.2"


@pytest.fixture(params=["1", "2"], ids=["alone", "workers"])
def workers(request: pytest.FixtureRequest) -> str:
    """One process, or a parent of two."""
    return str(request.param)


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    """A web server as the store; not started."""
    web = nginx_in(tmp_path / "nginx")
    yield web
    web.kill()


def put(nginx: Nginx, serial: int) -> None:
    """Publish."""
    write_snapshot(nginx.root / "m.mls", stamped(serial), serial=serial)


def serving(nginx: Nginx, tmp_path: Path, workers: str, *flags: str) -> Server:
    """A server that pulls from it."""
    where = ("--pull", nginx.url("m.mls"), "--every", EVERY, "--state-dir", str(tmp_path / "state"))
    return Server(*where, "--workers", workers, "--log-format", "json", *flags)


def ready(server: Server) -> dict[str, Any]:
    """What /readyz says."""
    return dict(server.get("/readyz").json)


def serves(server: Server, serial: int) -> None:
    """Wait until a server serves a snapshot."""
    eventually(lambda: ready(server).get("serial") == serial, f"serial {serial} is served")
    assert serial_of(server.get(LIST)) == serial


def test_a_first_start_without_a_store(nginx: Nginx, tmp_path: Path, workers: str) -> None:
    """It listens, says that it is alive and not ready, and waits for the store; everything is said once."""
    with serving(nginx, tmp_path, workers) as server:
        eventually(lambda: bool(ready(server)["pull"]), "an attempt has failed")
        assert (server.get("/healthz").status, server.get("/readyz").status, server.get(LIST).status) == (200, 503, 503)
        eventually(lambda: ready(server)["pull"]["failures_in_a_row"] > 2, "attempts go on")
        assert ready(server)["pull"]["result"] == "unreachable"
        nginx.start()
        eventually(lambda: ready(server)["pull"]["result"] == "missing", "the store is there, and empty")
        put(nginx, 1)
        serves(server, 1)
        assert ready(server)["pull"]["failures_in_a_row"] == 0
        assert total(server, "mirrorlistd_pull_failures_in_a_row") == 0
        assert total(server, "mirrorlistd_pulls_total", result="failed") > 3
        put(nginx, 2)
        serves(server, 2)
        eventually(lambda: nginx.statuses()[-3:] == [304] * 3, "nothing is read twice")
        said = [event["event"] for event in server.events() if event["event"].startswith("pull")]
        assert said == ["pulling fails, the snapshot pulled before stays"] * 2 + ["pulling works", "pulled", "pulled"]
    assert server.process.returncode == 0


def test_a_restart_without_a_store(nginx: Nginx, tmp_path: Path, workers: str) -> None:
    """What was pulled last is served at once after a restart, although the store is away; a damaged file is mended."""
    put(nginx, 1)
    with nginx, serving(nginx, tmp_path, workers) as server:
        serves(server, 1)
    with serving(nginx, tmp_path, workers) as server:
        assert serial_of(server.get(LIST)) == 1
        assert server.get("/readyz").status == 200
    (tmp_path / "state" / "pulled.mls").write_bytes(b"damaged")
    with nginx, serving(nginx, tmp_path, workers) as server:
        serves(server, 1)
        eventually(lambda: (tmp_path / "state" / "pulled.mls").stat().st_size > 100, "the file is mended")


def test_nothing_outlives_the_server(nginx: Nginx, tmp_path: Path, workers: str) -> None:
    """SIGTERM and SIGKILL of the server alone end the puller, too, even while the store hangs."""
    put(nginx, 1)
    with nginx:
        for number in (signal.SIGTERM, signal.SIGKILL):
            server = serving(nginx, tmp_path, workers)
            serves(server, 1)
            child = puller_of(server)
            assert alive(child)
            nginx.pause()
            server.process.send_signal(number)
            server.stop()
            eventually(lambda child=child: not alive(child), "the puller has ended")  # type: ignore[misc]
            nginx.go_on()


def test_a_puller_that_dies_is_followed_by_another(nginx: Nginx, tmp_path: Path, workers: str) -> None:
    """Killed, it is missed, and the next publication arrives all the same; the server answers all the while."""
    put(nginx, 1)
    with nginx, serving(nginx, tmp_path, workers) as server:
        serves(server, 1)
        first = puller_of(server)
        os.kill(first, signal.SIGKILL)
        server.wait_for_log("the puller ended, another one follows")
        put(nginx, 2)
        serves(server, 2)
        assert puller_of(server) not in (0, first)


def test_keys_are_rotated_by_a_reload(nginx: Nginx, tmp_path: Path, workers: str) -> None:
    """An unsigned object is never installed; a key that a reload brings is trusted for what is pulled from then on.

    Also where that reload fails, because what is in place is signed by a key that is trusted no more; and where a key's
    file is replaced, even without a reload.
    """
    keys = {name: SigningKey.generate() for name in ("old", "new", "next")}
    for name, key in keys.items():
        key.write(tmp_path / name)
    plain = write_snapshot(tmp_path / "plain.mls", stamped(1), serial=1).read_bytes()
    config = tmp_path / "m.toml"
    config.write_text('trusted-key = ["old.pub"]\n')

    def publish(serial: int, name: str) -> None:
        (nginx.root / "m.mls").write_bytes(reissue(plain, serial=serial, signer=keys[name]))

    put(nginx, 9)
    with nginx, serving(nginx, tmp_path, workers, "--config", str(config)) as server:
        eventually(lambda: (ready(server)["pull"] or {}).get("result") == "refused", "unsigned is refused")
        publish(2, "old")
        eventually(lambda: ready(server).get("serial") == 2, "signed is taken")
        publish(3, "new")
        eventually(lambda: ready(server)["pull"]["result"] == "refused", "the new key is not trusted yet")
        assert keys["new"].key_id.hex() in ready(server)["pull_error"]
        config.write_text('trusted-key = ["old.pub", "new.pub"]\n')
        server.send_sighup()
        eventually(lambda: ready(server)["serial"] == 3, "the new key is trusted")
        config.write_text('trusted-key = ["next.pub"]\n')
        server.send_sighup()
        eventually(lambda: ready(server)["last_reload"]["result"] == "failed", "what is served is not trusted now")
        publish(4, "next")
        eventually(lambda: ready(server)["serial"] == 4, "the only key is trusted")
        (tmp_path / "old.pub").replace(tmp_path / "next.pub")
        publish(5, "old")
        eventually(lambda: ready(server)["serial"] == 5, "the key in the same file is trusted")


def test_what_a_killed_puller_left_is_cleared_away(nginx: Nginx, tmp_path: Path) -> None:
    """A restart finds half a file of a puller that was killed while writing, and removes it."""
    put(nginx, 1)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / ".pulled.mls.0123456789abcdef.tmp").write_bytes(b"half")
    with nginx, serving(nginx, tmp_path, "1") as server:
        serves(server, 1)
        assert "plain HTTP and no --trusted-key" in "".join(server.lines)
        eventually(
            lambda: {path.name for path in (tmp_path / "state").iterdir()} == {"pulled.mls", "last-good.mls"},
            "two files are there",
        )


def test_settings_that_contradict_each_other(tmp_path: Path) -> None:
    """A snapshot from two places, or nowhere to keep what is pulled, is refused before anything starts."""
    for flags, message in (
        (("--snapshot", "m.mls", "--state-dir", str(tmp_path)), "--pull: found --snapshot, too"),
        ((), "--pull: expected --state-dir, too"),
    ):
        server = Server("--pull", "https://127.0.0.1/m.mls", *flags, wait=False)
        assert server.process.wait(60) == 1
        server.stop()
        assert message in "".join(server.lines)
        assert not any(line.startswith("{") and json.loads(line) for line in server.lines)
