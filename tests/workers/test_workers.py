"""Several workers in real processes: one server for its clients, whatever happens to one of the workers."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import socket
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.geo_databases import write_records
from support.processes import (
    SECONDS,
    Response,
    Server,
    alive,
    eventually,
    exchange,
    load,
    serial_of,
    stamped,
    total,
    write_snapshot,
)

if TYPE_CHECKING:
    import http.client
    from collections.abc import Iterator

pytestmark = pytest.mark.process

LIST = "/mirrorlist?repo=r"


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """A snapshot in place, serial 1."""
    return write_snapshot(tmp_path / "mirrors.mls", stamped(1))


@pytest.fixture
def server(snapshot: Path) -> Iterator[Server]:
    """Two workers that serve it."""
    with Server("--snapshot", str(snapshot), "--workers", "2") as running:
        yield running


def workers(server: Server) -> dict[str, Any]:
    """What /readyz has of all workers, whichever of them answers."""
    found: dict[str, Any] = server.get("/readyz").json["workers"]
    return found


@contextlib.contextmanager
def connections(server: Server, each: int = 1) -> Iterator[dict[int, list[http.client.HTTPConnection]]]:
    """Open connections, by the number of the worker that accepted them, until there are `each` of every worker."""
    with contextlib.ExitStack() as stack:
        found: dict[int, list[http.client.HTTPConnection]] = {number: [] for number in range(workers(server)["all"])}

        def enough() -> bool:
            connection = stack.enter_context(contextlib.closing(server.connect()))
            found[exchange(connection, "/readyz").json["workers"]["answered_by"]].append(connection)
            return all(len(mine) >= each for mine in found.values())

        eventually(enough, "every worker has connections")
        yield found


def descriptors(pid: int) -> int:
    """How many files a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_several_processes_answer_and_shuffle_each_in_its_own_way(server: Server) -> None:
    """Clients are distributed among the workers, and no two workers draw the same sequence of lists."""
    found = workers(server)
    assert (found["up"], found["all"], found["serials"]) == (2, 2, [1])
    assert len({server.process.pid, *found["pids"]}) == 3
    with connections(server) as by_worker:
        first, second = ([exchange(mine[0], LIST).body for _ in range(20)] for mine in by_worker.values())
        assert first != second


def test_30_reloads_under_load_lose_and_mix_nothing(snapshot: Path, server: Server) -> None:
    """Every answer is whole; no worker answers a request from after a commit by the snapshot from before it."""
    committed = [1]

    def check(response: Response) -> None:
        serial_of(response)

    def ask(by_worker: dict[int, list[http.client.HTTPConnection]]) -> None:
        for mine in by_worker.values():
            least = committed[0]
            assert serial_of(exchange(mine[0], LIST)) >= least

    with connections(server) as by_worker, load(server, LIST, 16, check) as answers:
        for serial in range(2, 32):
            write_snapshot(snapshot, stamped(serial), serial=serial)
            server.send_sighup()
            assert server.wait_for_log("reloaded", count=serial - 1)["serial"] == serial
            committed[0] = serial
            ask(by_worker)
            assert workers(server)["serials"] == [serial]
        eventually(lambda: len(answers) > 500, "five hundred answers")
    assert total(server, "mirrorlistd_reloads_total", result="ok") == 30
    assert total(server, "mirrorlistd_worker_serial") == 2 * 31


def test_a_failed_reload_changes_no_worker_and_every_worker_shows_it(snapshot: Path, server: Server) -> None:
    """A file that the supervisor refuses: the old serial and the reason in every worker's /readyz, counted once."""
    good = snapshot.read_bytes()
    with connections(server) as by_worker:
        for failed in range(1, 4):
            snapshot.write_bytes(good[: -failed * 100])
            server.send_sighup()
            event = server.wait_for_log("reload failed, the old state keeps serving", count=failed)
            assert event["serial"] == 1
            for mine in by_worker.values():
                ready = exchange(mine[0], "/readyz")
                assert (ready.status, ready.json["serial"]) == (200, 1)
                assert ready.json["last_reload"]["result"] == "failed"
                assert str(snapshot) in ready.json["reload_error"]
                assert serial_of(exchange(mine[0], LIST)) == 1
        assert total(server, "mirrorlistd_reloads_total", result="failed") == 3
        assert total(server, "mirrorlistd_last_reload_successful") == 0
        write_snapshot(snapshot, stamped(2), serial=2)
        server.send_sighup()
        server.wait_for_log("reloaded")
        for mine in by_worker.values():
            assert "reload_error" not in exchange(mine[0], "/readyz").json


