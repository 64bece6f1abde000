"""mirrorlist-fetch ends within a stated time: a thousand dead mirrors, servers that drip, lists without an end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from mirrorlistd.fetch.download import Options, fetch, find
from mirrorlistd.fetch.errors import FetchError
from mirrorlistd.fetch.exchange import Limits
from support.downloads import FILE, Net, names, reasons
from support.processes import SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.network


def test_a_thousand_dead_mirrors_take_no_longer_than_the_patience(net: Callable[..., Net]) -> None:
    """Each mirror is within its own limits; the limit over all of them ends the fetch, and names those tried so far."""
    world = net("stalled")
    dead = "".join(f"{world.mirrors[0].url}{number}/\n" for number in range(1000))
    began = time.monotonic()
    error = world.fails(world.write("mirrorlist", dead), path=FILE, limits=Limits(timeout=0.5, patience=3))
    assert 2.5 < time.monotonic() - began < 20
    assert str(error) == "no mirror sent the file: no new byte of the file for 3 s"
    assert error.listed
    assert set(reasons(error)) == {"stalled"}
    assert 1 <= len(error.abandoned) < 10
    assert names(world.out.parent) == [], "an empty beginning is removed"


def test_dead_servers_of_lists_take_no_longer_either(net: Callable[..., Net]) -> None:
    """The same limit holds before there is a list, for a fetch and for `find`."""
    world = net("stalled")
    urls = [f"{world.mirrors[0].url}{number}/mirrorlist" for number in range(100)]
    limits = Limits(timeout=0.5, patience=2)
    error = world.fails(*urls, path=FILE, limits=limits)
    assert (str(error), error.listed) == ("no list could be read: no new byte of the file for 2 s", False)
    with pytest.raises(FetchError, match="no list could be read: no new byte of the file for 2 s"):
        asyncio.run(find(urls, Options(path=FILE, limits=limits)))


@pytest.mark.parametrize("parts", [False, True])
def test_mirrors_that_drip_are_given_up_after_the_whole_time(net: Callable[..., Net], parts: bool) -> None:
    """Bytes that come now and then are progress, but not for ever; what came stays for the next run."""
    world = net("slow", "slow", pace=0.05)
    began = time.monotonic()
    limits = Limits(timeout=5, low_speed=0, max_time=3)
    error = world.fails(world.meta4(), connections=2 if parts else 1, limits=limits)
    assert 2.5 < time.monotonic() - began < 20
    assert str(error) == "no mirror sent the file: not done after 3 s"
    assert parts or 0 < world.part.stat().st_size < 200


def test_progress_gives_as_much_time_again(net: Callable[..., Net]) -> None:
    """A mirror that is slower than the patience, and not slower than the least rate, gives the whole file."""
    world = net("slow", pace=0.01)
    world.file.write_bytes(b"x" * 300)
    document = world.write("mirrorlist", f"{world.mirrors[0].url}\n")
    began = time.monotonic()
    result = asyncio.run(
        fetch([document], world.out, Options(path=FILE, limits=Limits(timeout=5, patience=1, low_speed=0)))
    )
    assert result.size == 300
    assert time.monotonic() - began > 1.5, "longer than the patience, at least a hundredth of a second a byte"


def test_a_mirror_of_500_bytes_a_second_is_abandoned_by_the_default_rate(net: Callable[..., Net]) -> None:
    """Less than 1,000 bytes a second over three time-outs: the next mirror is asked; no option is needed."""
    world = net("slow", "ok", pace=0.002)
    result = world.fetch(world.meta4(), connections=1, limits=Limits(timeout=0.5))
    assert reasons(result) == ["slow"]


@pytest.mark.process
def test_the_limits_and_their_defaults_are_in_the_help() -> None:
    """`--help` states each limit with its default, and the defaults are those of the library."""
    text = subprocess.run(
        [sys.executable, "-m", "mirrorlistd.fetch", "--help"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    ).stdout
    words = " ".join(text.split())
    limits = Limits()
    assert "--patience SECONDS" in words
    assert f"over all lists and mirrors ({limits.patience:g})" in words
    assert f"whatever comes ({limits.max_time:g}: a day)" in words
    assert f"over three times the --timeout ({limits.low_speed:g})" in words
    assert f"for each next byte ({limits.timeout:g})" in words


def test_a_run_that_is_cut_by_a_limit_is_continued_by_the_next(net: Callable[..., Net]) -> None:
    """FILE.part stays, unlocked, and the next run goes on from there."""
    world = net("stalled-midway")
    url = world.meta4()
    error = world.fails(url, connections=1, limits=Limits(timeout=30, patience=1))
    assert "no new byte" in str(error)
    assert world.part.stat().st_size == 200_000
    world.mirrors[0].mode = "ok"
    world.fetch(url, connections=1)
    assert any("bytes=200000-" in request.headers.get("range", "") for request in world.mirrors[0].requests)
