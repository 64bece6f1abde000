"""The image: linted by hadolint, built by buildah step by step, run by crun with nothing to write to and no privilege.

No registry is reached from where tests run, so the base is not the official Python image that the Containerfile names,
but this machine's Python, laid out alike, with no shell and no other program. Everything above the base is real.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.deployment.images import CONTAINERFILE, IMAGE, Store, container
from support.deployment.manifests import options_here
from support.paths import ROOT
from support.processes import SECONDS, At, eventually, listens, stamped, write_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.process, pytest.mark.network, pytest.mark.root]


@contextlib.contextmanager
def image() -> Iterator[Store]:
    """The image, built."""
    with tempfile.TemporaryDirectory(prefix="mirrorlistd-images-") as name:
        made = Store(Path(name))
        try:
            made.make_base()
            made.build()
            yield made
        finally:
            made.let_go()


@contextlib.contextmanager
def running(store: Store, config: dict[str, Any], folder: Path, *arguments: str) -> Iterator[tuple[At, Any]]:
    """The container, serving snapshot 1 on a free port."""
    data = folder / "data"
    data.mkdir()
    data.chmod(0o755)
    write_snapshot(data / "mirrors.mls", stamped(1)).chmod(0o644)
    options_here(data, pull='"file:///srv/mirrors.mls"', every="1", drain="0").chmod(0o644)
    (data / "status.toml").chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    environ = {"MIRRORLISTD_HOST": "127.0.0.1", "MIRRORLISTD_PORT": str(port)}
    with (
        store.mounted(IMAGE) as files,
        container(folder, files, config, arguments or config["Cmd"], environ, data) as process,
    ):
        yield At(port), process


def test_hadolint_finds_nothing() -> None:
    """The linter of Dockerfiles has nothing to say, at its strictest."""
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, "--failure-threshold=style", CONTAINERFILE],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.timeout(500)  # building the image downloads its packages
def test_the_image_is_built_and_runs() -> None:
    """Every step of the Containerfile is done, once; what comes of it says, does and holds what it should."""
    with image() as store:
        config = store.config()
        says_who_it_is(config)
        serves_without_privilege_or_a_place_to_write(store, config)
        depends_on_the_sources_alone(store)


def says_who_it_is(config: dict[str, Any]) -> None:
    """Nobody's number, SIGTERM, one port, and a health check that needs no other program."""
    assert config["User"] == "65532:65532"
    assert config["StopSignal"] == "SIGTERM"
    assert config["ExposedPorts"] == {"8080/tcp": {}}
    assert config["Healthcheck"]["Test"][:3] == ["CMD", "python", "-c"]
    assert config["Labels"]["org.opencontainers.image.title"] == "mirrorlistd"


def serves_without_privilege_or_a_place_to_write(store: Store, config: dict[str, Any]) -> None:
    """Run as the Kubernetes manifest says: pulls, serves, is healthy, pulls anew, and stops on SIGTERM with 0."""
    with tempfile.TemporaryDirectory(prefix="mirrorlistd-container-") as name, contextlib.ExitStack() as stack:
        Path(name).chmod(0o755)
        at, process = stack.enter_context(
            running(store, config, Path(name), "serve", "--config", "/srv/mirrorlistd.toml")
        )
        eventually(lambda: _answers(at, process), "it serves")
        assert "/s1/" in at.get("/mirrorlist?repo=r").text
        server = _child(process.pid)
        facts = Path(f"/proc/{server}/status").read_text()
        assert re.search(r"^Uid:\t65532\t65532\t65532\t65532$", facts, re.MULTILINE)
        assert re.search(r"^CapEff:\t0+$", facts, re.MULTILINE)
        assert re.search(r"^NoNewPrivs:\t1$", facts, re.MULTILINE)
        check = [sys.executable, *config["Healthcheck"]["Test"][2:]]
        environ = os.environ | {"MIRRORLISTD_PORT": str(at.port)}
        assert subprocess.run(check, check=False, timeout=SECONDS, env=environ).returncode == 0
        write_snapshot(Path(name) / "data/mirrors.mls", stamped(2), serial=2).chmod(0o644)
        eventually(lambda: "/s2/" in at.get("/mirrorlist?repo=r").text, "serial 2")
        os.kill(server, signal.SIGTERM)
        assert process.wait(SECONDS) == 0
        environ = os.environ | {"MIRRORLISTD_PORT": str(at.port)}
        assert (
            subprocess.run(check, check=False, timeout=SECONDS, env=environ, stderr=subprocess.DEVNULL).returncode != 0
        )


def depends_on_the_sources_alone(store: Store) -> None:
    """Byte code holds no time of a build, and nothing runs as somebody else (setuid)."""
    with store.mounted(IMAGE) as files:
        code = list((files / "opt/mirrorlistd").rglob("*.pyc"))
        assert len(code) > 500
        for path in code:
            assert int.from_bytes(path.read_bytes()[4:8], "little") == 1, f"{path}: not an unchecked hash"
        assert not [path for path in (files / "opt").rglob("*") if path.stat(follow_symlinks=False).st_mode & 0o6000]


def test_locked_packages_are_those_of_the_project() -> None:
    """The image's own lock names the same versions as requirements-dev.txt, and no other package."""

    def pins(path: Path) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9.-]+)==([^ ;\\]+)", path.read_text(), re.MULTILINE))

    own, all_of_them = pins(ROOT / "deploy/container/requirements.txt"), pins(ROOT / "requirements-dev.txt")
    assert {"uvicorn", "obstore", "hatchling"} <= own.keys()
    assert own.items() <= all_of_them.items()


def _answers(at: At, process: subprocess.Popen[str]) -> bool:
    assert process.poll() is None, process.stdout and process.stdout.read()
    return listens(at.port) and at.get("/readyz").status == 200


def _child(pid: int) -> int:
    """The container's init: the one child of crun."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text())
