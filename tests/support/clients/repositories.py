"""Real repositories, built on the spot by their own tools: each offers one package with one file, `HELLO`.

Every builder fills a folder that a mirror could serve as it is. The tools that it needs are in `BUILDERS`.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import platform
import random
import tarfile
import textwrap
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from support.clients.programs import find, run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

HELLO: Final = random.Random(4).randbytes(1 << 17)
"""What arrives where everything is right: nothing compresses it, and half of it is clearly not all."""
MACHINE: Final = platform.machine()
"""Architecture as rpm and pacman call it, e.g. x86_64."""
EPOCH: Final = 1_700_000_000
"""Time stamp of everything that is built."""
SIGNER: Final = "archive@example.org"
"""Whose throw-away keys sign."""


@dataclass(frozen=True)
class Kind:
    """One kind of repository."""

    build: Callable[[Path, Path], None]
    """Fills the first folder; the second is for its own use."""
    tools: tuple[str, ...]
    path: str = ""
    """The repository's directory below the folder, as the mirrors' description says it."""
    arches: Sequence[str] = ()
    files: Sequence[str] = field(default=())
    """What a metalink states of it, below `path`."""


def build_rpm(folder: Path, work: Path) -> None:
    """One noarch package, with createrepo_c's metadata."""
    place = folder / "9" / MACHINE
    place.mkdir(parents=True)
    (work / "hello").write_bytes(HELLO)
    spec = work / "hello.spec"
    spec.write_text(
        textwrap.dedent("""\
            Name: hello
            Version: 1
            Release: 1
            Summary: One file
            License: CC0
            BuildArch: noarch
            Source0: hello
            %description
            One file.
            %install
            mkdir -p %{buildroot}/usr/share/hello
            cp %{SOURCE0} %{buildroot}/usr/share/hello/hello
            %files
            /usr/share/hello
            """)
    )
    run(
        "rpmbuild",
        "-bb",
        *(f"--define={name} {value}" for name, value in (("_topdir", work), ("_sourcedir", work), ("_rpmdir", place))),
        spec,
        home=work,
    )
    run("createrepo_c", "--no-database", f"--revision={EPOCH}", place, home=work)


def build_debian(folder: Path, work: Path) -> None:
    """One package of every architecture in the suite `bookworm`; the key lies in `archive.gpg`, outside of `dists`."""
    tree, architecture = work / "tree", run("dpkg", "--print-architecture", home=work).strip()
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr/share/hello").mkdir(parents=True)
    (tree / "usr/share/hello/hello").write_bytes(HELLO)
    (tree / "DEBIAN/control").write_text(
        "Package: hello\nVersion: 1\nArchitecture: all\nMaintainer: a <a@example.org>\nDescription: one file\n"
    )
    pool = folder / "pool"
    pool.mkdir(parents=True)
    run("dpkg-deb", "--build", "--root-owner-group", tree, pool / "hello_1_all.deb", home=work)
    index = folder / f"dists/bookworm/main/binary-{architecture}"
    index.mkdir(parents=True)
    packages = run("apt-ftparchive", "packages", "pool", home=work, folder=folder)
    (index / "Packages").write_text(packages)
    (index / "Packages.gz").write_bytes(gzip.compress(packages.encode(), mtime=EPOCH))
    settings = {"Origin": "Example", "Suite": "bookworm", "Codename": "bookworm"}
    settings |= {"Architectures": architecture, "Components": "main"}
    release = run(
        "apt-ftparchive",
        *(f"-oAPT::FTPArchive::Release::{name}={value}" for name, value in settings.items()),
        "release",
        "dists/bookworm",
        home=work,
        folder=folder,
    )
    (folder / "dists/bookworm/Release").write_text(release)
    key = _key(folder, work)
    place = folder / "dists/bookworm"
    run("gpg", "--batch", "--output", place / "InRelease", "--clearsign", place / "Release", **key)
    run("gpgconf", "--kill", "all", **key)


