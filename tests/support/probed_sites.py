"""A master and some mirrors of small repositories, each mirror an nginx on an address of its own; and the prober."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from support.nginx_mirrors import NginxMirrors, network
from support.processes import SECONDS
from support.simulated_mirrors import repomd

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400
FLAGS = ("--allow-network", "127.0.0.0/8", "--retries", "0.1,0.3")


class ProbedSite:
    """Mirrors `m0`, `m1`, ... of the repositories `r0`, `r1`, ... in the category `c`."""

    def __init__(self, folder: Path, mirrors: int, repositories: int = 1) -> None:
        self.folder = folder
        self.repositories = repositories
        self.master = folder / "master"
        self.state = folder / "state"
        net = network()
        self.mirrors = {
            f"m{number}": NginxMirrors(folder / f"m{number}", [f"{net}.1.{number + 1}"]) for number in range(mirrors)
        }
        self.publish(1, days=3)
        for name in self.mirrors:
            self.synchronise(name)
        self.write_source({})

    def publish(self, number: int, days: float) -> None:
        """Put a version on the master that was made some days ago."""
        self._fill(self.master, number, days)

    def synchronise(self, name: str) -> None:
        """Give a mirror what the master has."""
        for source in self.master.rglob("*"):
            target = self.root(name) / source.relative_to(self.master)
            if source.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                target.write_bytes(source.read_bytes())

    def root(self, name: str) -> Path:
        """The folder that a mirror serves."""
        mirror = self.mirrors[name]
        return mirror.root(mirror.addresses[0])

    def _fill(self, folder: Path, number: int, days: float) -> None:
        made = time.time() - days * DAY
        for repository in range(self.repositories):
            unit = folder / f"r{repository}/repodata/repomd.xml"
            unit.parent.mkdir(parents=True, exist_ok=True)
            unit.write_bytes(repomd(number, made))
            os.utime(unit, (made, made))

    def write_source(self, changes: dict[str, Any]) -> None:
        """Describe the network; `changes` are further sections."""
        source = {
            "contact": "https://example.org/mirrors",
            "categories": {"c": {"kind": "open", "master": str(self.master)}},
            "repositories": {
                f"r{number}": {"category": "c", "path": f"r{number}"} for number in range(self.repositories)
            },
            "mirrors": {
                name: {"country": "DE", "categories": {"c": {"urls": [mirror.url(mirror.addresses[0])]}}}
                for name, mirror in self.mirrors.items()
            },
        }
        (self.folder / "net.json").write_text(json.dumps(source | changes))

    def command(self, *flags: str) -> list[str]:
        """The prober's command line."""
        words = [sys.executable, "-m", "mirrorlist_admin", "probe", str(self.folder / "net.json")]
        return [*words, "--state", str(self.state), *FLAGS, *flags]

    def once(self, *flags: str, code: int = 0) -> list[dict[str, Any]]:
        """Run the prober once; return its JSON lines."""
        done = subprocess.run(self.command("--once", *flags), capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def __enter__(self) -> Self:
        for mirror in self.mirrors.values():
            mirror.start()
        return self

    def __exit__(self, *_: object) -> None:
        for mirror in self.mirrors.values():
            mirror.stop()


class RunningProber:
    """`mirrorlist-admin probe --every`: its JSON lines are collected."""

    def __init__(self, site: ProbedSite, *flags: str) -> None:
        self.process = subprocess.Popen(
            site.command("--json", *flags), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.lines: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(json.loads(line))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def wait_for(self, count: int = 1, **facts: object) -> dict[str, Any]:
        """Wait for the line, of those with these facts, that is number `count`."""
        deadline = time.monotonic() + SECONDS
        with self._news:
            while True:
                found = [line for line in self.lines if facts.items() <= line.items()]
                if len(found) >= count:
                    return found[count - 1]
                assert self.process.poll() is None, (self.lines, self.process.stderr and self.process.stderr.read())
                assert self._news.wait(deadline - time.monotonic()), f"no {facts} in {self.lines}"

    def stop(self, number: int) -> int:
        """End it by a signal; return its exit status."""
        self.process.send_signal(number)
        try:
            return self.process.wait(SECONDS)
        finally:
            if self.process.poll() is None:
                self.process.kill()
            self._reader.join(SECONDS)
            assert self.process.stdout is not None
            assert self.process.stderr is not None
            self.errors = self.process.stderr.read()
            self.process.stdout.close()
            self.process.stderr.close()
