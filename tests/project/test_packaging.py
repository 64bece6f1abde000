"""What is shipped: the wheel, the sdist, the pinned requirements and the commands of the Makefile."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import urllib.request
import venv
import zipfile
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mirrorlistd
from support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEFAULT = "mirrorlistd/default.mls"
"""The built-in snapshot, in the wheel and in the tree."""
SECONDS = 60
"""Limit of any one command."""


def project() -> dict[str, Any]:
    """Read pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def group(name: str) -> Iterator[str]:
    """Give the requirements of a dependency group, included groups' too."""
    for item in project()["dependency-groups"][name]:
        if isinstance(item, str):
            yield item
        else:
            yield from group(item["include-group"])


def locked(file: str) -> dict[str, set[str]]:
    """Read a requirements file: normalised name -> pinned versions."""
    found: dict[str, set[str]] = {}
    for name, pin in re.findall(r"^([A-Za-z0-9._-]+)==([^ \\]+)", (ROOT / file).read_text(), re.MULTILINE):
        found.setdefault(canonicalize_name(name), set()).add(pin)
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist, and the wheel from that sdist, with the pinned backend; the folder with both."""
    out = tmp_path_factory.mktemp("dist")
    build = (sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT)
    done = subprocess.run(build, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    """Give the built wheel."""
    (file,) = built.glob("*.whl")
    return file


def make(*args: str) -> subprocess.CompletedProcess[str]:
    """Run make as a person would, also where these tests are themselves run by make."""
    command = ("make", "-s", "-C", str(ROOT), *args)
    environ = {"PATH": os.environ["PATH"]}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=SECONDS, check=False)


def tree() -> set[str]:
    """List the files of all packages in the tree, named as in the wheel."""
    files: set[str] = set()
    admin = ROOT / "snapshot"
    for folder in (ROOT / "mirrorlistd", admin / "mirrorlist_snapshot", admin / "mirrorlist_admin"):
        for path in folder.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                files.add(str(path.relative_to(folder.parent)))
    return files


@pytest.mark.process
def test_the_wheel_is_the_tree(wheel: Path) -> None:
    """The wheel has every file of all packages, py.typed too, the licence, the commands, and nothing else."""
    names = set(zipfile.ZipFile(wheel).namelist())
    info = f"mirrorlistd-{mirrorlistd.__version__}.dist-info"
    assert {name for name in names if not name.startswith(f"{info}/")} == tree()
    assert {"mirrorlistd/py.typed", "mirrorlist_snapshot/py.typed", "mirrorlist_admin/py.typed"} <= names
    assert f"{info}/licenses/LICENSE" in names
    commands = zipfile.ZipFile(wheel).read(f"{info}/entry_points.txt").decode()
    assert "mirrorlistd = " in commands
    assert "mirrorlist-snapshot = " in commands
    assert "mirrorlist-admin = " in commands


@pytest.mark.process
def test_the_wheel_has_the_default_snapshot(wheel: Path) -> None:
    """Installing the wheel alone is enough to serve something."""
    assert zipfile.ZipFile(wheel).getinfo(DEFAULT).file_size > 0


@pytest.mark.process
def test_the_sdist_is_the_repository(built: Path) -> None:
    """The sdist has what building, testing and reading need, and nothing that the build machine alone needs."""
    (file,) = built.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"LICENSE", "README.md", "CHANGELOG.md", "Makefile", "pyproject.toml", "requirements.txt"}
    assert wanted | {"tests/project/test_packaging.py", "deploy/systemd/mirrorlistd.service", DEFAULT} <= names
    assert not {name for name in names if name.startswith((".ci", ".venv", "dist/")) or ".pyc" in name}


@pytest.mark.process
@pytest.mark.network
@pytest.mark.timeout(300)  # downloads, where pip has nothing cached
def test_the_installed_wheel_serves(wheel: Path, tmp_path: Path) -> None:
    """Into an empty environment: pinned requirements, then the wheel alone; then both commands run and it answers."""
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv/bin/python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check")
    hashed = ("--require-hashes", "-r", ROOT / "requirements.txt")
    subprocess.run([*pip, *hashed], check=True, timeout=2 * SECONDS)
    subprocess.run([*pip, "--no-deps", "--no-index", wheel], check=True, timeout=SECONDS)
    # Not from the repository's folder, and without its variables: only what was installed counts.
    environ = {"PATH": os.environ["PATH"], "MIRRORLISTD_LOG_FORMAT": "json"}
    command = (tmp_path / "venv/bin/mirrorlistd", "serve", "--port", "0")
    log = tmp_path / "log"
    with (
        log.open("wb") as stream,
        subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=stream, stderr=stream) as server,
    ):
        try:
            url = listening(server, log)
            with urllib.request.urlopen(f"{url}/mirrorlist?repo=debian&ip=193.0.6.139", timeout=10) as answer:
                assert answer.status == 200
                lines = answer.read().decode().splitlines()
            assert lines[0].startswith("# repo = debian country = NL")
            assert all(line.startswith("http") for line in lines[1:])
        finally:
            server.terminate()
            code = server.wait(10)
    assert code == 0, log.read_text()
    for program in ("mirrorlistd", "mirrorlist-snapshot"):
        done = subprocess.run([tmp_path / "venv/bin" / program, "--help"], capture_output=True, check=True)
        assert b"usage: " in done.stdout
    version = subprocess.run(
        [python, "-c", "import mirrorlistd as m; print(m.__version__)"], capture_output=True, text=True, check=True
    )
    assert version.stdout.strip() == mirrorlistd.__version__


def listening(server: subprocess.Popen[bytes], log: Path) -> str:
    """Wait for the `listening` event in the JSON log, and give its `url`, without a slash at the end."""
    while True:
        for line in log.read_text().splitlines():
            if line.endswith("}") and (event := json.loads(line))["event"] == "listening":
                return str(event["url"]).rstrip("/")
        try:
            code = server.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(f"ended with {code} before it listened:\n{log.read_text()}")


def test_the_version_is_one() -> None:
    """The version that the package states is the one that is installed."""
    assert version("mirrorlistd") == mirrorlistd.__version__


def test_the_changelog_is_open() -> None:
    """There is a section for what comes next, and one for this version or none at all yet."""
    assert "\n## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text("utf-8")


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_requirements_name_no_place(file: str) -> None:
    """Where packages come from is the installing machine's business: no index, no address, no path."""
    text = (ROOT / file).read_text()
    assert not re.search(r"://|^-|\s@\s|--(?!hash=)", text, re.MULTILINE)


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_requirements_are_pinned_with_hashes(file: str) -> None:
    """Every requirement has one exact version and at least one SHA-256."""
    text = re.sub(r"\s*#.*", "", (ROOT / file).read_text()).replace("\\\n", " ")
    for line in filter(None, map(str.strip, text.splitlines())):
        assert re.fullmatch(r"[a-z0-9._-]+==[^ ]+( ; [^;]+?)?( +--hash=sha256:[0-9a-f]{64})+", line), line


