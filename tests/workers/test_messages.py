"""Messages between the supervisor and its workers have no size at which anything is cut, lost or killed."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mirrorlistd.workers.messages import MOST_DESCRIPTORS, PACKET, Channel, Keep, Lend, Ready
from support.processes import Server, eventually, stamped, write_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def channel() -> Iterator[tuple[Channel, Channel]]:
    """Both ends."""
    one, other = Channel.pair()
    try:
        yield one, other
    finally:
        one.close()
        other.close()


@pytest.mark.slow
@given(st.integers(0, 3 * PACKET), st.integers(0, MOST_DESCRIPTORS))
@example(PACKET - 100, MOST_DESCRIPTORS)
@example(50_000_000, MOST_DESCRIPTORS)
@settings(max_examples=60, deadline=None)
def test_a_message_of_any_size_arrives_whole_with_its_descriptors(size: int, count: int) -> None:
    """The text and the files behind all descriptors are the same; no other descriptor stays open."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    with channel() as (one, other), contextlib.ExitStack() as stack:
        read, write = os.pipe()
        stack.callback(os.close, read)
        stack.callback(os.close, write)
        assert one.send(Ready(7, "é" * size), [write] * count)
        message, descriptors = other.receive()
        assert message == Ready(7, "é" * size)
        assert len(descriptors) == count
        for descriptor in descriptors:
            assert os.path.samestat(os.fstat(descriptor), os.fstat(write))
            os.close(descriptor)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_large_messages_travel_without_memory_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox that forbids memfd_create only makes them slower."""

    def forbidden(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "memfd_create", forbidden)
    with channel() as (one, other):
        assert one.send(Keep("x" * 1_000_000))
        assert other.receive() == (Keep("x" * 1_000_000), [])


def test_the_end_of_a_side_is_noticed() -> None:
    """The other side receives None, and what it sends is not taken."""
    for size in (1, 1_000_000):
        with channel() as (one, other):
            other.close()
            assert one.receive() == (None, [])
            assert not one.send(Keep("x" * size))


def test_several_messages_keep_their_order() -> None:
    """Large and small ones in turn."""
    with channel() as (one, other):
        sent = [Keep("x" * size) for size in (1, 500_000, 2, PACKET, 3, 1_000_000)]
        for message in sent:
            assert one.send(message)
        assert [other.receive()[0] for _ in sent] == sent
        assert one.send(Lend(3))


def ready(server: Server) -> dict[str, object]:
    """What one of the workers shows to insiders."""
    found: dict[str, object] = server.get("/readyz").json
    return found


@pytest.mark.process
def test_a_reload_error_of_any_length_kills_no_worker(tmp_path: Path) -> None:
    """3,000 unknown keys in the options: every worker has the whole error and answers on; the next reload is good."""
    snapshot = write_snapshot(tmp_path / "mirrors.mls", stamped(1))
    options = tmp_path / "options.toml"
    options.write_text("")
    keys = [f"unknown-key-number-{number:04}-{'x' * 100}" for number in range(3_000)]
    with Server("--config", str(options), "--snapshot", str(snapshot), "--workers", "2") as server:
        options.write_text("".join(f"{key} = 1\n" for key in keys))
        server.send_sighup()
        event = server.wait_for_log("reload failed, the old state keeps serving")
        assert keys[-1] in event["error"]
        seen: set[object] = set()

        def both() -> bool:
            found = ready(server)
            assert keys[-1] in str(found["reload_error"])
            workers = found["workers"]
            assert isinstance(workers, dict)
            seen.add(workers["answered_by"])
            return seen == {0, 1}

        eventually(both, "both workers are asked")
        options.write_text("")
        server.send_sighup()
        server.wait_for_log("reloaded")
        assert "reload_error" not in ready(server)
        assert not [line for line in server.lines if "worker ended" in line]


@pytest.mark.process
def test_a_configuration_of_any_length_can_be_reloaded(tmp_path: Path) -> None:
    """9,500 networks in the options: a reload takes a moment, as the start did, and ends no worker."""
    snapshot = write_snapshot(tmp_path / "mirrors.mls", stamped(1))
    options = tmp_path / "options.toml"
    networks = [f"2001:db8:{number:x}:beef::/64" for number in range(9_500)]
    options.write_text(f"trusted-proxy = {networks}\nexplain-network = {[*networks, '127.0.0.0/8']}\n")
    with Server("--config", str(options), "--snapshot", str(snapshot), "--workers", "2") as server:
        for serial in (2, 3):
            write_snapshot(snapshot, stamped(serial), serial=serial)
            server.send_sighup()
            assert server.wait_for_log("reloaded", count=serial - 1)["serial"] == serial
            assert ready(server)["serial"] == serial
        assert not [line for line in server.lines if "worker ended" in line]


def listeners(pid: int) -> int:
    """How many listening TCP sockets a process has open."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = {f"socket:[{row[9]}]" for row in rows if row[3] == "0A"}
    found = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += str(descriptor.readlink()) in listening
    return found


@pytest.mark.process
def test_more_sockets_than_a_message_takes_are_lent(tmp_path: Path) -> None:
    """While a worker with 70 addresses is away the other one listens on all of its sockets; later it returns them."""
    snapshot = write_snapshot(tmp_path / "mirrors.mls", stamped(1))
    hosts = [f"--host=127.0.1.{number}" for number in range(1, MOST_DESCRIPTORS + 7)]
    flags = ["--uds", str(tmp_path / "http"), "--trusted-proxy", "unix", *hosts]
    with Server("--snapshot", str(snapshot), "--workers", "2", *flags) as server:
        for death in range(1, 6):  # after these the successor comes in 1.6 seconds
            pids = {event["worker"]: event["pid"] for event in server.events() if event["event"] == "worker up"}
            assert [listeners(pid) for pid in pids.values()] == [len(hosts)] * 2
            os.kill(pids[0], signal.SIGKILL)
            server.wait_for_log("worker ended, another one follows", count=death)
            if death < 5:
                server.wait_for_log("worker up", count=2 + death)
                eventually(lambda one=pids[1]: listeners(one) == len(hosts), "all is given back")  # type: ignore[misc]
        eventually(lambda: listeners(pids[1]) == 2 * len(hosts), "all is lent")
        server.wait_for_log("worker up", count=7)
        eventually(lambda: listeners(pids[1]) == len(hosts), "all is given back")