def test_a_snapshot_that_one_worker_cannot_load_is_adopted_by_none(snapshot: Path, server: Server) -> None:
    """The supervisor can load it and one worker cannot: no worker adopts it; later all can."""
    pid = workers(server)["pids"][1]
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors(pid), before[1]))
    write_snapshot(snapshot, stamped(2), serial=2)
    server.send_sighup()
    event = server.wait_for_log("reload failed, the old state keeps serving")
    assert "worker 1 could not load it" in event["error"]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    with connections(server) as by_worker:
        assert {serial_of(exchange(mine[0], LIST)) for mine in by_worker.values()} == {1}
        server.send_sighup()
        server.wait_for_log("reloaded")
        assert {serial_of(exchange(mine[0], LIST)) for mine in by_worker.values()} == {2}


def test_a_hanging_worker_delays_but_does_not_split(snapshot: Path, server: Server) -> None:
    """While one worker does not get ready none serves the new snapshot; if that worker dies, none ever does."""
    pid = workers(server)["pids"][0]
    with connections(server) as by_worker:
        os.kill(pid, signal.SIGSTOP)
        write_snapshot(snapshot, stamped(2), serial=2)
        server.send_sighup()
        for _ in range(20):
            assert serial_of(exchange(by_worker[1][0], LIST)) == 1
            time.sleep(0.01)
        os.kill(pid, signal.SIGKILL)
        assert "worker 0 died" in server.wait_for_log("reload failed, the old state keeps serving")["error"]
        assert serial_of(exchange(by_worker[1][0], LIST)) == 1
    server.wait_for_log("worker up", count=3)
    server.send_sighup()
    server.wait_for_log("reloaded")
    assert workers(server)["serials"] == [2]


def test_who_comes_after_a_reload_starts_from_it(snapshot: Path, server: Server) -> None:
    """A worker forked later serves what the others serve, not what the server began with."""
    write_snapshot(snapshot, stamped(2), serial=2)
    server.send_sighup()
    server.wait_for_log("reloaded")
    snapshot.unlink()
    os.kill(workers(server)["pids"][0], signal.SIGKILL)
    server.wait_for_log("worker up", count=3)
    with connections(server) as by_worker:
        assert {serial_of(exchange(mine[0], LIST)) for mine in by_worker.values()} == {2}


def test_kill_9_under_load_loses_only_its_own_connections(server: Server) -> None:
    """Connections of the other worker notice nothing; a client that connects after the death is answered at once."""
    pid = workers(server)["pids"][0]
    failures: list[BaseException] = []
    done = threading.Event()
    answers: list[int] = []

    def keep_asking(connection: http.client.HTTPConnection) -> None:
        try:
            while not done.is_set():
                answers.append(serial_of(exchange(connection, LIST)))
        except BaseException as error:  # noqa: BLE001 - raised in the main thread
            failures.append(error)

    with connections(server, each=8) as by_worker:
        threads = [threading.Thread(target=keep_asking, args=(mine,)) for mine in by_worker[1]]
        for thread in threads:
            thread.start()
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not alive(pid), "the death")
        for _ in range(100):
            assert server.get(LIST).status == 200
        done.set()
        for thread in threads:
            thread.join(SECONDS)
        assert not failures, failures
        assert answers
        with pytest.raises(ConnectionError):
            exchange(by_worker[0][0], LIST)
    server.wait_for_log("worker up", count=3)
    assert pid not in workers(server)["pids"]
    assert workers(server)["up"] == 2


def test_a_worker_that_keeps_dying_is_replaced_later_and_later_and_its_clients_served(server: Server) -> None:
    """The pauses double; meanwhile a living worker listens on the dead one's sockets."""
    waits: list[float] = []
    for death in range(1, 6):
        with connections(server):
            os.kill(workers(server)["pids"][0], signal.SIGKILL)
        waits.append(server.wait_for_log("worker ended, another one follows", count=death)["wait"])
        if death < 5:
            server.wait_for_log("worker up", count=2 + death)
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6]
    # 1.6 seconds without worker 0. A client on sockets that are not lent would wait for all of them.
    who: Counter[int] = Counter()
    deaths = time.monotonic()
    while time.monotonic() < deaths + 0.8:
        who[server.get("/readyz").json["workers"]["answered_by"]] += 1
    assert who[0] == 0
    assert who[1] > 20
    server.wait_for_log("worker up", count=7)
    with connections(server):
        pass  # the sockets are back with their own worker
    assert total(server, "mirrorlistd_worker_up") == 2


