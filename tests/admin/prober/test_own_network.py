"""The prober's own network fails, in a namespace of the test's own: no list changes, and an event says why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from mirrorlist_admin.store import Store, schema
from support.namespaces import Namespace
from support.nginx_mirrors import NginxMirrors
from support.processes import SECONDS, eventually
from support.simulated_mirrors import repomd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.process,
    pytest.mark.network,
    pytest.mark.root,
    pytest.mark.skipif(os.getuid() != 0, reason="makes a network namespace, which needs root"),
]
MIRRORS = 5
NAMES = {f"m{number}.example": [f"127.9.0.{number + 1}", f"fd00::{number + 1}"] for number in range(MIRRORS)}
VOID = 5


class Lab:
    """Mirrors of both families and a prober inside a namespace."""

    def __init__(self, folder: Path, inside: Namespace) -> None:
        self.folder = folder
        self.inside = inside
        addresses = [address if ":" not in address else f"[{address}]" for pair in NAMES.values() for address in pair]
        self.mirrors = NginxMirrors(folder, addresses, port=8080, inside=inside)
        for place in [folder / "master", *(folder / "roots" / address for pair in NAMES.values() for address in pair)]:
            for repository in range(6):
                unit = place / f"r{repository}/repodata/repomd.xml"
                unit.parent.mkdir(parents=True)
                unit.write_bytes(repomd(1, time.time() - 86_400))
        source = {
            "categories": {"c": {"kind": "open", "master": str(folder / "master")}},
            "repositories": {f"r{number}": {"category": "c", "path": f"r{number}"} for number in range(6)},
            "mirrors": {
                name.partition(".")[0]: {"country": "DE", "categories": {"c": {"urls": [f"http://{name}:8080/"]}}}
                for name in NAMES
            },
        }
        (folder / "net.json").write_text(json.dumps(source))

    def start(self, *flags: str) -> subprocess.Popen[str]:
        """Start a run of the prober."""
        words = [sys.executable, "-m", "mirrorlist_admin", "probe", str(self.folder / "net.json"), "--once"]
        words += [
            "--state",
            str(self.folder / "state"),
            "--retries",
            "0.3,0.6",
            "--publish",
            str(self.folder / "x.mls"),
        ]
        words += ["--allow-network", "127.0.0.0/8", "--allow-network", "fd00::/64", *flags]
        return subprocess.Popen(self.inside.command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def probe(self, *flags: str, code: int = 0) -> None:
        """Run the prober once."""
        self.end(self.start(*flags), code)

    def end(self, process: subprocess.Popen[str], *codes: int) -> None:
        """Wait for a run's end."""
        output, errors = process.communicate(timeout=4 * SECONDS)
        assert process.returncode in codes, output + errors
        assert "Traceback" not in errors

    def in_force(self) -> list[Any]:
        """What is in force, without when it was seen; and what is published."""
        with Store(self.folder / "state", read_only=True) as store:
            urls = [(row.mirror, row.url, row.family, row.state) for row in store.read(schema.URL_STATE)]
            units = [(row.mirror, row.unit, row.state, row.version) for row in store.read(schema.UNIT_STATE)]
        return [urls, units, (self.folder / "state/status.toml").read_text(), (self.folder / "x.mls").read_bytes()]

    def reasons(self) -> list[str]:
        """What events say of runs that are void, wholly or in part."""
        with Store(self.folder / "state", read_only=True) as store:
            return [row.evidence for row in store.read(schema.EVENT, "WHERE subject = 'run'")]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab in which one good run has been."""
    with Namespace(NAMES) as inside:
        made = Lab(tmp_path, inside)
        with made.mirrors:
            made.probe("--rate", "1000")
            yield made


def test_a_cut_in_the_middle_of_a_run_changes_nothing(lab: Lab) -> None:
    """The link is cut while mirrors are asked: the run is void, every list stays, an event tells of the cut."""
    before = lab.in_force()
    asked = len(lab.mirrors.asked())
    running = lab.start("--rate", "3")
    eventually(lambda: len(lab.mirrors.asked()) > asked + MIRRORS, "the run is in its middle")
    lab.inside.fault("tcp flags & rst == 0 reject with tcp reset")
    lab.end(running, VOID)
    assert lab.in_force() == before
    assert "of 5 mirrors" in lab.reasons()[-1]
    lab.inside.heal()
    lab.probe("--rate", "1000")
    assert lab.in_force()[:3] == before[:3]


def test_without_ipv6_of_our_own_no_mirror_loses_its_ipv6(lab: Lab) -> None:
    """Only IPv6 fails, and everywhere: that is ours. IPv4 counts, a mirror that fails there too is down."""
    before = lab.in_force()
    lab.inside.fault("meta nfproto ipv6 tcp flags & rst == 0 reject with tcp reset")
    lab.probe("--rate", "1000")
    assert lab.in_force() == before
    assert "over IPv6" in lab.reasons()[-1]


def test_without_names_nothing_is_concluded(lab: Lab) -> None:
    """The resolver is gone: no mirror can be asked, and none is blamed."""
    before = lab.in_force()
    lab.inside.run("sh", "-c", "echo 127.0.0.1 localhost > /etc/hosts")
    lab.probe("--rate", "1000", code=VOID)
    assert lab.in_force() == before
    assert "could not be asked" in lab.reasons()[-1]


@pytest.mark.soak
@pytest.mark.parametrize("loss", [10, 30, 45, 60, 100])
def test_a_lossy_line_of_our_own_changes_nothing(lab: Lab, loss: int) -> None:
    """So many percent of all packets are lost: runs take long, some are void, and no list changes."""
    before = lab.in_force()
    lab.inside.fault(f"numgen random mod 100 < {loss} drop")
    for _ in range(2):
        lab.end(lab.start("--rate", "1000"), 0, VOID)
        assert lab.in_force()[1:] == before[1:]
        assert not [row for row in lab.in_force()[0] if row[3] == "down"]
