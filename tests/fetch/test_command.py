"""The command `mirrorlist-fetch`: exit statuses, output for people and for programs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mirrorlistd.fetch.cli import main
from support.downloads import DATA, FILE, SHA256, Net
from support.paths import ROOT
from support.processes import SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
pytestmark = pytest.mark.network


def test_the_commands_exit_status(net: Callable[..., Net], capsys: pytest.CaptureFixture[str]) -> None:
    """As the help has it; on standard error each mirror that was left, with its reason."""
    world = net("404", "ok")
    out = str(world.out)
    assert main([world.meta4(), "-o", out]) == 0
    assert f"{world.urls[0]} answers 404 (status)\n" in (told := capsys.readouterr()).err
    assert told.out == ""
    world.mirrors[1].mode = "500"
    assert main([world.meta4(), "-o", out]) == 1
    world.mirrors[1].mode = "corrupt"
    assert main([world.meta4(), "-o", out]) == 3
    assert main([f"{world.hub.url}none", "-o", out]) == 4
    assert main([world.meta4(), "-o", f"{out}/below/x"]) == 5
    assert main([world.meta4(), "-o", str(world.out.parent)]) == 2
    assert main([world.meta4(), "-o", out, "--path", "../x"]) == 2
    for wrong in (["--sha256", "abc"], ["--timeout", "nan"], ["--connections", "0"], ["--kind", "x"], []):
        with pytest.raises(SystemExit) as caught:
            main([*wrong, *([world.meta4()] if wrong else [])])
        assert caught.value.code == 2
    assert world.out.read_bytes() == DATA, "all those failures left the good file alone"


def test_the_command_tells_programs(net: Callable[..., Net], capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` has the mirrors that sent it and those that failed; `--quiet` writes nothing else."""
    world = net("truncated", "ok")
    common = ["-o", str(world.out), "--json", "--quiet"]
    assert main([world.meta4(), *common]) == 0
    told = capsys.readouterr()
    said = json.loads(told.out)
    assert told.err == ""
    assert said.pop("seconds") >= 0
    abandoned = {"url": world.urls[0], "reason": "short", "detail": "ends after 200000 of 400000 bytes"}
    assert said == {
        "file": str(world.out),
        "size": len(DATA),
        "mirrors": world.urls,
        "verified": ["sha256"],
        "weak": False,
        "abandoned": [abandoned],
    }
    world.mirrors[1].mode = "404"
    assert main([world.mirrorlist(), "--path", FILE, *common]) == 1
    told = capsys.readouterr()
    said = json.loads(told.out)
    assert said["error"] == "no mirror sent the file"
    assert [row["reason"] for row in said["abandoned"]] == ["short", "status"]
    assert told.err == "mirrorlist-fetch: no mirror sent the file\n"


def test_the_command_lists(net: Callable[..., Net], capsys: pytest.CaptureFixture[str]) -> None:
    """`--list` prints who would be asked and asks none of them."""
    world = net("ok", "ok")
    assert main([world.mirrorlist(), "--path", FILE, "--list"]) == 0
    assert capsys.readouterr().out.splitlines() == world.urls
    assert main([world.metalink(), "--list", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["version"] == {"size": len(DATA), "hashes": {"sha256": SHA256}}
    assert [row["url"] for row in said["mirrors"]] == world.urls
    assert [mirror.requests for mirror in world.mirrors] == [[], []]


@pytest.mark.parametrize(
    "hashes", ["", f'<hash type="sha-1">{hashlib.sha1(DATA, usedforsecurity=False).hexdigest()}</hash>']
)
def test_weak_checks_are_told(net: Callable[..., Net], capsys: pytest.CaptureFixture[str], hashes: str) -> None:
    """Whoever relies on the file hears that nothing, or little, vouches for it."""
    world = net("ok")
    assert main([world.meta4(hashes=hashes), "-o", str(world.out)]) == 0
    assert ("weak" if hashes else "not verified") in capsys.readouterr().err


@pytest.mark.process
def test_progress_is_for_terminals(net: Callable[..., Net]) -> None:
    """On a terminal a line comes, changes and goes; elsewhere there is none."""
    world = net("slow", pace=0.01)
    world.file.write_bytes(DATA[:60])
    command = (sys.executable, "-m", "mirrorlistd.fetch", world.urls[0], "--kind", "file", "-o", world.out)
    own, theirs = pty.openpty()
    try:
        with subprocess.Popen(command, cwd=ROOT, stderr=theirs) as process:
            os.close(theirs)
            seen = b""
            with contextlib.suppress(OSError):  # the terminal's end
                while piece := os.read(own, 4096):
                    seen += piece
            assert process.wait(SECONDS) == 0
    finally:
        os.close(own)
    assert b"\r\x1b[K" in seen
    assert b"127.0.0.3" in seen
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=SECONDS, check=True)
    assert b"\r" not in done.stderr


@pytest.mark.process
def test_without_the_extra_it_says_what_to_install() -> None:
    """In an environment with nothing but this package: one line, no traceback; the help is there all the same."""
    paths = [str(ROOT), str(ROOT / "snapshot")]
    code = f"import sys; sys.path[:0] = {paths}; from mirrorlistd.fetch.cli import main; sys.exit(main())"
    bare = (sys.executable, "-I", "-S", "-c", code)
    done = subprocess.run([*bare, "http://127.0.0.2/"], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 2
    assert done.stderr == "mirrorlist-fetch: needs httpx2 and defusedxml: pip install 'mirrorlistd[fetch]'\n"
    done = subprocess.run([*bare, "--help"], capture_output=True, text=True, timeout=SECONDS, check=True)
    assert "exit status:" in done.stdout
