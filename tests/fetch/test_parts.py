"""One file from several mirrors: every byte is checked, whoever sent it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from mirrorlistd.fetch.exchange import Limits
from support.downloads import DATA, FILE, NEWER, PART, REASONS, SHA256, Net, names, reasons

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.mirrors import Mode
pytestmark = pytest.mark.network


def test_only_wrong_bytes_everywhere(net: Callable[..., Net]) -> None:
    """No mirror has the right file: each is named, a good file that is there stays, nothing else is left behind."""
    world = net("corrupt", "corrupt")
    world.out.write_bytes(b"good")
    error = world.fails(world.meta4())
    assert error.wrong_bytes
    assert sorted((mirror.url, mirror.reason) for mirror in error.abandoned) == [(url, "hash") for url in world.urls]
    assert (names(world.out.parent), world.out.read_bytes()) == (["hello.bin"], b"good")


@pytest.mark.parametrize(
    ("hashes", "verified", "weak"),
    [
        ("", (), True),
        (f'<hash type="md5">{hashlib.md5(DATA, usedforsecurity=False).hexdigest()}</hash>', ("md5",), True),
        (f'<hash type="sha-1">{hashlib.sha1(DATA, usedforsecurity=False).hexdigest()}</hash>', ("sha1",), True),
        (
            f'<hash type="md5">{"0" * 32}</hash><hash type="sha-512">{hashlib.sha512(DATA).hexdigest()}</hash>',
            ("sha512",),
            False,
        ),
    ],
)
def test_the_strongest_hash_counts(
    net: Callable[..., Net], hashes: str, verified: tuple[str, ...], *, weak: bool
) -> None:
    """The strongest known hash decides; md5 and sha1 alone are weak, none at all is too."""
    world = net("ok")
    result = world.fetch(world.meta4(hashes=hashes))
    assert (result.verified, result.weak) == (verified, weak)


def test_a_pinned_hash_is_checked_too(net: Callable[..., Net]) -> None:
    """With a plain list it finds the mirror that lies; a list that contradicts it is left."""
    world = net("corrupt", "ok")
    result = world.fetch(world.mirrorlist(), path=FILE, sha256=SHA256)
    assert (reasons(result), result.verified) == (["hash"], ("sha256",))
    assert reasons(world.fails(world.meta4(), sha256="0" * 64)) == ["list"]
    sha512 = f'<hash type="sha-512">{hashlib.sha512(DATA).hexdigest()}</hash>'
    assert world.fetch(world.meta4(hashes=sha512), sha256=SHA256).verified == ("sha512", "sha256")


def test_a_mirror_that_is_behind_is_no_liar(net: Callable[..., Net]) -> None:
    """The file's previous version is recognised by the metalink's alternates, by hash or by size."""
    world = net("ok")
    assert "previous version" in world.fails(world.metalink(data=NEWER, old=DATA)).abandoned[0].detail
    assert "previous version" in world.fails(world.metalink(data=NEWER + b"x", old=DATA)).abandoned[0].detail


def test_parts_come_from_several_mirrors(net: Callable[..., Net]) -> None:
    """Each of three mirrors gives some, every byte is asked for once, and nothing but ranges is asked for."""
    world = net("ok", "ok", "ok")
    result = world.fetch(world.meta4(), connections=3)
    assert result.mirrors == tuple(world.urls)
    ranges = [request.headers["range"] for mirror in world.mirrors for request in mirror.requests]
    wanted = [f"bytes={start}-{start + PART - 1}" for start in range(0, len(DATA), PART)]
    assert sorted(ranges) == sorted(wanted)


@pytest.mark.parametrize("mode", ["refused", "reset", "500", "stalled", "stalled-midway", "truncated", "short"])
def test_a_failed_part_goes_elsewhere(net: Callable[..., Net], mode: Mode) -> None:
    """A mirror that fails is left for its reason, another gives its part, and what was there is not fetched again."""
    world = net(mode, "ok", "ok")
    result = world.fetch(world.meta4(), connections=2, limits=Limits(timeout=1, low_speed=0))
    expected = "range" if mode == "short" else REASONS[mode]
    assert [(mirror.url, mirror.reason) for mirror in result.abandoned] == [(world.urls[0], expected)]
    assert world.mirrors[1].asked() + world.mirrors[2].asked() == len(DATA) // PART


def test_ranges_are_checked(net: Callable[..., Net]) -> None:
    """A 206 of another file is left; a mirror that ignores Range is not, it is only not used for parts."""
    world = net("wrong-range", "no-range", "ok")
    result = world.fetch(world.meta4(), connections=2)
    assert (reasons(result), result.mirrors) == (["range"], (world.urls[2],))


def test_mirrors_without_ranges_are_used_whole(net: Callable[..., Net]) -> None:
    """Where nobody gives ranges, the first mirror gives the file as a whole."""
    world = net("no-range", "no-range")
    result = world.fetch(world.meta4(), connections=2)
    assert (result.abandoned, result.mirrors) == ((), (world.urls[0],))
    assert [len(mirror.requests) for mirror in world.mirrors] == [2, 1]


def test_a_much_slower_mirror_loses_its_part(net: Callable[..., Net]) -> None:
    """It is not held against the mirror: it could still give the whole file."""
    world = net("slow", "ok")
    result = world.fetch(world.meta4(), connections=2, limits=Limits(timeout=1, low_speed=0))
    assert (result.abandoned, result.mirrors) == ((), (world.urls[1],))


def test_a_lying_mirror_is_found(net: Callable[..., Net]) -> None:
    """Wrong bytes among the parts of three mirrors: each is asked alone, the liar is named, the others are not."""
    world = net("corrupt", "ok", "ok")
    result = world.fetch(world.meta4(), connections=3)
    assert [(mirror.url, mirror.reason) for mirror in result.abandoned] == [(world.urls[0], "hash")]
    assert result.mirrors == (world.urls[1],)


def test_the_list_limits_connections(net: Callable[..., Net]) -> None:
    """`maxconnections` of a metalink 3 is obeyed, unless the caller says otherwise."""
    world = net("ok", "ok")
    assert world.fetch(world.metalink(connections=1)).mirrors == (world.urls[0],)
    assert world.fetch(world.metalink(connections=2)).mirrors == tuple(world.urls)
    assert world.fetch(world.metalink(connections=1), connections=2).mirrors == tuple(world.urls)


def test_parts_need_size_and_hash(net: Callable[..., Net]) -> None:
    """Without a hash nothing would tell that two mirrors have different files: one mirror gives it all."""
    world = net("ok", "ok")
    assert world.fetch(world.meta4(hashes=""), connections=2).mirrors == (world.urls[0],)
