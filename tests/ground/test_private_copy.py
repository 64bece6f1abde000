"""Private copies: sealed, shared by descriptor, gone when nobody uses them."""

from __future__ import annotations

import gc
import os
import socket
import sys
from pathlib import Path

import pytest

from mirrorlist_snapshot.input_file import SizeLimit
from mirrorlistd.private_copy import PrivateCopy

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sealed memory files are Linux's")
NAME = Path("mirrors.mls")


def descriptors() -> int:
    """How many files are open."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.slow
def test_a_view_outlives_its_copy_and_leaves_nothing() -> None:
    """What was copied can be read after `close`; with the last view, memory and descriptors are given back."""
    before = descriptors()
    with PrivateCopy.of(NAME, b"abc" * 1000) as copy:
        view = copy.view()
    assert bytes(view) == b"abc" * 1000
    assert view.readonly
    del view
    gc.collect()
    assert descriptors() == before


@pytest.mark.parametrize(
    "data",
    [b"", bytes(3 << 20), b"a" + bytes(2 << 20), bytes(2 << 20) + b"a", bytes(1 << 20) + b"abc" + bytes(5)],
    ids=["empty", "zeros", "zeros at the end", "zeros at the start", "zeros around"],
)
def test_a_copy_of_a_file_is_the_file(tmp_path: Path, data: bytes) -> None:
    """Zeros, which take no memory, are read as zeros."""
    (tmp_path / "file").write_bytes(data)
    with PrivateCopy.read(tmp_path / "file", SizeLimit("a test", 1 << 30)) as copy:
        assert bytes(copy.view()) == data


def test_nobody_can_change_a_copy() -> None:
    """Neither by writing nor by cutting nor by mapping it for writing, not even whoever made it."""
    with PrivateCopy.of(NAME, b"abc") as copy:
        number = copy.descriptor
        assert number is not None
        with pytest.raises(PermissionError):
            os.pwrite(number, b"x", 0)
        with pytest.raises(PermissionError):
            os.ftruncate(number, 0)
        assert bytes(copy.view()) == b"abc"


def test_another_process_gets_the_same_bytes() -> None:
    """A descriptor sent over a socket is the same memory, whatever becomes of the one sent."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with PrivateCopy.of(NAME, b"abc") as copy:
            assert copy.descriptor is not None
            socket.send_fds(ours, [b"x"], [copy.descriptor])
        _, (received,), _, _ = socket.recv_fds(theirs, 1, 1)
        with PrivateCopy.received(NAME, received) as other:
            assert bytes(other.view()) == b"abc"
            assert other.path == NAME


def test_an_empty_file_is_a_copy_too() -> None:
    """Nothing cannot be mapped, but it can be refused by whoever reads it."""
    with PrivateCopy.of(NAME, b"") as copy:
        assert bytes(copy.view()) == b""
