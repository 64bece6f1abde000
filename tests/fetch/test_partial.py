"""What an earlier fetch left is continued, and nothing else on the disk is touched."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mirrorlistd.fetch.download import Options, fetch
from mirrorlistd.fetch.errors import LocalError, UsageError
from support.downloads import DATA, FILE, NEWER, PART, SHA256, Net, reasons
from support.mirrors import Mode, StaticMirror
from support.paths import ROOT
from support.processes import SECONDS, eventually

if TYPE_CHECKING:
    from collections.abc import Callable
pytestmark = pytest.mark.network


def test_a_beginning_is_continued(net: Callable[..., Net]) -> None:
    """With a hash any mirror may go on where FILE.part ends, also in parts."""
    world = net("ok", "ok")
    for connections in (1, 2):
        world.part.write_bytes(DATA[: 3 * PART])
        world.fetch(world.meta4(), connections=connections)
    first = world.mirrors[0].requests[0]
    assert first.headers["range"] == f"bytes={3 * PART}-"
    assert "if-range" not in first.headers


@pytest.mark.parametrize("beginning", [b"x" * PART, b"x" * len(DATA), b"x" * (len(DATA) + 1)])
def test_a_wrong_beginning_accuses_nobody(net: Callable[..., Net], beginning: bytes) -> None:
    """What was there before is dropped if the whole is wrong; no mirror is blamed for it."""
    world = net("ok")
    world.part.write_bytes(beginning)
    assert world.fetch(world.meta4()).abandoned == ()


def test_a_beginning_waits_for_the_right_file(net: Callable[..., Net]) -> None:
    """A mirror whose file has another size, or that gives another range, adds nothing to what is there."""
    for mode, reason in (("short", "short"), ("wrong-range", "range")):
        world = net(mode, "ok")
        world.part.write_bytes(DATA[:PART])
        if mode == "short":
            result = world.fetch(world.meta4(), connections=1)
        else:  # without a known size only the range tells
            result = world.fetch(world.mirrorlist(), path=FILE, sha256=SHA256)
        assert (reasons(result), result.mirrors) == ([reason], (world.urls[1],))
        assert world.mirrors[1].requests[0].headers["range"] == f"bytes={PART}-"


def test_liars_are_named_one_by_one(net: Callable[..., Net]) -> None:
    """After pieces that did not fit no mirror goes on where another ended, so each stands for its own bytes."""
    world = net("corrupt", "truncated", "corrupt")
    world.part.write_bytes(DATA[:PART])
    error = world.fails(world.meta4(), connections=1)
    assert [(mirror.url, mirror.reason) for mirror in error.abandoned] == list(
        zip(world.urls, ["hash", "short", "hash"], strict=True)
    )


def test_a_complete_beginning_needs_no_mirror(net: Callable[..., Net]) -> None:
    """A run that was killed just before the last step left everything."""
    world = net("ok")
    world.part.write_bytes(DATA)
    assert world.fetch(world.meta4()).mirrors == ()
    assert world.mirrors[0].requests == []


def test_the_next_mirror_goes_on(net: Callable[..., Net]) -> None:
    """Where the first mirror broke off, the second continues; together they lie only if one of them does."""
    world = net("truncated", "ok")
    result = world.fetch(world.meta4(), connections=1)
    assert result.mirrors == tuple(world.urls)
    assert world.mirrors[1].requests[0].headers["range"] == f"bytes={len(DATA) // 2}-"


def test_without_a_hash_the_etag_vouches(net: Callable[..., Net]) -> None:
    """The same mirror goes on if its file is still the same, wherever it stands in the list now."""
    world = net("truncated")
    assert reasons(world.fails(world.mirrorlist(), path=FILE)) == ["short"]
    assert world.part.read_bytes() == DATA[: len(DATA) // 2]
    world.mirrors[0].mode = "ok"
    with StaticMirror(world.tree, host="127.0.0.9") as other:
        world.write("mirrorlist", f"{other.url}\n{world.mirrors[0].url}\n")
        world.fetch(f"{world.hub.url}mirrorlist", path=FILE)
    again = world.mirrors[0].requests[-1].headers
    assert (again["range"], again["if-range"][0]) == (f"bytes={len(DATA) // 2}-", '"')
    assert other.requests == []


@pytest.mark.parametrize("mode", ["ok", "no-if-range", "no-range"])
def test_a_changed_file_is_not_continued(net: Callable[..., Net], mode: Mode) -> None:
    """The mirror has another file by now: all of it is fetched, even if the mirror ignores If-Range or Range."""
    world = net("truncated")
    world.fails(world.mirrorlist(), path=FILE)
    world.file.write_bytes(NEWER)
    world.mirrors[0].mode = mode
    world.fetch(world.mirrorlist(), path=FILE)


def test_without_a_hash_mirrors_are_not_mixed(net: Callable[..., Net]) -> None:
    """Another mirror begins anew, and so does one whose ETag is not known."""
    world = net("truncated", "ok")
    result = world.fetch(world.mirrorlist(), path=FILE)
    assert result.mirrors == (world.urls[1],)
    world.part.write_bytes(b"who knows what")
    world.fetch(f"{world.hub.url}mirrorlist", path=FILE)
    assert not any("range" in request.headers for mirror in world.mirrors for request in mirror.requests)


@pytest.mark.process
def test_an_interrupted_fetch_can_go_on(net: Callable[..., Net]) -> None:
    """Ctrl-C leaves a beginning, never a FILE, and the same command then finishes it."""
    world = net("slow", pace=0.01)
    command = (sys.executable, "-m", "mirrorlistd.fetch", world.meta4(), "-o", world.out)
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as process:
        try:
            eventually(lambda: world.part.exists() and world.part.stat().st_size > 0, "some bytes")
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b""
    size = world.part.stat().st_size
    assert world.part.read_bytes() == DATA[:size]
    assert not world.out.exists()
    world.mirrors[0].mode = "ok"
    world.fetch(f"{world.hub.url}file.meta4")
    assert world.mirrors[0].requests[-1].headers["range"] == f"bytes={size}-"


def test_one_fetch_at_a_time(net: Callable[..., Net]) -> None:
    """Two fetches to one file would spoil each other: the second says so and touches nothing."""
    world = net("ok")
    with world.part.open("wb") as held:
        held.write(b"mine")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LocalError, match="another process"):
            world.fetch(world.meta4())
    assert world.part.read_bytes() == b"mine"


def test_it_writes_through_no_link(net: Callable[..., Net], tmp_path: Path) -> None:
    """A symbolic link, a pipe or a folder that stands in the way is refused, and its target untouched."""
    world = net("ok")
    victim = tmp_path / "victim"
    victim.write_text("precious")
    world.part.symlink_to(victim)
    with pytest.raises(LocalError, match=r"hello\.bin\.part"):
        world.fetch(world.meta4())
    world.part.unlink()
    os.mkfifo(world.part)
    with pytest.raises(LocalError, match="not a regular file"):
        world.fetch(world.meta4())
    world.part.unlink()
    world.part.mkdir()
    with pytest.raises(LocalError):
        world.fetch(world.meta4())
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("name", ["../evil", "/evil", ".evil", "a/../evil", "e" * 4096, "a&quot;&#10;b", ""])
def test_hostile_names_choose_nothing(
    net: Callable[..., Net], name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A metalink's file name is refused where it would choose the place, and harmless where -o chooses."""
    world = net("ok")
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    before = {path for path in tmp_path.rglob("*") if path.name != "file.meta4"}
    with pytest.raises(UsageError, match="-o FILE"):
        asyncio.run(fetch([world.meta4(name=name)], None, Options()))
    assert {path for path in tmp_path.rglob("*") if path.name != "file.meta4"} == before
    world.fetch(world.meta4(name=name))


def test_the_lists_name_replaces_nothing(
    net: Callable[..., Net], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without -o the file goes to the current folder under its own name, unless that is taken."""
    world = net("ok")
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for urls, options in (
        (world.meta4(), Options()),
        (world.mirrorlist(), Options(path=FILE)),
        (world.urls[0], Options()),
    ):
        assert asyncio.run(fetch([urls], None, options)).file == Path("hello.bin")
        assert Path("hello.bin").read_bytes() == DATA
        with pytest.raises(UsageError, match="exists"):
            asyncio.run(fetch([urls], None, options))
        Path("hello.bin").unlink()