def test_counts_add_up_and_survive_their_worker(server: Server) -> None:
    """Every worker shows the sum of all workers' counts, each answer once; those of a killed worker stay."""
    with connections(server, each=3) as by_worker:
        for mine in by_worker.values():
            for connection in mine[:3]:
                for _ in range(7):
                    exchange(connection, LIST)
                exchange(connection, "/mirrorlist?repo=nonsense")
                exchange(connection, "/mirrorlist?repo=r&format=json")
        expected = {("text", "200"): 42, ("text", "404"): 6, ("json", "200"): 6}

        def exact() -> bool:
            return all(
                total(server, "mirrorlistd_answers_total", format=name, status=status) == count
                for (name, status), count in expected.items()
            )

        eventually(exact, "all have published")
        os.kill(workers(server)["pids"][0], signal.SIGKILL)
    for _ in range(50):
        assert exact()
    server.wait_for_log("worker up", count=3)
    for _ in range(50):
        assert exact()
    assert total(server, "mirrorlistd_answer_seconds_count") == 54
    assert total(server, "mirrorlistd_worker_answers_total") == 54
    assert total(server, "mirrorlistd_first_tier_total") == 48
    for _ in range(30):
        server.get(LIST)
    eventually(lambda: total(server, "mirrorlistd_answer_seconds_count") == 84, "the new one counts on")


def test_sigterm_drains_every_worker(snapshot: Path, tmp_path: Path) -> None:
    """Every worker's /readyz is 503 while it still answers; then all end, files are removed, the exit status is 0."""
    pid_file, uds = tmp_path / "pid", tmp_path / "http"
    flags = ["--pid-file", str(pid_file), "--uds", str(uds), "--host", "127.0.0.1", "--drain", "1"]
    with Server("--snapshot", str(snapshot), "--workers", "2", *flags) as server:
        assert pid_file.read_text() == f"{server.process.pid}\n"
        pids = workers(server)["pids"]
        with connections(server) as by_worker:
            server.process.terminate()
            for mine in by_worker.values():
                eventually(lambda one=mine[0]: exchange(one, "/readyz").status == 503, "draining")  # type: ignore[misc]
                assert serial_of(exchange(mine[0], LIST)) == 1
            assert serial_of(server.get(LIST)) == 1
        assert server.process.wait(SECONDS) == 0
        assert not any(map(alive, pids))
        assert not pid_file.exists()
        assert not uds.exists()
        server.stop()
        assert server.events()[-1]["event"] == "stopped"
        assert not [event for event in server.events() if event["level"] == "error"]


def test_a_service_manager_that_signals_every_process_gets_the_same(snapshot: Path) -> None:
    """SIGTERM to every process of the group at once, as systemd sends it, is one order to drain, not two."""
    with Server("--snapshot", str(snapshot), "--workers", "2", "--drain", "1") as server:
        pids = [*workers(server)["pids"], server.process.pid]
        with connections(server) as by_worker:
            for pid in pids:
                os.kill(pid, signal.SIGTERM)
            for mine in by_worker.values():
                eventually(lambda one=mine[0]: exchange(one, "/readyz").status == 503, "draining")  # type: ignore[misc]
            time.sleep(0.3)
            for mine in by_worker.values():
                assert serial_of(exchange(mine[0], LIST)) == 1
        assert server.process.wait(SECONDS) == 0


def test_one_worker_stopped_is_one_worker_replaced(server: Server) -> None:
    """SIGTERM to a worker alone restarts that one; SIGHUP and SIGINT, which a terminal sends to all, do nothing."""
    pids = workers(server)["pids"]
    for pid in pids:
        os.kill(pid, signal.SIGHUP)
        os.kill(pid, signal.SIGINT)
    os.kill(pids[0], signal.SIGTERM)
    server.wait_for_log("worker up", count=3)
    eventually(lambda: workers(server)["up"] == 2, "both up")
    assert workers(server)["pids"][1] == pids[1]


def test_workers_do_not_outlive_their_parent(server: Server) -> None:
    """Kill -9 of the parent: workers notice and stop."""
    pids = workers(server)["pids"]
    server.process.kill()
    eventually(lambda: not any(map(alive, pids)), "the end of all workers")


