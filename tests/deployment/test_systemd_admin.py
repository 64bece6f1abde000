"""The prober's units, under a real systemd: verified, rated, started, killed; what they write, and who may read it."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from mirrorlist_snapshot import format as snapshot_format
from support.deployment.manager import booted
from support.paths import ROOT
from support.processes import SECONDS, eventually
from support.web_folder import repository, served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.deployment.manager import Manager

pytestmark = [pytest.mark.process, pytest.mark.root]

UNITS = ROOT / "deploy/systemd"
PROBE, SERVE = "mirrorlist-probe.service", "mirrorlist-admin.service"
STATE = "/var/lib/mirrorlist-admin"
SOURCE = """\
[categories.c]
master = "/srv/master"
[repositories.r]
category = "c"
path = "9"
""" + "".join(f'[mirrors.{name}]\ncountry = "DE"\ncategories.c = "http://127.0.0.1:{{{name}}}/"\n' for name in "ab")


@pytest.fixture(scope="module", name="port")
def _port() -> int:
    """A free one on loopback, for `serve`."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        found: int = probe.getsockname()[1]
        return found


@pytest.fixture(scope="module", name="tree")
def _tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the master and both mirrors have."""
    tree = tmp_path_factory.mktemp("tree")
    repository(tree / "9")
    return tree


@pytest.fixture(scope="module", name="manager")
def _manager(tmp_path_factory: pytest.TempPathFactory, port: int, tree: Path) -> Iterator[Manager]:
    """Systemd with our units as they are, the user made by systemd-sysusers, this interpreter as /opt/mirrorlistd."""
    folder = tmp_path_factory.mktemp("systemd")
    files = folder / "files"
    units = files / "etc/systemd/system"
    shutil.copytree(UNITS, units)
    (units / "test.target").write_text("[Unit]\nRequires=systemd-journald.service systemd-journald.socket\n")
    needed = [Path(sys.base_prefix).resolve(), Path(sys.prefix), ROOT]
    for unit in (PROBE, SERVE):
        (units / f"{unit}.d").mkdir()
        (units / f"{unit}.d/checkout.conf").write_text(
            f"[Service]\nRestartSec=100ms\nProtectHome=tmpfs\nBindReadOnlyPaths={' '.join(map(str, needed))}\n"
        )
    (files / "etc/systemd/journald.conf").write_text("[Journal]\nReadKMsg=no\nStorage=volatile\n")
    (files / "etc/sysusers.d").mkdir()
    shutil.copy(UNITS / "mirrorlist-admin.sysusers.conf", files / "etc/sysusers.d/mirrorlist-admin.conf")
    settings = files / "etc/mirrorlist-admin"
    (settings / "sources").mkdir(parents=True)
    (settings / "probe.env").write_text(
        "OPTIONS=--allow-network 127.0.0.0/8 --retries 0.1,0.2 --every 1s --rate 100 --metrics 127.0.0.1:0\n"
    )
    (settings / "serve.env").write_text(f"OPTIONS=--port {port}\n")
    (files / "opt").mkdir()
    (files / "opt/mirrorlistd").symlink_to(sys.prefix)
    shutil.copytree(tree, files / "srv/master")
    (files / "srv/mirrorlistd").mkdir(parents=True)
    with booted(folder, files, needed) as running:
        running.run("systemd-sysusers")
        running.run("chown", "mirrorlist-admin", "/srv/mirrorlistd")
        yield running


def journal(manager: Manager, unit: str) -> str:
    """What a service has said."""
    return manager.run("journalctl", "--unit", unit, "--output=cat", "--no-pager")


@pytest.mark.parametrize("unit", [PROBE, SERVE])
def test_units_are_verified_and_as_secure_as_stated(manager: Manager, unit: str) -> None:
    """`systemd-analyze verify` has nothing to say, and `security` rates the unit no worse than its first lines say."""
    done = manager.attempt("systemd-analyze", "verify", f"/etc/systemd/system/{unit}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    stated = re.search(r"gives it (\d)\.(\d) ", (UNITS / unit).read_text())
    assert stated
    threshold = f"--threshold={stated[1]}{stated[2]}"
    command = ["systemd-analyze", "security", "--offline=true", threshold, str(UNITS / unit)]
    rated = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert rated.returncode == 0, rated.stdout[-300:]


def test_it_probes_and_publishes_and_goes_on_after_a_kill(manager: Manager, tree: Path, port: int) -> None:
    """A snapshot with both mirrors; one stops and is down in the status file; a killed prober goes on; pages show."""
    published, status = manager.root / "srv/mirrorlistd/mirrors.mls", manager.root / STATE.lstrip("/") / "status.toml"
    with served(tree) as a:
        with served(tree) as b:
            source = manager.root / "etc/mirrorlist-admin/sources/mirrors.toml"
            source.write_text(SOURCE.format(a=a, b=b))
            manager.run("systemctl", "start", PROBE, SERVE)
            eventually(published.exists, "the first snapshot")
            snapshot = snapshot_format.verify(published.read_bytes())
            assert [one.name for one in snapshot.mirrors] == ["a", "b"]
            assert len(snapshot.health) == 2
        eventually(lambda: "[b]" in status.read_text(), "mirror b is down in the status file")
        manager.run("systemctl", "kill", "--signal=KILL", PROBE)
        eventually(lambda: manager.show(PROBE, "NRestarts") == "1", "it is started again")
        with served(tree, b):
            eventually(lambda: "[b]\nstatus" not in status.read_text(), "mirror b is back")
        page = urlopen(f"http://127.0.0.1:{port}/mirrors?format=json", timeout=SECONDS).read().decode()
        assert '"a"' in page
    nobody = ("setpriv", "--reuid=nobody", "--clear-groups", "cat")
    assert manager.attempt(*nobody, f"{STATE}/status.toml").returncode == 0, "the server's user may read it"
    assert manager.attempt(*nobody, f"{STATE}/observations.db").returncode == 1, (
        "hashes of tokens are nobody's business"
    )
    user = dict(
        line.split(":\t", 1)
        for line in manager.process(PROBE).joinpath("status").read_text().splitlines()
        if ":\t" in line
    )
    assert "0" not in user["Uid"].split()
    assert user["CapEff"] == "0" * 16
    manager.run("systemctl", "stop", PROBE, SERVE)
    for unit in (PROBE, SERVE):
        assert manager.show(unit, "Result") == "success", journal(manager, unit)
    assert "Traceback" not in journal(manager, PROBE)
