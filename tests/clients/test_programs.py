"""How clients are run: never longer than the limit, never skipped where all must run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from support.clients.page import Snippet
from support.clients.programs import ProgramError, need, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.process
def test_limit_ends_everything(tmp_path: Path) -> None:
    """A program that takes too long is ended with all that it has started, and what it wrote is told."""
    with pytest.raises(ProgramError, match=r"no end after 0\.5 s; it wrote:\nhere"):
        run("sh", "-c", "echo here; (sleep 3; touch late) & wait", home=tmp_path, seconds=0.5)
    time.sleep(3)
    assert not (tmp_path / "late").exists()


@pytest.mark.process
def test_failure_is_told(tmp_path: Path) -> None:
    """A program that fails raises, with its exit status and both of its streams."""
    with pytest.raises(ProgramError, match="exit status 3; it wrote:\nout\nerr"):
        run("sh", "-c", "echo out; echo err >&2; exit 3", home=tmp_path)


@pytest.mark.process
def test_environment_is_bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program sees nothing of the settings of whoever runs the tests."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.9:1")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.9:1")
    names = {line.partition("=")[0] for line in run("env", home=tmp_path).splitlines()}
    assert {"PATH", "HOME"} <= names <= {"PATH", "HOME", "TMPDIR", "LANG", "TZ", "PWD", "SHLVL", "_"}


@pytest.mark.parametrize(("variable", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_missing_program(variable: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing program skips a test, but fails it on a CI machine; both say what is missing."""
    monkeypatch.setenv("CI", variable)
    with pytest.raises(outcome, match="no-such-program"):
        need("sh", "no-such-program")


def test_only_examples_are_replaced(tmp_path: Path) -> None:
    """Filling in replaces the server, the repository's name in its URLs, and `/etc/`; nothing else."""
    text = "[arch]\nurl=https://mirrors.example.org/mirrorlist?repo=arch&arch=$arch\nkey=/etc/arch.gpg\n"
    filled = Snippet("c", "f", "arch", None, text).filled("http://127.0.0.1:1", "arch-404", tmp_path)
    assert (
        filled == f"[arch]\nurl=http://127.0.0.1:1/mirrorlist?repo=arch-404&arch=$arch\nkey={tmp_path}/etc/arch.gpg\n"
    )