def _key(folder: Path, work: Path) -> dict[str, Any]:
    """Make a throw-away key, its public half in `archive.gpg`; give what `run` needs to sign with it."""
    home = work / "gpg"
    home.mkdir(mode=0o700)
    signing: dict[str, Any] = {"home": home, "environ": {"GNUPGHOME": str(home)}}
    make = ("--batch", "--passphrase=", "--pinentry-mode=loopback", "--quick-generate-key")
    run("gpg", *make, SIGNER, "ed25519", "sign", "never", **signing)
    run("gpg", "--batch", "--output", folder / "archive.gpg", "--export", SIGNER, **signing)
    return signing


def build_pacman(folder: Path, work: Path) -> None:
    """One package of any architecture in the repository `core`."""
    place = folder / "core/os" / MACHINE
    place.mkdir(parents=True)
    information = (
        f"pkgname = hello\npkgbase = hello\npkgver = 1-1\npkgdesc = one file\nurl = https://example.org/\n"
        f"builddate = {EPOCH}\npackager = Nobody\nsize = {len(HELLO)}\narch = any\n"
    )
    package = place / "hello-1-1-any.pkg.tar.gz"
    with tarfile.open(package, "w:gz") as archive:
        for name, content in ((".PKGINFO", information.encode()), ("usr/share/hello/hello", HELLO)):
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = len(content), EPOCH, 0o644
            archive.addfile(member, io.BytesIO(content))
    run("repo-add", place / "core.db.tar.gz", package, home=work)


def build_ostree(folder: Path, work: Path) -> None:
    """One signed commit on the branch `stable`."""
    tree = work / "tree"
    tree.mkdir()
    (tree / "hello").write_bytes(HELLO)
    run("ostree", "init", f"--repo={folder}", "--mode=archive", home=work)
    key = _key(folder, work)
    signed = f"--gpg-sign={SIGNER}"
    run("ostree", "commit", f"--repo={folder}", "--branch=stable", "--subject=one file", signed, tree, **key)
    run("ostree", "summary", f"--repo={folder}", "--update", signed, **key)
    run("gpgconf", "--kill", "all", **key)


def build_index(folder: Path, _: Path) -> None:
    """One wheel, and the pages of the simple repository API that lead to it."""
    information = "hello-1.dist-info"
    contents: dict[str, bytes] = {
        "hello/__init__.py": b"",
        "hello/hello": HELLO,
        f"{information}/METADATA": b"Metadata-Version: 2.1\nName: hello\nVersion: 1\n",
        f"{information}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={_urlsafe(content)},{len(content)}\n" for name, content in contents.items())
    contents[f"{information}/RECORD"] = f"{record}{information}/RECORD,,\n".encode()
    wheel = folder / "packages/hello-1-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    for name, link in (("", "hello/"), ("hello", f"../../packages/{wheel.name}#sha256={digest}")):
        page = folder / "simple" / name / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(f'<!doctype html><title>{name}</title><a href="{link}">{link.split("#")[0].split("/")[-1]}</a>')


def _urlsafe(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def build_files(folder: Path, _: Path) -> None:
    """One plain file."""
    folder.mkdir(parents=True)
    (folder / "hello.img").write_bytes(HELLO)


BUILDERS: Final[Mapping[str, Kind]] = {
    "epel-9": Kind(build_rpm, ("rpmbuild", "createrepo_c"), "9/{arch}", (MACHINE,), ("repodata/repomd.xml",)),
    "debian": Kind(build_debian, ("dpkg-deb", "apt-ftparchive", "gpg"), files=("dists/bookworm/InRelease",)),
    "arch": Kind(build_pacman, ("repo-add", "bsdtar")),
    "apps": Kind(build_ostree, ("ostree", "gpg")),
    "pypi": Kind(build_index, (), "simple"),
    "images": Kind(build_files, (), files=("hello.img",)),
}
"""Repositories by the name that the documentation gives them."""


def build_all(site: Path, work: Path) -> None:
    """Build every repository whose tools are here, each in a folder of its name."""
    for name, kind in BUILDERS.items():
        if all(map(find, kind.tools)):
            (work / name).mkdir(parents=True)
            kind.build(site / name, work / name)


def details(place: Path, path: str) -> dict[str, Any]:
    """What a source says about a file."""
    content = (place / path).read_bytes()
    hashes = {name: hashlib.new(name, content).hexdigest() for name in ("md5", "sha1", "sha256", "sha512")}
    return {"path": path, "timestamp": EPOCH, "size": len(content), **hashes}
