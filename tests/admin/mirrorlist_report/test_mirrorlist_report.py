"""`mirrorlist-report`: what it reads, what it sends, and what it says when something is in the way."""

from __future__ import annotations

import ast
import calendar
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mirrorlist_admin import mirrorlist_report
from mirrorlist_admin.mirrorlist_report import main
from support.checkin_server import ScriptedServer, scripted_server

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(mirrorlist_report.__file__)
TOKEN = "mlr_" + "a" * 43
OLDEST = (3, 6)
FEDORA, EPEL = "42/repodata/repomd.xml", "9/x86_64/repodata/repomd.xml"
TASK = {
    "mirror": "ftp.example.de",
    "serial": 7,
    "units": {"epel": [EPEL, "9/aarch64/repodata/repomd.xml"], "fedora": [FEDORA]},
    "challenge": {"nonce": "5f" * 16, "category": "epel", "unit": EPEL, "offset": 3, "length": 4},
    "message": "2 index files are checked within a minute",
}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A check-in endpoint."""
    with scripted_server(dict(TASK)) as running:
        yield running


@pytest.fixture
def mirror(tmp_path: Path, server: ScriptedServer) -> Path:
    """A mirror with two trees, its configuration and its token."""
    for category, unit, content in (("epel", EPEL, b"<repomd/>"), ("fedora", FEDORA, b"<other/>")):
        path = tmp_path / category / unit
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    (tmp_path / "token").chmod(0o600)
    (tmp_path / "report.ini").write_text(
        f"[server]\nurl = {server.url}/\ntoken-file = {tmp_path}/token\nlimit = 2000  # Mbit/s\n\n"
        f"[folders]\nepel = {tmp_path}/epel\nfedora = {tmp_path}/fedora\n"
    )
    return tmp_path


def report(mirror: Path, *words: str) -> int:
    """Run the command with the mirror's configuration."""
    return main(["--config", str(mirror / "report.ini"), *words], lambda _: None)


def test_it_compiles_for_python_3_6_and_imports_the_standard_library_alone() -> None:
    """The file has the syntax of Python 3.6, and every import is of a module that 3.6 has, too."""
    tree = ast.parse(SCRIPT.read_text(), feature_version=OLDEST)
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names - {
        "__future__",
        "dataclasses",
        "tomllib",
    }
    assert os.access(SCRIPT, os.X_OK)


def old_pythons() -> list[str]:
    """The interpreters of this machine: the tests' own, and the oldest that is found of those that the file allows."""
    names = [f"python3.{minor}" for minor in range(OLDEST[1], sys.version_info.minor)]
    roots = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]
    roots += sorted(Path.home().glob(".pyenv/versions/*/bin"))
    found = [
        str(root / name) for name in names for root in roots if "shims" not in root.parts and (root / name).is_file()
    ]
    return [sys.executable, *found[:1]]


