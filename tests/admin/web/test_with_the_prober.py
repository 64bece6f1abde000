"""Reports and the real prober: nginx serves the mirrors, `probe` looks, `serve` takes reports and has the pages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from support.admin_server import AdminServer, admin_server
from support.nginx_mirrors import NginxMirrors, network

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.process, pytest.mark.network]

DAY = 86_400
REPOSITORIES = 4
REPOMD = '<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>{}</revision><data type="primary"/></repomd>\n'


class Site:
    """A master, two public mirrors behind nginx, and a private one that nobody can ask."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        net = network()
        self.addresses = {"honest": f"{net}.0.1", "liar": f"{net}.0.2"}
        (folder / "nginx").mkdir()
        self.nginx = NginxMirrors(folder / "nginx", list(self.addresses.values()))
        self.write(folder / "master", 3)
        for name in self.addresses:
            self.serve(name)
        mirrors: dict[str, Any] = {
            name: {"country": "DE", "categories": {"epel": f"{self.nginx.url(address)}epel/"}}
            for name, address in self.addresses.items()
        }
        mirrors["campus"] = {
            "country": "DE",
            "private": True,
            "netblocks": ["192.0.2.0/24"],
            "categories": {"epel": "https://campus.example/epel/"},
        }
        source = {
            "categories": {"epel": {"master": str(folder / "master")}},
            "repositories": {
                f"epel-{number}": {"category": "epel", "path": str(number)} for number in range(REPOSITORIES)
            },
            "mirrors": mirrors,
        }
        (folder / "net.json").write_text(json.dumps(source))

    def write(self, tree: Path, days: float) -> None:
        """Write a version of everything, made some days ago."""
        then = time.time() - days * DAY
        for number in range(REPOSITORIES):
            file = tree / str(number) / "repodata" / "repomd.xml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(REPOMD.format(int(then)))
            os.utime(file, (then, then))

    def serve(self, name: str) -> None:
        """Let a mirror serve what the master has now."""
        root = self.nginx.root(self.addresses[name])
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self.folder / "master", root / "epel")

    def probe(self) -> dict[str, str]:
        """Run the prober once; return the verdicts."""
        command = [sys.executable, "-m", "mirrorlist_admin", "probe", str(self.folder / "net.json"), "--once"]
        command += ["--state", str(self.state), "--allow-network", "127.0.0.0/8", "--retries", "0.1,0.2"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return {line["mirror"]: line["state"] for line in lines if line["event"] == "verdict"}

    def status(self) -> dict[str, Any]:
        """What `mirrorlist-admin status` knows of each mirror."""
        command = [sys.executable, "-m", "mirrorlist_admin", "status", "--json", "--state", str(self.state)]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        return {one["mirror"]: one for one in found["mirrors"]}

    def report(self, server: AdminServer, name: str, disk: str, *words: str) -> str:
        """Report as a mirror, from a disk; return what the program says."""
        admin = [sys.executable, "-m", "mirrorlist_admin", "token", name, "--state", str(self.state)]
        token = subprocess.run(admin, capture_output=True, text=True, check=True).stdout.strip()
        program = [sys.executable, "-m", "mirrorlist_admin.mirrorlist_report", "--server", server.url, "--verbose"]
        program += [*words, f"epel={self.folder / disk}"]
        environment = os.environ | {"MIRRORLIST_TOKEN": token}
        done = subprocess.run(program, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stderr


def page(server: AdminServer, name: str) -> dict[str, Any]:
    """A mirror's page, as JSON."""
    with urllib.request.urlopen(f"{server.url}/mirrors/{name}?format=json") as answer:
        return dict(json.load(answer))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site that has been probed once."""
    made = Site(tmp_path)
    with made.nginx:
        assert made.probe() == {"honest": "fresh", "liar": "fresh"}
        yield made


def test_a_report_for_a_version_that_the_mirror_does_not_have_is_found_out(site: Site) -> None:
    """The master changes, both mirrors report it, one serves it: the other one's page says that its report was wrong.

    The private mirror's word counts by itself. A maintenance is in the status file with the next run.
    """
    site.write(site.folder / "master", 2)
    site.serve("honest")
    with admin_server(site.state) as server:
        for name in ("honest", "liar", "campus"):
            assert "4 changed units" in site.report(server, name, "master")
        site.probe()
        honest, liar = page(server, "honest"), page(server, "liar")
        assert "counts" in {event["after"] for event in honest["events"]}
        assert "wrong" not in {event["after"] for event in honest["events"]}
        versions = {one["mirror"]: {file["version"] for file in one["index_files"]} for one in (honest, liar)}
        assert not versions["honest"] & versions["liar"]
        assert liar["report"]["distrusted_until"] > time.time()
        wrong = next(event for event in liar["events"] if event["after"] == "wrong")
        assert "the mirror does not have it" in wrong["evidence"]
        with urllib.request.urlopen(f"{server.url}/mirrors/liar") as answer:
            assert "A report of it was wrong" in answer.read().decode()
        states = site.status()
        assert states["campus"]["units"] == {"fresh": REPOSITORIES}
        site.report(server, "honest", "master", "--down-until", "2h", "--reason", "new disks")
        site.probe()
        status = (site.state / "status.toml").read_text()
        assert "[honest]" in status
        assert 'reason = "says so itself: new disks"' in status
