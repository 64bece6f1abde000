"""Images built by buildah and run by crun, without a registry: the base is made of this machine's Python."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.paths import ROOT
from support.processes import SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CONTAINERFILE = ROOT / "deploy/container/Containerfile"
PREFIX = Path(sys.base_prefix).resolve()
LIBRARY = f"python{sys.version_info[0]}.{sys.version_info[1]}"
BASE, IMAGE = "localhost/base", "localhost/mirrorlistd"
NOT_NEEDED = ("test", "idlelib", "site-packages", "dist-packages", "__pycache__", "config-*", "*.a")
"""Of a Python installation: half of it."""


class Store:
    """Where buildah keeps images: a folder of the tests' own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, *command: str | Path, timeout: float = SECONDS) -> str:
        """One command of buildah; what it printed."""
        places = ("--root", self._folder / "root", "--runroot", self._folder / "run", "--storage-driver", "overlay")
        done = subprocess.run(
            ["buildah", *places, *command],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "HOME": str(self._folder), "BUILDAH_ISOLATION": "chroot"},
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout.strip()

    def let_go(self) -> None:
        """Unmount whatever an interrupted build has left, so that the folder can be removed."""
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for mount in sorted((one for one in mounts if one.startswith(f"{self._folder}/")), reverse=True):
            subprocess.run(["umount", "--lazy", mount], check=False, timeout=SECONDS)

    @contextlib.contextmanager
    def mounted(self, image: str) -> Iterator[Path]:
        """The files of an image."""
        container = self.run("from", "--pull-never", image)
        try:
            yield Path(self.run("mount", container))
        finally:
            self.run("rm", container)

    def make_base(self) -> None:
        """Make an image that has `python` and its pip as Docker's official image has, and nothing else."""
        container = self.run("from", "scratch")
        top = Path(self.run("mount", container))
        home = top / str(PREFIX).lstrip("/")
        shutil.copytree(
            PREFIX / "lib" / LIBRARY, home / "lib" / LIBRARY, symlinks=True, ignore=shutil.ignore_patterns(*NOT_NEEDED)
        )
        packages = home / "lib" / LIBRARY / "site-packages"
        import pip  # noqa: PLC0415 - the environment's, which is always new enough

        shutil.copytree(Path(pip.__file__).parent, packages / "pip")
        program = home / "bin" / LIBRARY
        program.parent.mkdir()
        shutil.copy(PREFIX / "bin" / LIBRARY, program)
        for library in _libraries(program, *(home / "lib" / LIBRARY / "lib-dynload").glob("*.so")):
            place = top / library.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, place)
        (top / "usr/local/bin").mkdir(parents=True, exist_ok=True)
        (top / "usr/local/bin/python").symlink_to(PREFIX / "bin" / LIBRARY)
        (top / "tmp").mkdir()
        (top / "tmp").chmod(0o1777)
        self.run("config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin", container)
        self.run("commit", "--rm", container, BASE)

    def build(self) -> None:
        """Build our image, every step of the Containerfile, on that base."""
        # How this machine reaches its package index is its own affair.
        own = [f"--volume={path}:{path}:ro" for path in ("/etc/ssl/certs", "/etc/pip.conf") if Path(path).exists()]
        ignore = CONTAINERFILE.with_name("Containerfile.dockerignore")
        flags = (
            "--format=docker",
            "--network=host",
            f"--build-arg=BASE={BASE}",
            f"--ignorefile={ignore}",
            "--pull-never",
        )
        self.run("build", *flags, *own, "-f", CONTAINERFILE, "-t", IMAGE, ROOT, timeout=12 * SECONDS)

    def config(self) -> dict[str, Any]:
        """What the image says about itself, as Docker has it."""
        found: dict[str, Any] = json.loads(self.run("inspect", "--type", "image", IMAGE))["Docker"]["config"]
        return found


def _libraries(*programs: Path) -> set[str]:
    """The shared libraries that programs need, the dynamic loader included, and those that all of Debian has."""
    everywhere = ("dpkg-query", "--listfiles", "libc6", "libgcc-s1", "libstdc++6")
    listed = subprocess.run(everywhere, capture_output=True, text=True, timeout=SECONDS, check=True).stdout.split()
    output = subprocess.run(["ldd", *programs], capture_output=True, text=True, timeout=SECONDS, check=True).stdout
    standard = {file for file in listed if re.fullmatch(r"\S+/lib[^/]+\.so(\.\d+)*", file) and Path(file).is_file()}
    return standard | set(re.findall(r"^\t(?:\S+ => )?(/\S+)", output, re.MULTILINE))


@contextlib.contextmanager
def container(
    folder: Path,
    files: Path,
    config: Mapping[str, Any],
    arguments: Sequence[str],
    environ: Mapping[str, str],
    data: Path,
) -> Iterator[subprocess.Popen[str]]:
    """Run an image's files by crun on this machine's loopback: `data` as /srv, nothing to write to but /state."""
    bundle = folder / "bundle"
    bundle.mkdir()
    subprocess.run(["crun", "spec"], cwd=bundle, check=True, timeout=SECONDS)
    spec = json.loads((bundle / "config.json").read_text())
    spec["root"] = {"path": str(files), "readonly": True}
    uid, gid = map(int, config["User"].split(":"))
    spec["process"] |= {
        "terminal": False,
        "user": {"uid": uid, "gid": gid},
        "args": [*config["Entrypoint"], *arguments],
        "env": [*config["Env"], *(f"{key}={value}" for key, value in environ.items())],
        "cwd": config["WorkingDir"],
        "capabilities": {},
        "noNewPrivileges": True,
    }
    spec["mounts"] = [mount for mount in spec["mounts"] if mount["type"] not in ("cgroup", "sysfs", "mqueue")]
    options = ["nosuid", "nodev", "mode=0700", f"uid={uid}", f"gid={gid}"]
    spec["mounts"] += [
        {"destination": "/state", "type": "tmpfs", "source": "tmpfs", "options": options},
        {"destination": "/srv", "type": "bind", "source": str(data), "options": ["rbind", "ro"]},
    ]
    spec["linux"] = {"namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]}
    (bundle / "config.json").write_text(json.dumps(spec))
    crun = f"exec crun --root {folder}/crun --cgroup-manager=disabled run --bundle {bundle} mirrorlistd"
    # crun wants control groups of version 2 alone, even where it is to leave them alone.
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", f"mount -t cgroup2 cgroup2 /sys/fs/cgroup && {crun}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                os.kill(int(child), signal.SIGKILL)
        process.wait(SECONDS)
        assert process.stdout is not None
        process.stdout.close()