@pytest.mark.parametrize(("file", "groups"), [("requirements.txt", ["build"]), ("requirements-dev.txt", ["dev"])])
def test_the_lock_satisfies_pyproject(file: str, groups: list[str]) -> None:
    """Everything that pyproject.toml asks for is locked, in versions that it allows; else `make lock`."""
    wanted = [*project()["project"]["dependencies"], *(item for name in groups for item in group(name))]
    found = locked(file)
    for requirement in map(Requirement, wanted):
        pins = found.get(canonicalize_name(requirement.name), set())
        assert pins, f"{requirement} is not in {file}"
        assert all(requirement.specifier.contains(pin) for pin in pins), f"{requirement}: {file} has {pins}"


def test_the_two_locks_agree() -> None:
    """Tests run with the very versions that are served with."""
    dev = locked("requirements-dev.txt")
    assert {name: dev.get(name) for name in locked("requirements.txt")} == locked("requirements.txt")


def test_the_build_backend_is_locked() -> None:
    """The editable install of `make serve` fetches nothing that is not pinned."""
    for requirement in map(Requirement, project()["build-system"]["requires"]):
        assert canonicalize_name(requirement.name) in locked("requirements.txt")


def test_every_dependency_has_its_reason() -> None:
    """In pyproject.toml a comment stands above each runtime dependency."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    block = text.partition("\ndependencies = [\n")[2].partition("\n]\n")[0].splitlines()
    for above, line in zip(["", *block], block, strict=False):
        if line.strip().startswith('"'):
            assert above.strip().startswith("# "), line


def test_ci_runs_the_readmes_test_command() -> None:
    """The build machine runs what README tells people to run, and nothing else."""
    script = (ROOT / ".ci/run").read_text()
    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert script.rstrip().endswith("\nexec make test")
    assert "make test" in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.process
def test_make_says_what_there_is() -> None:
    """`make` alone explains every target that people use."""
    done = make()
    for target in ("serve", "test", "lint", "type", "unit", "bench", "lock", "format", "clean"):
        assert re.search(rf"^make {target} ", done.stdout, re.MULTILINE)


@pytest.mark.process
def test_make_refuses_an_old_python(tmp_path: Path) -> None:
    """An interpreter that is too old, or none, is refused with the way out."""
    old = tmp_path / "python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 && exit 0\nexit 1\n')
    old.chmod(0o755)
    for python, found in ((old, "Python 3.9.2"), ("no-such-python", "no no-such-python")):
        done = make(f"PYTHON={python}", f"VENV={tmp_path / 'venv'}", "serve")
        assert done.returncode != 0
        assert f"expected Python 3.11 or newer, found {found};" in done.stderr
        assert not (tmp_path / "venv").exists()
