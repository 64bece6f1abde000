"""`--statistics`: real servers, real files, rotated while they are written; nothing lost, nothing torn."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from mirrorlistd.usage.statistics_line import Access, read
from mirrorlistd.usage.writer import FLUSH_LINES, MAX_LINES, Writer
from support.processes import SECONDS, Response, Server, eventually, load, stamped, write_snapshot

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = stamped(1) | {
    "repositories": {
        "r": {"category": "c"},
        "old-r": {"alias": "r"},
        "e": {"category": "c", "path": "{arch}", "arches": ["x86_64", "s390x"]},
    },
    "overrides": {"netblocks": {"127.0.0.0/8": "DE"}},
}


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """A snapshot in which clients on loopback are in Germany."""
    return write_snapshot(tmp_path / "mirrors.mls", SOURCE)


def accesses(*files: Path) -> list[Access]:
    """Every line of every file; one that is torn fails the test."""
    return [read(line) for file in files for line in file.read_bytes().splitlines(keepends=True)]


def metric(server: Server, name: str) -> float:
    """The value of a metric of the whole server."""
    lines = server.get("/metrics").text.splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))


@pytest.mark.process
@pytest.mark.parametrize("lane", ["fast", "asgi"])
def test_a_line_for_each_list_of_a_repository(snapshot: Path, tmp_path: Path, lane: str) -> None:
    """A line has the real client, the country with overrides, the name asked for, the architecture given, and countme.

    Paths, pages, mistakes and files by redirect leave none, as with mirrorlist-server.
    """
    file = tmp_path / "statistics.log"
    with Server("--snapshot", str(snapshot), "--statistics", str(file), "--lane", lane) as server:
        for target in (
            "/mirrorlist?repo=r&arch=anything;%0a",
            "/mirrorlist?repo=old-r",
            "/mirrorlist?repo=e&arch=s390x&ip=193.0.6.139&countme=3",
            "/mirrors/e/x86_64.txt",
            "/mirrorlist?repo=e&arch=x86_64&countme=9",
        ):
            assert server.get(target).status == 200, target
        for target in ("/mirrorlist?path=c/x86_64/", "/mirrorlist?repo=none", "/mirrorlist", "/repos", "/r/r/a/file"):
            server.get(target)
        eventually(lambda: len(accesses(file)) == 5, "five lines")
        assert 'mirrorlistd_countme_total{bucket="3"} 1.0' in server.get("/metrics").text
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert {access[:3] for access in accesses(file)} == {("127.0.0.1", today, "DE")}
    assert [access[3:] for access in accesses(file)] == [
        ("r", None, None),
        ("old-r", None, None),
        ("e", "s390x", "3"),
        ("e", "x86_64", None),
        ("e", "x86_64", None),
    ]


@pytest.mark.process
def test_a_metalink_of_a_repository_is_a_list(tmp_path: Path) -> None:
    """So is one with the preset mirrormanager, also where the directory is `repodata` itself; a file by name is not."""
    known = {"timestamp": 1_700_000_000, "size": 7, "sha256": "ab" * 32}
    repositories = {
        "up": {"category": "c", "path": "up", "files": [known | {"path": "repodata/repomd.xml"}]},
        "in": {"category": "c", "path": "in/repodata", "files": [known | {"path": "repomd.xml"}]},
        "linux-source": {"category": "c", "path": "s/{arch}", "arches": ["source"]},
    }
    file, path = tmp_path / "statistics.log", tmp_path / "mirrors.mls"
    flags = ["--snapshot", str(write_snapshot(path, SOURCE | {"repositories": repositories}))]
    with Server(*flags, "--statistics", str(file), "--preset", "mirrormanager") as server:
        for target in (
            "/metalink?repo=up&arch=x86_64",
            "/metalink?repo=in&arch=x86_64",
            "/mirrorlist?repo=linux-source&arch=x86_64",
            "/r/up/other.rpm",
        ):
            assert server.get(target).status in (200, 302), target
        server.get("/mirrorlist?repo=none&arch=x86_64")
        server.get("/mirrorlist")
        eventually(lambda: len(accesses(file)) == 3, "three lines")
    assert [access.repo for access in accesses(file)] == ["up", "in", "linux-source"]
    assert accesses(file)[2].arch == "source"


@pytest.mark.process
def test_no_addresses_where_they_are_not_wanted(snapshot: Path, tmp_path: Path) -> None:
    """With --no-statistics-addresses no line names a client; what is buffered at SIGTERM is written."""
    file = tmp_path / "statistics.log"
    flags = ["--snapshot", str(snapshot), "--statistics", str(file), "--no-statistics-addresses"]
    with Server(*flags) as server:
        assert server.get("/mirrorlist?repo=r").status == 200
        assert server.stop() == 0
    assert file.read_text().startswith("IP: -; DATE: ")
    assert b"127.0.0.1" not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o640


@pytest.mark.process
@pytest.mark.parametrize("workers", ["1", "2"])
def test_rotation_under_load_loses_and_tears_nothing(snapshot: Path, tmp_path: Path, workers: str) -> None:
    """The file is moved away three times under load, SIGUSR1 each time: every answer is one whole line of some file."""
    file = tmp_path / "statistics.log"
    moved = [tmp_path / f"statistics.log.{number}" for number in range(3)]

    def fine(response: Response) -> None:
        assert response.status == 200

    with Server("--snapshot", str(snapshot), "--statistics", str(file), "--workers", workers) as server:
        eventually(file.exists, "the file is there before the first line")
        with load(server, "/mirrorlist?repo=e&arch=x86_64&limit=1", 4, fine) as answers:
            for target in moved:
                enough = len(answers) + 200
                eventually(lambda: len(answers) > enough, "answers")  # noqa: B023 - over before the next round
                file.rename(target)
                server.process.send_signal(signal.SIGUSR1)
                eventually(file.exists, "a new file")
        assert server.stop() == 0
    files = [path for path in (*moved, file) if path.exists()]
    assert len(files) == 4
    assert Counter(access.repo for access in accesses(*files)) == {"e": len(answers)}


@pytest.mark.process
def test_a_missing_folder_costs_lines_not_answers(snapshot: Path, tmp_path: Path) -> None:
    """Without the folder every request is answered; it is said once, counted, and over when the folder is there."""
    file = tmp_path / "later" / "statistics.log"
    with Server("--snapshot", str(snapshot), "--statistics", str(file)) as server:
        said = server.wait_for_log("statistics cannot be written")
        assert said["file"] == str(file)
        assert "No such file" in said["error"]
        assert server.get("/mirrorlist?repo=r").status == 200
        eventually(lambda: metric(server, "mirrorlistd_statistics_write_failures_total") >= 2, "another try")
        file.parent.mkdir()
        server.wait_for_log("statistics are written again")
        assert len(accesses(file)) == 1
        assert sum("cannot be written" in line for line in server.lines) == 1
        assert metric(server, "mirrorlistd_statistics_lost_lines_total") == 0


@pytest.mark.process
def test_a_full_disk_costs_lines_not_answers(snapshot: Path) -> None:
    """Where every write fails (/dev/full), requests are answered, and the server stops as it should."""
    with Server("--snapshot", str(snapshot), "--statistics", "/dev/full") as server:
        for _ in range(3):
            assert server.get("/mirrorlist?repo=r").status == 200
        assert "No space" in server.wait_for_log("statistics cannot be written")["error"]
        assert server.stop() == 0
        assert any('"lines":3' in line for line in server.lines if "lost at exit" in line)


@pytest.mark.process
def test_a_disk_that_fills_up_keeps_whole_lines(tmp_path: Path) -> None:
    """What a write leaves of a line when the room ends is taken back; the rest is written when there is room."""
    file = tmp_path / "small"
    script = (
        "import resource, signal, sys; from pathlib import Path; from mirrorlistd.usage.writer import Writer\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (95, 95))\n"
        "writer = Writer(Path(sys.argv[1])); [writer.append(b'%09d\\n' % n) for n in range(20)]; writer.close()\n"
        "print(writer.lost)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, str(file)], capture_output=True, text=True, timeout=SECONDS, check=True
    )
    assert file.read_bytes() == b"".join(b"%09d\n" % number for number in range(9))
    assert done.stdout.split()[-1] == "11"


@pytest.mark.slow
def test_what_waits_is_bounded(tmp_path: Path) -> None:
    """A writer that cannot write holds MAX_LINES and what it has in hand; more are lost, and counted."""
    with Writer(tmp_path / "no" / "such") as writer:
        eventually(lambda: writer.failures > 0, "a failure")
        for _ in range(MAX_LINES + FLUSH_LINES + 500):
            writer.append(b"line\n")
        assert 500 <= writer.lost <= 500 + FLUSH_LINES
    assert writer.lost == MAX_LINES + FLUSH_LINES + 500


@pytest.mark.slow
def test_lines_are_written_within_a_second_or_so(tmp_path: Path) -> None:
    """A single line does not wait for others."""
    file = tmp_path / "file"
    with Writer(file) as writer:
        writer.append(b"line\n")
        eventually(lambda: file.exists() and file.read_bytes() == b"line\n", "the line")  # the thread makes the file


def test_two_writers_share_a_file(tmp_path: Path) -> None:
    """Two writers of one file tear no line of each other, however much they write."""
    file = tmp_path / "file"
    with Writer(file) as one, Writer(file) as other:
        for number in range(20_000):
            one.append(b"a%d\n" % number)
            other.append(b"b%d\n" % number)
            if not number % 500:
                os.sched_yield()
    lines = file.read_bytes().split(b"\n")
    for name in (b"a", b"b"):
        assert [line for line in lines if line[:1] == name] == [name + b"%d" % number for number in range(20_000)]
