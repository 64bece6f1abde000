"""Input files: read whole as they are at one moment, or refused at once with one error."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mirrorlist_snapshot.errors import FileProblem, InputFileError
from mirrorlist_snapshot.input_file import SizeLimit, copy_file, read_file

LIMIT = SizeLimit("a test", 3_000_000)


def refused(path: Path, problem: FileProblem) -> str:
    """Return the message with which a file is refused."""
    with pytest.raises(InputFileError) as caught:
        read_file(path, LIMIT)
    assert (caught.value.path, caught.value.problem) == (path, problem)
    return caught.value.found


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, LIMIT.size])
def test_a_regular_file_is_read_whole(tmp_path: Path, size: int) -> None:
    """Every byte arrives, in order, also through a symbolic link."""
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    (tmp_path / "link").symlink_to("file")
    assert read_file(tmp_path / "file", LIMIT) == read_file(tmp_path / "link", LIMIT) == data


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    """A pipe without a writer, a folder, a socket and a device: none is waited for or acted on."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for path, kind in (
            (tmp_path / "pipe", "a pipe"),
            (tmp_path / "link", "a pipe"),
            (tmp_path, "a folder"),
            (tmp_path / "socket", "a socket"),
            (Path(os.devnull), "a device"),
        ):
            assert refused(path, FileProblem.NOT_REGULAR) == f"is not a regular file but {kind}"


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    """A missing file, a loop of links, a name with NUL and one that is too long give the one error."""
    (tmp_path / "loop").symlink_to("loop")
    for name in ("none", "loop", "a\0b", "x" * 300):
        assert refused(tmp_path / name, FileProblem.UNREADABLE).startswith("cannot be read: ")


def test_a_file_above_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """A sparse file of a terabyte costs nothing."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert "bytes, more than the 3000000 that a test may have" in refused(path, FileProblem.TOO_LARGE)


@pytest.mark.parametrize("change", [b"longer than it was", b"", b"equal"])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, change: bytes) -> None:
    """Grown, cut, or overwritten with the same size."""
    path = tmp_path / "file"
    path.write_bytes(b"whole")
    os.utime(path, (1, 1))
    with pytest.raises(InputFileError, match="changed while it was read") as caught:
        copy_file(path, lambda _: path.write_bytes(change))
    assert caught.value.problem is FileProblem.CHANGED


def test_a_file_that_another_one_replaces_stays_whole(tmp_path: Path) -> None:
    """A rename while it is read does not matter, unless the caller is strict."""
    path = tmp_path / "file"
    for strict in (False, True):
        path.write_bytes(b"old")
        found: list[bytes] = []

        def replace(chunk: bytes, found: list[bytes] = found) -> None:
            found.append(chunk)
            (tmp_path / "new").write_bytes(b"newer")
            (tmp_path / "new").replace(path)

        if strict:
            with pytest.raises(InputFileError, match="changed"):
                copy_file(path, replace, strict=True)
        else:
            copy_file(path, replace)
        assert found == [b"old"]


def test_a_strict_reader_follows_no_link(tmp_path: Path) -> None:
    """The last part of the path must be the file itself."""
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    with pytest.raises(InputFileError, match="cannot be read"):
        copy_file(tmp_path / "link", lambda _: None, strict=True)
