"""Real stores on loopback: SeaweedFS, which is an S3 server, and nginx; started, killed, paused and started again."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Self

from support.paths import ROOT
from support.processes import SECONDS, eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

GUIDE = (ROOT / "docs" / "fleet.md").read_text()
(RECIPE,) = re.findall(r"```nginx\n(.*?)```", GUIDE, re.DOTALL)
BUCKET = "lists"
KEY_ID, SECRET_KEY = "AKIATESTER", "wJalrXUtnFEMI-never-to-be-logged"


def free_ports(count: int) -> list[int]:
    """Free ports of loopback. Another program could take one before the test does."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Program:
    """A program that runs until it is stopped, and can be started again as it was."""

    def __init__(self, command: Sequence[str | Path], folder: Path) -> None:
        self._command = [str(word) for word in command]
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; `ready` says when it can be asked."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )
        try:
            eventually(self.ready, f"{self._command[0]} is ready")
        except AssertionError:
            sys.stderr.write((self.folder / "log").read_text(errors="replace")[-4000:])
            self.kill()
            raise

    def ready(self) -> bool:
        """Whether it answers."""
        raise NotImplementedError

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(SECONDS)
            self.process = None

    def pause(self) -> None:
        """Let it hang: connections are made, and nothing is ever answered."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """End a pause."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def _answers(url: str, method: str = "GET", body: bytes | None = None) -> bool:
    """Whether an HTTP server gives any answer but one that says it is not ready."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, method=method), timeout=SECONDS):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


class S3(Program):
    """SeaweedFS with one bucket: master, volume server, filer and S3 gateway in a process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        weed = Path(sys.executable).with_name("weed")
        keys = {"accessKey": KEY_ID, "secretKey": SECRET_KEY}
        identity = {"name": "tester", "credentials": [keys], "actions": ["Admin", "Read", "Write", "List"]}
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        (folder / "data").mkdir()
        parts = ("master", "volume", "filer", "s3")
        ports = free_ports(2 * len(parts))
        flags = [f"-{part}.port={port}" for part, port in zip(parts, ports, strict=False)]
        flags += [f"-{part}.port.grpc={port}" for part, port in zip(parts, ports[len(parts) :], strict=True)]
        self._filer, self.port = ports[2], ports[3]
        super().__init__(
            [
                *(weed, "server", "-dir=data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"),
                *("-filer", f"-filer.localSocket={folder}/filer.sock", "-volume.max=8", "-master.volumeSizeLimitMB=64"),
                *("-s3", "-s3.config=s3.json", f"-s3.localSocket={folder}/s3.sock", "-s3.port.iceberg=0"),
                *("-s3.port.lance=0", "-master.electionTimeout=1s"),
                *flags,
            ],
            folder,
        )

    def ready(self) -> bool:
        """Whether the bucket is there, and the volume server is registered with the master: objects can be stored."""
        filer = f"http://127.0.0.1:{self._filer}"
        made = _answers(f"{filer}/buckets/{BUCKET}/", "POST") and _answers(f"{filer}/probe", "PUT", b"probe")
        return made and _answers(f"http://127.0.0.1:{self.port}/{BUCKET}/")

    @property
    def environ(self) -> dict[str, str]:
        """The environment by which a client finds the store and proves who it is."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
        }


NGINX = """\
pid nginx.pid;
error_log error.log;
daemon off;
master_process off;
events {{}}
http {{
  access_log access.log;
  client_body_temp_path body; proxy_temp_path proxy;
  fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  include {recipe};
}}
"""


class Nginx(Program):
    """nginx with a given `server` block, in which PORT and ROOT stand for what the test chose."""

    def __init__(self, folder: Path, recipe: str) -> None:
        folder.mkdir(parents=True)
        self.root = folder / "www"
        self.root.mkdir()
        (self.port,) = free_ports(1)
        (folder / "recipe.conf").write_text(recipe.replace("PORT", str(self.port)).replace("ROOT", str(self.root)))
        (folder / "nginx.conf").write_text(NGINX.format(recipe=folder / "recipe.conf"))
        nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin") or "nginx"
        super().__init__([nginx, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"], folder)

    def ready(self) -> bool:
        """Whether it answers."""
        return _answers(self.url("none"))

    def url(self, name: str) -> str:
        """Where it has an object."""
        return f"http://127.0.0.1:{self.port}/{name}"

    def statuses(self, method: str = "GET") -> list[int]:
        """What it has answered so far."""
        lines = (self.folder / "access.log").read_text().splitlines()
        return [int(line.split('" ')[1].split()[0]) for line in lines if f'"{method} ' in line]


def nginx_in(folder: Path, *more: str) -> Nginx:
    """Nginx as the guide has it, with more lines in its `server` block."""
    recipe = RECIPE.replace("listen 80;", "listen 127.0.0.1:PORT;").replace("/srv/lists", "ROOT")
    return Nginx(folder, recipe.replace("server {", "\n".join(["server {", *more])))
