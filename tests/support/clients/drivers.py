"""One function per client: configured by a snippet in a private root, it installs or fetches, and we look what came.

Each returns the bytes that arrived, which should be `HELLO`, or raises ProgramError with all that the client wrote.
The flags only move a client into its private root and shorten its patience; what is tested is in the snippet.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.clients.programs import run
from support.clients.repositories import BUILDERS, MACHINE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

INSTALLED: Final = Path("usr/share/hello/hello")
"""Where distribution packages put the file."""


@dataclass(frozen=True)
class Case:
    """A snippet about to be run."""

    text: str
    """The snippet, filled in."""
    file: str | None
    """Where it goes, below the root; None for shell commands."""
    root: Path
    """The client's whole world: configuration, state, cache."""
    site: Path
    """The repositories' folder, for the keys that a user would have got in another way."""

    def place(self) -> Path:
        """Put the snippet where it belongs: configuration into its file, commands through a shell."""
        if self.file is None:
            run("sh", "-euc", self.text, home=self.root)
            return self.root
        path = self.root / self.file.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.text)
        return path


def dnf(case: Case) -> bytes:
    """Install into the root."""
    repositories = case.place().parent
    places = {name: case.root / name for name in ("cachedir", "persistdir", "logdir")}
    for place in places.values():
        place.mkdir()
    settings = {"reposdir": repositories, "timeout": 3, "plugins": 0} | places
    configuration = case.root / "etc/dnf.conf"
    configuration.write_text("[main]\n")
    run(
        *("dnf", "--assumeyes", "--nogpgcheck", "-c", configuration, "--installroot", case.root, "--releasever=9"),
        *(f"--setopt={name}={value}" for name, value in settings.items()),
        *("install", "hello"),
        home=case.root / "home",
    )
    return (case.root / INSTALLED).read_bytes()


def zypper(case: Case) -> bytes:
    """Install into the root."""
    case.place()
    run(
        "zypper",
        "--root",
        case.root,
        "--non-interactive",
        "--no-gpg-checks",
        "install",
        "hello",
        home=case.root / "home",
    )
    return (case.root / INSTALLED).read_bytes()


def apt(case: Case) -> bytes:
    """Update, download, unpack: installing would ask dpkg for a whole system."""
    for folder in (
        "etc/apt/apt.conf.d",
        "etc/apt/preferences.d",
        "etc/apt/trusted.gpg.d",
        "var/lib/apt",
        "var/cache/apt",
    ):
        (case.root / folder).mkdir(parents=True, exist_ok=True)
    shutil.copy(case.site / "debian/archive.gpg", case.root / "etc/apt/trusted.gpg.d/example.gpg")
    case.place()
    (case.root / "status").touch()
    apt_get(case.root, "update", "--error-on=any")
    return apt_download(case.root)


def apt_get(root: Path, *words: str) -> str:
    """Run apt-get in a root that `apt` has prepared."""
    settings = {"Dir": root, "Dir::State::status": root / "status", "APT::Sandbox::User": "root"}
    settings |= {"Acquire::Languages": "none", "Acquire::Retries": 0, "Acquire::http::Timeout": 3}
    return run("apt-get", *(f"-o{name}={value}" for name, value in settings.items()), *words, home=root / "home")


def apt_download(root: Path) -> bytes:
    """Download the package and give its file."""
    apt_get(root, "download", "hello")
    package = root / "home/hello_1_all.deb"
    run("dpkg-deb", "--extract", package, root / "unpacked", home=root)
    package.unlink()
    return (root / "unpacked" / INSTALLED).read_bytes()


def ostree(case: Case) -> bytes:
    """Pull a branch and check it out."""
    repository = {"OSTREE_REPO": str(case.root / "repo")}
    (case.root / "etc/pki").mkdir(parents=True)
    shutil.copy(case.site / "apps/archive.gpg", case.root / "etc/pki/apps.gpg")
    run("ostree", "init", f"--repo={case.root}/repo", "--mode=bare-user", home=case.root)
    run("sh", "-euc", case.text, home=case.root, environ=repository)
    run("ostree", "pull", "apps", "stable", home=case.root, environ=repository)
    run("ostree", "checkout", "--user-mode", "stable", "out", home=case.root, environ=repository)
    return (case.root / "out/hello").read_bytes()


def pacman(case: Case) -> bytes:
    """Fetch the mirrors' file by the snippet, then install into the root."""
    for folder in ("etc/pacman.d", "lib", "cache", "hooks", "gnupg"):
        (case.root / folder).mkdir(parents=True)
    case.place()
    configuration = case.root / "etc/pacman.conf"
    configuration.write_text(
        f"[options]\nArchitecture = {MACHINE}\nSigLevel = Never\nGPGDir = {case.root}/gnupg\n"
        f"[core]\nInclude = {case.root}/etc/pacman.d/mirrorlist\n"
    )
    places = {"root": case.root, "dbpath": case.root / "lib", "cachedir": case.root / "cache"}
    places |= {"hookdir": case.root / "hooks", "logfile": case.root / "log", "config": configuration}
    run(
        *("pacman", "--sync", "--refresh", "--noconfirm"),
        *(f"--{name}={value}" for name, value in places.items()),
        "hello",
        home=case.root / "home",
    )
    return (case.root / INSTALLED).read_bytes()


def aria2(case: Case) -> bytes:
    """Download with the snippet."""
    configuration = case.root / ".aria2/aria2.conf"
    configuration.parent.mkdir()
    configuration.write_text("timeout=3\n")
    return downloader(case)


def downloader(case: Case) -> bytes:
    """Download with the snippet, which is all there is."""
    case.place()
    return (case.root / "hello.img").read_bytes()


def pip(case: Case) -> bytes:
    """Install into a folder."""
    environ = {"PIP_CONFIG_FILE": str(case.place())}
    words = ("install", "--disable-pip-version-check", "--no-cache-dir", "--target", case.root / "out", "hello")
    run(sys.executable, "-m", "pip", *words, home=case.root / "home", environ=environ)
    return (case.root / "out/hello/hello").read_bytes()


def uv(case: Case) -> bytes:
    """Install into a folder."""
    words = ("--config-file", case.place(), "--no-cache", "pip", "install", "--python", sys.executable)
    run("uv", *words, "--target", case.root / "out", "hello", home=case.root / "home")
    return (case.root / "out/hello/hello").read_bytes()


@dataclass(frozen=True)
class Client:
    """A client and what it takes to run it."""

    run: Callable[[Case], bytes]
    programs: tuple[str, ...]


CLIENTS: Final[Mapping[str, Client]] = {
    "dnf": Client(dnf, ("dnf",)),
    "zypper": Client(zypper, ("zypper",)),
    "apt": Client(apt, ("apt-get", "dpkg-deb")),
    "ostree": Client(ostree, ("ostree",)),
    "pacman": Client(pacman, ("pacman", "curl")),
    "aria2": Client(aria2, ("aria2c",)),
    "curl": Client(downloader, ("curl",)),
    "mirrorlist-fetch": Client(downloader, ("mirrorlist-fetch",)),
    "wget2": Client(downloader, ("wget2",)),
    "pip": Client(pip, ()),
    "uv": Client(uv, ("uv",)),
}
"""Clients as the page calls them."""


def tools(client: str, repository: str) -> tuple[str, ...]:
    """Every program that a client needs, those that build its repository among them."""
    return (*CLIENTS[client].programs, *BUILDERS[repository].tools)
