"""`mirrorlist-admin probe --every`: a process that runs for long, is killed, and goes on where it was."""

from __future__ import annotations

import signal
import time
import urllib.request
from random import Random
from typing import TYPE_CHECKING

import pytest

from mirrorlist_admin.store import Store, schema
from support.probed_sites import ProbedSite, RunningProber
from support.processes import SECONDS, Server, eventually

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.process, pytest.mark.network]


def test_a_mirror_that_stops_is_out_and_comes_back(tmp_path: Path) -> None:
    """It is out of the running server's lists while it is stopped, and in them again when it is good."""
    with ProbedSite(tmp_path, 3) as site:
        published = tmp_path / "x.mls"
        prober = RunningProber(site, "--every", "1s", "--publish", str(published), "--metrics", "0")
        port = prober.wait_for(event="metrics")["port"]
        prober.wait_for(event="published")
        flags = ("--snapshot", str(published), "--status", str(site.state / "status.toml"), "--watch")
        with Server(*flags) as server:

            def offered() -> set[str]:
                text = server.get("/mirrorlist?repo=r0&arch=x&country=global").text
                return {name for name, mirror in site.mirrors.items() if mirror.addresses[0] in text}

            eventually(lambda: offered() == {"m0", "m1", "m2"}, "all are offered")
            site.mirrors["m1"].stop()
            prober.wait_for(event="mirror", mirror="m1", after="down")
            eventually(lambda: offered() == {"m0", "m2"}, "the stopped one is out")
            site.mirrors["m1"].start()
            prober.wait_for(event="mirror", mirror="m1", after="up")
            eventually(lambda: offered() == {"m0", "m1", "m2"}, "it is back")
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=SECONDS).read().decode()
        assert 'mirrorlist_probe_states{kind="mirror",state="up"} 3.0' in metrics
        assert prober.stop(signal.SIGTERM) == 0
        assert prober.errors == ""
        assert not [line for line in prober.lines if line["event"] == "trouble"]


def test_a_second_prober_is_kept_out(tmp_path: Path) -> None:
    """Two probers over one folder would each undo what the other knows: the second ends at once and says so."""
    with ProbedSite(tmp_path, 1) as site:
        prober = RunningProber(site, "--every", "60s")
        prober.wait_for(event="run ended")
        second = RunningProber(site, "--once")
        assert second.process.wait(SECONDS) == 1
        second.stop(0)
        assert "another prober is at work" in second.errors
        assert prober.stop(signal.SIGINT) == 130


def test_bad_sources_leave_the_last_good_ones_in_use(tmp_path: Path) -> None:
    """Refused sources are told of, and the prober goes on with what it has read; it takes the next good ones."""
    with ProbedSite(tmp_path, 2) as site:
        prober = RunningProber(site, "--every", "1s")
        prober.wait_for(event="run ended")
        site.write_source({"mirrors": {"m0": {"country": "Atlantis"}}})
        trouble = prober.wait_for(event="trouble")
        assert "net.json" in trouble["text"]
        runs = len([line for line in prober.lines if line["event"] == "run ended"])
        assert prober.wait_for(runs + 1, event="run ended")["mirrors"] == 2
        site.mirrors.pop("m1").stop()
        site.write_source({})
        prober.wait_for(event="run ended", mirrors=1)
        assert prober.stop(signal.SIGTERM) == 0
    with Store(site.state) as store:
        assert {row.mirror for row in store.read(schema.URL_STATE)} == {"m0"}


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.soak), pytest.param(3, marks=pytest.mark.soak)])
def test_killed_anywhere_it_goes_on(tmp_path: Path, seed: int) -> None:
    """SIGKILL at random moments: the store is whole each time, nothing in force changes, and the next run ends well."""
    random = Random(seed)
    with ProbedSite(tmp_path, 4, repositories=8) as site:
        site.once("--rate", "1000", "--publish", str(tmp_path / "x.mls"))
        with Store(site.state) as store:
            before = [(row.mirror, row.unit, row.state) for row in store.read(schema.UNIT_STATE)]
        assert len(before) == 32
        status = (site.state / "status.toml").read_bytes()
        for _ in range(4):
            prober = RunningProber(site, "--every", "1s", "--rate", "20")
            time.sleep(random.uniform(0.8, 2.5))
            assert prober.stop(signal.SIGKILL) == -signal.SIGKILL
            with Store(site.state) as store:
                assert [(row.mirror, row.unit, row.state) for row in store.read(schema.UNIT_STATE)] == before
            assert (site.state / "status.toml").read_bytes() == status
        lines = site.once("--rate", "1000")
        assert {line["state"] for line in lines if line["event"] == "verdict"} == {"fresh"}
