"""A real systemd of our own: the machine's program, booted as init of namespaces in which only our units exist."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from support.processes import SECONDS, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HERE = Path(__file__).parent


class Manager:
    """systemd, to be commanded as root on its machine."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        """Of systemd, as seen from here."""
        self.root = Path(f"/proc/{pid}/root")
        """Its files."""

    def run(self, *command: str) -> str:
        """Run a command on its machine; give what it printed. A failure fails the test."""
        done = self.attempt(*command)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def attempt(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command on its machine, whatever comes of it."""
        inside = ("nsenter", f"--target={self.pid}", "--mount", "--pid", "--cgroup", "--root", "--wd")
        environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SYSTEMD_PAGER": "", "LANG": "C.UTF-8"}
        return subprocess.run(
            [*inside, *command],
            capture_output=True,
            text=True,
            timeout=2 * SECONDS,
            check=False,
            env=environ,
            stdin=subprocess.DEVNULL,
        )

    def show(self, unit: str, what: str) -> str:
        """One property of a unit."""
        return self.run("systemctl", "show", "--value", f"--property={what}", unit).strip()

    def process(self, unit: str) -> Path:
        """The folder in /proc, as seen from here, of a unit's main process."""
        inner = self.show(unit, "MainPID")
        for status in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                text = status.read_text()
                numbers = next(line for line in text.splitlines() if line.startswith("NSpid:")).split()[1:]
                if len(numbers) > 1 and numbers[1] == inner and _ancestor(status.parent) == self.pid:
                    return status.parent
        raise AssertionError(f"no process {inner}")


def _ancestor(process: Path) -> int:
    """The parent's process id."""
    return int(process.joinpath("stat").read_text().rpartition(")")[2].split()[1])


@contextlib.contextmanager
def booted(folder: Path, files: Path, needed: Sequence[Path]) -> Iterator[Manager]:
    """Boot it, with a tree of files laid over this machine's, and the folders `needed`, until the block ends."""
    assert os.geteuid() == 0, (
        "a systemd of its own needs root: run these tests as root, or leave them to a machine that is"
    )
    view = folder / "view"
    view.mkdir()
    group = _groups() / f"mirrorlistd-test-{os.getpid()}"
    group.mkdir()
    log = (folder / "systemd.log").open("w+")
    command = ["unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "--kill-child", "--propagation", "private"]
    process = subprocess.Popen(
        [*command, HERE / "boot.sh", view, files, group, *needed], stdout=log, stderr=log, stdin=subprocess.DEVNULL
    )
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        eventually(lambda: bool(children.read_text().strip()), "unshare has forked")
        manager = Manager(int(children.read_text()))

        def up() -> bool:
            assert process.poll() is None, Path(log.name).read_text()
            return manager.attempt("systemctl", "is-active", "test.target").stdout == "active\n"

        eventually(up, "systemd is up")
        yield manager
    finally:
        process.kill()
        process.wait(SECONDS)
        log.close()
        _remove(group)


def _groups() -> Path:
    """Where control groups of version 2 are mounted."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(where)
    raise AssertionError("no control groups of version 2 are mounted")


def _remove(group: Path) -> None:
    """Remove a control group and those in it, once their processes have ended."""
    deadline = time.monotonic() + SECONDS
    for folder, _, _ in os.walk(group, topdown=False):
        while True:
            try:
                Path(folder).rmdir()
                break
            except OSError:
                assert time.monotonic() < deadline, f"{folder} is still busy"
                time.sleep(0.01)
