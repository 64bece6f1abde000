"""Three servers, a publisher and a store: whatever is killed, cut off or damaged, nobody serves anything bad or older.

All the while each server is asked for lists and for /readyz. A list is of one published snapshot, whole, and of no
older one than the same server has given before, through all of its restarts; in the end all serve the newest.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import pytest

from mirrorlist_snapshot.format import reissue
from mirrorlist_snapshot.publishing.stores import StoredObject
from mirrorlist_snapshot.signing import SigningKey
from support.processes import SECONDS, Server, alive, eventually, puller_of, stamped, write_snapshot
from support.stores import BUCKET, S3

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.process

URL = f"s3://{BUCKET}/fleet/m.mls"
EVERY = "0.3"


class Watched:
    """One server's place in the fleet: its folder outlives it, and it is asked all the time."""

    def __init__(self, folder: Path, environ: dict[str, str], *flags: str) -> None:
        folder.mkdir()
        where = ("--pull", URL, "--every", EVERY, "--state-dir", str(folder), "--log-format", "json")
        self._flags = (*where, *flags)
        self._environ = environ
        self.server: Server | None = None
        self.facts: dict[str, Any] = {}
        """What /readyz has said last."""
        self.serials: list[int] = []
        """Of all lists, in order."""
        self.problems: list[str] = []
        self._done = threading.Event()
        self._asker = threading.Thread(target=self._ask, daemon=True)

    def start(self) -> None:
        """Start the server, as it was."""
        self.facts = {}
        self.server = Server(*self._flags, environ=self._environ)

    def kill(self) -> None:
        """SIGKILL, and nobody is left."""
        assert self.server
        server, child = self.server, puller_of(self.server)
        self.server = None
        server.process.kill()
        server.stop()
        eventually(lambda: not alive(child), "the puller has ended with its server")

    def serves(self, serial: int) -> bool:
        """Whether it says that it serves this, and is ready."""
        return bool(self.facts.get("serial") == serial and self.facts.get("ready"))

    def pull(self) -> str | None:
        """How the latest attempt to pull went."""
        return (self.facts.get("pull") or {}).get("result")

    def _ask(self) -> None:
        while not self._done.wait(0.05):
            server = self.server
            if server is None:
                continue
            try:
                reply, facts = server.get("/mirrorlist?repo=r"), server.get("/readyz")
            except (OSError, http.client.HTTPException):
                if self.server is server and server.process.poll() is None:
                    self.problems.append("a server that runs does not answer")
                continue
            if self.server is server:
                self.facts = dict(facts.json)
            self._judge(reply.status, reply.text)

    def _judge(self, status: int, text: str) -> None:
        if status == 503 and not self.serials:
            return  # nothing has been published yet
        found = {int(serial) for serial in re.findall(r"/s(\d+)/", text)}
        if status != 200 or len(found) != 1 or text.count("\n") != 9:
            self.problems.append(f"no whole list of one snapshot: {status} {text}")
            return
        if self.serials and min(found) < self.serials[-1]:
            self.problems.append(f"serial {found} after {self.serials[-1]}")
        self.serials += found

    def __enter__(self) -> Self:
        self.start()
        self._asker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._asker.join(SECONDS)
        if self.server:
            self.server.stop()


class Publisher:
    """Signs and publishes as an admin side does: by the command."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        folder.mkdir()
        self._folder = folder
        self._environ = os.environ | environ
        self._key = SigningKey.generate()
        self.trusted = str(self._key.write(folder / "release")[1])
        self.serial = 0

    def begin(self) -> subprocess.Popen[bytes]:
        """Begin to publish the next serial."""
        self.serial += 1
        file = write_snapshot(self._folder / "m.mls", stamped(self.serial), serial=self.serial)
        command = ["publish", str(file), URL, "--sign-key", str(self._folder / "release.key")]
        return subprocess.Popen(
            [sys.executable, "-m", "mirrorlist_snapshot", *command], env=self._environ, stderr=subprocess.PIPE
        )

    def publish(self) -> int:
        """Publish the next serial."""
        with self.begin() as process:
            assert process.stderr
            said = process.stderr.read()
        assert process.returncode == 0, said
        return self.serial

    def signed(self, serial: int) -> bytes:
        """A good snapshot, signed, of any serial."""
        plain = write_snapshot(self._folder / "other.mls", stamped(serial), serial=serial).read_bytes()
        return reissue(plain, serial=serial, signer=self._key)


def put(data: bytes) -> None:
    """Overwrite the object behind the publisher's back."""
    found = StoredObject.at(URL)
    now = found.fetch()
    assert now
    found.put(data, now.version)


