"""Listings by the real rsync, of a real daemon with each of its faults: never a shell, never a process left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from mirrorlist_admin.rsync import Lister
from support.nginx_mirrors import free_port
from support.processes import SECONDS, eventually, listens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mirrorlist_admin.exchange import Listing

pytestmark = pytest.mark.process

ODD = ["with space/repomd.xml", "line\nbreak", "-e touch pwned", "$(touch pwned)", "ünï/x", "a;b|c&d", "*"]
CONFIGURATION = """
port = {port}
address = 127.0.0.1
use chroot = no
pid file = {folder}/rsyncd.pid
lock file = {folder}/rsyncd.lock
motd file = {folder}/motd
uid = 0
gid = 0
[pub]
path = {folder}/tree
[secret]
path = {folder}/tree
auth users = somebody
secrets file = {folder}/secrets
[full]
path = {folder}/tree
max connections = -1
[gone]
path = {folder}/nowhere
"""


class Daemon:
    """A daemon that serves a tree in modules of which some are at fault."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port("127.0.0.1")
        for name in ("plain/repomd.xml", *ODD):
            file = folder / "tree" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"x" * len(name))
        (folder / "motd").write_text("Welcome!\n-rw-r--r-- 99 2026/01/01 00:00:00 plain/repomd.xml\n" * 3)
        (folder / "secrets").write_text("somebody:password\n")
        (folder / "secrets").chmod(0o600)
        (folder / "rsyncd.conf").write_text(CONFIGURATION.format(port=self.port, folder=folder))
        self.process = subprocess.Popen(
            ["rsync", "--daemon", "--no-detach", f"--config={folder}/rsyncd.conf"], stdin=subprocess.DEVNULL
        )
        eventually(lambda: listens(self.port), "rsyncd listens")

    def url(self, module: str) -> str:
        """The URL of a module."""
        return f"rsync://mirror.example:{self.port}/{module}/"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that runs."""
    made = Daemon(tmp_path_factory.mktemp("rsync"))
    yield made
    made.process.send_signal(signal.SIGTERM)
    made.process.wait(SECONDS)


def ask(url: str, names: Sequence[str], **limits: Any) -> Listing:
    """List some names."""

    async def main() -> Listing:
        return await Lister(time.time, **limits).list_names(url, "127.0.0.1", names)

    return asyncio.run(main())


def clients() -> list[str]:
    """The rsync clients that run as children of this process."""
    found: list[str] = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                with open(f"/proc/{entry.name}/cmdline", "rb") as file:  # noqa: PTH123
                    words = file.read().split(b"\0")
                if b"--list-only" in words:
                    found.append(entry.name)
            except OSError:
                continue
    return found


def test_named_files_are_listed_with_their_sizes(daemon: Daemon) -> None:
    """Files are listed by name, whatever is in the name; those that are not there are left out; no greeting is read."""
    names = ["plain/repomd.xml", "missing/repomd.xml", *ODD]
    found = ask(daemon.url("pub"), names)
    assert found.failure is None
    expected = {name: len(name) for name in ["plain/repomd.xml", *ODD]}
    assert {name: found.sizes.get(name) for name in ("plain/repomd.xml", "with space/repomd.xml", "*")} == {
        name: expected[name] for name in ("plain/repomd.xml", "with space/repomd.xml", "*")
    }
    assert set(found.sizes) <= set(expected) | {"line\\#012break"}
    assert not list(daemon.folder.rglob("pwned"))


@pytest.mark.parametrize(
    ("module", "cause", "evidence"),
    [
        ("absent", "rsync", "Unknown module"),
        ("secret", "rsync", "auth failed"),
        ("full", "busy", "max connections"),
        ("gone", "rsync", "chdir failed"),
    ],
)
def test_the_daemons_own_word_is_told(daemon: Daemon, module: str, cause: str, evidence: str) -> None:
    """A module that is absent, wants a password, is full or broken: the daemon's words are the evidence."""
    failure = ask(daemon.url(module), ["plain/repomd.xml"]).failure
    assert failure is not None
    assert (failure.cause, failure.certain) == (cause, cause != "busy")
    assert evidence in failure.evidence


def test_a_port_where_nobody_listens_is_refused() -> None:
    """No connection: refused, which holds for the host."""
    failure = ask(f"rsync://mirror.example:{free_port('127.0.0.1')}/pub/", ["x"]).failure
    assert failure is not None
    assert (failure.cause, failure.host) == ("refused", True)


def test_a_daemon_that_hangs_costs_its_time_and_leaves_no_process() -> None:
    """It greets and then says nothing: the program is killed when its time is over, with all that it started."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepted: list[socket.socket] = []

        def greet() -> None:
            connection, _ = server.accept()
            accepted.append(connection)
            connection.sendall(b"@RSYNCD: 31.0 sha512 sha256 sha1 md5 md4\n")

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        failure = ask(f"rsync://mirror.example:{server.getsockname()[1]}/pub/", ["x"], seconds=1.0).failure
        thread.join(SECONDS)
        for connection in accepted:
            connection.close()
    assert failure is not None
    assert failure.cause == "timeout"
    eventually(lambda: not clients(), "no client is left")


def test_a_listing_without_end_is_cut_off(daemon: Daemon) -> None:
    """More output than there can be names is no listing."""
    failure = ask(daemon.url("pub"), ["plain/repomd.xml"], most=10).failure
    assert failure is not None
    assert not clients()
