"""Private copies of input files: memory that no other program sees and that no process can change any more.

No input file is ever mapped: truncating a mapped file kills its readers with SIGBUS, and a file can change between
being verified and being mapped. Where the system can, a copy is a sealed memfd, which can be handed to another process
as a descriptor; every process that maps it uses the same memory.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import sys
from typing import TYPE_CHECKING, BinaryIO, Final, Self

from mirrorlist_snapshot.input_file import copy_file
from mirrorlistd.errors import StateError

if sys.platform == "linux":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from mirrorlist_snapshot.input_file import SizeLimit


_ZEROS: Final = bytes(1 << 20)


class PrivateCopy:
    """The bytes of one file, as they were when it was read. To be closed; views and mappings outlive that."""

    __slots__ = ("file", "fingerprint", "path")

    def __init__(self, path: Path, file: BinaryIO | None = None) -> None:
        """Begin with an empty copy to be written to `file` and then sealed; or take one that another process sealed."""
        self.path = path
        """The file that was copied."""
        self.file = file or _new_memory()
        """The copy."""
        self.fingerprint: tuple[int, ...] = ()
        """Differs between two files, and between two contents of one file; empty where there was no file."""

    @classmethod
    def read(cls, path: Path, limit: SizeLimit, inspect: Callable[[int, int], object] | None = None) -> PrivateCopy:
        """Make a sealed copy of a file; see `copy_file` for `inspect` and for what is refused with InputFileError."""
        copy = cls(path)
        with copy._closed_on_error():
            status = copy_file(path, copy._write, limit, inspect=inspect)
            copy.file.truncate(status.st_size)
            copy.seal()
        copy.fingerprint = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        return copy

    @classmethod
    def of(cls, path: Path, data: bytes) -> PrivateCopy:
        """Make a sealed copy of bytes that have already been read."""
        copy = cls(path)
        with copy._closed_on_error():
            copy.file.write(data)
            copy.seal()
        return copy

    @classmethod
    def received(cls, path: Path, descriptor: int) -> PrivateCopy:
        """Take over the descriptor of a copy that another process has sealed."""
        return cls(path, os.fdopen(descriptor, "rb"))

    def _write(self, chunk: bytes) -> None:
        """Write a chunk; leave a hole for zeros, so that the copy of a sparse file takes no more memory than that."""
        if self.descriptor is not None and _ZEROS.startswith(chunk):
            self.file.seek(len(chunk), os.SEEK_CUR)
        else:
            self.file.write(chunk)

    @contextlib.contextmanager
    def _closed_on_error(self) -> Generator[None]:
        try:
            yield
        except BaseException as error:
            with contextlib.suppress(OSError):  # it would flush what has no room
                self.close()
            if isinstance(error, OSError):  # of the copy, not of the file
                raise StateError(f"{self.path}: no memory for a private copy: {error.strerror or error}") from error
            raise

    @property
    def descriptor(self) -> int | None:
        """The descriptor that another process can map; None where the system has no such memory."""
        return None if isinstance(self.file, io.BytesIO) else self.file.fileno()

    def seal(self) -> None:
        """Forbid every process, this one included, to change the copy."""
        self.file.flush()
        self.file.seek(0)
        if sys.platform == "linux" and self.descriptor is not None:
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, seals)

    def view(self) -> memoryview:
        """Return the bytes without copying them again."""
        if isinstance(self.file, io.BytesIO):
            return memoryview(self.file.getvalue())
        length = os.fstat(self.file.fileno()).st_size
        if not length:
            return memoryview(b"")  # an empty file cannot be mapped
        # MAP_PRIVATE: kernels before 6.7 refuse a shared mapping of what is sealed. The pages are shared all the same.
        return memoryview(mmap.mmap(self.file.fileno(), length, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ))

    def close(self) -> None:
        """Give the descriptor back."""
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _new_memory() -> BinaryIO:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # forbidden by a sandbox
            return os.fdopen(os.memfd_create("mirrorlistd", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "w+b")
    return io.BytesIO()


def memory_can_be_shared() -> bool:
    """Whether copies can be handed to other processes: a sandbox may forbid memfd_create(2)."""
    with _new_memory() as memory:
        return not isinstance(memory, io.BytesIO)


def is_there(path: Path) -> bool:
    """Whether there is such a file; where that cannot be known there is none."""
    try:
        return path.exists()
    except OSError:  # pathlib lets some through: permission denied, a name too long
        return False