def unreachable(servers: list[Watched]) -> bool:
    """Whether all have noticed that the store is away."""
    return all(one.pull() == "unreachable" for one in servers)


@pytest.mark.timeout(300)
def test_a_fleet_ends_on_the_newest_good_serial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers, publisher and store are killed and come back, the store is cut off, its object damaged and swapped."""
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(S3(tmp_path / "s3"))
        for name, value in store.environ.items():
            monkeypatch.setenv(name, value)
        publisher = Publisher(tmp_path / "publisher", store.environ)
        servers = [
            stack.enter_context(
                Watched(tmp_path / name, store.environ, "--trusted-key", publisher.trusted, "--workers", workers)
            )
            for name, workers in (("one", "1"), ("two", "2"), ("three", "1"))
        ]

        def all_serve(serial: int) -> None:
            eventually(lambda: all(one.serves(serial) for one in servers), f"all serve {serial}")

        # Nothing is there yet: alive, not ready. Then the first publication.
        eventually(lambda: all(one.pull() == "missing" for one in servers), "all look for it")
        assert not any(one.facts["ready"] for one in servers)
        all_serve(publisher.publish())

        # Each server is killed while something new comes, and is started again.
        for one in servers:
            one.kill()
            publisher.publish()
            one.start()
        all_serve(publisher.serial)

        # The publisher is killed at any moment of its work; whatever it leaves is good, and it can go on.
        for wait in (0.3, 0.6, 0.9):
            with publisher.begin() as process:
                time.sleep(wait)
                process.kill()
        all_serve(publisher.publish())

        # The store hangs, then is gone. Who restarts meanwhile has what it had. It comes back.
        store.pause()
        servers[0].kill()
        servers[0].start()
        eventually(lambda: servers[0].serves(publisher.serial), "a restart needs no store")
        store.kill()
        eventually(lambda: unreachable(servers), "all miss it")
        servers[1].kill()
        servers[1].start()
        eventually(lambda: servers[1].serves(publisher.serial), "a restart needs no store")
        store.start()
        all_serve(publisher.publish())

        # The object is damaged, cut off, unsigned, a stranger's, an old one: nobody takes it. The next good one mends.
        good = publisher.signed(publisher.serial + 1)
        stranger = SigningKey.generate()
        for bad in (
            good[:-1] + bytes([good[-1] ^ 1]),
            good[: len(good) // 2],
            reissue(good, serial=publisher.serial + 1),
            reissue(good, serial=publisher.serial + 1, signer=stranger),
            publisher.signed(publisher.serial - 1),
        ):
            before = time.time()
            put(bad)
            eventually(
                lambda before=before: all(  # type: ignore[misc]
                    one.pull() == "refused" and one.facts["pull"]["at"] > before for one in servers
                ),
                "all refuse it",
            )
        assert all(one.serves(publisher.serial) for one in servers)
        all_serve(publisher.publish())

        # Pullers die, too.
        for one in servers:
            assert one.server
            os.kill(puller_of(one.server), signal.SIGKILL)
        all_serve(publisher.publish())

        for one in servers:
            eventually(lambda one=one: one.serials[-1] == publisher.serial, "lists are of the newest")  # type: ignore[misc]
            assert not one.problems, one.problems[:3]
            assert len(one.serials) > 50