@pytest.mark.process
@pytest.mark.parametrize("python", old_pythons(), ids=lambda python: Path(python).name)
def test_the_file_alone_reports_with_the_oldest_python(mirror: Path, server: ScriptedServer, python: str) -> None:
    """A copy of the file, run by the oldest interpreter at hand, reports what is there, and what is not."""
    copy = mirror / "mirrorlist-report"
    copy.write_bytes(SCRIPT.read_bytes())
    done = subprocess.run(
        [python, "-W", "error", copy, "--config", mirror / "report.ini", "-v"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "mirrorlist-report: ftp.example.de: 2 index files are checked within a minute\n"
    (sent,) = server.reports
    assert sent["units"]["fedora"] == {
        FEDORA: {"sha256": hashlib.sha256(b"<other/>").hexdigest(), "size": 8, "time": 1_700_000_000}
    }
    assert sent["units"]["epel"]["9/aarch64/repodata/repomd.xml"] is None
    assert sent["limit"] == 2000
    assert abs(sent["time"] - time.time()) < 60


def test_a_report_proves_the_file_and_names_a_higher_serial(mirror: Path, server: ScriptedServer) -> None:
    """The proof is an HMAC over the bytes that the server names; the token goes into the header and nowhere else."""
    server.task["serial"] = 9_999_999_999
    assert report(mirror) == 0
    (sent,) = server.reports
    expected = hmac.new(b"5f" * 16, b"<repomd/>"[3:7], hashlib.sha256).hexdigest()
    assert sent["proof"] == {"nonce": "5f" * 16, "hmac": expected}
    assert sent["serial"] == 10_000_000_000
    assert [(method, path) for method, path, _ in server.asked] == [("GET", "/checkin"), ("POST", "/checkin")]
    assert all(headers["authorization"] == f"Bearer {TOKEN}" for *_, headers in server.asked)
    assert TOKEN not in json.dumps(server.reports)


def test_a_quiet_report_writes_nothing(mirror: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cron mails what is written, so a run without trouble writes nothing."""
    assert report(mirror) == 0
    assert capsys.readouterr() == ("", "")


def test_a_dry_run_shows_the_report_and_sends_nothing(
    mirror: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--dry-run` prints the JSON that would be sent; the server is only asked what it expects."""
    assert report(mirror, "--dry-run") == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["units"]["epel"][EPEL]["size"] == 9
    assert "nothing was sent" in shown.err
    assert [method for method, *_ in server.asked] == ["GET"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--down-until", "2h", "--reason", "new disks"], {"reason": "new disks", "down_until": 7200}),
        (["--up"], {"down_until": 0}),
        (["--syncing"], {"syncing": True}),
    ],
)
def test_a_notice_reads_no_file(
    mirror: Path, server: ScriptedServer, words: list[str], expected: dict[str, Any]
) -> None:
    """Maintenance and a running synchronisation are reported without any file, so also while the disk is away."""
    (mirror / "epel").rename(mirror / "gone")
    assert report(mirror, *words) == 0
    (sent,) = server.reports
    assert "units" not in sent
    if expected.get("down_until"):
        sent["down_until"] -= sent["time"]
    assert {key: sent[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("06:00", "2026-11-30 06:00"),
        ("23:30", "2026-11-29 23:30"),
        ("4h", "2026-11-29 14:00"),
        ("2d", "2026-12-01 10:00"),
        ("90m", "2026-11-29 11:30"),
        ("2026-12-01T05:00Z", "2026-12-01 05:00"),
        ("2026-12-01T05:00:00Z", "2026-12-01 05:00"),
        ("2026-12-01 07:00", "2026-12-01 07:00"),
    ],
)
def test_times_are_read_as_people_write_them(text: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A time without a date is the next one; a time without `Z` is the host's own."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    now = calendar.timegm((2026, 11, 29, 10, 0, 0))
    try:
        found = mirrorlist_report.moment(text, now)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert time.strftime("%Y-%m-%d %H:%M", time.gmtime(found)) == expected


def test_a_missing_disk_is_not_reported_as_missing_files(
    mirror: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """No folder, or a folder without any of the expected files: exit status 1, and nothing is sent."""
    (mirror / "epel").rename(mirror / "elsewhere")
    assert report(mirror) == 1
    assert "is the disk mounted?" in capsys.readouterr().err
    (mirror / "epel").mkdir()
    assert report(mirror) == 1
    assert f"none of the 2 index files of epel is below {mirror}/epel" in capsys.readouterr().err
    assert not server.reports


@pytest.mark.parametrize(
    "unit", ["../token", "9/../../token", "/etc/passwd", "9//x", "", "a\0b", "./9", "escape/token"]
)
def test_the_server_cannot_ask_for_files_outside_the_folders(
    mirror: Path, server: ScriptedServer, unit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A path that leads out of the folder, by `..` or by a link, is left out of the report with a warning."""
    (mirror / "epel" / "escape").symlink_to(mirror)
    server.task["units"] = {"epel": [EPEL, unit], "fedora": [FEDORA]}
    server.task["challenge"] = {"nonce": "00", "category": "epel", "unit": unit, "offset": 0, "length": 4096}
    assert report(mirror) == 0
    (sent,) = server.reports
    assert list(sent["units"]["epel"]) == [EPEL]
    assert "proof" not in sent
    assert "it is left out of the report" in capsys.readouterr().err


def test_links_may_lead_out_if_the_mirror_says_so(mirror: Path, server: ScriptedServer) -> None:
    """`follow-links = yes` is for trees that lie on several disks."""
    (mirror / "epel" / "10").symlink_to(mirror / "fedora" / "42")
    server.task["units"] = {"epel": ["10/repodata/repomd.xml"], "fedora": [FEDORA]}
    config = mirror / "report.ini"
    config.write_text(config.read_text().replace("limit", "follow-links = yes\nlimit"))
    assert report(mirror) == 0
    assert server.reports[0]["units"]["epel"]["10/repodata/repomd.xml"]["size"] == 8


def test_what_is_no_regular_file_is_left_out(
    mirror: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pipe in the place of an index file does not hold the command up."""
    os.mkfifo(mirror / "epel" / "pipe")
    server.task["units"] = {"epel": [EPEL, "pipe", "9"], "fedora": [FEDORA]}
    assert report(mirror) == 0
    assert list(server.reports[0]["units"]["epel"]) == [EPEL]
    assert capsys.readouterr().err.count("not a regular file") == 2


def test_a_server_that_is_not_reached_or_busy_is_tried_again(
    mirror: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """503 and 429 are tried again after the pause that the server asks for; the third failure ends with status 3."""
    slept: list[float] = []
    busy = (503, {"retry-after": "20"}, b"")
    server.refusals = [busy, (429, {}, b'{"error": "too many requests"}')]
    assert main(["--config", str(mirror / "report.ini")], slept.append) == 0
    assert slept == [20, 40]
    server.refusals = [busy] * 3
    assert main(["--config", str(mirror / "report.ini")], slept.append) == 3
    assert "the server answers 503" in capsys.readouterr().err
    server.refusals = [(429, {"retry-after": "86400"}, b"")]
    assert main(["--config", str(mirror / "report.ini")], slept.append) == 3
    assert len(slept) == 4


def test_nothing_that_listens_is_named(mirror: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A refused connection ends with status 3 and the reason."""
    assert report(mirror, "--server", "http://127.0.0.1:9", "--tries", "1") == 3
    assert "http://127.0.0.1:9/checkin: [Errno 111] Connection refused" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((401, {}, b'{"error": "the token has expired"}'), "the server answers 401: the token has expired"),
        ((403, {}, b"<html>"), "the server answers 403: Forbidden"),
        ((404, {}, b'{"error": 5}'), "the server answers 404: 5"),
        ((409, {}, b'{"error": "\x1b[31m"}'), "the server answers 409: Conflict"),
        ((200, {}, b"<html>hello</html>"), "the server's answer is not that of a check-in"),
        ((200, {}, b"[]"), "the server's answer is not that of a check-in"),
        ((200, {}, b'{"mirror": "m", "serial": "x"}'), "the server's answer is not that of a check-in"),
        ((200, {}, b'{"mirror": "m", "serial": 1, "units": [1]}'), "the server's answer is not that of a check-in"),
    ],
)
def test_a_refusal_ends_with_status_4_and_its_reason(
    mirror: Path,
    server: ScriptedServer,
    answer: tuple[int, dict[str, str], bytes],
    expected: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What no repetition mends is not tried again; the server's reason is shown, never a traceback."""
    server.refusals = [answer]
    assert report(mirror) == 4
    assert expected in capsys.readouterr().err
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_does_not_carry_the_token_away(
    mirror: Path, server: ScriptedServer, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """No redirect is followed: the token is for the server that the configuration names."""
    with scripted_server(dict(TASK)) as other:
        server.refusals = [(status, {"location": f"{other.url}/checkin"}, b"")]
        assert report(mirror) == 4
        assert not other.asked
    assert f"it redirects to '{other.url}/checkin'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--server", "http://mirrors.example.org"], "the token would be readable on its way"),
        (["--server", "ftp://mirrors.example.org"], "looks like https://mirrors.example.org"),
        (["--server", "mirrors.example.org"], "looks like https://mirrors.example.org"),
        (["--token-file", "/nonexistent"], "/nonexistent: No such file or directory"),
        (["--config", "/nonexistent.ini"], "`mirrorlist-report --help` shows what to write"),
        (["--limit", "0"], "limit takes Mbit/s"),
        (["epel"], "expected CATEGORY=FOLDER"),
        (["epl=/"], "this mirror has no category 'epl'; the server knows of it: epel, fedora"),
        (["--reason", "x"], "--reason goes with --down-until"),
        (["--down-until", "soon"], "--down-until takes 06:00"),
        (["--down-until", "2020-01-01T00:00Z"], "is over already"),
        (["--down-until", "31d"], "30 days at most"),
    ],
)
def test_wrong_usage_is_named(
    mirror: Path, server: ScriptedServer, words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each mistake ends with status 2, and its message says what is allowed."""
    assert report(mirror, *words) == 2
    assert expected in capsys.readouterr().err
    assert not server.reports


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("limit = 2000", "limits = 2000", "[server] has no key limits"),
        ("limit = 2000", "limit = fast", "limit takes Mbit/s"),
        ("limit = 2000", "interface = nope0", "interface = nope0"),
        ("limit = 2000", "follow-links = maybe", "follow-links takes yes or no"),
        ("[server]", "server", "File contains no section headers"),
        ("[folders]", "[folder]", "no folders: name them under [folders]"),
        ("token-file", "token", "the token has characters that no token has"),
    ],
)
def test_a_mistake_in_the_configuration_is_named(
    mirror: Path, old: str, new: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each mistake ends with status 2, and its message names the file or the key."""
    config = mirror / "report.ini"
    config.write_text(config.read_text().replace(old, new))
    assert report(mirror) == 2
    assert expected in capsys.readouterr().err


def test_a_token_that_everyone_can_read_is_a_warning(mirror: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report is sent all the same."""
    (mirror / "token").chmod(0o644)
    assert report(mirror) == 0
    assert re.search(r"warning: every user of this host can read .*/token; chmod 600 it", capsys.readouterr().err)