def test_sighup_from_the_first_moment(snapshot: Path) -> None:
    """Signals during start-up, from before the imports to after the forks, neither kill nor get lost."""
    with Server("--snapshot", str(snapshot), "--workers", "2", wait=False) as server:
        status = Path(f"/proc/{server.process.pid}/status")
        eventually(lambda: int(re.findall(r"SigCgt:\s+(\w+)", status.read_text())[0], 16) & 1 == 1, "the handler")
        while not any('"listening"' in line for line in server.lines):
            server.send_sighup()
            time.sleep(0.005)
        server.wait_for_log("reloaded")
        assert workers(server)["up"] == 2
        assert not [event for event in server.events() if event["level"] == "error"]


def test_nothing_is_left_open_by_reloads(tmp_path: Path, snapshot: Path) -> None:
    """Twenty reloads of snapshot and databases, failed ones among them: as many descriptors as before, everywhere."""
    geo = write_records(tmp_path / "geo.mmdb", {"192.0.2.0/24": {"country": {"iso_code": "DE"}}})
    with Server("--snapshot", str(snapshot), "--geo", str(geo), "--workers", "2") as server:
        pids = [server.process.pid, *workers(server)["pids"]]

        def reload_until(count: int) -> None:
            for number in range(len([line for line in server.lines if '"event":"reloaded"' in line]), count):
                write_snapshot(snapshot, stamped(number), serial=number)
                server.send_sighup()
                server.wait_for_log("reloaded", count=number + 1)

        reload_until(2)
        time.sleep(1)  # what the last reload replaced, and the connections that asked, are given back in the background
        before = [descriptors(pid) for pid in pids]
        snapshot.write_bytes(b"junk")
        server.send_sighup()
        server.wait_for_log("reload failed, the old state keeps serving")
        reload_until(22)
        eventually(lambda: [descriptors(pid) for pid in pids] == before, f"{before} descriptors again")
        shared = "memfd:mirrorlistd"
        assert all(shared in Path(f"/proc/{pid}/maps").read_text() for pid in pids)
        inodes = {
            frozenset(line.split()[4] for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if shared in line)
            for pid in pids
        }
        assert len(inodes) == 1, "all map the same copies"


def test_one_more_and_one_fewer(server: Server) -> None:
    """SIGTTIN adds a worker, SIGTTOU takes the last one away; the only one stays."""
    server.process.send_signal(signal.SIGTTIN)
    server.wait_for_log("worker up", count=3)
    assert workers(server)["all"] == 3
    with connections(server) as by_worker:
        assert sorted(by_worker) == [0, 1, 2]
    for left in (2, 1, 1):
        server.process.send_signal(signal.SIGTTOU)
        eventually(lambda wanted=left: workers(server)["all"] == wanted, f"{left} workers")  # type: ignore[misc]
        for _ in range(20):
            assert server.get(LIST).status == 200
    assert not [event for event in server.events() if event["level"] == "error"]


def test_a_port_in_use_is_refused(snapshot: Path, server: Server) -> None:
    """Sharing a port between workers does not mean sharing it with another server."""
    with Server("--snapshot", str(snapshot), "--workers", "2", "--port", str(server.port), wait=False) as second:
        assert second.process.wait(SECONDS) == 1
        second.stop()
        assert second.lines == [f"mirrorlistd: cannot listen on 127.0.0.1 port {server.port}: Address already in use"]


def test_a_unix_socket_is_shared_by_all_workers(snapshot: Path, tmp_path: Path) -> None:
    """All workers listen on it; the end of one neither removes nor blocks it."""
    uds = tmp_path / "http"
    with Server("--snapshot", str(snapshot), "--workers", "2", "--uds", str(uds), wait=False) as server:
        server.wait_for_log("listening")
        ended = server.wait_for_log("worker up")["pid"]
        os.kill(ended, signal.SIGTERM)
        server.wait_for_log("worker up", count=3)
        for _ in range(20):
            with socket.socket(socket.AF_UNIX) as stream:
                stream.settimeout(SECONDS)
                stream.connect(str(uds))
                stream.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
                assert stream.recv(4096).startswith(b"HTTP/1.1 200")


def test_systemd_is_told_by_the_parent(snapshot: Path, tmp_path: Path) -> None:
    """READY when all can be asked, RELOADING and READY around a reload, STOPPING at the end, each once."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(SECONDS)
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        with Server("--snapshot", str(snapshot), "--workers", "2", environ=environ) as server:
            assert manager.recv(4096).startswith(b"READY=1\nSTATUS=serving snapshot 1")
            server.send_sighup()
            assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", manager.recv(4096))
            assert manager.recv(4096).startswith(b"READY=1")
            server.stop()
            assert manager.recv(4096) == b"STOPPING=1"
            manager.settimeout(0)
            with pytest.raises(BlockingIOError):
                manager.recv(4096)
