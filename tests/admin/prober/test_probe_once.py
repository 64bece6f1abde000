"""`mirrorlist-admin probe`: real mirrors of real trees, the real command, the real server, and what clients get."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.clients.programs import run as run_program
from support.clients.repositories import MACHINE, build_debian, build_rpm
from support.nginx_mirrors import NginxMirrors, network
from support.processes import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.process, pytest.mark.network]
DAY = 86_400
RPM = f"9/{MACHINE}"


def probe(folder: Path, *flags: str, code: int = 0) -> list[dict[str, Any]]:
    """Run the command once; return its JSON lines."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mirrorlist_admin",
            "probe",
            folder / "net.json",
            "--state",
            folder / "state",
            "--once",
            "--allow-network",
            "127.0.0.0/8",
            "--retries",
            "0.2,0.5",
            *flags,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def verdicts(lines: list[dict[str, Any]]) -> dict[str, str]:
    """Mirror -> state, of a run."""
    return {line["mirror"]: line["state"] for line in lines if line["event"] == "verdict"}


def age(tree: Path, days: float) -> None:
    """Let a tree say that it was made some days ago: repomd.xml, Release files, and the files' times."""
    then = time.time() - days * DAY
    for repomd in tree.rglob("repomd.xml"):
        repomd.write_text(re.sub(r"<revision>\d+<", f"<revision>{int(then)}<", repomd.read_text()))
    for release in [*tree.rglob("InRelease"), *tree.rglob("Release")]:
        date = format_datetime(datetime.fromtimestamp(int(then), UTC), usegmt=True)
        release.write_text(re.sub(r"^Date: .*$", f"Date: {date}", release.read_text(), flags=re.MULTILINE))
    for file in tree.rglob("*"):
        os.utime(file, (then, then))


class Site:
    """A master and three mirrors of an RPM repository and a Debian archive."""

    def __init__(self, folder: Path, trees: Path) -> None:
        self.folder = folder
        self.net = network()
        self.master = folder / "master"
        self.mirrors: dict[str, NginxMirrors] = {}
        shutil.copytree(trees, self.master)
        age(self.master, 3)
        for number, name in enumerate(("current", "behind", "stopped"), 1):
            address = f"{self.net}.0.{number}"
            (folder / name).mkdir()
            self.mirrors[name] = NginxMirrors(folder / name, [address])
            shutil.copytree(self.master, self.mirrors[name].root(address))
        run_program("createrepo_c", "--no-database", self.master / "rpm" / RPM, home=folder)
        age(self.master, 2)
        self.update("current")
        (folder / "net.json").write_text(json.dumps(self.source()))

    def update(self, name: str) -> None:
        """Synchronise a mirror."""
        root = self.mirrors[name].root(self.mirrors[name].addresses[0])
        shutil.rmtree(root)
        shutil.copytree(self.master, root)

    def source(self) -> dict[str, Any]:
        """The description of the network."""
        return {
            "contact": "https://example.org/mirrors",
            "categories": {kind: {"kind": "open", "master": str(self.master / kind)} for kind in ("rpm", "debian")},
            "repositories": {
                "epel": {"category": "rpm", "path": RPM},
                "debian": {"category": "debian", "path": "dists/bookworm"},
            },
            "mirrors": {
                name: {
                    "country": "DE",
                    "categories": {
                        kind: {"urls": [f"{mirror.url(mirror.addresses[0])}{kind}/"]} for kind in ("rpm", "debian")
                    },
                }
                for name, mirror in self.mirrors.items()
            },
        }

    def server(self) -> Server:
        """A server of what is published."""
        return Server("--snapshot", str(self.folder / "x.mls"), "--status", str(self.folder / "state/status.toml"))

    def offered(self, server: Server, repository: str) -> set[str]:
        """The mirrors in a list."""
        response = server.get(f"/mirrorlist?repo={repository}&arch={MACHINE}&country=global")
        if response.status == 404:
            return set()
        return {name for name, mirror in self.mirrors.items() if f"//{mirror.addresses[0]}:" in response.text}


@pytest.fixture(scope="module")
def trees() -> Iterator[Path]:
    """An RPM repository and a Debian archive, by their own tools. The path is short: gpg's sockets lie there."""
    with tempfile.TemporaryDirectory(prefix="m") as folder:
        for kind, build in (("rpm", build_rpm), ("debian", build_debian)):
            work = Path(folder, f"work-{kind}")
            tree = Path(folder, "trees", kind)
            work.mkdir()
            tree.mkdir(parents=True)
            build(tree, work)
        yield Path(folder, "trees")


@pytest.fixture
def site(tmp_path: Path, trees: Path) -> Iterator[Site]:
    """A site whose mirrors run, except the one that is stopped."""
    made = Site(tmp_path, trees)
    made.mirrors["current"].start()
    made.mirrors["behind"].start()
    yield made
    for mirror in made.mirrors.values():
        mirror.stop()


def test_lists_have_exactly_the_mirrors_that_are_alive_and_in_sync(site: Site) -> None:
    """One up to date, one a version behind, one stopped: lists have the first; and the others once they are good.

    The one behind is back at once after it has synchronised. The one that was down needs two good runs, not one.
    """
    publish = ("--publish", str(site.folder / "x.mls"))
    lines = probe(site.folder, *publish)
    assert verdicts(lines) == {"current": "fresh", "behind": "stale", "stopped": "down"}
    status = (site.folder / "state/status.toml").read_text()
    assert 'status = "down"' in status
    assert "[stopped]" in status
    with site.server() as server:
        assert [site.offered(server, repository) for repository in ("epel", "debian")] == [{"current"}, {"current"}]

    site.update("stopped")
    site.mirrors["stopped"].start()
    site.update("behind")
    lines = probe(site.folder, *publish)
    assert verdicts(lines) == {"current": "fresh", "behind": "fresh", "stopped": "down"}
    lines = probe(site.folder, *publish)
    assert verdicts(lines) == {"current": "fresh", "behind": "fresh", "stopped": "fresh"}
    assert "weight = 10\n" in (site.folder / "state/status.toml").read_text()
    with site.server() as server:
        assert site.offered(server, "epel") == {"current", "behind", "stopped"}


def test_the_prober_says_who_it_is_and_asks_little(site: Site) -> None:
    """Every request names the program and the contact; a run at rest sends few requests, and no body comes back.

    A second run that finds the same publishes nothing.
    """
    probe(site.folder)
    asked = site.mirrors["current"].asked()
    assert all("mirrorlist-admin/" in one.agent and "https://example.org/mirrors" in one.agent for one in asked)
    before = len(asked)
    publish = ("--publish", str(site.folder / "x.mls"))
    first, second = ([line for line in probe(site.folder, *publish) if line["event"] == "published"] for _ in range(2))
    assert (len(first), second) == (1, []), "nothing has changed"
    resting = site.mirrors["current"].asked()[before:]
    assert len(resting) <= 2 * 12
    assert {one.status for one in resting} == {304}
